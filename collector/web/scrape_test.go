package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
)

const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

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
		e.serveWith(web.Options{})
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
		e.serveWith(web.Options{ScrapeOptions: web.ScrapeOptions{MaxRequests: 1}})
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
