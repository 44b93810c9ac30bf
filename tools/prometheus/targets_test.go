package prometheus

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// series is one of a test's input series, as promtool writes them.
type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// Every test must come out the same where a second exporter publishes all that
// the first does, where the pod of each gets a new name in the middle of the
// story, and where each tenant has another name for one scrape, beside its own, as
// two exporters tell a renaming. A counter of a new pod begins anew, so those stay.
func TestTargets(t *testing.T) {
	twice := func(ls labels.Labels, values []string) []series {
		return []series{
			{ls.String(), strings.Join(values, " ")},
			{with(ls, "replica", "2"), strings.Join(values, " ")},
		}
	}
	renamed := func(ls labels.Labels, values []string) []series {
		half := len(values) / 2
		if strings.HasSuffix(ls.Get(model.MetricNameLabel), "_total") {
			return []series{{ls.String(), strings.Join(values, " ")}}
		}
		return []series{
			{ls.String(), strings.Join(append(values[:half:half], "stale"), " ")},
			{with(ls, "pod", "2"), strings.Repeat("_ ", half) + strings.Join(values[half:], " ")},
		}
	}
	misnamed := func(ls labels.Labels, values []string) []series {
		all := []series{{ls.String(), strings.Join(values, " ")}}
		if half := len(values) / 2; ls.Get(model.MetricNameLabel) == "petra_tenant_info" && values[half] == "1" {
			// After its own name, which is the first of two that count as much.
			other := with(ls, "tenant_name", ls.Get("tenant_name")+" of old")
			all = append(all, series{other, strings.Repeat("_ ", half) + "1 stale"})
		}
		return all
	}
	for name, change := range map[string]func(labels.Labels, []string) []series{
		"two exporters": twice, "a pod with a new name": renamed, "tenants with a second name": misnamed,
	} {
		t.Run(name, func(t *testing.T) { promtool(t, change) })
	}
}

func with(ls labels.Labels, name, value string) string {
	return labels.NewBuilder(ls).Set(name, value).Labels().String()
}

// promtool runs all tests with other input series.
func promtool(t *testing.T, change func(labels.Labels, []string) []series) {
	rulesDir, err := filepath.Abs(rulesDir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(rulesDir + "/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	args := []string{"tool", "promtool", "test", "rules"}
	for _, file := range files {
		var test map[string]any
		if err := yaml.Unmarshal([]byte(read(t, file)), &test); err != nil {
			t.Fatal(err)
		}
		test["rule_files"] = []string{rulesDir + "/petra.rules.yml", rulesDir + "/petra.alerts.yml"}
		for _, one := range test["tests"].([]any) {
			group := one.(map[string]any)
			var changed []series
			for _, input := range group["input_series"].([]any) {
				input := input.(map[string]any)
				ls, values, err := promqlParser().ParseSeriesDesc(input["series"].(string) + " " + input["values"].(string))
				if err != nil {
					t.Fatal(err)
				}
				changed = append(changed, change(ls, written(values))...)
			}
			group["input_series"] = changed
		}
		content, err := yaml.Marshal(test)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), filepath.Base(file))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func written(values []parser.SequenceValue) (out []string) {
	for _, v := range values {
		switch {
		case v.Omitted:
			out = append(out, "_")
		case value.IsStaleNaN(v.Value):
			out = append(out, "stale")
		default:
			out = append(out, strconv.FormatFloat(v.Value, 'f', -1, 64))
		}
	}
	return out
}
