package collector_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
)

const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// webOrg has a tenant with one incident, so that an organization read is a full read.
func webOrg(t *testing.T) *petratest.Organization {
	t.Helper()
	w := petratest.NewOrganization()
	w.SetTenant(petratest.Tenant{ID: "A", Name: "Alpha"})
	addIncident(w)
	return w
}

// addIncident makes an incident of tenant A happen now.
func addIncident(w *petratest.Organization) {
	now := time.Now()
	w.Add(petratest.Incident{TenantID: "A", CreatedAt: now, OccurredAt: now.Add(-time.Minute)})
}

func webAPI(t *testing.T) (*petratest.Organization, *petratest.API) {
	t.Helper()
	w := webOrg(t)
	return w, petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})
}

// serveWith makes the exporter serve with other options.
func (e *exporter) serveWith(o collector.WebOptions) {
	e.t.Helper()
	if o.TelemetryPath == "" {
		o.TelemetryPath = "/metrics"
	}
	handler, err := e.collector.Handler(e.registry, o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.handler = handler
}

// send makes any request.
func (e *exporter) send(method, path string) *httptest.ResponseRecorder {
	response := httptest.NewRecorder()
	e.handler.ServeHTTP(response, httptest.NewRequest(method, path, nil))
	return response
}

// known returns the metrics without asking for a refresh.
func (e *exporter) known() samples {
	e.t.Helper()
	all := samples{}
	for _, name := range []string{"petra_scrapes_deadline_exceeded_total", "petra_exporter_config_last_reload_successful", "petra_exporter_config_last_reload_success_timestamp_seconds"} {
		for _, m := range e.family(name).GetMetric() {
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		e.serveWith(collector.WebOptions{TelemetryPath: "/petra/metrics"})
		synctest.Wait()
		for _, c := range []struct {
			method, path string
			code         int
			has          string
		}{
			{http.MethodGet, "/", 200, `href="/petra/metrics"`},
			{http.MethodGet, "/", 200, `href="/status"`},
			{http.MethodGet, "/petra/metrics", 200, "petra_up 1"},
			{http.MethodGet, "/metrics", 404, ""},
			{http.MethodGet, "/nothing", 404, ""},
			{http.MethodPost, "/petra/metrics", 405, ""},
			{http.MethodGet, "/status", 200, "Alpha"},
			{http.MethodGet, "/-/healthy", 200, "healthy"},
			{http.MethodHead, "/-/healthy", 200, ""},
			{http.MethodPost, "/-/healthy", 405, ""},
			{http.MethodGet, "/-/ready", 200, "ready"},
			{http.MethodGet, "/-/reload", 405, ""},
			{http.MethodPost, "/-/reload", 403, "--web.enable-lifecycle"},
			{http.MethodGet, "/debug/pprof/", 404, ""},
		} {
			got := e.send(c.method, c.path)
			if got.Code != c.code || !strings.Contains(got.Body.String(), c.has) {
				t.Errorf("%s %s: status %d, want %d and %q in:\n%.1000s", c.method, c.path, got.Code, c.code, c.has, got.Body)
			}
			if strings.Contains(got.Body.String(), testKey) {
				t.Errorf("%s %s shows the key", c.method, c.path)
			}
		}
		if allow := e.send(http.MethodGet, "/-/reload").Header().Get("Allow"); allow != http.MethodPost {
			t.Errorf("GET /-/reload allows %q", allow)
		}
	})
}

// TestReady holds that the exporter is healthy at once, and ready once the
// first refresh has ended, well or badly.
func TestReady(t *testing.T) {
	for name, fault := range map[string]petratest.FaultKind{"good": "", "bad": petratest.Status500, "timeout": petratest.Hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, api := webAPI(t)
				api.SetLatency(3 * time.Second)
				if fault != "" {
					api.SetFault(petratest.Fault{Kind: fault})
				}
				e := newExporter(t, api, "api: {timeout: 5s}")
				time.Sleep(2 * time.Second)
				if got := e.get("/-/ready"); got.Code != http.StatusServiceUnavailable || got.Body.String() != "not ready: the first refresh has not ended\n" {
					t.Errorf("during the first refresh: status %d: %s", got.Code, got.Body)
				}
				if got := e.get("/-/healthy"); got.Code != http.StatusOK {
					t.Errorf("not healthy during the first refresh: status %d", got.Code)
				}
				time.Sleep(10 * time.Second)
				if got := e.get("/-/ready"); got.Code != http.StatusOK {
					t.Errorf("after the first refresh: status %d: %s", got.Code, got.Body)
				}
				if n := len(api.Requests()); n != 2 {
					t.Errorf("%d requests: the probes are to make none", n)
				}
			})
		})
	}
}

// TestReloadByHTTP holds what a reload answers and which metrics tell it.
func TestReloadByHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		var reason error
		calls := 0
		e.serveWith(collector.WebOptions{Lifecycle: true, Reload: func() error {
			calls++
			if reason != nil {
				e.collector.ConfigureFailed()
				return reason
			}
			return e.configure("")
		}})
		const successful, at = "petra_exporter_config_last_reload_successful", "petra_exporter_config_last_reload_success_timestamp_seconds"
		start := float64(time.Now().Unix())
		e.known().want(t, successful, 1)
		e.known().want(t, at, start)

		time.Sleep(10 * time.Second)
		reason = errors.New("petra.yml:3: since: is there twice")
		got := e.send(http.MethodPost, "/-/reload")
		if got.Code != http.StatusInternalServerError || got.Body.String() != "not reloaded, the old configuration stays: petra.yml:3: since: is there twice\n" {
			t.Errorf("bad reload: status %d: %s", got.Code, got.Body)
		}
		e.known().want(t, successful, 0)
		e.known().want(t, at, start)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="A"}`, 1)

		time.Sleep(10 * time.Second)
		reason = nil
		if got := e.send(http.MethodPost, "/-/reload"); got.Code != http.StatusOK {
			t.Errorf("good reload: status %d: %s", got.Code, got.Body)
		}
		e.known().want(t, successful, 1)
		e.known().want(t, at, start+20)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="A"}`, 1)

		if e.get("/-/reload"); calls != 2 {
			t.Errorf("%d reloads, want 2: GET is to do nothing", calls)
		}
		e.serveWith(collector.WebOptions{Reload: func() error { calls++; return nil }})
		if got := e.send(http.MethodPost, "/-/reload"); got.Code != http.StatusForbidden || calls != 2 {
			t.Errorf("a reload that is not allowed: status %d, %d reloads", got.Code, calls)
		}
	})
}

// TestWebOptions holds which options are refused, with an error that names the
// flag, and that all others can be served.
func TestWebOptions(t *testing.T) {
	const path = " must be a path such as /metrics, and neither /status nor below /-/"
	for _, c := range []struct {
		o    collector.WebOptions
		want string
	}{
		{collector.WebOptions{TelemetryPath: "/metrics"}, ""},
		{collector.WebOptions{TelemetryPath: "/a/b-c/d_e.f~g"}, ""},
		{collector.WebOptions{TelemetryPath: "/statuses"}, ""},
		{collector.WebOptions{TelemetryPath: "/status/metrics"}, ""},
		{collector.WebOptions{TelemetryPath: "/.well-known/metrics"}, ""},
		{collector.WebOptions{TelemetryPath: "/..."}, ""},
		{collector.WebOptions{TelemetryPath: ""}, `--web.telemetry-path: ""` + path},
		{collector.WebOptions{TelemetryPath: "/"}, ""},
		{collector.WebOptions{TelemetryPath: "metrics"}, `--web.telemetry-path: "metrics"` + path},
		{collector.WebOptions{TelemetryPath: "/metrics/"}, `--web.telemetry-path: "/metrics/"` + path},
		{collector.WebOptions{TelemetryPath: "/a//b"}, `--web.telemetry-path: "/a//b"` + path},
		{collector.WebOptions{TelemetryPath: "/status"}, `--web.telemetry-path: "/status"` + path},
		{collector.WebOptions{TelemetryPath: "/-/healthy"}, `--web.telemetry-path: "/-/healthy"` + path},
		{collector.WebOptions{TelemetryPath: "/{x}"}, `--web.telemetry-path: "/{x}"` + path},
		{collector.WebOptions{TelemetryPath: "/a b"}, `--web.telemetry-path: "/a b"` + path},
		{collector.WebOptions{TelemetryPath: "/a?b"}, `--web.telemetry-path: "/a?b"` + path},
		{collector.WebOptions{TelemetryPath: "/metrics\n"}, `--web.telemetry-path: "/metrics\n"` + path},
		// These can never be asked for: net/http panics.
		{collector.WebOptions{TelemetryPath: "/.."}, `--web.telemetry-path: "/.."` + path},
		{collector.WebOptions{TelemetryPath: "/./metrics"}, `--web.telemetry-path: "/./metrics"` + path},
		{collector.WebOptions{TelemetryPath: "/a/../b"}, `--web.telemetry-path: "/a/../b"` + path},
		{collector.WebOptions{TelemetryPath: "/m", ScrapeOptions: collector.ScrapeOptions{MaxRequests: -1}}, "--web.max-requests: -1 is negative; 0 means no limit"},
		{collector.WebOptions{TelemetryPath: "/m", ScrapeOptions: collector.ScrapeOptions{TimeoutOffset: -time.Second}}, "--scrape.timeout-offset: -1s is negative"},
	} {
		got := ""
		if err := c.o.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot:  %s\nwant: %s", c.o, got, c.want)
		}
		if c.want == "" {
			quiet, err := newCollector(t, collector.Options{})
			if err != nil {
				t.Fatal(err)
			}
			handler, err := quiet.Handler(prometheus.NewRegistry(), c.o)
			if err != nil {
				t.Errorf("%+v cannot be served: %v", c.o, err)
				continue
			}
			response := httptest.NewRecorder()
			if handler.ServeHTTP(response, httptest.NewRequest(http.MethodPost, c.o.TelemetryPath, nil)); response.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s is not served: status %d", c.o.TelemetryPath, response.Code)
			}
		}
	}
}

// TestMaxRequests holds that scrapes that wait for their refresh count, that
// those beyond the limit are turned away at once, and that none waits for ever.
func TestMaxRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		time.Sleep(45 * time.Second)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		start := time.Now()
		var codes [40]int
		var scrapes sync.WaitGroup
		for i := range codes {
			scrapes.Go(func() { codes[i] = e.get("/metrics").Code })
		}
		synctest.Wait()
		for range 3 {
			if got := e.get("/metrics"); got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Body.String(), "--web.max-requests") {
				t.Errorf("one scrape too many: status %d: %s", got.Code, got.Body)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("turned away after %s, want at once", time.Since(start))
		}
		if got := e.get("/-/healthy"); got.Code != http.StatusOK {
			t.Errorf("not healthy while scrapes wait: status %d", got.Code)
		}
		scrapes.Wait()
		if got := time.Since(start); got != 9500*time.Millisecond {
			t.Errorf("the last scrape was answered after %s, want 9.5s", got)
		}
		for i, code := range codes {
			if code != http.StatusOK {
				t.Errorf("scrape %d: status %d", i, code)
			}
		}
		if got := e.get("/metrics"); got.Code != http.StatusOK {
			t.Errorf("after the others: status %d", got.Code)
		}
		e.known().want(t, "petra_scrapes_deadline_exceeded_total", 41)
	})
}

// TestNoMaxRequests holds that 0 means no limit.
func TestNoMaxRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		e.serveWith(collector.WebOptions{})
		time.Sleep(45 * time.Second)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		var scrapes sync.WaitGroup
		for range 100 {
			scrapes.Go(func() {
				if got := e.get("/metrics"); got.Code != http.StatusOK {
					t.Errorf("status %d", got.Code)
				}
			})
		}
		scrapes.Wait()
	})
}

// TestScrapeDeadline holds when a scrape is answered while the API hangs.
func TestScrapeDeadline(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"10":      9500 * time.Millisecond,
		"3":       2500 * time.Millisecond,
		"0.75":    250 * time.Millisecond,
		"0.5":     0,
		"0.2":     0,
		"1e-12":   0,
		"15.0":    14500 * time.Millisecond,
		"":        9500 * time.Millisecond,
		"garbage": 9500 * time.Millisecond,
		"3s":      9500 * time.Millisecond,
		"0":       9500 * time.Millisecond,
		"-1":      9500 * time.Millisecond,
		"NaN":     9500 * time.Millisecond,
		"Inf":     9500 * time.Millisecond,
		"-Inf":    9500 * time.Millisecond,
		"1e300":   9500 * time.Millisecond,
	} {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, api := webAPI(t)
				e := newExporter(t, api, "")
				time.Sleep(45 * time.Second)
				api.SetFault(petratest.Fault{Kind: petratest.Hang})
				var headers []string
				if header != "" {
					headers = []string{timeoutHeader, header}
				}
				start := time.Now()
				response := e.get("/metrics", headers...)
				if got := time.Since(start); got != want {
					t.Errorf("answered after %s, want %s", got, want)
				}
				if response.Code != http.StatusOK {
					t.Fatalf("status %d: %s", response.Code, response.Body)
				}
				s := parse(t, response.Body.String())
				s.want(t, "petra_scrapes_deadline_exceeded_total", 1)
				s.want(t, `petra_open_incidents{live="false",tenant_id="A"}`, 1)
				s.want(t, `petra_tenant_up{tenant_id="A"}`, 1)
			})
		})
	}
}

// TestRefreshOutlivesScrape holds that what a scrape did not wait for is there
// for the next one, and costs no second request.
func TestRefreshOutlivesScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, api := webAPI(t)
		e := newExporter(t, api, "")
		time.Sleep(45 * time.Second)
		api.SetLatency(12 * time.Second)
		addIncident(w)
		before := len(api.Requests())
		first := e.scrape()
		first.want(t, `petra_incidents_raised_total{tenant_id="A"}`, 1)
		first.want(t, "petra_scrapes_deadline_exceeded_total", 1)
		time.Sleep(3 * time.Second)
		second := e.scrape()
		second.want(t, `petra_incidents_raised_total{tenant_id="A"}`, 2)
		second.want(t, "petra_scrapes_deadline_exceeded_total", 1)
		second.want(t, `petra_refreshes_deferred_total{reason="too_soon"}`, 1)
		if n := len(api.Requests()) - before; n != 1 {
			t.Errorf("%d requests for two scrapes, want 1", n)
		}
	})
}

// TestJoinedLate holds that a scrape that comes during a refresh waits for it
// until a deadline of its own.
func TestJoinedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, api := webAPI(t)
		e := newExporter(t, api, "")
		time.Sleep(45 * time.Second)
		api.SetLatency(12 * time.Second)
		addIncident(w)
		var first sync.WaitGroup
		first.Go(func() { e.get("/metrics") })
		time.Sleep(5 * time.Second)
		start := time.Now()
		e.scrape().want(t, `petra_incidents_raised_total{tenant_id="A"}`, 2)
		if got := time.Since(start); got != 7*time.Second {
			t.Errorf("answered after %s, want 7s, with the refresh", got)
		}
		first.Wait()
	})
}

// TestScrapesShareRefresh holds that scrapes of the same moment cost one
// request, and all get what it brings.
func TestScrapesShareRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, api := webAPI(t)
		e := newExporter(t, api, "")
		time.Sleep(45 * time.Second)
		api.SetLatency(time.Second)
		addIncident(w)
		before := len(api.Requests())
		start := time.Now()
		var scrapes sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 20)
		for i := range answers {
			scrapes.Go(func() { answers[i] = e.get("/metrics") })
		}
		scrapes.Wait()
		for _, response := range answers {
			parse(t, response.Body.String()).want(t, `petra_incidents_raised_total{tenant_id="A"}`, 2)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("answered after %s, want 1s", got)
		}
		if n := len(api.Requests()) - before; n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		e.known().want(t, "petra_scrapes_deadline_exceeded_total", 0)
	})
}

// TestScraperGone holds that a scrape ends with its scraper, and frees its
// place, while the refresh goes on.
func TestScraperGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, api := webAPI(t)
		e := newExporter(t, api, "")
		e.serveWith(collector.WebOptions{ScrapeOptions: collector.ScrapeOptions{MaxRequests: 1}})
		time.Sleep(45 * time.Second)
		api.SetLatency(5 * time.Second)
		addIncident(w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		response := httptest.NewRecorder()
		e.handler.ServeHTTP(response, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
		if got := time.Since(start); got != time.Second {
			t.Errorf("returned after %s, want 1s", got)
		}
		if response.Body.Len() > 0 {
			t.Errorf("%d bytes for nobody", response.Body.Len())
		}
		before := len(api.Requests())
		s := e.scrape()
		s.want(t, `petra_incidents_raised_total{tenant_id="A"}`, 2)
		s.want(t, "petra_scrapes_deadline_exceeded_total", 0)
		if n := len(api.Requests()) - before; n != 0 {
			t.Errorf("%d more requests: the refresh is to be shared", n)
		}
	})
}

// TestStopAnswersScrapes holds that scrapes that wait are answered when the
// exporter stops.
func TestStopAnswersScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		time.Sleep(45 * time.Second)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		start := time.Now()
		var scrapes sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 3)
		for i := range answers {
			scrapes.Go(func() { answers[i] = e.get("/metrics") })
		}
		time.Sleep(time.Second)
		e.stop()
		scrapes.Wait()
		if got := time.Since(start); got != time.Second {
			t.Errorf("answered after %s, want 1s, at the stop", got)
		}
		for _, response := range answers {
			if response.Code != http.StatusOK {
				t.Errorf("status %d", response.Code)
			}
			parse(t, response.Body.String()).want(t, `petra_open_incidents{live="false",tenant_id="A"}`, 1)
		}
	})
}

// slow takes its time to be written.
type slow struct {
	prometheus.Gauge
	takes time.Duration
}

func (s slow) Collect(ch chan<- prometheus.Metric) {
	time.Sleep(s.takes)
	s.Gauge.Collect(ch)
}

// TestSlowExposition holds that a large exposition, which takes long to write,
// still arrives before the scraper's timeout while the API hangs.
func TestSlowExposition(t *testing.T) {
	for _, writing := range []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second} {
		t.Run(writing.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, api := webAPI(t)
				e := newExporter(t, api, "")
				e.registry.MustRegister(slow{prometheus.NewGauge(prometheus.GaugeOpts{Name: "slow", Help: "Slow."}), writing})
				e.scrape()
				time.Sleep(45 * time.Second)
				api.SetFault(petratest.Fault{Kind: petratest.Hang})
				start := time.Now()
				e.get("/metrics", timeoutHeader, "10")
				if got := time.Since(start); got >= 10*time.Second || got < 6*time.Second {
					t.Errorf("written after %s, want less than 10s, and not much less", got)
				}
			})
		})
	}
}
