package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
)

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

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		e.serveWith(web.Options{TelemetryPath: "/petra/metrics"})
		synctest.Wait()
		for _, c := range []struct {
			method, path string
			code         int
			has          string
		}{
			{http.MethodGet, "/", 200, `href="./petra/metrics"`},
			{http.MethodGet, "/", 200, `href="./status"`},
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
		e.serveWith(web.Options{Lifecycle: true, Reload: func() error {
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
		e.serveWith(web.Options{Reload: func() error { calls++; return nil }})
		if got := e.send(http.MethodPost, "/-/reload"); got.Code != http.StatusForbidden || calls != 2 {
			t.Errorf("a reload that is not allowed: status %d, %d reloads", got.Code, calls)
		}
	})
}

// known is a source that knows this, and has no API to ask.
type known collector.Overview

func (k known) Refresh() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (k known) Ready() bool { return true }

func (k known) Overview(time.Time) collector.Overview { return collector.Overview(k) }

// TestWebOptions holds which options are refused, with an error that names the
// flag, and that all others can be served.
func TestWebOptions(t *testing.T) {
	const path = " must be a path such as /metrics, and neither /status nor below /-/"
	for _, c := range []struct {
		o    web.Options
		want string
	}{
		{web.Options{TelemetryPath: "/metrics"}, ""},
		{web.Options{TelemetryPath: "/a/b-c/d_e.f~g"}, ""},
		{web.Options{TelemetryPath: "/statuses"}, ""},
		{web.Options{TelemetryPath: "/status/metrics"}, ""},
		{web.Options{TelemetryPath: "/.well-known/metrics"}, ""},
		{web.Options{TelemetryPath: "/..."}, ""},
		{web.Options{TelemetryPath: ""}, `--web.telemetry-path: ""` + path},
		{web.Options{TelemetryPath: "/"}, ""},
		{web.Options{TelemetryPath: "metrics"}, `--web.telemetry-path: "metrics"` + path},
		{web.Options{TelemetryPath: "/metrics/"}, `--web.telemetry-path: "/metrics/"` + path},
		{web.Options{TelemetryPath: "/a//b"}, `--web.telemetry-path: "/a//b"` + path},
		{web.Options{TelemetryPath: "/status"}, `--web.telemetry-path: "/status"` + path},
		{web.Options{TelemetryPath: "/-/healthy"}, `--web.telemetry-path: "/-/healthy"` + path},
		{web.Options{TelemetryPath: "/{x}"}, `--web.telemetry-path: "/{x}"` + path},
		{web.Options{TelemetryPath: "/a b"}, `--web.telemetry-path: "/a b"` + path},
		{web.Options{TelemetryPath: "/a?b"}, `--web.telemetry-path: "/a?b"` + path},
		{web.Options{TelemetryPath: "/metrics\n"}, `--web.telemetry-path: "/metrics\n"` + path},
		// These can never be asked for: net/http panics.
		{web.Options{TelemetryPath: "/.."}, `--web.telemetry-path: "/.."` + path},
		{web.Options{TelemetryPath: "/./metrics"}, `--web.telemetry-path: "/./metrics"` + path},
		{web.Options{TelemetryPath: "/a/../b"}, `--web.telemetry-path: "/a/../b"` + path},
		{web.Options{TelemetryPath: "/m", ScrapeOptions: web.ScrapeOptions{MaxRequests: -1}}, "--web.max-requests: -1 is negative; 0 means no limit"},
		{web.Options{TelemetryPath: "/m", ScrapeOptions: web.ScrapeOptions{TimeoutOffset: -time.Second}}, "--scrape.timeout-offset: -1s is negative"},
	} {
		got := ""
		if err := c.o.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot:  %s\nwant: %s", c.o, got, c.want)
		}
		if c.want == "" {
			handler, err := web.Handler(known{}, prometheus.NewRegistry(), c.o)
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
