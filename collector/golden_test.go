package collector_test

import (
	"bytes"
	"flag"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

var update = flag.Bool("update", false, "write the golden files anew")

// documentedAt is a time soon after the vendor's example.
var documentedAt = time.Date(2025, 2, 7, 12, 0, 0, 0, time.UTC)

// TestGolden holds the whole exposition for good and bad answers. The bad ones
// come after a good one, except in the file of the first.
func TestGolden(t *testing.T) {
	org := func() *petratest.Organization {
		w := petratest.Documented()
		w.SetTenant(petratest.Tenant{ID: "Em3pty", Name: "No Incidents Ltd.", MicrosoftID: "00000000-1111-2222-3333-444444444444", Paused: true, Onboarded: documentedAt.Add(-48 * time.Hour)})
		return w
	}
	for _, c := range []struct {
		file  string
		fault petratest.FaultKind
		first bool // the fault strikes at the first request
	}{
		{"documented", "", false},
		{"status-401", petratest.Status401, false},
		{"status-429", petratest.Status429, false},
		{"status-500", petratest.Status500, false},
		{"status-500-first", petratest.Status500, true},
		{"timeout", petratest.Hang, false},
		{"bad-json", petratest.BadJSON, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(documentedAt)
				api := petratest.NewAPI(org(), petratest.Options{Keys: []string{testKey}, Latency: 200 * time.Millisecond})
				if c.first {
					api.SetFault(petratest.Fault{Kind: c.fault})
				}
				e := newExporter(t, api, "api: {timeout: 5s}")
				time.Sleep(15 * time.Second)
				if c.fault != "" {
					api.SetFault(petratest.Fault{Kind: c.fault})
				}
				e.scrape()
				compareGolden(t, e.registry, filepath.Join("testdata", c.file+".prom"))
			})
		})
	}
}

// compareGolden compares the exporter's own metrics with a file.
func compareGolden(t *testing.T, registry prometheus.Gatherer, file string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "petra_") { // what promhttp says about itself
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&got, family); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); if that is right, run go test ./collector -update:\n%s", file, diff)
	}
}

// TestDocumentedResponse holds what the vendor's example must give, computed
// by hand from its file.
func TestDocumentedResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(documentedAt)
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}})
		e := newExporter(t, api, "")
		s := e.scrape()
		s.want(t, `petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="ZZk90t"}`, 2)
		s.want(t, `petra_incidents{live="false",remediation_status="REMEDIATED",tenant_id="ZZk90t"}`, 2)
		if n := len(s.named("petra_incidents")); n != 2 {
			t.Errorf("%d series of petra_incidents, want 2", n)
		}
		s.want(t, `petra_incidents_raised_total{tenant_id="ZZk90t"}`, 4)
		s.want(t, `petra_open_incidents{live="true",tenant_id="ZZk90t"}`, 0)
		s.want(t, `petra_incident_dwell_time_seconds_bucket{le="300",live="true",tenant_id="ZZk90t"}`, 1)
		s.want(t, `petra_incident_dwell_time_seconds_bucket{le="900",live="true",tenant_id="ZZk90t"}`, 2)
		sum := func(metric string) (total float64) {
			for _, v := range s.named(metric) {
				total += v
			}
			return total
		}
		for metric, want := range map[string]float64{
			"petra_incident_dwell_time_seconds_sum":     39_513_824.2,
			"petra_incident_detection_time_seconds_sum": 423_104.8,
		} {
			if got := sum(metric); math.Abs(got-want) > 0.1 {
				t.Errorf("%s: got %f, want %f", metric, got, want)
			}
		}
		atMost360 := 0
		for _, v := range s.named("petra_recent_incident_dwell_time_seconds") {
			if v <= 360 {
				atMost360++
			}
		}
		if atMost360 != 2 {
			t.Errorf("%d dwell times of at most 360 s, want 2", atMost360)
		}
	})
}

// TestLint holds Prometheus' rules for names and help texts.
func TestLint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(petratest.Demo(time.Now()), petratest.Options{}), "native_histograms: true")
		e.scrape()
		problems, err := testutil.GatherAndLint(e.registry)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}

// TestFormats holds that a scraper gets the format it asks for.
func TestFormats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(petratest.Demo(time.Now()), petratest.Options{}), "native_histograms: true")
		for accept, want := range map[string]string{
			"":                             "text/plain",
			"application/openmetrics-text": "application/openmetrics-text",
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "application/vnd.google.protobuf",
		} {
			response := e.get("/metrics", "Accept", accept)
			if got := response.Header().Get("Content-Type"); response.Code != http.StatusOK || !strings.HasPrefix(got, want) {
				t.Errorf("Accept %q: status %d, type %q, want %q", accept, response.Code, got, want)
			}
		}
		if got := e.get("/metrics", "Accept-Encoding", "gzip").Header().Get("Content-Encoding"); got != "gzip" {
			t.Errorf("got encoding %q, want gzip", got)
		}
		h := e.family("petra_incident_dwell_time_seconds").GetMetric()[0].GetHistogram()
		if h.GetSchema() == 0 || len(h.GetBucket()) == 0 {
			t.Errorf("want native and classic buckets, got %v", h)
		}
		if h.GetCreatedTimestamp() != nil {
			t.Error("a histogram of incidents has a created timestamp")
		}
		if e.family("petra_api_requests_total").GetMetric()[0].GetCounter().GetCreatedTimestamp() == nil {
			t.Error("a counter of the exporter itself has no created timestamp")
		}
	})
}
