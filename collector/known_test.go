package collector_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestKnownOrNotSaid: single facts are told as soon as an answer held the
// incident, counts only once the tenant was read in full, recent incidents once
// the whole window is known.
func TestKnownOrNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := bigOrg(now)
		org.Add(petratest.Incident{ID: "newest", TenantID: "Ccccc3", CreatedAt: now.Add(-time.Minute), OccurredAt: now.Add(-2 * time.Minute)})
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "recent_window: 10m")
		s := e.scrape()
		s.want(t, `petra_tenants{state="pending"}`, 3)
		s.want(t, `petra_open_incident_live{incident_id="newest",tenant_id="Ccccc3"}`, 0)
		s.want(t, `petra_last_incident_created_timestamp_seconds{tenant_id="Ccccc3"}`, float64(now.Add(-time.Minute).Unix()))
		for _, name := range []string{"petra_incidents", "petra_open_incidents", "petra_incidents_raised_total", "petra_oldest_open_incident_created_timestamp_seconds", "petra_incident_dwell_time_seconds_count", "petra_open_incidents_unlisted"} {
			s.wantNone(t, name)
		}
		// The window is shorter than what the organization read reaches.
		s.want(t, `petra_recent_incident_created_timestamp_seconds{incident_id="newest",live="false",tenant_id="Ccccc3"}`, float64(now.Add(-time.Minute).Unix()))
		s.want(t, `petra_tenant_up{tenant_id="Ccccc3"}`, 1)
		s.wantNone(t, "petra_tenant_last_full_read_timestamp_seconds")

		runScrapes(e, 3*time.Minute)
		s = e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 3)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Ccccc3"}`, 2)
		s.want(t, `petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="Ccccc3"}`, 1)
		s.want(t, `petra_incidents{live="false",remediation_status="REMEDIATED",tenant_id="Ccccc3"}`, 0)
		s.want(t, `petra_incidents_raised_total{tenant_id="Ccccc3"}`, 3)
		s.want(t, `petra_tenant_incidents_truncated{tenant_id="Bbbbb2"}`, 1)
	})
}

// TestOnboardedInFuture: a tenant that claims to be newer than all of its
// incidents is not read in full by a truncated organization read.
func TestOnboardedInFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := bigOrg(time.Now())
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A", Onboarded: time.Now().AddDate(100, 0, 0)})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "")
		e.scrape().wantNone(t, "petra_open_incidents")
		runScrapes(e, 3*time.Minute)
		s := e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		s.wantNone(t, `petra_tenant_onboarded_timestamp_seconds{tenant_id="Aaaaa1"}`)
	})
}

// TestRecentWindowNotReached: a truncated organization read that does not reach the whole window
// says nothing of recent incidents.
func TestRecentWindowNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(bigOrg(time.Now()), petratest.Options{}), "")
		e.scrape().wantNone(t, "petra_recent_incident_created_timestamp_seconds")
		runScrapes(e, 3*time.Minute)
		s := e.scrape()
		s.want(t, `petra_recent_incident_dwell_time_seconds{incident_id="done-Aaaaa1",live="true",tenant_id="Aaaaa1"}`, 7200)
	})
}

// TestFirstSeen: what the first read of a tenant finds was not seen first
// then; what comes later was.
func TestFirstSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := smallOrg(now)
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "")
		s := e.scrape()
		s.want(t, `petra_recent_incident_first_seen_timestamp_seconds{incident_id="open-Aaaaa1",live="false",tenant_id="Aaaaa1"}`, float64(now.Add(-2*time.Hour).Unix()))
		time.Sleep(10 * time.Second)
		org.Add(petratest.Incident{ID: "late", TenantID: "Aaaaa1", CreatedAt: now.Add(-time.Hour), OccurredAt: now.Add(-90 * time.Minute), RemediatedAt: now})
		time.Sleep(10 * time.Second)
		s = e.scrape()
		s.want(t, `petra_recent_incident_first_seen_timestamp_seconds{incident_id="late",live="false",tenant_id="Aaaaa1"}`, float64(time.Now().Unix()))
		found := map[string]bool{}
		for _, metric := range e.family("petra_incident_dwell_time_seconds").GetMetric() {
			for _, bucket := range metric.GetHistogram().GetBucket() {
				for _, l := range bucket.GetExemplar().GetLabel() {
					found[l.GetValue()] = true
				}
			}
		}
		if !found["late"] || found["done-Aaaaa1"] {
			t.Errorf("exemplars of %v, want one of late, and none of what the first read found", found)
		}
	})
}

// TestWithdrawn: what the API withdraws leaves the gauges, and stays counted.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := bigOrg(time.Now())
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "")
		runScrapes(e, 3*time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		org.Update("open-Aaaaa1", func(i *petratest.Incident) { i.WithdrawnAt = time.Now() })
		runScrapes(e, 4*time.Minute)
		s := e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
		s.want(t, `petra_incident_detection_time_seconds_count{live="false",tenant_id="Aaaaa1"}`, 1)
	})
}

// TestTruncated: an open incident that a truncated full read no longer reaches
// stays published for 30 days; another leaves the gauges.
func TestTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := smallOrg(now)
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "tenants: [{id: Aaaaa1}]")
		e.scrape().want(t, `petra_tenant_incidents_truncated{tenant_id="Aaaaa1"}`, 0)
		for i := range 500 {
			org.Add(petratest.Incident{ID: fmt.Sprint("more-", i), TenantID: "Aaaaa1", CreatedAt: now, OccurredAt: now, RemediatedAt: now})
		}
		time.Sleep(time.Minute)
		s := e.scrape()
		s.want(t, `petra_tenant_incidents_truncated{tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_open_incident_live{incident_id="open-Aaaaa1",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 502)
		time.Sleep(31 * 24 * time.Hour)
		s = e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 502)
	})
}

// TestStale: past max_staleness the series of incidents end, and return with
// their values.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "max_staleness: 10m")
		e.scrape()
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
		runScrapes(e, 9*time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		runScrapes(e, 2*time.Minute)
		s := e.scrape()
		for _, name := range []string{"petra_open_incidents", "petra_incidents", "petra_incidents_raised_total", "petra_incident_dwell_time_seconds_count", "petra_open_incident_info", "petra_recent_incident_created_timestamp_seconds", "petra_last_incident_created_timestamp_seconds"} {
			s.wantNone(t, name)
		}
		s.want(t, `petra_tenants{state="stale"}`, 3)
		s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 0)
		api.ClearFault()
		time.Sleep(15 * time.Second)
		s = e.scrape()
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
	})
}

// TestLongOutage: where incidents may have come and gone out of an organization read's reach
// during an outage, the tenants are pending until they are read in full again.
func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "")
		runScrapes(e, 2*time.Minute)
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
		runScrapes(e, 10*time.Minute)
		for i := range 700 {
			at := time.Now().Add(-9 * time.Minute).Add(time.Duration(i) * 500 * time.Millisecond)
			org.Add(petratest.Incident{ID: fmt.Sprint("burst-", i), TenantID: "Bbbbb2", CreatedAt: at, OccurredAt: at, RemediatedAt: at})
		}
		api.ClearFault()
		api.SetLatency(time.Second) // or a background read could end with the refresh
		sleepUntil(time.Now().Truncate(30 * time.Second).Add(30 * time.Second))
		s := e.scrape()
		s.want(t, `petra_tenants{state="pending"}`, 3)
		s.wantNone(t, "petra_open_incidents")
		s.want(t, `petra_open_incident_live{incident_id="open-Aaaaa1",tenant_id="Aaaaa1"}`, 0)
		runScrapes(e, 2*time.Minute)
		s = e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 3)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
	})
}

// TestWrongTenant: an incident of another tenant in a tenant's answer is
// dropped and counted, once.
func TestWrongTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "tenants: [{id: Aaaaa1}]")
		e.scrape()
		api.SetFault(petratest.Fault{Kind: petratest.IgnoredFilter})
		for range 3 {
			time.Sleep(15 * time.Second)
			s := e.scrape()
			s.want(t, `petra_incidents_rejected_total{reason="wrong_tenant"}`, 4)
			s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
			if n := len(s.named("petra_incidents_raised_total")); n != 1 {
				t.Errorf("%d tenants are published, want 1", n)
			}
		}
	})
}

// TestListedStaysListed: a flood of open incidents takes no place from one
// that has its series; free places go to the newest.
func TestListedStaysListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := smallOrg(now)
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "max_open_incidents: 3")
		e.scrape()
		for i := range 5 {
			org.Add(petratest.Incident{ID: fmt.Sprint("flood-", i), TenantID: "Aaaaa1", CreatedAt: now.Add(time.Duration(i) * time.Second), OccurredAt: now})
		}
		time.Sleep(15 * time.Second)
		s := e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 6)
		s.want(t, `petra_open_incidents_unlisted{tenant_id="Aaaaa1"}`, 3)
		for _, id := range []string{"open-Aaaaa1", "flood-4", "flood-3"} {
			s.want(t, `petra_open_incident_live{incident_id="`+id+`",tenant_id="Aaaaa1"}`, 0)
		}
	})
}

// TestStatuses: the statuses are an open set, compared without case; at most 20
// are published.
func TestStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := petratest.NewOrganization()
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A"})
		add := func(id, status string) {
			org.Add(petratest.Incident{ID: id, TenantID: "Aaaaa1", CreatedAt: now, OccurredAt: now, OpenStatus: status})
		}
		add("fp", "False_Positive")
		add("progress", "IN_PROGRESS")
		add("odd", "ODD")
		org.Add(petratest.Incident{ID: "none", TenantID: "Aaaaa1", CreatedAt: now, Raw: []byte(`{"id":"none","createdAt":"` + now.Format(time.RFC3339) + `","tenant":{"petraTenantId":"Aaaaa1"}}`)})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "closed_statuses: [FALSE_POSITIVE]\nopen_statuses: [in_progress]")
		s := e.scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 3)
		s.want(t, `petra_incidents{live="false",remediation_status="False_Positive",tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_incidents{live="true",remediation_status="False_Positive",tenant_id="Aaaaa1"}`, 0)
		s.want(t, `petra_incidents{live="false",remediation_status="UNKNOWN",tenant_id="Aaaaa1"}`, 1)
		s.want(t, `petra_remediation_status_info{meaning="unknown",remediation_status="ODD"}`, 1)
		s.want(t, `petra_remediation_status_info{meaning="closed",remediation_status="False_Positive"}`, 1)
		s.want(t, `petra_remediation_status_info{meaning="open",remediation_status="IN_PROGRESS"}`, 1)
		if n := e.log.lines("remediation_status=ODD incidents=1"); n != 1 {
			t.Errorf("the log names the new status %d times:\n%s", n, e.log)
		}
		for i := range 30 {
			add(fmt.Sprint("many-", i), fmt.Sprint("S", i))
		}
		time.Sleep(15 * time.Second)
		s = e.scrape()
		if other, _ := s.value(`petra_incidents{live="false",remediation_status="OTHER",tenant_id="Aaaaa1"}`); other == 0 {
			t.Error("no incident counts under OTHER")
		}
		distinct := map[string]bool{}
		total := 0.0
		for key, v := range s.named("petra_incidents") {
			distinct[label(key, "remediation_status")] = true
			total += v
		}
		delete(distinct, "OTHER")
		if len(distinct) > 20 || total != 34 {
			t.Errorf("%d statuses with %v incidents, want at most 20 with 34", len(distinct), total)
		}
	})
}

// TestBadFields: what cannot be used of an incident is counted once, and costs
// only the metrics that need it.
func TestBadFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := petratest.NewOrganization()
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A"})
		for id, raw := range map[string]string{
			"bad-time":  `{"id":"bad-time","createdAt":"yesterday","occurredAt":"1969-01-01T00:00:00Z","remediationStatus":"ACTIVE","isLive":"yes","tenant":{"petraTenantId":"Aaaaa1"}}`,
			"bad-dwell": `{"id":"bad-dwell","createdAt":"CREATED","occurredAt":"CREATED","remediationStatus":"REMEDIATED","isLive":true,"dwellTimeMinutes":"5","tenant":{"petraTenantId":"Aaaaa1"}}`,
			"negative":  `{"id":"negative","createdAt":"CREATED","occurredAt":"CREATED","remediationStatus":"REMEDIATED","isLive":true,"dwellTimeMinutes":-5,"tenant":{"petraTenantId":"Aaaaa1"}}`,
			"no-id":     `{"createdAt":"CREATED","tenant":{"petraTenantId":"Aaaaa1"}}`,
			"no-tenant": `{"id":"x","createdAt":"CREATED"}`,
			"no-object": `[1]`,
		} {
			raw = strings.ReplaceAll(raw, "CREATED", now.UTC().Format(time.RFC3339))
			org.Add(petratest.Incident{ID: id, TenantID: "Aaaaa1", CreatedAt: now, Raw: []byte(raw)})
		}
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "")
		for range 3 {
			time.Sleep(15 * time.Second)
			s := e.scrape()
			for reason, n := range map[string]float64{"bad_time": 1, "bad_dwell": 1, "no_id": 1, "wrong_tenant": 1, "bad_json": 1} {
				s.want(t, `petra_incidents_rejected_total{reason="`+reason+`"}`, n)
			}
			s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 3)
			s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
			s.want(t, `petra_open_incident_created_timestamp_seconds{incident_id="bad-time",tenant_id="Aaaaa1"}`, float64(now.Unix()))
			s.wantNone(t, "petra_open_incident_occurred_timestamp_seconds")
			s.want(t, `petra_incident_dwell_time_seconds_count{live="true",tenant_id="Aaaaa1"}`, 1)
			s.want(t, `petra_incident_dwell_time_seconds_sum{live="true",tenant_id="Aaaaa1"}`, 0)
		}
	})
}

// TestContradictions: answers that contradict themselves never cost a scrape,
// and no incident but the contradictory ones.
func TestContradictions(t *testing.T) {
	element := func(id, status, tenant string) string {
		return fmt.Sprintf(`{"id":%q,"url":"javascript:alert(1)","createdAt":"1999-12-31T23:00:00Z","occurredAt":"1999-12-31T22:00:00Z","remediationStatus":%q,"dwellTimeMinutes":5,"tenant":{"petraTenantId":%q,"name":"a\u0000b\u202ec"}}`, id, status, tenant)
	}
	list := func(tenants ...string) string {
		return fmt.Sprintf(`{"totalTenants":%d,"tenants":[%s]}`, len(tenants), strings.Join(tenants, ","))
	}
	const a, b = `{"petraTenantId":"A","name":"One"}`, `{"petraTenantId":"B","name":"One"}`
	good := element("good", "ACTIVE", "A")
	for name, c := range map[string]struct {
		incidents []string
		tenants   string
		want      map[string]float64
	}{
		"one ID in two tenants": {[]string{element("x", "ACTIVE", "A"), element("x", "ACTIVE", "B")}, list(a, b), map[string]float64{
			`petra_open_incidents{live="false",tenant_id="A"}`: 2, `petra_open_incidents{live="false",tenant_id="B"}`: 1,
			`petra_open_incident_live{incident_id="x",tenant_id="A"}`: 0, `petra_open_incident_live{incident_id="x",tenant_id="B"}`: 0,
			`petra_open_incident_info{incident_id="x",remediation_status="ACTIVE",tenant_id="A",url="",user_principal_name=""}`: 1,
		}},
		"one ID with two states: the newest holds": {[]string{element("x", "ACTIVE", "A"), element("x", "REMEDIATED", "A")}, list(a), map[string]float64{
			`petra_open_incidents{live="false",tenant_id="A"}`: 2, `petra_incidents_raised_total{tenant_id="A"}`: 2,
			`petra_incidents{live="false",remediation_status="REMEDIATED",tenant_id="A"}`: 0,
		}},
		"one ID with two states, the other way": {[]string{element("x", "REMEDIATED", "A"), element("x", "ACTIVE", "A")}, list(a), map[string]float64{
			`petra_open_incidents{live="false",tenant_id="A"}`: 1, `petra_incidents_raised_total{tenant_id="A"}`: 2,
			`petra_incident_dwell_time_seconds_count{live="false",tenant_id="A"}`: 1,
		}},
		"a tenant listed twice": {nil, list(a, `{"petraTenantId":"A","name":"Two","isPaused":true}`), map[string]float64{
			`petra_tenants{state="complete"}`: 1, `petra_tenant_paused{tenant_id="A"}`: 0,
			`petra_tenant_info{microsoft_tenant_id="",tenant_id="A",tenant_name="One"}`: 1,
		}},
		"two tenants of one name": {[]string{element("x", "ACTIVE", "B")}, list(a, b), map[string]float64{
			`petra_tenants{state="complete"}`:                                           2,
			`petra_tenant_info{microsoft_tenant_id="",tenant_id="A",tenant_name="One"}`: 1,
			`petra_tenant_info{microsoft_tenant_id="",tenant_id="B",tenant_name="One"}`: 1,
			`petra_open_incidents{live="false",tenant_id="B"}`:                          1,
		}},
		"two tenants of one Microsoft ID": {nil, list(`{"petraTenantId":"A","name":"One","microsoftTenantId":"M"}`, `{"petraTenantId":"B","name":"Two","microsoftTenantId":"M"}`), map[string]float64{
			`petra_tenants{state="complete"}`:                                            2,
			`petra_tenant_info{microsoft_tenant_id="m",tenant_id="B",tenant_name="Two"}`: 1,
		}},
		"a tenant whose Microsoft ID is another's ID": {nil, list(`{"petraTenantId":"a","name":"One"}`, `{"petraTenantId":"A","name":"Two","microsoftTenantId":"a"}`), map[string]float64{
			`petra_tenants{state="complete"}`: 2, `petra_open_incidents{live="false",tenant_id="a"}`: 0,
		}},
		"a tenant that only incidents know": {[]string{element("x", "ACTIVE", "C")}, list(a), map[string]float64{
			`petra_tenants{state="complete"}`: 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := answered(t, `{"incidents":[`+strings.Join(append(c.incidents, good), ",")+`]}`, c.tenants, "")
				for range 2 { // what is contradictory once is so again
					s := e.exposed()
					s.want(t, "petra_up", 1)
					s.want(t, `petra_open_incident_live{incident_id="good",tenant_id="A"}`, 0)
					for key, value := range c.want {
						s.want(t, key, value)
					}
					time.Sleep(15 * time.Second)
				}
			})
		})
	}
}

// TestUnfitIDs: incidents whose IDs differ only in what no label may hold stay
// two.
func TestUnfitIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := smallOrg(time.Now())
		for _, id := range []string{"x\x01", "x\x02", "x\u202e"} {
			org.Add(petratest.Incident{ID: id, TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
		}
		s := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "").scrape()
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 4)
		s.want(t, "petra_open_incident_live{incident_id=\"x\ufffd-f5e27948\",tenant_id=\"Aaaaa1\"}", 0)
	})
}

// TestStatusPlaces: statuses that were only configured leave with their
// configuration, and one that is called OTHER is no second series.
func TestStatusPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		org := petratest.NewOrganization()
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A"})
		for i := range 30 {
			org.Add(petratest.Incident{ID: fmt.Sprint(i), TenantID: "Aaaaa1", CreatedAt: now, OccurredAt: now, OpenStatus: fmt.Sprint("S", i)})
		}
		org.Add(petratest.Incident{ID: "other", TenantID: "Aaaaa1", CreatedAt: now, OccurredAt: now, OpenStatus: "OTHER"})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "closed_statuses: [C1, C2, C3]")
		s := e.scrape()
		e.family("petra_up") // fails the test if a series could not be gathered
		s.want(t, `petra_remediation_status_info{meaning="unknown",remediation_status="OTHER"}`, 1)
		s.want(t, `petra_incidents{live="false",remediation_status="OTHER",tenant_id="Aaaaa1"}`, 15)
		s.want(t, `petra_remediation_status_info{meaning="closed",remediation_status="C1"}`, 1)
		if err := e.configure(""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		s = e.scrape()
		for key := range s.named("petra_remediation_status_info") {
			if strings.HasPrefix(label(key, "remediation_status"), "C") {
				t.Errorf("no incident ever had %s", key)
			}
		}
		s.want(t, `petra_incidents{live="false",remediation_status="OTHER",tenant_id="Aaaaa1"}`, 12)
	})
}

// TestWithdrawnWithoutTime: an incident whose creation is not known is
// withdrawn like others, also where since bounds what is read.
func TestWithdrawnWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC))
		org := petratest.NewOrganization()
		org.SetTenant(petratest.Tenant{ID: "Aaaaa1", Name: "A"})
		org.Add(petratest.Incident{ID: "odd", TenantID: "Aaaaa1", CreatedAt: time.Now(), Raw: []byte(`{"id":"odd","createdAt":"junk","tenant":{"petraTenantId":"Aaaaa1"}}`)})
		e := newExporter(t, petratest.NewAPI(org, petratest.Options{}), "since: 2000-05-01")
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		org.Update("odd", func(i *petratest.Incident) { i.WithdrawnAt = time.Now() })
		runScrapes(e, time.Minute)
		e.scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 0)
	})
}
