package helm

import (
	"os"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// shipped are the groups of deploy/prometheus.
func shipped(t *testing.T) (groups []monitoring.RuleGroup) {
	t.Helper()
	for _, name := range []string{"petra.alerts.yml", "petra.rules.yml"} {
		content, err := os.ReadFile(root + "deploy/prometheus/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var spec monitoring.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(content, &spec); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, spec.Groups...)
	}
	if len(groups) == 0 {
		t.Fatal("there are no rules")
	}
	return groups
}

// compare renders the chart with values for prometheusRule. Its rules are those that
// are shipped, after a change to each that also says whether it stays.
func compare(t *testing.T, values string, change func(*monitoring.Rule) bool) {
	t.Helper()
	var want, got []monitoring.RuleGroup
	for _, group := range shipped(t) {
		rules := group.Rules
		group.Rules = nil
		for _, rule := range rules {
			if change(&rule) {
				group.Rules = append(group.Rules, rule)
			}
		}
		if group.Rules != nil {
			want = append(want, group)
		}
	}
	for _, rule := range render(t, "prometheusRule: {enabled: true, "+values+"}").rules {
		got = append(got, rule.Spec.Groups...)
	}
	if a, b := text(t, got), text(t, want); a != b {
		t.Errorf("%s: the chart's rules are\n%s\nwant\n%s", values, a, b)
	}
}

// The rules are those of deploy/prometheus, templates of alerts included.
func TestRules(t *testing.T) {
	compare(t, "", func(*monitoring.Rule) bool { return true })
}

// Each alert can be left out, and changed, in all its rules; each constant too.
func TestRuleOverrides(t *testing.T) {
	compare(t, "disabled: {PetraExporterDown: true, PetraApiDown: false}", func(rule *monitoring.Rule) bool {
		return rule.Alert != "PetraExporterDown"
	})
	compare(t, "customRules: {PetraExporterDown: {for: 10m}, PetraApiDown: {severity: info, for: 1h30m}}", func(rule *monitoring.Rule) bool {
		switch rule.Alert {
		case "PetraExporterDown":
			rule.For = new(monitoring.Duration("10m"))
		case "PetraApiDown":
			rule.For, rule.Labels["severity"] = new(monitoring.Duration("1h30m")), "info"
		}
		return true
	})
	alerts, constants := map[string]bool{}, map[string]float64{}
	for _, group := range shipped(t) {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				alerts[rule.Alert] = true
			} else if strings.HasPrefix(rule.Expr.StrVal, "vector(") {
				constants[rule.Record] = 1500000.5
			}
		}
	}
	if len(constants) == 0 {
		t.Error("no rule is a constant")
	}
	compare(t, "thresholds: "+text(t, constants), func(rule *monitoring.Rule) bool {
		if strings.HasPrefix(rule.Expr.StrVal, "vector(") {
			rule.Expr = intstr.FromString("vector(1.5000005e+06)")
		}
		return true
	})
	compare(t, "disabled: "+text(t, alerts), func(rule *monitoring.Rule) bool { return rule.Alert == "" })
}
