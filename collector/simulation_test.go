package collector_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestSimulation runs the MSP with a thousand tenants for three hours of
// virtual time: the API's real limit, a scrape each 15 s, incidents that happen
// and change. docs/design.md names the promises that it holds.
func TestSimulation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lasts = 3 * time.Hour
		begun := time.Now()
		world := petratest.Random(1, petratest.RandomConfig{
			Start: begun, Tenants: 1000, Incidents: 3000, History: 2 * 365 * 24 * time.Hour,
			Open: 20, OldOpen: 8, Every: 2 * time.Minute, FalsePositives: 0.05,
		})
		api := petratest.NewAPI(world, petratest.Options{Keys: []string{testKey}, Latency: 200 * time.Millisecond})
		e := newExporter(t, api, "")
		counted := samples{}
		for at := 15 * time.Second; at <= lasts; at += 15 * time.Second {
			sleepUntil(begun.Add(at))
			e.collector.Refresh()
			if at%(30*time.Minute) == 0 {
				s := e.scrape()
				counted = neverFalls(t, counted, s)
				showsTruth(t, s, world)
			}
		}
		s := e.scrape()
		t.Logf("after %s: %v", lasts, s.named("petra_tenants"))
		e.stop()
		withinLimit(t, api.Requests())
		headsEvery(t, api.Requests(), 30*time.Second)
		if complete, _ := s.value(`petra_tenants{state="complete"}`); complete < 900 {
			t.Errorf("%v tenants complete after %s, want at least 900", complete, lasts)
		}
	})
}

// withinLimit fails the test if the API saw more than 10 requests of a route in
// any 60 s, or refused one.
func withinLimit(t *testing.T, requests []petratest.Request) {
	t.Helper()
	arrivals := map[string][]time.Time{}
	for _, r := range requests {
		if r.Status == 429 {
			t.Errorf("429 at %s for %s", r.Time, r.Route)
		}
		arrived := append(arrivals[r.Route], r.Time)
		arrivals[r.Route] = arrived
		if n := len(arrived); n > 10 && r.Time.Sub(arrived[n-11]) <= time.Minute {
			t.Errorf("11 requests of %s in the 60 s before %s", r.Route, r.Time)
		}
	}
}

// headsEvery fails the test if two heads lie further apart.
func headsEvery(t *testing.T, requests []petratest.Request, most time.Duration) {
	t.Helper()
	var last time.Time
	for _, r := range requests {
		if !petratest.IsHead(r) {
			continue
		}
		if !last.IsZero() && r.Time.Sub(last) > most {
			t.Errorf("%s between the heads at %s and %s", r.Time.Sub(last), last, r.Time)
		}
		last = r.Time
	}
	if last.IsZero() {
		t.Error("there was no head")
	}
}

// neverFalls fails the test if a counter or a bucket of incidents fell or went,
// and returns the counters for the next time.
func neverFalls(t *testing.T, before, now samples) samples {
	t.Helper()
	counted := samples{}
	for key, value := range now {
		name, _, _ := strings.Cut(key, "{")
		if strings.HasPrefix(name, "petra_incident") && (strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_count")) {
			counted[key] = value
		}
	}
	for key, value := range before {
		if again, ok := counted[key]; !ok || again < value {
			t.Errorf("%s fell from %v to %v (there: %t)", key, value, again, ok)
		}
	}
	return counted
}

// showsTruth fails the test unless the open incidents that are published are
// those of the API: of the newest 500 exactly those of the last 45 s, and
// of older ones, where their tenant was read whole, those of the last 20 min
// (twice a turn among such tenants while the rest is read for the first time).
func showsTruth(t *testing.T, s samples, world *petratest.World) {
	t.Helper()
	now := time.Now()
	truth := openIDs(world, now)
	published := map[string]bool{}
	for key := range s.named("petra_open_incident_info") {
		published[label(key, "incident_id")] = true
	}
	newest := map[string]bool{}
	for _, view := range world.Incidents(now)[:500] {
		newest[view.ID] = true
	}
	changedSince := func(id string, age time.Duration) bool {
		return truth[id] != openIDs(world, now.Add(-age))[id]
	}
	complete := map[string]bool{}
	for key := range s.named("petra_open_incidents") {
		complete[label(key, "tenant_id")] = true
	}
	for _, view := range world.Incidents(now) {
		delay := 45 * time.Second
		if !newest[view.ID] {
			delay = 20 * time.Minute
		}
		known := newest[view.ID] || complete[view.TenantID]
		if known && published[view.ID] != truth[view.ID] && !changedSince(view.ID, delay) {
			t.Errorf("at %s incident %s of %s: open is %t, published %t", now, view.ID, view.TenantID, truth[view.ID], published[view.ID])
		}
	}
}

// openIDs are the incidents that the API says are neither remediated nor
// withdrawn. A false positive is in none of the lists, and open.
func openIDs(world *petratest.World, at time.Time) map[string]bool {
	open := map[string]bool{}
	for _, view := range world.Incidents(at) {
		open[view.ID] = view.Status != "REMEDIATED"
	}
	return open
}

// label is the value of a label in a sample's name.
func label(key, name string) string {
	_, rest, _ := strings.Cut(key, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
