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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	root  = "../../"
	chart = root + "deploy/helm/petra-exporter"
)

// matrix are the values that are rendered, by what is special in them.
var matrix = map[string]string{
	"defaults": "",
	"everything": `
image: {repository: registry.example/petra_exporter, tag: 1.2.3, pullPolicy: Always}
imagePullSecrets: [{name: registry}]
apiKey: {value: "a key: with \"quotes\"", secretKey: key.txt}
config:
  api:
    url: https://api.petrasecurity.com
    requests_per_minute: 5
    timeout: 20s
    tls_config: {ca_file: /etc/petra_exporter_web/ca.pem, server_name: api.example, min_version: TLS12, max_version: TLS13, insecure_skip_verify: false}
    proxy_url: http://proxy.example:3128
    no_proxy: example.com
    follow_redirects: false
    proxy_from_environment: false
  tenants: [{id: ZZk90t}, {id: a1b2c3d4-5e6f-7890-abcd-ef1234567890}]
  since: 2026-01-01
  remediated_statuses: [REMEDIATED]
  closed_statuses: [FALSE_POSITIVE]
  open_statuses: []
  max_staleness: 1h30m
  max_open_incidents: 10000000
  recent_window: 0
  max_recent_incidents: 5000
  native_histograms: true
  open_incident_user: true
extraArgs: [--log.format=json, "--web.max-requests=10"]
env: [{name: HTTPS_PROXY, valueFrom: {secretKeyRef: {name: petra-proxy, key: url}}}]
webConfigSecret: petra-web
persistence: {storageClass: fast, size: 2Gi, accessMode: ReadWriteOncePod}
service: {port: 80, annotations: {a: b}, labels: {team: soc}}
networkPolicy: {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}
serviceMonitor:
  enabled: true
  labels: {release: prometheus}
  interval: 30s
  endpoint: {scheme: https, basicAuth: {username: {name: a, key: b}, password: {name: a, key: c}}, tlsConfig: {insecureSkipVerify: true}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboards: {enabled: true, annotations: {grafana_folder: Petra}}
resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1500m, memory: 2Gi}}
podAnnotations: {a: b}
podLabels: {team: soc}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: a, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}}
priorityClassName: high
`,
	"no volume":       "persistence: {enabled: false}\nnetworkPolicy: {enabled: false}",
	"existing volume": "persistence: {existingClaim: mine}\napiKey: {existingSecret: other, secretKey: key}",
	"operator":        "serviceMonitor: {enabled: true}\nprometheusRule: {enabled: true}\ndashboards: {enabled: true}",
}

// each calls a test with what every set of values renders.
func each(t *testing.T, test func(*testing.T, resources)) {
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) { test(t, render(t, values)) })
	}
}

// helm runs Helm on the chart, with values.
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
	secret     *core.Secret
	claim      *core.PersistentVolumeClaim
	policy     *networking.NetworkPolicy
	monitor    *monitoring.ServiceMonitor
	rules      []*monitoring.PrometheusRule
	config     *core.ConfigMap
	dashboards *core.ConfigMap
}

func (r resources) pod() core.PodSpec         { return r.deployment.Spec.Template.Spec }
func (r resources) container() core.Container { return r.pod().Containers[0] }

// flag is the value of one of the exporter's flags.
func (r resources) flag(name string) string {
	for _, arg := range r.container().Args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// render decodes strictly what the chart renders: an unknown field, a field that is
// there twice or of the wrong type is an error.
func render(t *testing.T, values string) (r resources) {
	t.Helper()
	text, err := helm(t, values, "template", "petra", chart, "--namespace=monitoring")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
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
			if strings.HasSuffix(object.Name, "-dashboards") {
				r.dashboards = object
			} else {
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
