package collector_test

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var simulated = flag.String("sim", "short", "rows of the simulation to run: short, all, or names with a comma between")

var simulatedCSV = flag.String("sim-csv", "", "file for the freshness by number of tenants; it is measured only where one is named")

// rows are the simulations; docs/performance.md has their results.
func rows() map[string][]*row {
	small := row{
		name: "small", tenants: 5, incidents: 40, open: 3, scrape: 15 * time.Second, servers: 1, lasts: 24 * time.Hour, changes: 24 * time.Hour,
		every: 20 * time.Minute, late: 2 * time.Hour, onboard: 8 * time.Hour, roam: 8 * time.Hour, exposition: 10 * time.Minute, settles: true, aims: true,
	}
	msp := row{
		name: "msp", tenants: 1000, incidents: 3000, open: 20, oldOpen: 8, scrape: 15 * time.Second, servers: 1, lasts: 24 * time.Hour, changes: 24 * time.Hour,
		every: 4 * time.Minute, late: 10 * time.Minute, onboard: 2 * time.Hour, roam: time.Hour, exposition: 10 * time.Minute, settles: true, aims: true,
	}
	short := msp
	short.name, short.lasts, short.changes, short.settles = "msp-3h", 3*time.Hour, 3*time.Hour, false
	if testing.Short() { // the race detector takes ten times as long
		small.lasts, small.changes = 2*time.Hour, 2*time.Hour
		short.lasts, short.changes = 15*time.Minute, 15*time.Minute
	}
	two := msp
	two.name, two.servers = "msp-2-servers", 2
	large := row{
		name: "large", tenants: 10000, incidents: 40000, open: 299, oldOpen: 30, ancient: true, scrape: time.Minute, servers: 1, lasts: 120 * time.Hour, changes: 48 * time.Hour,
		every: 5 * time.Minute, late: 10 * time.Minute, onboard: 4 * time.Hour, roam: time.Hour, exposition: time.Hour, settles: true,
	}
	bad := msp
	bad.aims = false
	bad.name, bad.errors, bad.otherProgram, bad.restart = "bad-day", 0.05, 15*time.Second, 6*time.Hour
	bad.outage = [2]time.Duration{8*time.Hour + 3*time.Minute, 10*time.Hour + 3*time.Minute}
	badWithState := bad
	badWithState.name, badWithState.stateFile = "bad-day-state", true
	return map[string][]*row{
		"short": {&small, &short},
		"all":   {&small, &msp, &two, &large, &bad, &badWithState},
	}
}

// TestSimulation runs whole days of virtual time: the API's real limit, scrapes
// as Prometheus makes them, incidents that happen and change. docs/design.md
// names the promises that it holds. By default the small organization runs whole and
// the MSP with a thousand tenants for three hours; make sim runs everything.
func TestSimulation(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // memory is not what it is about
	selected := rows()[*simulated]
	for _, r := range append(rows()["all"], rows()["short"]...) {
		if slices.Contains(strings.Split(*simulated, ","), r.name) && !slices.ContainsFunc(selected, func(other *row) bool { return other.name == r.name }) {
			selected = append(selected, r)
		}
	}
	if *simulatedCSV != "" {
		selected = append(selected, sizes()...)
	}
	results := runRows(t, selected)
	if *simulated != "short" {
		fmt.Print(table(results))
	}
	if *simulatedCSV != "" {
		writeCSV(t, results, *simulatedCSV)
	}
}

// sizes are short runs with more and more tenants, ours and the baseline. Each
// is measured for 6 h after all tenants were read once.
func sizes() []*row {
	var rows []*row
	for _, n := range []int{10, 30, 100, 300, 1000, 3000, 10000} {
		r := row{
			tenants: n, incidents: 3 * n, open: max(2, n/50), oldOpen: n / 125, scrape: 15 * time.Second, servers: 1,
			every: 2 * time.Minute, exposition: time.Hour, size: true,
		}
		round := time.Duration(n) * time.Minute / 10
		ours, baseline := r, r
		ours.name, ours.warmUp = fmt.Sprintf("ours-%d", n), 2*round+10*time.Minute
		ours.changes = ours.warmUp + 6*time.Hour
		ours.lasts = ours.changes + time.Hour
		baseline.name, baseline.warmUp, baseline.baseline = fmt.Sprintf("baseline-%d", n), round+2*time.Minute, true
		baseline.changes = baseline.warmUp + 6*time.Hour
		baseline.lasts = baseline.changes + round + 10*time.Minute
		rows = append(rows, &ours, &baseline)
	}
	return rows
}

// writeCSV writes the freshness by number of tenants.
func writeCSV(t *testing.T, results []*result, file string) {
	var b strings.Builder
	b.WriteString("tenants,plan,new_p50_seconds,new_p99_seconds,remediated_p50_seconds,remediated_p99_seconds,new,remediated\n")
	for _, r := range results {
		if !r.row.size {
			continue
		}
		plan, _, _ := strings.Cut(r.row.name, "-")
		fresh, over := r.of(raised, "newest 500", "warm"), append(r.of(remediated, "newest 500", "warm"), r.of(remediated, "older", "warm")...)
		slices.Sort(over)
		if len(fresh) == 0 || len(over) == 0 {
			t.Errorf("nothing was measured of %s", r.row.name)
			continue
		}
		fmt.Fprintf(&b, "%d,%s,%.1f,%.1f,%.1f,%.1f,%d,%d\n", r.row.tenants, plan,
			percentile(fresh, 0.5).Seconds(), percentile(fresh, 0.99).Seconds(),
			percentile(over, 0.5).Seconds(), percentile(over, 0.99).Seconds(), len(fresh), len(over))
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runRows runs rows side by side.
func runRows(t *testing.T, rows []*row) []*result {
	results := make([]*result, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				begun := time.Now()
				synctest.Test(t, func(t *testing.T) { results[i] = simulate(t, r) })
				if results[i] != nil {
					results[i].took = time.Since(begun).Round(time.Second)
					t.Log(table(results[i : i+1]))
				}
			})
		}
	})
	return slices.DeleteFunc(results, func(r *result) bool { return r == nil })
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

// label is the value of a label in a sample's name.
func label(key, name string) string {
	_, rest, _ := strings.Cut(key, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
