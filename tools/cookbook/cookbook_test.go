package cookbook

import (
	"log/slog"
	"maps"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	prometheusconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

type values map[string]float64

// answers are what the README's queries must give, by their heading, at one
// moment of the story.
var answers = map[string]struct {
	at   time.Time
	want values
}{
	"Open incidents in all tenants": {known, values{`{}`: 2}},
	"Open incidents by tenant, with its name": {known, values{
		`{tenant_id="Aa1111", tenant_name="Alpha"}`: 1, `{tenant_id="Bb2222", tenant_name="Beta"}`: 1,
		`{tenant_id="Cc3333", tenant_name="Gamma"}`: 0, `{tenant_id="Dd4444", tenant_name="Delta"}`: 0,
	}},
	"Time since the compromise of each open incident": {known, values{
		`{incident_id="a5", tenant_id="Aa1111"}`: 15 * 60, `{incident_id="b1", tenant_id="Bb2222"}`: 5*86400 + 6*3600,
	}},
	"SLA breaches: open for more than 4 hours, with status and URL": {known, values{
		`{incident_id="b1", remediation_status="ACTIVE", tenant_id="Bb2222", url="https://app.petrasecurity.com/tenant/Bb2222/incidents/b1"}`: 6 * 3600,
	}},
	"SLA breaches: remediated too late, in the last 30 days": {known, values{
		`{incident_id="a3", tenant_id="Aa1111"}`: 5 * 3600, `{incident_id="a4", tenant_id="Aa1111"}`: 41 * 86400,
	}},
	"Share remediated within 1 hour, by tenant": {known, values{
		`{tenant_id="Aa1111"}`: 2. / 4, `{tenant_id="Bb2222"}`: 1,
	}},
	"Share remediated within 1 hour, with open incidents as missed": {known, values{
		`{tenant_id="Aa1111"}`: 2. / 4, `{tenant_id="Bb2222"}`: 1. / 2,
	}},
	"Median dwell time by tenant, live apart from not live": {known, values{
		`{live="true", tenant_id="Aa1111"}`: 600, `{live="false", tenant_id="Aa1111"}`: 41 * 86400, `{live="true", tenant_id="Bb2222"}`: 1800,
	}},
	"95th percentile of the dwell time by tenant, live apart from not live": {known, values{
		`{live="true", tenant_id="Aa1111"}`: 600 + 0.9*(18000-600), `{live="false", tenant_id="Aa1111"}`: 41 * 86400, `{live="true", tenant_id="Bb2222"}`: 1800,
	}},
	"Share of all incidents ever remediated that took at most 1 hour": {known, values{
		`{tenant_id="Aa1111"}`: 2. / 4, `{tenant_id="Bb2222"}`: 1, `{tenant_id="Dd4444"}`: 1,
	}},
	"New incidents in the last 7 days, by tenant": {known, values{
		`{tenant_id="Aa1111"}`: 3, `{tenant_id="Bb2222"}`: 2, `{tenant_id="Cc3333"}`: 0, `{tenant_id="Dd4444"}`: 0,
	}},
	// The last good organization read was asked for 15 s after the moment shared, if not at it.
	"Tenants not read for 5 minutes": {failed, values{
		`{tenant_id="Aa1111"}`: 420, `{tenant_id="Bb2222"}`: 420, `{tenant_id="Cc3333"}`: 420, `{tenant_id="Dd4444"}`: 420,
	}},
	"Tenants whose last request failed": {failed, values{
		`{tenant_id="Aa1111"}`: 0, `{tenant_id="Bb2222"}`: 0, `{tenant_id="Cc3333"}`: 0, `{tenant_id="Dd4444"}`: 0,
	}},
	"Tenants that are not known, or not any more": {begun, values{`{}`: 4}},
	"Tenants with incidents out of reach":         {known, values{`{tenant_id="Dd4444"}`: 1}},
	"Statuses that nobody has classified":         {known, values{`{remediation_status="ACTIVE"}`: 1}},
	"Is another program using the key":            {failed, values{`{route="incidents"}`: 1}},
}

func readme(t *testing.T) string {
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// queries are the README's queries by the headings above them.
func queries(t *testing.T) map[string]string {
	found := map[string]string{}
	for _, section := range strings.Split(readme(t), "\n### ")[1:] {
		heading, rest, _ := strings.Cut(section, "\n")
		for i, block := range strings.Split(rest, "```promql\n")[1:] {
			query, _, closed := strings.Cut(block, "```")
			if !closed || i > 0 {
				t.Fatalf("%q: want one whole query under a heading", heading)
			}
			found[heading] = query
		}
	}
	if all := strings.Count(readme(t), "```promql"); all != len(found) {
		t.Fatalf("%d queries below headings of their own, of %d", len(found), all)
	}
	return found
}

func TestQueries(t *testing.T) {
	db := stored(t, expositions(t, openMetrics)[openMetrics])
	engine := newEngine(t)
	found := queries(t)
	for heading := range answers {
		if found[heading] == "" {
			t.Errorf("the README has no query %q", heading)
		}
	}
	for heading, text := range found {
		t.Run(heading, func(t *testing.T) {
			answer, ok := answers[heading]
			if !ok {
				t.Fatal("no answer is known here for this query of the README")
			}
			query, err := engine.NewInstantQuery(t.Context(), db, nil, text, answer.at)
			if err != nil {
				t.Fatal(err)
			}
			defer query.Close()
			result := query.Exec(t.Context())
			vector, err := result.Vector()
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Warnings) > 0 {
				t.Errorf("warnings: %v", result.Warnings)
			}
			got := values{}
			for _, sample := range vector {
				got[labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel).Labels().String()] = sample.F
			}
			if !maps.EqualFunc(got, answer.want, near) {
				t.Errorf("at %s\ngot  %v\nwant %v", answer.at, got, answer.want)
			}
		})
	}
}

func newEngine(t *testing.T) *promql.Engine {
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 1e6, Timeout: time.Minute,
		Parser: parser.NewParser(parser.Options{}),
	})
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// near allows for what increase() extrapolates, and a latency.
func near(got, want float64) bool {
	return math.Abs(got-want) <= 0.02*math.Abs(want)+1e-9
}

// TestScrapeConfig holds that Prometheus takes the README's configuration.
func TestScrapeConfig(t *testing.T) {
	_, rest, _ := strings.Cut(readme(t), "## Scrape it")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(rest)
	cfg, err := prometheusconfig.Load(block[1], slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := cfg.GetScrapeConfigs()
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 1 || jobs[0].AlwaysScrapeClassicHistograms == nil || !*jobs[0].AlwaysScrapeClassicHistograms {
		t.Errorf("want one job that keeps classic histograms, got %+v", jobs)
	}
}
