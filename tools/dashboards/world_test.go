package dashboards

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/prometheus/model/labels"
)

const day = 24 * time.Hour

var (
	tenantCount   = flag.Int("tenants", 200, "tenants of the simulated MSP")
	incidentCount = flag.Int("incidents", 1500, "incidents of the simulated MSP, in two years")
)

// scene is a Prometheus that scrapes exporters:
//   - job msp: two of them on one organization of many tenants, whose API has been read
//     for a while. Each is scraped twice, as by two Prometheus servers whose
//     replica label stays.
//   - job demo: petra_exporter --demo
//   - job quiet: one tenant, no incident at all
type scene struct {
	prometheus *prometheusServer
	org        *petratest.Organization
	apiURL     string
	addrs      []string // of the exporters of job msp
	exporters  []*process
	began      time.Time
}

// msp is an MSP in which nothing changes from an hour before now on, so that
// what Prometheus must say does not hang on when it is asked.
func msp(now time.Time) *petratest.Organization {
	w := petratest.Random(8, petratest.RandomConfig{Start: now, Tenants: *tenantCount, Incidents: *incidentCount, Open: 12, OldOpen: 3})
	quiet := now.Add(-time.Hour)
	tenants := w.Tenants()
	for i := range 12 { // the heatmap has something to show
		created := now.Add(-4*time.Hour + time.Duration(i)*14*time.Minute)
		w.Add(petratest.Incident{
			ID: fmt.Sprintf("today-%d", i), TenantID: tenants[i%5].ID, Live: i%3 != 0, CreatedAt: created,
			OccurredAt: created.Add(-5 * time.Minute), RemediatedAt: created.Add(time.Duration(i*i) * time.Minute / 4),
		})
	}
	// The first tenant has something for each panel.
	w.Add(
		petratest.Incident{ID: "open-0", TenantID: tenants[0].ID, Live: true, CreatedAt: now.Add(-6 * time.Hour), OccurredAt: now.Add(-7 * time.Hour)},
		petratest.Incident{
			ID: "late-0", TenantID: tenants[0].ID, CreatedAt: now.Add(-2 * day), OccurredAt: now.Add(-4 * day),
			RemediatedAt: now.Add(-2*day + 9*time.Hour),
		},
	)
	settle(w, now)
	freeze(w, now, quiet)
	return w
}

// settle makes it clear what a scrape knows at a full three hours: of the last days,
// nothing happens in the ten minutes before, nor is anything taken back.
func settle(w *petratest.Organization, now time.Time) {
	unclear := func(at time.Time) bool { return at.After(now.Add(-8*day)) && mark(at) != mark(at.Add(10*time.Minute)) }
	for _, in := range w.Incidents(now) {
		w.Update(in.ID, func(in *petratest.Incident) {
			if unclear(in.CreatedAt) {
				for _, at := range []*time.Time{&in.OccurredAt, &in.CreatedAt, &in.RemediatedAt} {
					if !at.IsZero() {
						*at = at.Add(-10 * time.Minute)
					}
				}
			}
			if unclear(in.RemediatedAt) {
				in.RemediatedAt = in.RemediatedAt.Add(10 * time.Minute)
			}
			for _, at := range []*time.Time{&in.LiveChangedAt, &in.WithdrawnAt} {
				if at.After(now.Add(-8 * day)) {
					*at = time.Time{}
				}
			}
		})
	}
}

// freeze keeps from happening what would happen after a moment, of what was raised
// until now.
func freeze(w *petratest.Organization, now, quiet time.Time) {
	for _, in := range w.Incidents(now) {
		w.Update(in.ID, func(in *petratest.Incident) {
			for _, at := range []*time.Time{&in.RemediatedAt, &in.LiveChangedAt, &in.WithdrawnAt} {
				if at.After(quiet) {
					*at = time.Time{}
				}
			}
		})
	}
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{began: time.Now().Truncate(time.Millisecond)}
	s.org = msp(s.began)
	api, err := petratest.NewServer(petratest.NewAPI(s.org, petratest.Options{Latency: 50 * time.Millisecond, Limit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	s.apiURL = api.URL
	s.addrs = []string{freeAddress(t), freeAddress(t)}
	data, state := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "state")
	end := s.began.Add(-30 * time.Second)
	// Around the full three hours that the panels over time look at; then, up to now,
	// with an exporter that knew nothing two hours before the last of them.
	last := mark(s.began)
	past := []recorded{
		around(last.Add(-7*day), 80*time.Minute), // as long as it takes to read all
		around(last.Add(-9*time.Hour), 12*time.Minute),
		around(last.Add(-6*time.Hour), 12*time.Minute),
		around(last.Add(-3*time.Hour), 12*time.Minute),
		{from: last.Add(-2 * time.Hour), to: end, every: 4 * time.Minute, cold: true},
	}
	// A organization of its own: that of the bubble must not be shared with the server.
	record(t, msp(s.began), api.URL, data, state, labels.FromStrings("job", "msp", "instance", s.addrs[0], "replica", "a"), past)
	for _, addr := range s.addrs {
		s.exporters = append(s.exporters, startExporter(t, addr, "--petra.api-url="+api.URL, "--state.file="+copied(t, state)))
	}
	demo, quiet := freeAddress(t), freeAddress(t)
	startExporter(t, demo, "--demo")
	quietOrg := petratest.NewOrganization()
	quietOrg.SetTenant(petratest.Tenant{ID: "Qq1234", Name: `Quiet "& Sons"`})
	quietAPI, err := petratest.NewServer(petratest.NewAPI(quietOrg, petratest.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(quietAPI.Close)
	startExporter(t, quiet, "--petra.api-url="+quietAPI.URL)
	s.prometheus = startPrometheus(t, data, fmt.Sprintf(`
global: {scrape_interval: %s, scrape_timeout: 4s}
scrape_configs:
  - job_name: msp
    always_scrape_classic_histograms: true
    static_configs:
      - {targets: [%q, %q], labels: {replica: a}}
      - {targets: [%q, %q], labels: {replica: b}}
  - job_name: demo
    always_scrape_classic_histograms: true
    static_configs: [{targets: [%q]}]
  - job_name: quiet
    always_scrape_classic_histograms: true
    static_configs: [{targets: [%q]}]
`, seconds(scrapeInterval), s.addrs[0], s.addrs[1], s.addrs[0], s.addrs[1], demo, quiet))
	s.waitFor(t, `min(count_over_time(up[1m]) and on (job, instance, replica) up == 1) >= 3 and on () count(up == 1) == 6`)
	s.waitFor(t, fmt.Sprintf(`count(max by (tenant_id) (petra_open_incidents{job="msp"})) == %d`, *tenantCount))
	s.waitFor(t, `count(max by (tenant_id) (petra_open_incidents{job="demo"})) == 8 and on () max(petra_open_incidents{job="quiet"}) == 0`)
	s.waitFor(t, `count(count by (job) (rate(petra_api_requests_total{route="incidents",code="200"}[20s] offset 15s) > 0)) == 3`)
	return s
}

func around(at time.Time, before time.Duration) recorded {
	return recorded{from: at.Add(-before), to: at.Add(6 * time.Minute), every: 4 * time.Minute}
}

// waitFor waits until a query gives something.
func (s *scene) waitFor(t *testing.T, expr string) {
	t.Helper()
	waitFor(t, expr, func() error {
		got, err := s.prometheus.query(t, expr, time.Now())
		if err == nil && len(got) == 0 {
			up, _ := s.prometheus.query(t, "up", time.Now())
			err = fmt.Errorf("not so; up: %v", up)
		}
		return err
	})
}

func copied(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(to, bytes.Clone(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
