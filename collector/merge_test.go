package collector

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestAnswersInFlight: of two answers in flight, the one that was asked for
// earlier says nothing about what the later one covered, and is a read all the
// same. Requests are made by hand, since their order of arrival is the point.
func TestAnswersInFlight(t *testing.T) {
	begun := time.Now()
	at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	incident := func(id, status string, created time.Time) petra.Incident {
		return petra.Incident{ID: id, RemediationStatus: status, CreatedAt: created, OccurredAt: created, Tenant: petra.Tenant{ID: "A"}}
	}
	answer := func(incidents ...petra.Incident) *petra.Incidents {
		return &petra.Incidents{Incidents: incidents, Received: len(incidents), Date: begun}
	}
	// cut is an answer that is full: its oldest incident is an hour old.
	cut := func(incidents ...petra.Incident) *petra.Incidents {
		a := answer(incidents...)
		a.Incidents = append(a.Incidents, petra.Incident{ID: "oldest", CreatedAt: at(-3600), Tenant: petra.Tenant{ID: "B"}})
		a.Received = petra.MaxIncidents
		return a
	}
	s := newStore()
	s.configure(loadTestConfig(t))
	if _, err := s.mergeTenants(&petra.Tenants{Tenants: []petra.Tenant{{ID: "A"}, {ID: "B"}}}, nil); err != nil {
		t.Fatal(err)
	}
	merge := func(r response) {
		if _, err := s.merge(r); err != nil {
			t.Fatal(err)
		}
	}
	newer, older := incident("newer", "ACTIVE", at(-60)), incident("older", "ACTIVE", at(-7200))
	merge(response{start: at(0), end: at(1), answer: answer(newer, older)})

	// A full read of A is asked for at 10 s, an organization read at 20 s; the organization read is there first.
	newerDone, olderDone := newer, older
	newerDone.RemediationStatus, olderDone.RemediationStatus = "REMEDIATED", "REMEDIATED"
	late := incident("late", "ACTIVE", at(15))
	merge(response{start: at(20), end: at(21), answer: cut(late, newerDone)})
	gone := incident("gone", "ACTIVE", at(5)) // withdrawn before the organization read
	merge(response{of: "A", start: at(10), end: at(30), answer: answer(gone, newer, olderDone)})

	a := s.tenants["A"]
	got := map[string]string{}
	for id, i := range a.incidents {
		if i.present {
			got[id] = fmt.Sprint(i.status.label, " ", !i.missing.IsZero())
		}
	}
	want := map[string]string{
		"late":  "ACTIVE false",     // the organization read told it; that the full read lacks it means nothing
		"newer": "REMEDIATED false", // the organization read knew better
		"older": "REMEDIATED false", // out of the organization read's reach
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !a.reads.lastFull.Equal(at(10)) || !a.reads.last.Equal(at(20)) {
		t.Errorf("read in full at %s, covered at %s; want 10 s and 20 s after %s", a.reads.lastFull, a.reads.last, begun)
	}
}

// TestCoverage: what an answer covers.
func TestCoverage(t *testing.T) {
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n-10) }
	full := &petra.Incidents{Received: petra.MaxIncidents, Incidents: []petra.Incident{{CreatedAt: day(8)}, {CreatedAt: day(5)}}}
	reversed := &petra.Incidents{Received: petra.MaxIncidents, Incidents: []petra.Incident{{CreatedAt: day(5)}, {CreatedAt: day(8)}}}
	untimed := &petra.Incidents{Received: petra.MaxIncidents, Incidents: []petra.Incident{{}}}
	short := &petra.Incidents{Received: 2, Incidents: full.Incidents}
	for name, c := range map[string]struct {
		of      string
		since   time.Time // asked for
		bound   time.Time // configured now
		answer  *petra.Incidents
		foreign int
		isFull  bool
		covers  map[int]bool // by day; day 0 is unknown
	}{
		"organization read":                      {answer: short, isFull: true, covers: map[int]bool{0: true, 1: true, 9: true}},
		"truncated organization read":            {answer: full, covers: map[int]bool{0: false, 4: false, 5: false, 6: true}},
		"full read":                              {of: "A", answer: short, isFull: true, covers: map[int]bool{0: true, 1: true}},
		"truncated full read":                    {of: "A", answer: full, isFull: true, covers: map[int]bool{0: false, 4: false, 5: false, 6: true}},
		"truncated, the oldest first":            {answer: reversed, covers: map[int]bool{0: false, 4: false, 5: false, 6: true}},
		"truncated full read with others":        {of: "A", answer: full, foreign: 1, covers: map[int]bool{4: false, 5: false, 6: true}},
		"truncated without times":                {answer: untimed, covers: map[int]bool{0: false, 1: false, 9: false}},
		"truncated full read without times":      {of: "A", answer: untimed, covers: map[int]bool{0: false, 9: false}},
		"truncated without times since":          {answer: untimed, since: day(3), bound: day(3), covers: map[int]bool{0: false, 2: false, 4: false, 9: false}},
		"organization read since":                {answer: short, since: day(3), bound: day(3), isFull: true, covers: map[int]bool{0: true, 2: false, 3: true}},
		"truncated organization read past since": {answer: full, since: day(6), bound: day(6), isFull: true, covers: map[int]bool{5: false, 6: true}},
		"bound moved back":                       {answer: short, since: day(3), bound: day(1), covers: map[int]bool{0: false, 2: false, 3: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := response{of: c.of, since: c.since, answer: c.answer}
			s := r.coverage(c.foreign, c.bound)
			if got := s.isFullRead(time.Time{}); got != c.isFull {
				t.Errorf("full read: %t", got)
			}
			for n, want := range c.covers {
				created := day(n)
				if n == 0 {
					created = time.Time{}
				}
				if got := s.covers(created); got != want {
					t.Errorf("covers day %d: %t", n, got)
				}
			}
		})
	}
	// A tenant that was onboarded after a truncated organization read's oldest was read in full by it.
	orgRead := (&response{answer: full}).coverage(0, time.Time{})
	for n, want := range map[int]bool{4: false, 5: false, 6: true} {
		if got := orgRead.isFullRead(day(n)); got != want {
			t.Errorf("onboarded on day %d: full read is %t", n, got)
		}
	}
}

func loadTestConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Load("", config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestWholeReadsOnRealClock: a full read comes when it is due on a clock that
// goes on between two readings of it, as that of a synctest bubble does not.
func TestWholeReadsOnRealClock(t *testing.T) {
	org := petratest.NewOrganization()
	now := time.Now()
	org.SetTenant(petratest.Tenant{ID: "A", Name: "A"})
	for i := range 501 {
		org.Add(petratest.Incident{ID: fmt.Sprint(i), TenantID: "A", CreatedAt: now.Add(-time.Hour), OccurredAt: now.Add(-time.Hour)})
	}
	whole := make(chan struct{}, 100)
	api := petratest.NewAPI(org, petratest.Options{})
	api.SetFault(petratest.Fault{Kind: petratest.Status500, Match: func(r petratest.Request) bool {
		if petratest.IsFullRead(r) {
			whole <- struct{}{}
		}
		return false
	}})
	server, err := petratest.NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	budgets, requests := petra.NewBudgets(0), NewRequests(log.NewNopLogger())
	cfg, err := config.Load("", config.Overrides{APIURL: server.URL, APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, Key: cfg.API.Key, Timeout: cfg.API.Timeout, Budgets: budgets, Observe: requests.Observe,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(ctx, Options{Logger: log.NewNopLogger(), Config: cfg, Client: client, Budgets: budgets, Requests: requests})
	if err != nil {
		t.Fatal(err)
	}
	c.background.started = now.Add(-startupDelay)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run()
	}()
	select {
	case <-whole:
	case <-time.After(20 * time.Second):
		t.Error("no full read")
	}
	cancel()
	<-ended
}

// TestReads: what makes a tenant known, a gap, and a since that moves back.
func TestReads(t *testing.T) {
	begun := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return begun.Add(time.Duration(minutes) * time.Minute) }
	answer := func(minute int) response {
		return response{start: at(minute), end: at(minute), answer: &petra.Incidents{Date: at(minute)}}
	}
	var r reads
	for _, step := range []struct {
		what      string
		do        func()
		readiness readiness
		history   [2]bool // of a truncated organization read, and of a full read
	}{
		{"nothing", func() {}, unread, [2]bool{true, true}},
		{"the newest incidents", func() { r.add(answer(1), &coverage{from: at(-60)}, false) }, partRead, [2]bool{false, true}},
		{"all", func() { r.add(answer(2), &coverage{all: true}, true) }, complete, [2]bool{false, false}},
		{"the newest again", func() { r.add(answer(3), &coverage{from: at(-30)}, false) }, complete, [2]bool{false, false}},
		{"newer ones only", func() { r.add(answer(60), &coverage{from: at(50)}, false) }, gap, [2]bool{false, false}},
		{"since moves back in the gap", func() { r.widen(at(-1000)) }, unread, [2]bool{true, true}},
		{"the newest within the new bound", func() { r.add(answer(61), &coverage{from: at(50)}, false) }, partRead, [2]bool{false, true}},
		{"since moves back again", func() { r.widen(at(-2000)) }, partRead, [2]bool{false, true}},
		{"all within it", func() { r.add(answer(62), &coverage{all: true}, true) }, complete, [2]bool{false, false}},
		{"since moves back", func() { r.widen(at(-3000)) }, unread, [2]bool{true, true}},
	} {
		step.do()
		if got := [2]bool{r.history(false), r.history(true)}; r.readiness != step.readiness || got != step.history {
			t.Errorf("%s: readiness %d, history %v; want %d, %v", step.what, r.readiness, got, step.readiness, step.history)
		}
	}
}
