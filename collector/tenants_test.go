package collector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

const (
	microsoftID = "a1b2c3d4-5e6f-7890-abcd-ef1234567890"
	upperID     = "A1B2C3D4-5E6F-7890-ABCD-EF1234567890"
)

// TestTenantLeaves: after three good lists in a row without it, a tenant loses
// its series; when it returns, its counters go on.
func TestTenantLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "")
		e.scrape()
		org.RemoveTenant("Aaaaa1")
		runScrapes(e, 125*time.Second)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		runScrapes(e, time.Minute)
		for key := range e.scrape() {
			if label(key, "tenant_id") == "Aaaaa1" {
				t.Errorf("the tenant has left, but there is %s", key)
			}
		}
		org.Add(petratest.Incident{ID: "again", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "Renamed"})
		runScrapes(e, 90*time.Second)
		s := e.scrape()
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 3)
		s.want(t, `petra_tenant_info{microsoft_tenant_id="00000000-0000-0000-0000-0000000000aa",tenant_id="Aaaaa1",tenant_name="Renamed"}`, 1)
	})
}

// TestBadLists: a list that is empty after one that was not, or that is not as
// long as it says, changes nothing.
func TestBadLists(t *testing.T) {
	for name, body := range map[string]string{
		"empty": `{"totalTenants":0,"tenants":[]}`,
		"short": `{"totalTenants":3,"tenants":[{"petraTenantId":"Aaaaa1"}]}`,
		"null":  `{"totalTenants":0,"tenants":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
				e := newExporter(t, api, "")
				s := e.scrape()
				success, _ := s.value(`petra_api_last_success_timestamp_seconds{route="tenants"}`)
				api.SetFault(petratest.Fault{Kind: petratest.BadJSON, Match: petratest.IsTenants, Body: body})
				runScrapes(e, 6*time.Minute)
				s = e.scrape()
				s.want(t, `petra_tenants{state="complete"}`, 3)
				s.want(t, `petra_api_last_success_timestamp_seconds{route="tenants"}`, success)
				if n := e.log.lines("route=tenants"); n != 1 {
					t.Errorf("%d lines on the list in the log:\n%s", n, e.log)
				}
			})
		})
	}
}

// TestListFails: without a list, discovery learns tenants from incidents, and
// configured tenants are collected all the same.
func TestListFails(t *testing.T) {
	for name, c := range map[string]struct {
		yaml     string
		complete float64
	}{
		"discovery":  {"", 3},
		"configured": {"tenants: [{id: Aaaaa1}, {id: Zzzzz9}, {id: Bbbbb2}]", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
				api.SetFault(petratest.Fault{Kind: petratest.Status500, Match: petratest.IsTenants})
				e := newExporter(t, api, c.yaml)
				runScrapes(e, time.Minute)
				s := e.scrape()
				s.want(t, `petra_tenants{state="complete"}`, c.complete)
				s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
				api.ClearFault()
				runScrapes(e, 75*time.Second)
				s = e.scrape()
				if name == "configured" {
					s.want(t, `petra_tenant_up{tenant_id="Zzzzz9"}`, 0)
					s.want(t, `petra_tenants{state="pending"}`, 1)
				}
			})
		})
	}
}

// TestMistyped: an ID that the organization does not have must not look calm.
func TestMistyped(t *testing.T) {
	for mode, yaml := range map[string]string{
		"organization": "tenants: [{id: Aaaaa1}, {id: aaaaa1}, {id: Bbbbb2}]",
		"plain":        "tenants: [{id: Aaaaa1}, {id: aaaaa1}]",
	} {
		for _, unknown := range []int{200, 404} {
			t.Run(mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{UnknownTenant: unknown})
					e := newExporter(t, api, yaml)
					runScrapes(e, 3*time.Minute)
					s := e.scrape()
					s.want(t, `petra_tenant_up{tenant_id="aaaaa1"}`, 0)
					for key := range s {
						if label(key, "tenant_id") == "aaaaa1" && key != `petra_tenant_up{tenant_id="aaaaa1"}` {
							t.Errorf("a mistyped tenant has %s", key)
						}
					}
					s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 1)
					if n := e.log.lines("tenant_id=aaaaa1"); n != 1 {
						t.Errorf("the log names the mistyped tenant %d times:\n%s", n, e.log)
					}
				})
			})
		}
	}
}

// TestMicrosoftID: a configured Microsoft ID has no incident series until it is
// resolved, and then those of the tenant's Petra ID.
func TestMicrosoftID(t *testing.T) {
	for mode, yaml := range map[string]string{
		"organization": "tenants: [{id: " + upperID + "}, {id: Aaaaa1}, {id: Bbbbb2}]",
		"plain":        "tenants: [{id: " + upperID + "}]",
	} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				org := smallOrg(time.Now())
				org.SetTenant(petratest.Tenant{ID: "Msoft1", Name: "M", MicrosoftID: microsoftID})
				api := petratest.NewAPI(org, petratest.Options{})
				api.SetFault(petratest.Fault{Kind: petratest.Status500, Match: petratest.IsTenants})
				e := newExporter(t, api, yaml)
				runScrapes(e, 30*time.Second)
				s := e.scrape()
				for _, r := range api.Requests() {
					if petratest.IsFullRead(r) && r.TenantID != upperID {
						t.Errorf("asked for %s, which is not how it is configured", r.TenantID)
					}
				}
				s.want(t, `petra_tenant_up{tenant_id="`+microsoftID+`"}`, 1)
				for key := range s {
					if label(key, "tenant_id") == microsoftID && label(key, "microsoft_tenant_id") == "" && key != `petra_tenant_up{tenant_id="`+microsoftID+`"}` {
						t.Errorf("an unresolved tenant has %s", key)
					}
				}
				org.Add(petratest.Incident{ID: "one", TenantID: "Msoft1", CreatedAt: time.Now(), OccurredAt: time.Now()})
				runScrapes(e, 30*time.Second)
				s = e.scrape()
				s.want(t, `petra_open_incidents{live="false",tenant_id="Msoft1"}`, 1)
				s.want(t, `petra_tenant_up{tenant_id="Msoft1"}`, 1)
				if _, ok := s.value(`petra_tenant_up{tenant_id="` + microsoftID + `"}`); ok {
					t.Error("the resolved tenant is still there under its Microsoft ID")
				}
			})
		})
	}
}

// TestOneTenantTwice: two configured IDs of one tenant are one tenant.
func TestOneTenantTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		org.SetTenant(petratest.Tenant{ID: "Msoft1", Name: "M", MicrosoftID: microsoftID})
		org.Add(petratest.Incident{ID: "one", TenantID: "Msoft1", CreatedAt: time.Now(), OccurredAt: time.Now()})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "tenants: [{id: Msoft1}, {id: "+upperID+"}]")
		runScrapes(e, time.Minute)
		s := e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 1)
		s.want(t, `petra_incidents_raised_total{tenant_id="Msoft1"}`, 1)
		if n := e.log.lines("two configured tenant IDs are one tenant"); n != 1 {
			t.Errorf("%d warnings, want 1:\n%s", n, e.log)
		}
	})
}

// TestNothingSaidBeforeList: until the first try at the list has ended, a
// configured ID without incidents has no incident series.
func TestNothingSaidBeforeList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		org.SetTenant(petratest.Tenant{ID: "Quiet1", Name: "Q"})
		api := petratest.NewAPI(org, petratest.Options{})
		api.SetFault(petratest.Fault{Kind: petratest.Hang, Match: petratest.IsTenants, Times: 1})
		e := newExporter(t, api, "tenants: [{id: Quiet1}, {id: Aaaaa1}]")
		s := e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		if _, ok := s.value(`petra_open_incidents{live="false",tenant_id="Quiet1"}`); ok {
			t.Error("a tenant that may be mistyped looks calm")
		}
		runScrapes(e, time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Quiet1"}`, 0)
	})
}
