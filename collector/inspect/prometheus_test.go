package inspect_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/inspect"
)

// scraper is a stand-in for Prometheus: it tells of targets and answers queries
// by what they begin with. The real one is asked in tools/prometheus.
type scraper struct {
	active, dropped []map[string]any
	results         map[string][]sample
	broken          string // queries with it fail
	noTargets       bool   // it does not tell its targets, as Mimir
}

type sample struct {
	labels map[string]string
	value  string // empty: a native histogram
}

// target is a good one, with changes to its fields.
func target(changes map[string]any) map[string]any {
	all := map[string]any{
		"scrapePool": "petra", "scrapeUrl": "http://exporter:10984/metrics", "health": "up", "lastError": "", "lastScrapeDuration": 0.02,
		"labels":           map[string]string{"job": "petra", "instance": "exporter:10984"},
		"discoveredLabels": map[string]string{"__scrape_interval__": "15s", "__scrape_timeout__": "10s"},
	}
	maps.Copy(all, changes)
	return all
}

// scraping is a Prometheus that has all of a good target, with changes to it and
// to the results.
func scraping(changes map[string]any, results map[string][]sample) scraper {
	labels := map[string]string{"job": "petra", "instance": "exporter:10984"}
	all := map[string][]sample{
		"group by (job, instance) (last_over_time(petra_exporter_build_info": {{labels, "1"}},
		"group by (job, instance) (petra_exporter_build_info)":               {{labels, "1"}},
		"max(max_over_time(scrape_duration_seconds{":                         {{nil, "0.31"}},
		"petra_api_request_duration_seconds_bucket{":                         {{labels, "3"}},
		"petra_api_request_duration_seconds{":                                nil,
		"petra_up{":                                                          {{labels, "1"}},
		"petra_tenants{": {
			{map[string]string{"state": "complete"}, "8"}, {map[string]string{"state": "pending"}, "0"}, {map[string]string{"state": "stale"}, "0"},
		},
	}
	maps.Copy(all, results)
	return scraper{active: []map[string]any{target(changes)}, results: all}
}

func (s scraper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, given, _ := r.BasicAuth(); user != "reader" || given != password {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	query := r.FormValue("query")
	var data any
	switch r.URL.Path {
	case "/prom/api/v1/targets":
		if s.noTargets {
			http.NotFound(w, r)
			return
		}
		data = map[string]any{"activeTargets": s.active, "droppedTargets": s.dropped}
	case "/prom/api/v1/query":
		vector := []map[string]any{}
		for begin, samples := range s.results {
			for _, one := range samples {
				if !strings.HasPrefix(query, begin) {
					continue
				}
				result := map[string]any{"metric": one.labels, "value": []any{1735732800, one.value}}
				if one.value == "" {
					delete(result, "value")
					result["histogram"] = []any{1735732800, map[string]any{"count": "3", "sum": "1", "buckets": []any{}}}
				}
				vector = append(vector, result)
			}
		}
		data = map[string]any{"resultType": "vector", "result": vector}
	}
	if data == nil || s.broken != "" && strings.Contains(query, s.broken) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "error", "errorType": "execution", "error": "made to fail"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

// TestDoctorPrometheus holds what is said of what a Prometheus scrapes. The
// text is in testdata/prometheus.
func TestDoctorPrometheus(t *testing.T) {
	tenants := func(state, n string) map[string][]sample {
		return map[string][]sample{"petra_tenants{": {{map[string]string{"state": "complete"}, "8"}, {map[string]string{"state": state}, n}}}
	}
	broken := scraping(nil, nil)
	broken.broken = "petra_up"
	mute := scraping(nil, nil)
	mute.broken = "build_info"
	native := []sample{{nil, ""}}
	other := target(map[string]any{"scrapePool": "node", "scrapeUrl": "http://node:9100/metrics", "labels": map[string]string{"job": "node", "instance": "node:9100"}})
	renamed := scraping(map[string]any{"scrapePool": "security", "scrapeUrl": "https://exporter/metrics"}, nil)
	renamed.active = append(renamed.active, other)
	two := scraping(nil, nil)
	two.active = append(two.active, target(map[string]any{"health": "down", "lastError": "dial tcp: \x1b[31mrefused", "labels": map[string]string{"job": "petra", "instance": "\"two\\\n"}}))
	received := scraping(nil, nil)
	received.active = []map[string]any{other}
	mimir := scraping(nil, map[string][]sample{"group by (job, instance) (petra_exporter_build_info)": {{nil, "1"}}})
	mimir.noTargets = true
	receivedFailing := scraping(nil, map[string][]sample{"petra_up{": {{nil, "0"}}})
	receivedFailing.active = nil
	gone := scraping(nil, map[string][]sample{"group by (job, instance) (petra_exporter_build_info)": nil})
	gone.active = nil
	nothing := scraper{noTargets: true}
	for name, c := range map[string]struct {
		scraper scraper
		wrong   []string
		skipped []string
	}{
		"good":                  {scraping(nil, nil), nil, nil},
		"renamed":               {renamed, nil, nil},
		"two":                   {two, []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"none":                  {scraper{active: []map[string]any{other}}, []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"dropped":               {scraper{dropped: []map[string]any{{"discoveredLabels": map[string]string{"__address__": "10.0.0.1:10984", "job": "pods"}}}}, []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"received":              {received, nil, []string{"scrape time"}},
		"received-failing":      {receivedFailing, []string{"exporter"}, []string{"scrape time"}},
		"no-targets":            {mimir, nil, []string{"scrape time"}},
		"no-targets-nor-series": {nothing, []string{"Prometheus"}, []string{"target", "scrape time", "histograms", "exporter"}},
		"gone":                  {gone, []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"down":                  {scraping(map[string]any{"health": "down", "lastError": "server returned HTTP status 401 Unauthorized"}, nil), []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"not-yet":               {scraping(map[string]any{"health": "unknown"}, nil), []string{"target"}, []string{"scrape time", "histograms", "exporter"}},
		"rare":                  {scraping(map[string]any{"discoveredLabels": map[string]string{"__scrape_interval__": "10m", "__scrape_timeout__": "10s"}}, nil), []string{"target"}, nil},
		"old-Prometheus":        {scraping(map[string]any{"discoveredLabels": map[string]string{}}, nil), nil, []string{"scrape time"}},
		"slow":                  {scraping(nil, map[string][]sample{"max(max_over_time(scrape_duration_seconds{": {{nil, "9.6"}}}), []string{"scrape time"}, nil},
		"slow-now":              {scraping(map[string]any{"lastScrapeDuration": 9.8}, nil), []string{"scrape time"}, nil},
		"both":                  {scraping(nil, map[string][]sample{"petra_api_request_duration_seconds{": native}), nil, nil},
		"native":                {scraping(nil, map[string][]sample{"petra_api_request_duration_seconds{": native, "petra_api_request_duration_seconds_bucket{": nil}), []string{"histograms"}, nil},
		"no-histogram":          {scraping(nil, map[string][]sample{"petra_api_request_duration_seconds_bucket{": nil}), []string{"histograms"}, nil},
		"failing":               {scraping(nil, map[string][]sample{"petra_up{": {{nil, "0"}}}), []string{"exporter"}, nil},
		"silent":                {scraping(nil, map[string][]sample{"petra_up{": nil}), []string{"exporter"}, nil},
		"stale":                 {scraping(nil, tenants("stale", "2")), []string{"exporter"}, nil},
		"pending":               {scraping(nil, tenants("pending", "42")), nil, nil},
		"broken":                {broken, []string{"exporter"}, nil},
		"mute":                  {mute, []string{"Prometheus"}, []string{"target", "scrape time", "histograms", "exporter"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := strings.Replace(httpServer(t, c.scraper), "http://", "http://reader:"+password+"@", 1) + "/prom/"
			if err := inspect.CheckPrometheusURL(url); err != nil {
				t.Fatal(err)
			}
			a := newAPI(t, smallOrg())
			good, output := diagnose(t, a, a.options(t, classified), url)
			got := states(t, output)
			if good != (len(c.wrong) == 0) || !slices.Equal(got["wrong"], c.wrong) || !slices.Equal(got["skipped"], c.skipped) {
				t.Errorf("good: %t, wrong: %q, want %q; skipped: %q, want %q", good, got["wrong"], c.wrong, got["skipped"], c.skipped)
			}
			_, of, _ := strings.Cut(output, "\nok      statuses ")
			_, of, _ = strings.Cut(of, "\n")
			golden(t, "prometheus/"+name+".txt", normal(t, of))
		})
	}
}

// TestDoctorNoPrometheus holds what is said where no Prometheus answers.
func TestDoctorNoPrometheus(t *testing.T) {
	for name, url := range map[string]string{
		"closed":         "http://reader:" + password + "@" + closed(t),
		"a wrong word":   strings.Replace(httpServer(t, scraping(nil, nil)), "http://", "http://reader:"+password+"x@", 1),
		"another server": httpServer(t, http.NotFoundHandler()),
		"a web page": httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>Sign in</h1>")
		})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, smallOrg())
			good, output := diagnose(t, a, a.options(t, classified), url)
			if got := states(t, output); good || !slices.Equal(got["wrong"], []string{"Prometheus"}) || !slices.Equal(got["skipped"], []string{"target", "scrape time", "histograms", "exporter"}) {
				t.Errorf("%s", output)
			}
		})
	}
}

func TestCheckPrometheusURL(t *testing.T) {
	for _, bad := range []string{"localhost:9090", "prometheus", "ftp://me:" + password + "@x", "http://", "://", "http://%zz:" + password} {
		err := inspect.CheckPrometheusURL(bad)
		if err == nil || !strings.HasPrefix(err.Error(), "--prometheus.url: ") || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
