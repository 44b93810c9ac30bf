package collector_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

type element = map[string]any

// renamed is a damage: the field has another name.
func renamed(field string) func(element) any {
	return func(e element) any {
		e["new_"+field] = e[field]
		delete(e, field)
		return e
	}
}

// set is a damage: the field has another value.
func set(field string, value any) func(element) any {
	return func(e element) any {
		e[field] = value
		return e
	}
}

func replaced(by any) func(element) any { return func(element) any { return by } }

// unassignable are damages after which an element belongs to no known incident
// or tenant.
var unassignable = map[string]func(element) any{
	"id null":                 set("id", nil),
	"id empty":                set("id", ""),
	"id a number":             set("id", 7),
	"id renamed":              renamed("id"),
	"id too long":             set("id", strings.Repeat("x", 129)),
	"tenant null":             set("tenant", nil),
	"tenant renamed":          renamed("tenant"),
	"petraTenantId null":      set("tenant", element{"petraTenantId": nil}),
	"petraTenantId a number":  set("tenant", element{"petraTenantId": 5}),
	"petraTenantId not shown": set("tenant", element{"petraTenantId": "Aaaaa1\u200b"}),
	"null":                    replaced(nil),
	"a number":                replaced(17),
	"a list":                  replaced([]any{}),
}

// damageOf damages the incident with that ID, or every element where id is empty.
func damageOf(id string, damage func(element) any) petratest.Fault {
	return petratest.Fault{Kind: petratest.Damaged, Match: isIncidents, Damage: func(_ int, e element) any {
		if id == "" || e["id"] == id {
			return damage(e)
		}
		return e
	}}
}

// modes are the configurations in which an incident of tenant Aaaaa1 is known
// from organization reads, from full reads alone, or from full reads beside truncated organization reads.
var modes = map[string]struct {
	yaml string
	org  func(time.Time) *petratest.Organization
}{
	"organization": {"", smallOrg},
	"plain":        {"tenants: [{id: Aaaaa1}]", smallOrg},
	"truncated":    {"", bigOrg},
}

// TestUnreadableIncident: an open incident whose element can no longer be read
// stays open, and it is said in the log, on /status and by a metric.
func TestUnreadableIncident(t *testing.T) {
	for mode, m := range modes {
		for name, damage := range unassignable {
			if mode == "truncated" && name != "id null" && name != "tenant null" {
				continue // what cannot be assigned is the same in each mode; this one takes longest
			}
			t.Run(mode+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(m.org(time.Now()), petratest.Options{})
					e := newExporter(t, api, m.yaml)
					runScrapes(e, 3*time.Minute)
					e.scrape().want(t, "petra_incidents_unreadable", 0)
					api.SetFault(damageOf("open-Aaaaa1", damage))
					runScrapes(e, 3*time.Minute)
					s := e.scrape()
					wantOpen(t, s)
					s.want(t, "petra_up", 1)
					s.want(t, "petra_incidents_unreadable", 1)
					if n := e.log.lines("cannot be read"); n != 1 {
						t.Errorf("%d lines in the log:\n%s", n, e.log)
					}
					if page := e.status(); !strings.Contains(page, "have no usable id or tenant") {
						t.Errorf("/status does not say it:\n%s", page)
					}
					api.ClearFault()
					runScrapes(e, 90*time.Second)
					s = e.scrape()
					wantOpen(t, s)
					s.want(t, "petra_incidents_unreadable", 0)
					if n := e.log.lines("can be read again"); n != 1 {
						t.Errorf("%d lines in the log:\n%s", n, e.log)
					}
				})
			})
		}
	}
}

func wantOpen(t *testing.T, s samples) {
	t.Helper()
	s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
	s.want(t, `petra_open_incident_live{incident_id="open-Aaaaa1",tenant_id="Aaaaa1"}`, 0)
}

// TestNothingReadable: an answer of which no element can be used is a failed
// request.
func TestNothingReadable(t *testing.T) {
	for mode, m := range modes {
		for name, damage := range unassignable {
			if mode == "truncated" && name != "id null" && name != "tenant null" {
				continue // what cannot be assigned is the same in each mode; this one takes longest
			}
			t.Run(mode+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(m.org(time.Now()), petratest.Options{})
					e := newExporter(t, api, m.yaml)
					runScrapes(e, 3*time.Minute)
					api.SetFault(damageOf("", damage))
					runScrapes(e, 3*time.Minute)
					s := e.scrape()
					wantOpen(t, s)
					s.want(t, "petra_up", 0)
					s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 0)
					if len(s.named("petra_incidents_unreadable")) != 1 || s.sum("petra_incidents_unreadable") == 0 {
						t.Error("petra_incidents_unreadable is 0")
					}
					tenants := e.log.lines("tenant cannot be read") // before the organization read fails, or in plain mode
					if n := e.log.lines("err=") - tenants; n > 1 || n+tenants == 0 || tenants > 3 {
						t.Errorf("%d lines with an error in the log:\n%s", n, e.log)
					}
				})
			})
		}
	}
}

// TestUnreadableForEver: an element that stays broken for ever keeps no
// withdrawn incident open for ever; one more that breaks does.
func TestUnreadableForEver(t *testing.T) {
	for mode, m := range modes {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				org := m.org(time.Now())
				api := petratest.NewAPI(org, petratest.Options{})
				broken := damageOf("done-Aaaaa1", set("id", nil))
				api.SetFault(broken)
				e := newExporter(t, api, m.yaml)
				runScrapes(e, 3*time.Minute)
				wantOpen(t, e.scrape())
				open := damageOf("open-Aaaaa1", set("id", nil))
				api.SetFault(petratest.Fault{Kind: petratest.Damaged, Match: isIncidents, Damage: func(n int, e element) any {
					if e["id"] == "done-Aaaaa1" {
						return broken.Damage(n, e)
					}
					return open.Damage(n, e)
				}})
				runScrapes(e, 5*time.Minute)
				s := e.scrape()
				if mode == "plain" {
					s.want(t, "petra_up", 0) // nothing else is in the answer
				}
				wantOpen(t, s)
				api.SetFault(broken)
				runScrapes(e, 2*time.Minute)
				org.Update("open-Aaaaa1", func(i *petratest.Incident) { i.WithdrawnAt = time.Now() })
				if mode != "organization" {
					// The broken one must not be alone in the answer, which would be a failed request.
					org.Add(petratest.Incident{ID: "more", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now(), RemediatedAt: time.Now()})
				}
				runScrapes(e, 5*time.Minute)
				s = e.scrape()
				s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 0)
				s.want(t, "petra_incidents_unreadable", 1)
			})
		})
	}
}

// TestAnotherTenantsAnswer: a full read that is answered with another tenant's
// incidents proves no absence.
func TestAnotherTenantsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "tenants: [{id: Aaaaa1}]")
		e.scrape()
		for name, damage := range map[string]petratest.Fault{
			"all":  damageOf("", set("tenant", element{"petraTenantId": "Bbbbb2"})),
			"open": damageOf("open-Aaaaa1", set("tenant", element{"petraTenantId": "Bbbbb2"})),
		} {
			api.SetFault(damage)
			runScrapes(e, 5*time.Minute)
			s := e.scrape()
			wantOpen(t, s)
			s.want(t, "petra_up", map[string]float64{"all": 0, "open": 1}[name])
			if n := len(s.named("petra_incidents_raised_total")); n != 1 {
				t.Errorf("%d tenants are published, want 1", n)
			}
		}
	})
}

// TestCreationBecomesOld: a creation time before since, which the API should not
// have sent, ends no open incident. FuzzDamage damages the other fields.
func TestCreationBecomesOld(t *testing.T) {
	for mode, m := range modes {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(m.org(time.Now()), petratest.Options{})
				e := newExporter(t, api, m.yaml+"\nsince: 1999-01-01")
				runScrapes(e, 2*time.Minute)
				wantOpen(t, e.scrape())
				api.SetFault(damageOf("open-Aaaaa1", set("createdAt", "1980-01-01T00:00:00Z")))
				runScrapes(e, 3*time.Minute)
				wantOpen(t, e.scrape())
				if err := e.configure(m.yaml + "\nsince: 1999-01-01"); err != nil {
					t.Fatal(err)
				}
				runScrapes(e, 3*time.Minute)
				wantOpen(t, e.scrape())
			})
		})
	}
}

// TestWrongEarlyTime: one creation time that is wrong and early does not make a
// truncated answer cover what lies beyond it.
func TestWrongEarlyTime(t *testing.T) {
	for _, at := range []string{"1970-01-01T00:00:00.000Z", "1990-05-05T05:05:05Z"} {
		for _, from := range []string{"later", "the start"} {
			t.Run(at+"/"+from, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
					fault := damageOf("flood-500ns", set("createdAt", at))
					if from == "the start" {
						api.SetFault(fault)
					}
					e := newExporter(t, api, "")
					runScrapes(e, 3*time.Minute)
					api.SetFault(fault)
					runScrapes(e, 5*time.Minute)
					wantOpen(t, e.scrape())
				})
			})
		}
	}
}

// TestTenantIDChanges: incidents whose tenant has an ID that is in no list prove no
// absence.
func TestTenantIDChanges(t *testing.T) {
	for _, id := range []string{"open-Aaaaa1", ""} {
		for _, mode := range []string{"organization", "truncated"} {
			t.Run(mode+"/"+id, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(modes[mode].org(time.Now()), petratest.Options{})
					e := newExporter(t, api, "")
					runScrapes(e, 3*time.Minute)
					wantOpen(t, e.scrape())
					api.SetFault(damageOf(id, set("tenant", element{"petraTenantId": "unlisted"})))
					runScrapes(e, 5*time.Minute)
					wantOpen(t, e.scrape())
				})
			})
		}
	}
}

// TestUnusableTenant: a list of tenants with an element that cannot be used
// proves no departure, not of a configured tenant either.
func TestUnusableTenant(t *testing.T) {
	damages := map[string]func(element) any{
		"null": set("petraTenantId", nil), "renamed": renamed("petraTenantId"), "a number": set("petraTenantId", 5), "empty": set("petraTenantId", ""),
		"no object": replaced(17), "another's": set("petraTenantId", "Bbbbb2"),
	}
	for mode, yaml := range map[string]string{"discovery": "", "configured": "tenants: [{id: Aaaaa1}, {id: Bbbbb2}, {id: Ccccc3}]"} {
		for name, damage := range damages {
			for _, from := range []string{"later", "the start"} {
				t.Run(mode+"/"+name+"/"+from, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						org := smallOrg(time.Now())
						api := petratest.NewAPI(org, petratest.Options{})
						fault := petratest.Fault{Kind: petratest.Damaged, Match: petratest.IsTenants, Damage: func(_ int, e element) any {
							if e["petraTenantId"] == "Aaaaa1" {
								return damage(e)
							}
							return e
						}}
						if from == "the start" {
							api.SetFault(fault)
						}
						e := newExporter(t, api, yaml)
						runScrapes(e, 3*time.Minute)
						api.SetFault(fault)
						runScrapes(e, 10*time.Minute)
						org.Add(petratest.Incident{ID: "new", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
						runScrapes(e, 2*time.Minute)
						s := e.scrape()
						s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 2)
						s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 1)
						if n := s.sum("petra_tenants_rejected_total"); n != 1 {
							t.Errorf("%v elements rejected, want 1", n)
						}
						if n := e.log.lines("list of tenants cannot be used"); n != 1 {
							t.Errorf("%d lines in the log:\n%s", n, e.log)
						}
						if page := e.status(); !strings.Contains(page, "in the API&#39;s list") {
							t.Errorf("/status does not say it:\n%s", page)
						}
						api.ClearFault()
						org.RemoveTenant("Aaaaa1")
						runScrapes(e, 5*time.Minute)
						if n := len(e.scrape().named("petra_tenant_info")); mode == "discovery" && n != 2 {
							t.Errorf("%d tenants after one has left, want 2", n)
						}
					})
				})
			}
		}
	}
}

// TestSameCreation: incidents that were created together with the oldest of a
// truncated full read may be beyond it: they are not withdrawn.
func TestSameCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := petratest.NewOrganization()
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A"})
		// One of these is at the end of the list, whichever way it is ordered.
		for _, id := range []string{"0-open", "z-open"} {
			org.Add(petratest.Incident{ID: id, TenantID: "Aaaaa1", CreatedAt: now.Add(-time.Hour), OccurredAt: now.Add(-time.Hour)})
		}
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "tenants: [{id: Aaaaa1}]")
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 2)
		for i := range 510 {
			org.Add(petratest.Incident{ID: fmt.Sprintf("batch-%03d", i), TenantID: "Aaaaa1", CreatedAt: now.Add(-time.Hour), OccurredAt: now.Add(-time.Hour), RemediatedAt: now})
		}
		runScrapes(e, 10*time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 2)
	})
}

// TestUnordered: an answer that is not newest first is read like any other, and
// that is said once.
func TestUnordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := smallOrg(now)
		for i := range 600 {
			at := now.Add(-100*time.Hour + time.Duration(i)*time.Minute)
			org.Add(petratest.Incident{ID: fmt.Sprint("more-", i), TenantID: "Bbbbb2", CreatedAt: at, OccurredAt: at, RemediatedAt: at})
		}
		api := petratest.NewAPI(org, petratest.Options{})
		var reversed []any
		api.SetFault(petratest.Fault{Kind: petratest.Damaged, Match: isIncidents, DamageList: func(list []any) []any {
			reversed = list
			for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
				list[i], list[j] = list[j], list[i]
			}
			return list
		}})
		api.SetLatency(time.Second) // or a background read could end with the refresh
		e := newExporter(t, api, "")
		runScrapes(e, 5*time.Minute)
		for i := range 3 {
			at := time.Now()
			org.Add(petratest.Incident{ID: fmt.Sprint("new-", i), TenantID: "Ccccc3", CreatedAt: at, OccurredAt: at})
			for range 2 { // the organization read that has it, and the one after
				time.Sleep(15 * time.Second)
				s := e.scrape()
				s.want(t, `petra_tenants{state="complete"}`, 3)
				s.want(t, `petra_open_incidents{live="false",tenant_id="Ccccc3"}`, float64(2+i))
				wantOpen(t, s)
			}
		}
		if n := e.log.lines("newest first"); n != 1 || len(reversed) == 0 {
			t.Errorf("%d lines in the log:\n%s", n, e.log)
		}
	})
}

// TestManyRejections: elements that change in each answer cost a bounded amount
// of memory and of the state file.
func TestManyRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		round := 0
		api.SetFault(petratest.Fault{Kind: petratest.Damaged, Match: isIncidents, DamageList: func(list []any) []any {
			round++
			for i := range 490 {
				list = append(list, element{"url": fmt.Sprint(round, "-", i)})
			}
			return list
		}})
		file := t.TempDir() + "/state.json"
		e := newExporterWithState(t, api, "", file)
		runScrapes(e, 30*time.Minute)
		counted := e.scrape().sum("petra_incidents_rejected_total")
		if want := float64(490 * round); counted != want {
			t.Errorf("%v rejected, want %v", counted, want)
		}
		e.stop()
		if info, err := os.Stat(file); err != nil || info.Size() > 1<<20 {
			t.Errorf("the state file: %v, %v", info, err)
		}
		again := newExporterWithState(t, api, "", file)
		if got := again.scrape().sum("petra_incidents_rejected_total"); got < counted {
			t.Errorf("%v rejected after a restart, %v before", got, counted)
		}
	})
}

// TestDepartedStaysAway: a tenant that has left does not come back through its old
// incidents because the list of tenants becomes unusable.
func TestDepartedStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "")
		runScrapes(e, time.Minute)
		org.RemoveTenant("Aaaaa1")
		runScrapes(e, 5*time.Minute)
		api.SetFault(petratest.Fault{Kind: petratest.Damaged, Match: petratest.IsTenants, DamageList: func(list []any) []any {
			list[0] = nil
			return list
		}})
		runScrapes(e, 3*time.Minute)
		s := e.scrape()
		s.wantNone(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Bbbbb2"}`, 1)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Ccccc3"}`, 1)
	})
}

// TestPausedOnStatus: a paused tenant does not look calm.
func TestPausedOnStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		org.SetTenant(petratest.Tenant{ID: "Ddddd4", Name: "Paused", Paused: true})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "open_statuses: [ACTIVE]")
		e.scrape()
		page := e.status()
		for _, want := range []string{"; 1 paused.", "every tenant is read and fresh. 1 is paused", "paused: Petra raises no incidents here"} {
			if !strings.Contains(page, want) {
				t.Errorf("/status lacks %q:\n%s", want, page)
			}
		}
	})
}
