package collector_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestPlain: of a few configured tenants each is read in full at every scrape,
// and none more often than the budget allows.
func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "tenants: [{id: Aaaaa1}, {id: Bbbbb2}]")
		synctest.Wait()
		begun := time.Now()
		for range 4 {
			time.Sleep(15 * time.Second)
			e.scrape()
		}
		whole := map[string]int{}
		for _, r := range api.Requests() {
			if petratest.IsOrgRead(r) {
				t.Errorf("an organization read: %+v", r)
			}
			if petratest.IsFullRead(r) && r.Time.After(begun) {
				whole[r.TenantID]++
			}
		}
		if whole["Aaaaa1"] != 4 || whole["Bbbbb2"] != 4 {
			t.Errorf("full reads in 4 scrapes: %v, want 4 of each tenant", whole)
		}
		before := len(api.Requests())
		time.Sleep(5 * time.Second)
		s := e.scrape()
		s.want(t, `petra_refreshes_deferred_total{reason="too_soon"}`, 1)
		if n := len(api.Requests()); n != before {
			t.Errorf("%d requests 5 s after the last ones, want none", n-before)
		}
	})
}

// TestManyScrapes: 30 configured tenants scraped each second for a minute.
func TestManyScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := petratest.Random(7, petratest.RandomConfig{Start: time.Now(), Tenants: 30, Incidents: 300, Open: 10, Every: time.Minute})
		api := petratest.NewAPI(org, petratest.Options{Latency: 200 * time.Millisecond})
		var yaml strings.Builder
		yaml.WriteString("tenants:\n")
		for _, tenant := range org.Tenants() {
			fmt.Fprintf(&yaml, "  - id: %s\n", tenant.ID)
		}
		e := newExporter(t, api, yaml.String())
		for range 60 {
			asked := time.Now()
			e.scrape()
			if took := time.Since(asked); took > 200*time.Millisecond {
				t.Errorf("a scrape waited %s, longer than one request", took)
			}
			sleepUntil(asked.Add(time.Second))
		}
		s := e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 30)
		if n := len(s.named("petra_incidents_raised_total")); n != 30 {
			t.Errorf("%d tenants are published, want 30", n)
		}
		withinLimit(t, api.Requests())
	})
}

// TestSharedRefresh: scrapes at the same moment cause one refresh.
func TestSharedRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Latency: time.Second})
		e := newExporter(t, api, "")
		time.Sleep(30 * time.Second)
		before := orgReads(api)
		answers := make(chan *httptest.ResponseRecorder)
		for range 20 {
			go func() { answers <- e.get("/metrics") }()
		}
		for range 20 {
			parse(t, (<-answers).Body.String()).want(t, `petra_api_last_success_timestamp_seconds{route="incidents"}`, float64(time.Now().Unix()))
		}
		if n := orgReads(api) - before; n != 1 {
			t.Errorf("%d requests for 20 scrapes, want 1", n)
		}
	})
}

func orgReads(api *petratest.API) int {
	n := 0
	for _, r := range api.Requests() {
		if petratest.IsOrgRead(r) {
			n++
		}
	}
	return n
}

// TestHangingAPI: no scrape misses its deadline, and the refresh's result is
// there for the next one.
func TestHangingAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "")
		time.Sleep(30 * time.Second)
		api.SetLatency(12 * time.Second)
		org.Add(petratest.Incident{ID: "new", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
		asked := time.Now()
		s := parse(t, e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "10").Body.String())
		if took := time.Since(asked); took != 9500*time.Millisecond {
			t.Errorf("the scrape took %s, want 9.5s", took)
		}
		s.want(t, `petra_scrapes_deadline_exceeded_total`, 1)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		time.Sleep(4 * time.Second)
		s = e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 2)
		s.want(t, `petra_refreshes_deferred_total{reason="too_soon"}`, 1)
	})
}

// TestIdle: without scrapes nothing is asked after a while.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "")
		e.scrape()
		time.Sleep(6 * time.Minute)
		before := len(api.Requests())
		if before < 10 {
			t.Errorf("%d requests in the first minutes, want full reads among them", before)
		}
		time.Sleep(time.Hour)
		if n := len(api.Requests()) - before; n != 0 {
			t.Errorf("%d requests in an hour without scrapes, want none", n)
		}
	})
}

// TestFirstMinute: a process does not know what was spent before its start.
func TestFirstMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		api := petratest.NewAPI(bigOrg(begun), petratest.Options{})
		e := newExporter(t, api, "")
		runScrapes(e, 3*time.Minute)
		for _, r := range api.Requests() {
			if petratest.IsFullRead(r) && r.Time.Sub(begun) < time.Minute {
				t.Errorf("a full read %s after the start", r.Time.Sub(begun))
			}
		}
		withinLimit(t, api.Requests())
	})
}

// TestAnotherProgram: while another program uses the key, nothing known is
// lost, and each 429 is waited out.
func TestAnotherProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "")
		runScrapes(e, 3*time.Minute)
		refused := 0
		for range 40 {
			time.Sleep(15 * time.Second)
			api.Spend(petratest.RouteIncidents, 1)
			s := e.scrape()
			s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
			until, _ := s.value(`petra_api_blocked_until_timestamp_seconds{route="incidents"}`)
			if until > 0 {
				refused++
				if until <= float64(time.Now().Unix()) {
					t.Errorf("blocked until %v, which is past", until)
				}
			}
		}
		if refused == 0 {
			t.Error("the API never refused a request: the test shows nothing")
		}
		s := e.scrape()
		blocked, _ := s.value(`petra_refreshes_deferred_total{reason="blocked"}`)
		if blocked == 0 {
			t.Error("no refresh was put off while the route was blocked")
		}
	})
}

// TestSince: the bound is sent, and applied to what comes back; moved back, the
// tenants are pending again; moved forward, older incidents leave the gauges
// and stay counted.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC))
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "since: 2000-05-30")
		s := e.scrape()
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_tenants{state="complete"}`, 3)
		for _, r := range api.Requests() {
			if r.Route == petratest.RouteIncidents && r.StartDate != "2000-05-30" {
				t.Errorf("startDate %q was sent", r.StartDate)
			}
		}
		if err := e.configure("since: 2000-05-01"); err != nil {
			t.Fatal(err)
		}
		if s := parse(t, e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.1").Body.String()); s["petra_tenants{state=\"pending\"}"] != 3 {
			t.Errorf("want pending tenants, got %v", s.named("petra_tenants"))
		}
		time.Sleep(30 * time.Second)
		s = e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 3)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
		s.want(t, `petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="Aaaaa1"}`, 1)
		if err := e.configure("since: 2000-05-31"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		s = e.scrape()
		s.want(t, `petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
	})
}

// TestReloadKeeps: a reload keeps what is known and counted, and puts incidents
// under the new lists of statuses.
func TestReloadKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "")
		before := neverFalls(t, nil, e.scrape())
		e.log.lines("")
		if err := e.configure("native_histograms: true\nclosed_statuses: [ACTIVE]"); err != nil {
			t.Fatal(err)
		}
		s := e.scrape()
		neverFalls(t, before, s)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_remediation_status_info{meaning="closed",remediation_status="ACTIVE"}`, 1)
		if h := e.family("petra_incident_dwell_time_seconds").GetMetric()[0].GetHistogram(); h.GetSchema() == 0 {
			t.Error("native buckets were switched on, but there are none")
		}
	})
}

// TestColdIsNotSlower: before every tenant was read, full reads are at least as
// many as later, whatever the limit.
func TestColdIsNotSlower(t *testing.T) {
	for limit, atLeast := range map[int]int{3: 10, 4: 20, 5: 20, 10: 70} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				org := bigOrg(time.Now())
				for i := range 200 {
					org.SetTenant(petratest.Tenant{ID: fmt.Sprintf("Quiet%d", i), Onboarded: time.Now().Add(-1000 * time.Hour)})
				}
				api := petratest.NewAPI(org, petratest.Options{})
				e := newExporter(t, api, fmt.Sprintf("api: {requests_per_minute: %d}", limit))
				runScrapes(e, 11*time.Minute+30*time.Second)
				whole := 0
				for _, r := range api.Requests() {
					if petratest.IsFullRead(r) {
						whole++
					}
				}
				if whole < atLeast {
					t.Errorf("%d full reads in 10 minutes of a cold start, want %d or more", whole, atLeast)
				}
			})
		})
	}
}
