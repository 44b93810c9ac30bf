package helm

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// Prometheus finds the service, wherever the monitor is, and keeps classic buckets.
func TestServiceMonitor(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		if r.monitor == nil {
			return
		}
		spec := r.monitor.Spec
		if len(spec.Endpoints) != 1 || !labels.SelectorFromSet(spec.Selector.MatchLabels).Matches(labels.Set(r.service.Labels)) {
			t.Errorf("the monitor is %+v, the service %+v", spec, r.service.ObjectMeta)
		}
		if r.monitor.Namespace != r.service.Namespace && !slices.Contains(spec.NamespaceSelector.MatchNames, r.service.Namespace) {
			t.Errorf("from %s, %+v does not select %s", r.monitor.Namespace, spec.NamespaceSelector, r.service.Namespace)
		}
		if r.endpoint().Port != "http" || r.endpoint().Interval == "" || r.endpoint().ScrapeTimeout == "" || spec.ScrapeClassicHistograms == nil || !*spec.ScrapeClassicHistograms {
			t.Errorf("the monitor is %+v", spec)
		}
	})
	for name, want := range map[string]string{"operator": "http", "password": "http", "tls": "https", "everything": "https"} {
		if got := render(t, matrix[name]).endpoint().Scheme.String(); got != want {
			t.Errorf("%s: the scheme is %s, want %s", name, got, want)
		}
	}
}

// target are the labels that the monitor's relabelings give a target, by what sets or
// drops one without a condition.
func target(t *testing.T, r resources) map[string]string {
	t.Helper()
	set := map[string]string{"job": "the service's", "instance": "10.0.0.1:10984", "pod": "petra-6f"}
	for _, config := range r.endpoint().RelabelConfigs {
		switch {
		case config.Action == "labeldrop":
			delete(set, config.Regex)
		case config.SourceLabels == nil:
			set[config.TargetLabel] = strings.ReplaceAll(*config.Replacement, "$$", "$")
		}
	}
	return set
}

// PetraExporterDown looks for the job petra and fires for ever without it: no
// relabeling of the user's takes it away. A new pod continues the old one's series.
func TestTargetLabels(t *testing.T) {
	const monitor = "\nserviceMonitor: {enabled: true, "
	for values, want := range map[string]map[string]string{
		monitor + "}": {"job": "petra"},
		monitor + "endpoint: {relabelings: [{targetLabel: a, replacement: b}]}}":                     {"job": "petra", "a": "b"},
		monitor + "endpoint: {relabelings: [{targetLabel: job, replacement: b}]}}":                   {"job": "petra"},
		monitor + "relabelings: [{targetLabel: job, replacement: b}]}":                               {"job": "petra"},
		monitor + "relabelings: [{action: labeldrop, regex: job}]}":                                  {"job": "petra"},
		monitor + "relabelings: null, endpoint: null}":                                               {"job": "petra"},
		monitor + "relabelings: [{targetLabel: instance, replacement: mine}]}":                       {"job": "petra", "instance": "mine"},
		"organization: acme" + monitor + "}":                                                         {"job": "petra", "organization": "acme"},
		"organization: $1" + monitor + "relabelings: [{targetLabel: organization, replacement: b}]}": {"job": "petra", "organization": "$1"},
		"standby: true\norganization: acme" + monitor + "}":                                          {"job": "petra-standby", "organization": "acme"},
	} {
		if want["instance"] == "" {
			want["instance"] = "petra-petra-exporter.monitoring.svc"
		}
		if got := target(t, render(t, values)); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", values, got, want)
		}
	}
	endpoint := render(t, matrix["everything"]).endpoint()
	if len(endpoint.MetricRelabelConfigs) != 2 || *endpoint.FollowRedirects || endpoint.BasicAuth == nil || endpoint.ScrapeTimeout != "20s" || endpoint.Interval != "30s" {
		t.Errorf("the endpoint is %+v", endpoint)
	}
}

// The dashboards are those of dashboards.
func TestDashboards(t *testing.T) {
	files, err := filepath.Glob(root + "dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want[filepath.Base(file)] = string(content)
	}
	config := render(t, matrix["operator"]).dashboards
	if config.Labels["grafana_dashboard"] != "1" || !maps.Equal(config.Data, want) {
		t.Errorf("%v has %v, want %d dashboards", config.Labels, slices.Collect(maps.Keys(config.Data)), len(want))
	}
	if size := len(text(t, config.Data)); size > 1000_000 {
		t.Errorf("%d bytes: a ConfigMap takes 1 MiB", size)
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	out, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
