package helm

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	root  = "../../"
	chart = root + "deploy/helm/petra-exporter"
)

// matrix are the values that are rendered: those in ci of the chart, by name.
var matrix = func() map[string]string {
	const suffix = "-values.yaml"
	files, err := filepath.Glob(chart + "/ci/*" + suffix)
	utilruntime.Must(err)
	values := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		utilruntime.Must(err)
		values[strings.TrimSuffix(filepath.Base(file), suffix)] = string(content)
	}
	return values
}()

// each calls a test with what every set of values renders.
func each(t *testing.T, test func(*testing.T, resources)) {
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) { test(t, render(t, values)) })
	}
}

// helm runs Helm, with values.
func helm(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(root+".cache/bin/helm", append(args, "--values="+file)...)
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	err := command.Run()
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%v; make helm builds it", err)
	}
	return out.String() + log.String(), err
}

// build builds the exporter.
func build(t *testing.T) string {
	t.Helper()
	exporter := filepath.Join(t.TempDir(), "petra_exporter")
	build := exec.Command("go", "build", "-o", exporter, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exporter
}

// resources are those of the chart, each in its own type, nil where there is none.
type resources struct {
	text       string
	all        []runtime.Object
	documents  [][]byte // of all, as rendered
	deployment *apps.Deployment
	service    *core.Service
	account    *core.ServiceAccount
	secret     *core.Secret
	claim      *core.PersistentVolumeClaim
	policy     *networking.NetworkPolicy
	monitor    *monitoring.ServiceMonitor
	rules      []*monitoring.PrometheusRule
	config     *core.ConfigMap
	dashboards *core.ConfigMap
	extra      []*core.ConfigMap // of extraManifests
}

func (r resources) pod() core.PodSpec         { return r.deployment.Spec.Template.Spec }
func (r resources) container() core.Container { return r.pod().Containers[0] }
func (r resources) endpoint() monitoring.Endpoint {
	return r.monitor.Spec.Endpoints[0]
}

// name is an object's name, with its namespace.
func name(object runtime.Object) (name, namespace string) {
	accessor, err := meta.Accessor(object)
	utilruntime.Must(err)
	return accessor.GetName(), accessor.GetNamespace()
}

// flag is the value of one of the exporter's flags.
func (r resources) flag(name string) string {
	for _, arg := range r.container().Args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// render decodes what the chart renders.
func render(t *testing.T, values string) resources {
	t.Helper()
	text, err := helm(t, values, "template", "petra", chart, "--namespace=monitoring")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return decode(t, text)
}

// decode is strict: an unknown field, a field that is there twice or of the wrong type
// is an error.
func decode(t *testing.T, text string) (r resources) {
	t.Helper()
	r.text = text
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apps.AddToScheme, core.AddToScheme, networking.AddToScheme, monitoring.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		r.all, r.documents = append(r.all, object), append(r.documents, document)
		switch object := object.(type) {
		case *apps.Deployment:
			r.deployment = object
		case *core.Service:
			r.service = object
		case *core.ServiceAccount:
			r.account = object
		case *core.Secret:
			r.secret = object
		case *core.PersistentVolumeClaim:
			r.claim = object
		case *networking.NetworkPolicy:
			r.policy = object
		case *monitoring.ServiceMonitor:
			r.monitor = object
		case *monitoring.PrometheusRule:
			r.rules = append(r.rules, object)
		case *core.ConfigMap:
			switch {
			case strings.HasSuffix(object.Name, "-dashboards"):
				r.dashboards = object
			case object.Data == nil:
				r.extra = append(r.extra, object)
			default:
				r.config = object
			}
		default:
			t.Fatalf("a %T", object)
		}
	}
	if r.deployment == nil || r.service == nil || r.config == nil {
		t.Fatalf("no deployment, service or configuration in:\n%s", text)
	}
	return r
}
