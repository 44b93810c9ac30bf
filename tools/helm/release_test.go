package helm

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/labels"
)

// An upgrade keeps the volume, and what Kubernetes lets nobody change: the claim's
// specification and the deployment's selector.
func TestUpgrade(t *testing.T) {
	r := render(t, "")
	claim := fmt.Sprint(r.claim.Name, r.claim.Spec.AccessModes, r.claim.Spec.StorageClassName == nil, r.claim.Spec.Resources.Requests.Storage())
	if want := "petra-petra-exporter[ReadWriteOnce] true 1Gi"; claim != want {
		t.Errorf("the claim is %s, want %s", claim, want)
	}
	selector := labels.Set(r.deployment.Spec.Selector.MatchLabels).String()
	if want := "app.kubernetes.io/instance=petra,app.kubernetes.io/name=petra-exporter"; selector != want || r.deployment.Name != "petra-petra-exporter" {
		t.Errorf("%s selects %s, want %s", r.deployment.Name, selector, want)
	}
}

// Each resource has the name, the namespace and the labels that the values say.
func TestMetadata(t *testing.T) {
	r := render(t, matrix["everything"])
	var got []string
	for _, object := range r.all {
		name, namespace := name(object)
		got = append(got, object.GetObjectKind().GroupVersionKind().Kind+" "+namespace+"/"+name)
	}
	want := []string{
		"ConfigMap grafana/petra-of-acme-dashboards", "ConfigMap security/petra-object", "ConfigMap security/petra-of-acme",
		"ConfigMap security/petra-text", "Deployment security/petra-of-acme", "NetworkPolicy security/petra-of-acme",
		"PersistentVolumeClaim security/petra-of-acme", "PrometheusRule prometheus/petra-of-acme-alerts",
		"PrometheusRule prometheus/petra-of-acme-rules", "Secret security/petra-of-acme", "Service security/petra-of-acme",
		"ServiceAccount security/petra-robot", "ServiceMonitor prometheus/petra-of-acme",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("there are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	common := map[string]string{
		"app.kubernetes.io/name": "petra", "app.kubernetes.io/instance": "petra", "app.kubernetes.io/managed-by": "Helm",
		"cost-center": "1", "team": "everybody",
	}
	own := map[string]map[string]string{"service": {"team": "soc"}, "pod": {"team": "soc"}, "monitor": {"release": "prometheus"}, "dashboards": {"team": "soc"}}
	for kind, labels := range map[string]map[string]string{
		"deployment": r.deployment.Labels, "pod": r.deployment.Spec.Template.Labels, "service": r.service.Labels, "policy": r.policy.Labels,
		"account": r.account.Labels, "secret": r.secret.Labels, "claim": r.claim.Labels, "monitor": r.monitor.Labels, "dashboards": r.dashboards.Labels,
	} {
		want := maps.Clone(common)
		maps.Copy(want, own[kind])
		for key, value := range want {
			if labels[key] != value {
				t.Errorf("%s: the label %s is %q, want %q", kind, key, labels[key], value)
			}
		}
	}
	for values, want := range map[string]string{
		"nameOverride: abc":          "petra-abc",
		"nameOverride: pet":          "petra", // the release's name has it
		"fullnameOverride: abc":      "abc",
		"namespaceOverride: another": "petra-petra-exporter",
	} {
		r := render(t, values)
		if r.deployment.Name != want || r.claim.Name != want || r.service.Name != want {
			t.Errorf("%s: the deployment is %s, want %s", values, r.deployment.Name, want)
		}
	}
}

// A parent chart switches it on and off, twice where it needs two exporters.
func TestDependency(t *testing.T) {
	parent := t.TempDir()
	if err := os.CopyFS(filepath.Join(parent, "charts/petra-exporter"), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(parent, "Chart.yaml"), []byte(`{apiVersion: v2, name: parent, version: 1.0.0, dependencies: [
		{name: petra-exporter, version: ">=0.0.0", condition: petra-exporter.enabled},
		{name: petra-exporter, version: ">=0.0.0", condition: acme.enabled, alias: acme}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for values, want := range map[string]string{
		"petra-exporter: {enabled: true}\nacme: {enabled: true}\nglobal: {a: b}":                       "[a-acme a-petra-exporter]",
		"petra-exporter: {enabled: true, podSecurityContext: {fsGroup: null}}\nacme: {enabled: false}": "[a-petra-exporter]",
		"petra-exporter: {enabled: false}\nacme: {enabled: true, organization: acme}":                  "[a-acme]",
		"petra-exporter: {enabled: false}\nacme: {enabled: false}":                                     "[]",
	} {
		out, err := helm(t, values, "template", "a", parent, "--dependency-update=false")
		if err != nil {
			t.Errorf("%s: %s", values, out)
		}
		var names []string
		for _, match := range regexp.MustCompile(`kind: Deployment\nmetadata:\n  name: (\S+)`).FindAllStringSubmatch(out, -1) {
			names = append(names, match[1])
		}
		if got := fmt.Sprint(names); got != want || strings.Contains(out, "fsGroup: ") == strings.Contains(values, "fsGroup") && want != "[]" {
			t.Errorf("%s: there are %s, want %s\n%s", values, got, want, out)
		}
	}
}

// What an installation prints names what there is.
func TestNotes(t *testing.T) {
	notes := func(values string) string {
		t.Helper()
		parsed, err := chartutil.ReadValues([]byte(values))
		if err != nil {
			t.Fatal(err)
		}
		chart, err := loader.Load(chart)
		if err != nil {
			t.Fatal(err)
		}
		all, err := chartutil.ToRenderValues(chart, parsed, chartutil.ReleaseOptions{Name: "petra", Namespace: "monitoring"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := engine.Render(chart, all)
		if err != nil {
			t.Fatal(err)
		}
		return files["petra-exporter/templates/NOTES.txt"]
	}
	for values, want := range map[string][]string{
		"": {
			"kubectl -n monitoring create secret generic petra-api-key --from-file=api-key=FILE", "deployment/petra-petra-exporter 10984", "http://localhost:10984/status",
			"job_name: petra\n", "targets: [petra-petra-exporter.monitoring.svc:10984]", "networkPolicy.from",
		},
		matrix["everything"]: {"kubectl -n security port-forward deployment/petra-of-acme 10984", "https://localhost"},
		"organization: acme\nstandby: true\nservice: {port: 80}\nnamespaceOverride: a": {"job_name: petra-standby\n", "svc:80]\n        labels: {organization: \"acme\"}"},
	} {
		got := notes(values)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %q in\n%s", values, part, got)
			}
		}
		for _, part := range []string{"a key: with", "<no value>", "\n\n\n"} {
			if strings.Contains(got, part) {
				t.Errorf("%s: %q in\n%s", values, part, got)
			}
		}
	}
}
