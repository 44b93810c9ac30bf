package prometheus

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"go.yaml.in/yaml/v3"
)

const (
	root     = "../../"
	rulesDir = root + "deploy/prometheus/"
	runbook  = "https://github.com/petra-exporter/petra_exporter/blob/main/docs/runbook.md#"
)

// tests is what a file for promtool test rules says of alerts.
type tests struct {
	Tests []struct {
		Name   string
		Alerts []alertTest `yaml:"alert_rule_test"`
	}
}

type alertTest struct {
	At     model.Duration `yaml:"eval_time"`
	Name   string         `yaml:"alertname"`
	Expect []expectation  `yaml:"exp_alerts"`
}

type expectation struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

func read(t *testing.T, path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func promqlParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// rules are all the shipped ones.
func rules(t *testing.T) (all []rulefmt.Rule) {
	for _, file := range []string{"petra.rules.yml", "petra.alerts.yml"} {
		groups, errs := rulefmt.ParseFile(rulesDir+file, false, model.UTF8Validation, promqlParser(), promslog.NewNopLogger())
		if errs != nil {
			t.Fatal(errs)
		}
		for _, group := range groups.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// alerts are those of the shipped rules, by name; some have two severities.
func alerts(t *testing.T) map[string][]rulefmt.Rule {
	byName := map[string][]rulefmt.Rule{}
	for _, rule := range rules(t) {
		if rule.Alert != "" {
			byName[rule.Alert] = append(byName[rule.Alert], rule)
		}
	}
	return byName
}

func unitTests(t *testing.T) (all tests) {
	files, err := filepath.Glob(rulesDir + "tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, file := range files {
		var of tests
		if err := yaml.Unmarshal([]byte(read(t, file)), &of); err != nil {
			t.Fatal(err)
		}
		all.Tests = append(all.Tests, of.Tests...)
	}
	return all
}

// Each alert has, in each of its severities, a test in which it fires, one in which
// it nearly does and must not, and one in which it resolves.
func TestEachAlertIsTested(t *testing.T) {
	type seen struct{ Fires, Never, Resolves bool }
	found := map[string]*seen{}
	for name, rules := range alerts(t) {
		for _, rule := range rules {
			found[name+"/"+rule.Labels["severity"]] = &seen{}
		}
	}
	for _, test := range unitTests(t).Tests {
		fired, quiet := map[string]model.Duration{}, map[string]bool{} // in this test
		slices.SortStableFunc(test.Alerts, func(a, b alertTest) int { return cmp.Compare(a.At, b.At) })
		for _, alert := range test.Alerts {
			if alerts(t)[alert.Name] == nil {
				t.Errorf("%s is tested, and no alert", alert.Name)
			}
			for _, rule := range alerts(t)[alert.Name] {
				severity := rule.Labels["severity"]
				name := alert.Name + "/" + severity
				_, before := fired[name]
				switch fires := slices.ContainsFunc(alert.Expect, func(e expectation) bool { return e.Labels["severity"] == severity }); {
				case fires:
					fired[name] = alert.At
					found[name].Fires = true
				case before:
					found[name].Resolves = true
				default:
					quiet[name] = true
				}
			}
		}
		for name := range quiet {
			if _, has := fired[name]; !has {
				found[name].Never = true
			}
		}
	}
	for name, f := range found {
		if !f.Fires || !f.Never || !f.Resolves {
			t.Errorf("%s: tested are %+v, want all", name, *f)
		}
	}
}

// An alert's labels are its identity: none of a target, save of alerts about one
// exporter.
func TestLabelsAndAnnotations(t *testing.T) {
	aboutOne := map[string]string{"PetraExporterDown": "warning", "PetraConfigReloadFailed": "warning", "PetraStateSaveFailed": "warning"}
	allowed := []string{"severity", "tenant_id", "incident_id", "remediation_status", "reason"}
	withIncident := map[string]bool{}
	for _, test := range unitTests(t).Tests {
		for _, alert := range test.Alerts {
			for _, expect := range alert.Expect {
				for label := range expect.Labels {
					one := label == "instance" && aboutOne[alert.Name] == expect.Labels["severity"]
					if !slices.Contains(allowed, label) && !one {
						t.Errorf("%s has the label %s", alert.Name, label)
					}
				}
				if expect.Labels["incident_id"] != "" {
					withIncident[alert.Name] = true
				}
			}
		}
	}
	if len(withIncident) != 3 {
		t.Errorf("alerts with an incident: %v, want 3", slices.Sorted(maps.Keys(withIncident)))
	}
	sections := read(t, root+"docs/runbook.md")
	for name, rules := range alerts(t) {
		if !strings.Contains(sections, "\n### "+name+"\n") {
			t.Errorf("%s has no section in the runbook", name)
		}
		for _, rule := range rules {
			if got := slices.Sorted(maps.Keys(rule.Annotations)); !slices.Equal(got, []string{"description", "runbook_url", "summary"}) {
				t.Errorf("%s has the annotations %v", name, got)
			}
			if want := runbook + strings.ToLower(name); rule.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url %s, want %s", name, rule.Annotations["runbook_url"], want)
			}
			if withIncident[name] && time.Duration(rule.KeepFiringFor) != 5*time.Minute {
				t.Errorf("%s: keep_firing_for %s, want 5m", name, rule.KeepFiringFor)
			}
		}
	}
}

// A rule reads metrics that the exporter has, records or limits, and no buckets:
// how le is spelt depends on the format of the scrape.
func TestRulesReadWhatThereIs(t *testing.T) {
	known := map[string]bool{"up": true, "tenant:petra_incident_sla_seconds:override": true}
	for _, row := range regexp.MustCompile("(?m)^\\| (`petra_.*?) \\|").FindAllStringSubmatch(read(t, root+"README.md"), -1) {
		for _, name := range regexp.MustCompile("petra_[a-z_]+").FindAllString(row[1], -1) {
			known[name] = true
		}
	}
	for _, rule := range rules(t) {
		known[rule.Record] = true
	}
	query := regexp.MustCompile(`petra_[a-z_]+`)
	for _, rule := range rules(t) {
		expr, err := promqlParser().ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.VectorSelector:
				if !known[n.Name] {
					t.Errorf("%s%s reads %s, which nobody has", rule.Alert, rule.Record, n.Name)
				}
				for _, matcher := range n.LabelMatchers {
					if matcher.Name == "le" {
						t.Errorf("%s%s depends on le", rule.Alert, rule.Record)
					}
				}
			case *parser.Call:
				if n.Func.Name == "histogram_quantile" {
					t.Errorf("%s%s reads buckets", rule.Alert, rule.Record)
				}
			}
			return nil
		})
		for _, annotation := range rule.Annotations {
			for _, name := range query.FindAllString(annotation, -1) {
				if strings.HasPrefix(name, "petra_exporter") || known[name] {
					continue
				}
				if !slices.ContainsFunc(slices.Collect(maps.Keys(known)), func(k string) bool { return strings.Contains(k, ":"+name+":") }) {
					t.Errorf("%s looks up %s, which nobody has", rule.Alert, name)
				}
			}
		}
	}
}

// What the runbook tells people to add or ask is well-formed.
func TestRunbookExamples(t *testing.T) {
	text := read(t, root+"docs/runbook.md")
	blocks := regexp.MustCompile("(?ms)^```(promql|yaml)\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	var rules, queries int
	for _, block := range blocks {
		switch {
		case block[1] == "promql":
			queries++
			if _, err := promqlParser().ParseExpr(block[2]); err != nil {
				t.Errorf("%s\n%v", block[2], err)
			}
		case strings.HasPrefix(block[2], "groups:"):
			rules++
			groups, errs := rulefmt.Parse([]byte(block[2]), false, model.UTF8Validation, promqlParser(), promslog.NewNopLogger())
			if errs != nil {
				t.Fatal(errs)
			}
			for _, rule := range groups.Groups[0].Rules {
				if rule.Record != "tenant:petra_incident_sla_seconds:override" || rule.Labels["tenant_id"] == "" {
					t.Errorf("the rule %+v overrides nothing", rule)
				}
			}
		}
	}
	if rules != 1 || queries != 4 {
		t.Errorf("%d files of rules and %d queries, want 1 and 4", rules, queries)
	}
}

// 500 incidents within the window are all that the API gives: of such a tenant
// there is no true number. With one less, the window is known.
func TestIncompleteAt500(t *testing.T) {
	var expr string
	for _, rule := range rules(t) {
		if rule.Record == "tenant:petra_recent_incidents:incomplete" {
			expr = strings.Join(strings.Fields(rule.Expr), " ")
		}
	}
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: promqlParser()})
	for n, want := range map[int]string{499: "", 500: "  {tenant_id=\"Aa1111\"} 1\n"} {
		var script strings.Builder
		script.WriteString("load 1m\n  petra_tenant_info{tenant_id=\"Aa1111\",tenant_name=\"A\"} 1x10\n" +
			"  petra_open_incidents{tenant_id=\"Aa1111\",live=\"true\"} 0x10\n" +
			"  petra_tenant_incidents_truncated{tenant_id=\"Aa1111\"} 1x10\n")
		for i := range n {
			fmt.Fprintf(&script, "  petra_recent_incident_created_timestamp_seconds{tenant_id=\"Aa1111\",incident_id=\"%d\",live=\"true\"} 0x10\n", i)
		}
		fmt.Fprintf(&script, "\neval instant at 5m %s\n%s", expr, want)
		promqltest.RunTest(t, script.String(), engine)
	}
}
