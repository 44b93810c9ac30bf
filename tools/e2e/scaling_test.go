package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	client "github.com/prometheus/client_golang/prometheus"
	commoncfg "github.com/prometheus/common/config"
)

// setup is a way to grow: so many organizations with a key each, exporters of
// each, and Prometheus servers that scrape all of them.
type setup struct {
	name                              string
	organizations, exporters, servers int
}

const (
	rate     = 10               // the API's limit for one key, which its exporters share
	measured = 10 * time.Minute // after all tenants are complete
)

// What docs/scaling.md says that growing costs is what is measured, in virtual
// time and at the real limit.
func TestScalingCosts(t *testing.T) {
	table := "| set-up | `requests_per_minute` | organization reads | full reads | lists of tenants | most requests in 60 s | 429s | complete after | series of one exporter | series in each Prometheus |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
	for _, s := range []setup{
		{"one exporter, one Prometheus", 1, 1, 1},
		{"one exporter, two Prometheus", 1, 1, 2},
		{"two exporters, one Prometheus", 1, 2, 1},
		{"two exporters, two Prometheus", 1, 2, 2},
		{"two keys, an exporter each, one Prometheus", 2, 1, 1},
	} {
		table += s.measure(t)
	}
	t.Log("\n" + table)
	doc, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table) {
		t.Errorf("docs/scaling.md has not this table:\n%s", table)
	}
}

// measure runs a set-up and returns its row.
func (s setup) measure(t *testing.T) (row string) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var apis []*petratest.API
		var exporters []*exporter
		for i := range s.organizations {
			org := petratest.Random(uint64(i), petratest.RandomConfig{Start: start, Tenants: tenants, Incidents: 1000, Open: 5})
			api := petratest.NewAPI(org, petratest.Options{Latency: 200 * time.Millisecond})
			apis = append(apis, api)
			for range s.exporters {
				exporters = append(exporters, newExporter(t, api, rate/s.exporters))
			}
		}
		var complete time.Time
		for at := start; complete.IsZero() || at.Before(complete.Add(measured)); at = at.Add(15 * time.Second) {
			for server := range s.servers {
				time.Sleep(time.Until(at.Add(time.Duration(server) * 7500 * time.Millisecond)))
				for _, e := range exporters {
					e.scrape()
				}
			}
			if complete.IsZero() && allComplete(exporters) {
				complete = time.Now()
			}
		}
		minutes := time.Since(complete).Minutes()
		var heads, fullReads, lists, refused, most int
		for _, api := range apis {
			requests := api.Requests()
			for i, r := range requests {
				if r.Status == http.StatusTooManyRequests {
					refused++
				}
				within := 0
				for _, other := range requests[:i+1] {
					if other.Route == petratest.RouteIncidents && r.Time.Sub(other.Time) < time.Minute {
						within++
					}
				}
				most = max(most, within)
				switch {
				case r.Time.Before(complete):
				case petratest.IsOrgRead(r):
					heads++
				case petratest.IsFullRead(r):
					fullReads++
				case petratest.IsTenants(r):
					lists++
				}
			}
		}
		series := 0
		for _, e := range exporters {
			series += e.series
		}
		perMinute := func(n int) float64 { return float64(n) / minutes / float64(s.organizations) }
		row = fmt.Sprintf("| %s | %d | %.0f | %.0f | %.0f | %d | %d | %.0f min | %d | %d |\n", s.name, rate/s.exporters,
			perMinute(heads), perMinute(fullReads), perMinute(lists), most, refused, complete.Sub(start).Minutes(), series/len(exporters), series)
	})
	return row
}

func allComplete(exporters []*exporter) bool {
	for _, e := range exporters {
		if e.complete != tenants {
			return false
		}
	}
	return true
}

// exporter is one on virtual time, without a socket.
type exporter struct {
	handler          http.Handler
	series, complete int // of the last scrape
}

func newExporter(t *testing.T, api *petratest.API, requestsPerMinute int) *exporter {
	pipe := petratest.NewPipe(api)
	t.Cleanup(pipe.Close)
	ctx, cancel := context.WithCancel(context.Background())
	c := collector.New(ctx, log.NewNopLogger())
	cfg, err := config.Load("", config.Overrides{APIURL: "http://127.0.0.1", APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.HTTP.ProxyConfig, cfg.API.RequestsPerMinute = commoncfg.ProxyConfig{}, requestsPerMinute
	asks, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Budgets: c.Budgets(), Observe: c.ObserveRequest,
	}, commoncfg.WithDialContextFunc(pipe.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	c.Configure(cfg, asks)
	registry := client.NewRegistry()
	registry.MustRegister(c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return &exporter{handler: web.ScrapeHandler(c, registry, web.ScrapeOptions{Logger: log.NewNopLogger()})}
}

func (e *exporter) scrape() {
	response := httptest.NewRecorder()
	e.handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	e.series = 0
	for line := range bytes.Lines(response.Body.Bytes()) {
		if line[0] != '#' {
			e.series++
		}
		if rest, ok := bytes.CutPrefix(line, []byte(`petra_tenants{state="complete"} `)); ok {
			_, _ = fmt.Sscan(string(rest), &e.complete)
		}
	}
}
