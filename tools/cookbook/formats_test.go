package cookbook

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// TestRulesInBothFormats: each shipped rule gives the same at each moment of the
// story, whether Prometheus scrapes classic text or protobuf, which has the native
// histograms too.
func TestRulesInBothFormats(t *testing.T) {
	scrapes := expositions(t, classicText, protobuf)
	text, proto := scrapes[classicText], scrapes[protobuf]
	if bytes.Contains(text[0].body, []byte{0}) || !bytes.Contains(proto[0].body, []byte{0}) {
		t.Fatalf("the formats are %s and %s", text[0].contentType, proto[0].contentType)
	}
	inText, inProto := evaluated(t, text), evaluated(t, proto)
	for rule, want := range inText {
		if got := inProto[rule]; !slices.Equal(got, want) {
			t.Errorf("%s\nin protobuf %v\nin text     %v", rule, got, want)
		}
	}
	silent := []string{
		"tenant:petra_tenant_stale:15m",                   // the story is shorter
		"tenant:petra_open_incidents_unlisted:last_known", // no tenant has so many
	}
	for _, rule := range shippedRules(t) {
		if rule.Record != "" && !slices.Contains(silent, rule.Record) && len(inText[rule.Record]) == 0 {
			t.Errorf("%s gives no value in all the story", rule.Record)
		}
	}
	if len(inText) != len(inProto) {
		t.Errorf("%d rules give a value in text, %d in protobuf", len(inText), len(inProto))
	}
}

// evaluated are the values of each rule that has any, in the order of the story.
func evaluated(t *testing.T, scrapes []exposition) map[string][]string {
	db, engine, rules := stored(t, scrapes), newEngine(t), shippedRules(t)
	values := map[string][]string{}
	for at := start; !at.After(failed); at = at.Add(time.Minute) {
		for _, rule := range rules {
			for _, sample := range evaluate(t, engine, db, rule, at) {
				name := rule.Record + rule.Alert
				values[name] = append(values[name], at.Format(time.TimeOnly)+" "+sample.String())
			}
		}
	}
	return values
}

func shippedRules(t *testing.T) (rules []rulefmt.Rule) {
	for _, file := range []string{"petra.rules.yml", "petra.alerts.yml"} {
		groups, errs := rulefmt.ParseFile("../../deploy/prometheus/"+file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if errs != nil {
			t.Fatal(errs)
		}
		for _, group := range groups.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	return rules
}

// evaluate gives a rule's values in their order, and stores those of a recording rule.
func evaluate(t *testing.T, engine *promql.Engine, db *tsdb.DB, rule rulefmt.Rule, at time.Time) promql.Vector {
	query, err := engine.NewInstantQuery(t.Context(), db, nil, rule.Expr, at)
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	vector, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s%s: %v", rule.Record, rule.Alert, err)
	}
	vector = slices.Clone(vector)
	slices.SortFunc(vector, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
	if rule.Record == "" {
		return vector
	}
	appender := db.Appender(t.Context())
	for _, sample := range vector {
		series := labels.NewBuilder(sample.Metric).Set(model.MetricNameLabel, rule.Record).Labels()
		if _, err := appender.Append(0, series, at.UnixMilli(), sample.F); err != nil {
			t.Fatal(err)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
	return vector
}
