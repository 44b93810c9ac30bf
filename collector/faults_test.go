package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// smallOrg has three tenants, each with a remediated incident and an open one.
func smallOrg(now time.Time) *petratest.Organization {
	w := petratest.NewOrganization()
	for _, id := range []string{"Aaaaa1", "Bbbbb2", "Ccccc3"} {
		w.SetTenant(petratest.Tenant{ID: id, Name: "Tenant " + id, MicrosoftID: "00000000-0000-0000-0000-0000000000" + strings.ToLower(id[:2]), Onboarded: now.Add(-1000 * time.Hour)})
		w.Add(
			petratest.Incident{ID: "done-" + id, TenantID: id, CreatedAt: now.Add(-50 * time.Hour), OccurredAt: now.Add(-51 * time.Hour), RemediatedAt: now.Add(-49 * time.Hour), Live: true},
			petratest.Incident{ID: "open-" + id, TenantID: id, CreatedAt: now.Add(-2 * time.Hour), OccurredAt: now.Add(-3 * time.Hour)},
		)
	}
	return w
}

// TestFirstFailure: a failure is logged though the list of tenants is not there
// yet: after a 429 no other
// follows for a minute.
func TestFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}})
		api.SetFault(
			petratest.Fault{Kind: petratest.Status429, Match: func(r petratest.Request) bool { return r.Route == petratest.RouteIncidents }},
			petratest.Fault{Kind: petratest.Slow, Match: petratest.IsTenants},
		)
		e := newExporter(t, api, "tenants: [{id: Aaaaa1}]")
		e.scrape()
		if n := e.log.lines("status 429"); n != 1 {
			t.Errorf("the log has the failure %d times:\n%s", n, e.log)
		}
	})
}

// TestEmptyListTwice: one wrong empty answer must not close every page; a
// second one, 30 s later, is believed.
func TestEmptyListTwice(t *testing.T) {
	for mode, yaml := range map[string]string{"organization": "", "plain": "tenants: [{id: Aaaaa1}]"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
				e := newExporter(t, api, yaml)
				e.scrape()
				api.SetFault(petratest.Fault{Kind: petratest.EmptyList, Match: func(r petratest.Request) bool { return r.Route == petratest.RouteIncidents }})
				for _, step := range []struct {
					wait time.Duration
					open float64
				}{{15 * time.Second, 1}, {15 * time.Second, 1}, {15 * time.Second, 0}} {
					time.Sleep(step.wait)
					e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, step.open)
				}
				s := e.scrape()
				s.wantNone(t, "petra_open_incident_info")
				s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
				api.ClearFault()
				time.Sleep(15 * time.Second)
				s = e.scrape()
				s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
				s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
			})
		})
	}
}

// TestMaintenance: a 503 that names a wait is waited out, as a 429 is; one that
// names none is not.
func TestMaintenance(t *testing.T) {
	for _, test := range []struct {
		name, header, value string
		orgReads            int // in the 10 minutes that follow the first
	}{
		{"no wait", "", "", 35},
		{"seconds", "Retry-After", "240", 2},
		{"the API's own header", "Retry-After-public-api", "240", 2},
		{"too long", "Retry-After", "3600", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
				e := newExporter(t, api, "")
				runScrapes(e, 3*time.Minute)
				api.SetFault(petratest.Fault{Kind: petratest.Status503, RetryHeader: test.header, RetryValue: test.value})
				count := func() (orgReads, others int) {
					for _, r := range api.Requests() {
						if petratest.IsOrgRead(r) && r.Fault != "" {
							orgReads++
						} else if petratest.IsFullRead(r) && r.Fault != "" {
							others++
						}
					}
					return orgReads, others
				}
				runScrapes(e, 30*time.Second)
				before, whole := count()
				runScrapes(e, 9*time.Minute+15*time.Second)
				after, fullReadsAfter := count()
				if n := after - before; test.value != "" && n != test.orgReads || n < test.orgReads {
					t.Errorf("%d organization reads, want %d", n, test.orgReads)
				}
				if n := fullReadsAfter - whole; test.value != "" && n != 0 {
					t.Errorf("%d full reads before an organization read has succeeded", n)
				}
				api.ClearFault()
				runScrapes(e, 10*time.Minute)
				e.scrape().want(t, "petra_up", 1)
			})
		})
	}
}

// TestUnauthorized: a 401 sets every tenant down, and until a request succeeds
// a refresh makes one organization read only.
func TestUnauthorized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}})
		e := newExporter(t, api, "tenants: [{id: Aaaaa1}, {id: Bbbbb2}]")
		e.scrape()
		api.SetKeys("another")
		time.Sleep(15 * time.Second)
		s := e.scrape()
		s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_tenant_up{tenant_id="Bbbbb2"}`, 0)
		s.want(t, `petra_up`, 0)
		before := len(api.Requests())
		for range 4 {
			time.Sleep(15 * time.Second)
			e.scrape()
		}
		asked := api.Requests()[before:]
		if len(asked) != 4 {
			t.Errorf("%d requests in 4 scrapes, want 4: %v", len(asked), asked)
		}
		for _, r := range asked {
			if !petratest.IsOrgRead(r) {
				t.Errorf("want organization reads only, got %+v", r)
			}
		}
		api.SetKeys(testKey)
		time.Sleep(15 * time.Second)
		e.scrape().want(t, `petra_tenant_up{tenant_id="Bbbbb2"}`, 1)
		time.Sleep(15 * time.Second)
		e.scrape()
		if last := api.Requests(); !petratest.IsFullRead(last[len(last)-1]) && !petratest.IsTenants(last[len(last)-1]) {
			t.Errorf("want full reads again, got %+v", last[len(last)-1])
		}
	})
}

// TestDeniedTenant: a 403 or 404 for one tenant concerns that tenant alone.
func TestDeniedTenant(t *testing.T) {
	for _, kind := range []petratest.FaultKind{petratest.Status403, petratest.Status404} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				org := bigOrg(time.Now())
				api := petratest.NewAPI(org, petratest.Options{})
				e := newExporter(t, api, "max_staleness: 10m")
				runScrapes(e, 3*time.Minute)
				e.scrape().want(t, `petra_tenants{state="complete"}`, 3)
				api.SetFault(petratest.Fault{Kind: kind, Match: func(r petratest.Request) bool { return r.TenantID == "Aaaaa1" }})
				runScrapes(e, 3*time.Minute)
				s := e.scrape()
				s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 0)
				s.want(t, `petra_tenant_up{tenant_id="Bbbbb2"}`, 1)
				s.want(t, `petra_up`, 1)
				s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
				if n := e.log.lines("tenant cannot be read"); n != 1 {
					t.Errorf("the log has the failure %d times:\n%s", n, e.log)
				}
				// What organization reads do not reach grows stale; what they reach does not.
				org.Add(petratest.Incident{ID: "new", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
				runScrapes(e, 12*time.Minute)
				s = e.scrape()
				for key := range s.named("petra_open_incidents") {
					if label(key, "tenant_id") == "Aaaaa1" {
						t.Errorf("stale, but there is %s", key)
					}
				}
				s.want(t, `petra_open_incident_live{incident_id="new",tenant_id="Aaaaa1"}`, 0)
				if _, ok := s.value(`petra_open_incident_live{incident_id="open-Aaaaa1",tenant_id="Aaaaa1"}`); ok {
					t.Error("an incident out of an organization read's reach is told after max_staleness")
				}
				s.want(t, `petra_tenants{state="stale"}`, 1)
				api.ClearFault()
				runScrapes(e, 3*time.Minute)
				s = e.scrape()
				s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 1)
				s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 2)
			})
		})
	}
}

// bigOrg is smallOrg with so many newer incidents that an organization read is cut and
// reaches none of the tenants' own.
func bigOrg(now time.Time) *petratest.Organization {
	w := smallOrg(now)
	for i := range 600 {
		at := now.Add(-time.Hour).Add(time.Duration(i) * time.Second)
		w.Add(petratest.Incident{ID: "flood-" + time.Duration(i).String(), TenantID: "Bbbbb2", CreatedAt: at, OccurredAt: at, RemediatedAt: at.Add(time.Second)})
	}
	return w
}

// runScrapes lets time pass with a scrape each 15 s.
func runScrapes(e *exporter, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		sleepUntil(time.Now().Truncate(15 * time.Second).Add(15 * time.Second))
		<-e.collector.Refresh()
	}
}

// TestNoRequestWithoutKey: a request that is not made for want of a key is
// neither counted nor timed, and its failure is logged once.
func TestNoRequestWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}})
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(testKey), 0o600); err != nil {
			t.Fatal(err)
		}
		e := newExporter(t, api, "api: {authorization: {credentials_file: "+file+"}}")
		e.scrape()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		runScrapes(e, 10*time.Minute)
		s := e.scrape()
		s.want(t, "petra_up", 0)
		for _, route := range []string{"incidents", "tenants"} {
			s.want(t, `petra_api_requests_total{code="200",route="`+route+`"}`, 1)
			s.want(t, `petra_api_requests_total{code="error",route="`+route+`"}`, 0)
			s.want(t, `petra_api_request_duration_seconds_count{route="`+route+`"}`, 1)
			if n := e.log.lines("route=" + route + " err="); n != 1 {
				t.Errorf("the log has the failure of %s %d times:\n%s", route, n, e.log)
			}
		}
	})
}

// TestRefusedOnce: one 403 does not make a tenant stale whose full reads have
// failed for longer than max_staleness, while organization reads kept it fresh.
func TestRefusedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "max_staleness: 15m")
		runScrapes(e, 4*time.Minute)
		isA := func(r petratest.Request) bool { return petratest.IsFullRead(r) && r.TenantID == "Aaaaa1" }
		api.SetFault(petratest.Fault{Kind: petratest.Status500, Match: isA})
		runScrapes(e, 17*time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		api.SetFault(petratest.Fault{Kind: petratest.Status403, Match: isA})
		runScrapes(e, 10*time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		runScrapes(e, 6*time.Minute)
		e.scrape().wantNone(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`)
	})
}
