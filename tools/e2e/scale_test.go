package e2e

import (
	"context"
	"maps"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

func TestScaleRule(t *testing.T) {
	for _, test := range []struct{ record, in, want string }{
		// Ranges, steps and offsets.
		{in: `max_over_time(a_total[5m] offset 1h)`, want: `max_over_time(a_total[5s] offset 1m)`},
		{in: `min_over_time(a[1d:5m] offset 1d)`, want: `min_over_time(a[24m:5s] offset 24m)`},
		// Numbers that stand for seconds, and numbers that do not.
		{in: `time() - a_timestamp_seconds > 5 * 60 <= 7 * 86400`, want: `time() - a_timestamp_seconds > (5 * 60) / 60 <= (7 * 86400) / 60`},
		{in: `max(a_timestamp_seconds) > time() - 120`, want: `max(a_timestamp_seconds) > time() - 120 / 60`},
		{in: `count(a_timestamp_seconds > time() - 3600) >= 500`, want: `count(a_timestamp_seconds > time() - 3600 / 60) >= 500`},
		{in: `avg(t:a_seconds:recent <= bool 3600)`, want: `avg(t:a_seconds:recent <= bool 3600 / 60)`},
		{in: `quantile(0.95, a_seconds) > 0.5 * b_seconds`, want: `quantile(0.95, a_seconds) > 0.5 * b_seconds`},
		{in: `increase(a_total[1h]) > 3600`, want: `increase(a_total[1m]) > 3600`},
		{in: `clamp_min(a_seconds - b_seconds, 60)`, want: `clamp_min(a_seconds - b_seconds, 60 / 60)`},
		{in: `a_seconds > scalar(clamp_max(max(a_seconds), time())) - 3600`, want: `a_seconds > scalar(clamp_max(max(a_seconds), time())) - 3600 / 60`},
		{in: `absent(a_seconds) > 60`, want: `absent(a_seconds) > 60`},
		{in: `count(a) / count(b) >= 0.1`, want: `count(a) / count(b) >= 0.1`},
		{in: `(max(up) or on () vector(60)) == 0`, want: `(max(up) or on () vector(60)) == 0`},
		{in: `a_seconds / b_seconds > 60`, want: `a_seconds / b_seconds > 60`},
		{in: `a_seconds > 1h`, want: `a_seconds > 60`},
		// A limit, by its name.
		{record: `o:a_seconds:default`, in: `vector(4 * 3600)`, want: `(vector(4 * 3600)) / 60`},
		{record: `o:a:threshold`, in: `vector(3)`, want: `vector(3)`},
	} {
		got, err := Scale(60).Rule(test.record, test.in)
		if err != nil || got != test.want {
			t.Errorf("%s\ngives %s, %v\nwant  %s", test.in, got, err, test.want)
		}
	}
	for _, bad := range []string{
		`a_seconds > b_total`, `rate(a_seconds[5m])`, `60 / a_seconds`, `a_seconds * b_seconds`, `a_seconds ^ 2`,
		`stdvar(a_seconds)`, `holt(`,
	} {
		if got, err := Scale(60).Rule("", bad); err == nil {
			t.Errorf("%s gives %s, want an error: nothing is to be guessed", bad, got)
		}
	}
}

func TestScaleTemplate(t *testing.T) {
	for in, want := range map[string]string{
		`open 5m, for {{ humanizeDuration $value }}`:                                                      `open 5m, for {{humanizeDuration $value}}`,
		`{{ query (printf "max(last_over_time(a_seconds%s[2d])) > time() - 3600" $value) }}`:              `{{query (printf "max(last_over_time(a_seconds%[1]s[48m])) > time() - 3600 / 60" $value)}}`,
		`{{ query (printf "max by (b) (max_over_time(timestamp(%s)[2d:1m]))" $value) }}`:                  `{{query (printf "max by (b) (max_over_time(timestamp(%[1]s)[48m:1s]))" $value)}}`,
		`{{ range query (printf "a{c=%q,b=%q}[1h] offset 1h" $value) }}5m{{ else }}{{ "[5m]" }}{{ end }}`: `{{range query (printf "a{b=%[2]q,c=%[1]q}[1m] offset 1m" $value)}}5m{{else}}{{"[5m]"}}{{end}}`,
		`{{ if lt $value 1e9 }}{{ printf "%s: %s" .Labels.a $labels.b }}{{ end }}`:                        `{{if lt $value 1e9}}{{printf "%s: %s" .Labels.a $labels.b}}{{end}}`,
	} {
		got, err := Scale(60).Template(in)
		if err != nil || got != want {
			t.Errorf("%s\ngives %s, %v\nwant  %s", in, got, err, want)
		}
	}
	if got, err := Scale(60).Template(`{{ query "sum(a[5m" }}`); err == nil {
		t.Errorf("a broken query gives %s", got)
	}
}

const deploy = "../../deploy/"

// shipped are the files that time is divided in.
var shipped = []string{"prometheus/prometheus.yml", "prometheus/petra.rules.yml", "prometheus/petra.alerts.yml", "alertmanager/alertmanager.yml"}

// With factor 1 a file says what it said, though its expressions are printed anew.
func TestScaleBy1(t *testing.T) {
	for _, file := range shipped {
		before, after := document(t, file), document(t, file)
		if err := Scale(1).YAML(after); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if got, want := meaning(t, after), meaning(t, before); !reflect.DeepEqual(got, want) {
			t.Errorf("%s says something else:\n%v\nwant\n%v", file, got, want)
		}
	}
}

// Of all numbers in the shipped rules, these are no seconds.
func TestScaleLeaves(t *testing.T) {
	const by = 60
	left := map[float64]bool{}
	for _, file := range []string{"prometheus/petra.rules.yml", "prometheus/petra.alerts.yml"} {
		doc := document(t, file)
		if err := Scale(by).YAML(doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, text := range expressions(doc) {
			parser.Inspect(parsed(t, text), func(node parser.Node, path []parser.Node) error {
				for _, above := range path {
					if e, ok := above.(*parser.BinaryExpr); ok && e.Op == parser.DIV && e.RHS.String() == strconv.Itoa(by) {
						return nil
					}
				}
				if n, ok := node.(*parser.NumberLiteral); ok {
					left[n.Val] = true
				}
				return nil
			})
		}
	}
	got, want := slices.Sorted(maps.Keys(left)), []float64{0, 0.1, 0.5, 0.95, 1, 3, 500}
	if !slices.Equal(got, want) {
		t.Errorf("%v are left as they are, want %v", got, want)
	}
}

func document(t *testing.T, file string) *yaml.Node {
	content, err := os.ReadFile(deploy + file)
	if err != nil {
		t.Fatal(err)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(content, &node); err != nil {
		t.Fatal(err)
	}
	return &node
}

func parsed(t *testing.T, text string) parser.Expr {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return expr
}

// expressions are those of the rules below a node.
func expressions(node *yaml.Node) (all []string) {
	if expr := child(node, "expr"); expr != nil {
		return []string{expr.Value}
	}
	for _, below := range node.Content {
		all = append(all, expressions(below)...)
	}
	return all
}

// meaning is a file's content, with expressions and annotations in one form.
func meaning(t *testing.T, node *yaml.Node) any {
	var of func(node *yaml.Node, key string) any
	of = func(node *yaml.Node, key string) any {
		switch node.Kind {
		case yaml.AliasNode:
			return of(node.Alias, key)
		case yaml.MappingNode:
			all := map[string]any{}
			for i := 0; i < len(node.Content); i += 2 {
				below := node.Content[i].Value
				if key == "annotations" {
					below = key
				}
				all[node.Content[i].Value] = of(node.Content[i+1], below)
			}
			return all
		case yaml.ScalarNode:
			switch key {
			case "expr":
				return parsed(t, node.Value).String()
			case "annotations":
				return []string{expanded(t, node.Value, nil), expanded(t, node.Value, promql.Vector{{F: 1}, {F: 2}})}
			}
			return node.Value
		}
		var all []any
		for _, below := range node.Content {
			all = append(all, of(below, ""))
		}
		return all
	}
	return of(node, "")
}

// expanded is what an annotation becomes, and after it the queries that it makes.
func expanded(t *testing.T, text string, answer promql.Vector) string {
	labels := map[string]string{"tenant_id": "Aa1111", "incident_id": "a1"}
	var queries []string
	ask := func(_ context.Context, query string, _ time.Time) (promql.Vector, error) {
		queries = append(queries, parsed(t, query).String())
		return answer, nil
	}
	data := template.AlertTemplateData(labels, nil, "", promql.Sample{F: 1})
	out, err := template.NewTemplateExpander(t.Context(), variables+text, "", data, 0, ask, &url.URL{}, nil).Expand()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(append([]string{out}, queries...), "\n")
}
