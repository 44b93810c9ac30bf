package collector_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// moment is when a fault can strike.
type occasion struct {
	name  string
	yaml  string
	org   func(time.Time) *petratest.Organization
	match func(petratest.Request) bool
	// run lets the fault strike by calling its last argument, and checks what
	// must hold then. It returns the exporter, which is to recover.
	run func(*testing.T, *petratest.API, occasion, injection) *exporter
}

// strike makes the fault strike from now on.
type injection struct {
	kind petratest.FaultKind
	now  func()
}

const (
	plainYAML = "api: {timeout: 5s}\ntenants: [{id: Aaaaa1}]"
	orgYAML   = "api: {timeout: 5s}"
)

func isIncidents(r petratest.Request) bool { return r.Route == petratest.RouteIncidents }

func occasions() []occasion {
	return []occasion{
		{"first request", plainYAML, smallOrg, isIncidents, atFirst},
		{"later request", plainYAML, smallOrg, isIncidents, later},
		{"tenants", orgYAML, smallOrg, petratest.IsTenants, besides},
		{"organization", orgYAML, smallOrg, petratest.IsOrgRead, later},
		{"full read", orgYAML, bigOrg, petratest.IsFullRead, besides},
		{"reload", plainYAML, smallOrg, isIncidents, atReload},
		{"shutdown", plainYAML, smallOrg, isIncidents, atShutdown},
	}
}

// cannot says why a fault cannot strike at a moment; empty where it can.
func cannot(kind petratest.FaultKind, m occasion) string {
	if kind == petratest.IgnoredFilter && (m.name == "tenants" || m.name == "organization") {
		return "such a request has no filter that could be ignored"
	}
	return ""
}

// looksGood reports whether the answer cannot be told from a good one.
func looksGood(kind petratest.FaultKind, m occasion) bool {
	// With the filter ignored, a full read of bigOrg has other tenants' incidents only.
	return kind == petratest.IgnoredFilter && m.name != "full read" || kind == petratest.EmptyList && m.name != "tenants"
}

// TestFaultPairs holds for each fault of the simulated API at each moment: what
// is known stays, the log has the failure and not the key, and the exporter
// recovers by itself. A goroutine that were left would make the bubble fail.
func TestFaultPairs(t *testing.T) {
	good, impossible := 0, 0
	for _, m := range occasions() {
		for _, kind := range petratest.FaultKinds() {
			if reason := cannot(kind, m); reason != "" {
				t.Logf("%s at %s: %s", kind, m.name, reason)
				impossible++
				continue
			}
			if t.Run(m.name+"/"+string(kind), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { faultPair(t, kind, m) }) }) {
				good++
			}
		}
	}
	all := len(petratest.FaultKinds()) * len(occasions())
	t.Logf("%d faults at %d moments are %d pairs: %d good, %d cannot occur", len(petratest.FaultKinds()), len(occasions()), all, good, impossible)
}

func faultPair(t *testing.T, kind petratest.FaultKind, m occasion) {
	api := petratest.NewAPI(m.org(time.Now()), petratest.Options{Keys: []string{testKey}})
	fault := petratest.Fault{Kind: kind, Match: m.match}
	switch kind {
	case petratest.EmptyList:
		fault.Times = 1 // a second such answer is believed: see TestEmptyListTwice
	case petratest.Huge, petratest.GzipBomb:
		fault.Times = 2 // each takes its time
	}
	e := m.run(t, api, m, injection{kind, func() { api.SetFault(fault) }})
	if !slices.ContainsFunc(api.Requests(), func(r petratest.Request) bool { return r.Fault == kind }) {
		t.Error("the fault has not struck")
	}
	api.ClearFault()
	api.SetLatency(0)
	runScrapes(e, 2*time.Minute) // a 429 is waited out, and full reads have their turn
	s := e.scrape()
	s.want(t, "petra_up", 1)
	s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 1)
	wantKnown(t, s)
	wantLogged(t, e, kind, m)
	for _, leak := range []string{testKey, testKey[:8], testKey[8:]} {
		if strings.Contains(e.log.String(), leak) {
			t.Errorf("the log has the key:\n%s", e.log)
		}
	}
}

// wantLogged holds that the log has each failure once, and that it ended.
func wantLogged(t *testing.T, e *exporter, kind petratest.FaultKind, m occasion) {
	t.Helper()
	failed, tenants, again := e.log.lines("request failed"), e.log.lines("tenant cannot be read"), e.log.lines("requests succeed again")
	want := 1
	switch {
	case m.name == "shutdown": // of each route of the second process, which hangs
		want = 2
	case looksGood(kind, m):
		want = 0
	case m.name == "full read": // of each tenant, if its turn has come
		want = min(3, max(1, tenants))
	}
	if failed+tenants != want || e.log.lines("err=") != want || again > failed {
		t.Errorf("%d lines of failed requests, %d of tenants, want %d together; %d of success:\n%s", failed, tenants, want, again, e.log)
	}
	if failed > 0 && again == 0 {
		t.Errorf("the log does not say that requests succeed again:\n%s", e.log)
	}
}

// wantKnown holds that what is known of a tenant of smallOrg is told.
func wantKnown(t *testing.T, s samples) {
	t.Helper()
	s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
	s.want(t, `petra_open_incident_live{incident_id="open-Aaaaa1",tenant_id="Aaaaa1"}`, 0)
	s.want(t, `petra_incidents_raised_total{tenant_id="Aaaaa1"}`, 2)
}

// atFirst: nothing is known yet, and nothing is said, least of all that no
// incident is open.
func atFirst(t *testing.T, api *petratest.API, m occasion, f injection) *exporter {
	f.now()
	e := newExporter(t, api, m.yaml)
	e.scrape() // whose failure may be that of an ID that the list of tenants does not have
	time.Sleep(15 * time.Second)
	s := e.scrape()
	if looksGood(f.kind, m) {
		return e
	}
	s.want(t, "petra_up", 0)
	s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, 0)
	s.wantNone(t, "petra_open_incidents")
	s.wantNone(t, "petra_incidents_raised_total")
	return e
}

// later: the request that a scrape waits for fails, twice.
func later(t *testing.T, api *petratest.API, m occasion, f injection) *exporter {
	e := newExporter(t, api, m.yaml)
	wantKnown(t, e.scrape())
	f.now()
	for range 2 {
		time.Sleep(15 * time.Second)
		s := e.scrape()
		wantKnown(t, s)
		up := 0.0
		if looksGood(f.kind, m) {
			up = 1
		}
		s.want(t, "petra_up", up)
		s.want(t, `petra_tenant_up{tenant_id="Aaaaa1"}`, up)
		if n := e.log.lines("err="); n != 1-int(up) {
			t.Errorf("%d lines with an error in the log:\n%s", n, e.log)
		}
	}
	return e
}

// besides: a request fails that no scrape waits for.
func besides(t *testing.T, api *petratest.API, m occasion, f injection) *exporter {
	e := newExporter(t, api, m.yaml)
	runScrapes(e, 2*time.Minute)
	wantKnown(t, e.scrape())
	f.now()
	for range 5 {
		time.Sleep(15 * time.Second)
		wantKnown(t, e.scrape())
	}
	return e
}

// atReload: the configuration changes while the request is under way.
func atReload(t *testing.T, api *petratest.API, m occasion, f injection) *exporter {
	e := newExporter(t, api, m.yaml)
	wantKnown(t, e.scrape())
	f.now()
	api.SetLatency(2 * time.Second)
	time.Sleep(15 * time.Second)
	scraped := make(chan samples)
	go func() { scraped <- e.scrape() }()
	time.Sleep(time.Second)
	if err := e.configure(m.yaml + "\nmax_open_incidents: 7"); err != nil {
		t.Fatal(err)
	}
	wantKnown(t, <-scraped)
	return e
}

// atShutdown: the process is stopped while the request is under way, and starts
// again with what it knew.
func atShutdown(t *testing.T, api *petratest.API, m occasion, f injection) *exporter {
	file := filepath.Join(t.TempDir(), "state.json")
	e := newExporterWithState(t, api, m.yaml, file)
	wantKnown(t, e.scrape())
	f.now()
	api.SetLatency(2 * time.Second)
	time.Sleep(15 * time.Second)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wantKnown(t, e.scrape())
	}()
	time.Sleep(time.Second)
	stopped := time.Now()
	e.stop()
	<-ended
	if took := time.Since(stopped); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	api.SetLatency(0)
	api.SetFault(petratest.Fault{Kind: petratest.Hang})
	again := newExporterWithState(t, api, m.yaml, file)
	wantKnown(t, again.scrape())
	return again
}
