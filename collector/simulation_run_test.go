package collector_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// row is one simulation.
type row struct {
	name                              string
	tenants, incidents, open, oldOpen int
	ancient                           bool // one more is open, two years old
	scrape                            time.Duration
	servers                           int           // Prometheus servers, evenly out of step
	lasts                             time.Duration // then, until everything was read once more
	settles                           bool          // the end is compared with the truth, tenant by tenant
	aims                              bool          // the figures of docs/performance.md are to be reached
	changes                           time.Duration // how long incidents happen and change
	every, late, onboard, roam        time.Duration // mean times between
	exposition                        time.Duration // between two full ones

	errors       float64
	otherProgram time.Duration // between two of its requests
	outage       [2]time.Duration
	restart      time.Duration // between two
	stateFile    bool
	baseline     bool          // one request per tenant in turn, without the checks
	size         bool          // one of the runs by number of tenants
	warmUp       time.Duration // of a size, before changes count
}

const latency = 200 * time.Millisecond

// subject is what is simulated: our exporter, or the baseline.
type subject interface {
	ask()
	known(tenant, id string) (collector.KnownIncident, bool)
}

// ourSubject scrapes as Prometheus does, with a timeout of 10 s.
type ourSubject struct{ *exporter }

func (o ourSubject) known(tenant, id string) (collector.KnownIncident, bool) {
	return o.collector.Known(tenant, id)
}

func (o ourSubject) ask() { o.collector.Await(9500 * time.Millisecond) }

// waiting is a change that not every server's scrapes have shown.
type waiting struct {
	change
	class string
	by    []bool
}

// simulation is a row that runs.
type simulation struct {
	*testing.T
	*row
	*script
	*checks
	begun   time.Time
	api     *petratest.API
	subject subject
	e       *exporter // nil in a baseline
	file    string

	started  time.Time      // of the process
	scraped  bool           // it was, once
	complete bool           // since it started, everything was once
	before   map[string]int // the tenants by state when the one before ended
	coldFor  time.Duration
	nextEv   int
	nextCh   int
	waiting  []*waiting
	result   *result
}

// result is what is measured of a row.
type result struct {
	row        *row
	rates      string
	freshness  map[string][]time.Duration
	cold, warm []string // time to complete after each start
	restored   string
	increase   string
	requests   int // most in any 60 s
	refused    int // 429s
	broken     int // violations of invariants
	took       time.Duration
}

// simulate runs a row, in a bubble.
func simulate(t *testing.T, r *row) *result {
	s := &simulation{T: t, row: r, begun: time.Now(), result: &result{row: r, freshness: map[string][]time.Duration{}}}
	s.script = newScript(r, s.begun)
	s.result.rates = s.rates
	s.api = petratest.NewAPI(s.org, petratest.Options{Keys: []string{testKey}, Latency: latency})
	s.checks = newChecks(s)
	s.schedule()
	if r.stateFile {
		s.file = filepath.Join(t.TempDir(), "state.json")
	}
	s.start()
	s.until(s.begun.Add(r.lasts))
	if r.settles {
		s.settle()
	}
	if s.e != nil {
		s.final()
		s.e.stop()
	}
	if s.aims {
		s.reached()
	}
	return s.result
}

// reached fails the test where a row misses its figures.
func (s *simulation) reached() {
	most := func(what string, sorted []time.Duration, want time.Duration) {
		if len(sorted) > 0 && percentile(sorted, 0.99) > want {
			s.Errorf("%s: p99 / max is %s of %d, want at most %s", what, summary(sorted), len(sorted), want)
		}
	}
	atOnce := time.Duration(s.servers) * (s.scrape + latency + time.Second/2)
	most("new", s.result.of(raised, "newest 500", "warm"), atOnce)
	most("remediated", s.result.of(remediated, "newest 500", "warm"), atOnce)
	most("remediated, older", s.result.of(remediated, "older", "warm"), 5*time.Minute)
	most("new, before all was read", s.result.of(raised, "newest 500", "cold"), 2*atOnce)
	const aim = 200 * time.Minute
	if s.lasts > aim && (len(s.result.cold) != 1 || s.coldFor > aim) {
		s.Errorf("complete after %v, want at most %s", s.result.cold, aim)
	}
	if s.lasts >= 3*time.Hour && s.states["complete"] < s.row.tenants*9/10 {
		s.Errorf("after %s tenants are %v", s.lasts, s.states)
	}
}

const simConfig = "closed_statuses: [FALSE_POSITIVE]"

func (s *simulation) start() {
	s.started, s.complete, s.scraped = time.Now(), false, false
	if s.baseline {
		s.subject = newBaseline(s.T, s.api)
		return
	}
	s.e = newExporterWithState(s.T, s.api, simConfig, s.file)
	s.subject = ourSubject{s.e}
}

// schedule adds to the script what the row has of faults.
func (s *simulation) schedule() {
	end := s.begun.Add(s.changes)
	if s.errors > 0 {
		s.api.SetFault(s.faults()...)
		s.at(end, s.api.ClearFault)
	}
	if s.outage[1] > 0 {
		s.at(s.begun.Add(s.outage[0]), func() { s.api.SetFault(petratest.Fault{Kind: petratest.Reset}) })
		s.at(s.begun.Add((s.outage[0]+s.outage[1])/2), func() { s.api.SetFault(petratest.Fault{Kind: petratest.Hang}) })
		s.at(s.begun.Add(s.outage[1]), func() { s.api.SetFault(s.faults()...) })
	}
	for at := s.begun.Add(7 * time.Second); s.otherProgram > 0 && at.Before(end); at = at.Add(s.otherProgram) {
		s.at(at, func() { s.api.Spend(petratest.RouteIncidents, 1) })
	}
	for at := s.begun.Add(s.restart); s.restart > 0 && at.Before(end); at = at.Add(s.restart) {
		s.at(at, func() {
			s.expose()
			s.e.stop()
			s.before = s.states
			s.restarted(s.file != "")
			s.start()
		})
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return a.at.Compare(b.at) })
}

// faults let a share of the requests fail, each in one of several ways.
func (s *simulation) faults() []petratest.Fault {
	kinds := []petratest.FaultKind{petratest.Status500, petratest.Status503, petratest.Cut, petratest.HTML, petratest.BadJSON, petratest.Reset}
	random := rand.New(rand.NewPCG(5, uint64(time.Now().UnixNano())))
	chosen := -1
	var faults []petratest.Fault
	for i, kind := range kinds {
		faults = append(faults, petratest.Fault{Kind: kind, Match: func(petratest.Request) bool {
			if i == 0 {
				chosen = -1
				if random.Float64() < s.errors {
					chosen = random.IntN(len(kinds))
				}
			}
			return i == chosen
		}})
	}
	return faults
}

// until scrapes, and lets happen what the script has, until a time.
func (s *simulation) until(end time.Time) {
	first := time.Now().Truncate(s.scrape).Add(s.scrape)
	for at := first; !at.After(end); at = at.Add(s.scrape) {
		for server := range s.servers {
			s.happen(at.Add(time.Duration(server) * s.scrape / time.Duration(s.servers)))
			s.subject.ask()
			if s.e != nil {
				s.check()
				s.completed()
			}
			s.observe(server)
		}
		if s.e != nil && at.Sub(s.begun)%s.exposition < s.scrape {
			s.expose()
		}
		if at.Sub(s.begun)%(6*time.Hour) < s.scrape {
			s.Logf("after %s: %v, %d invariants broken", at.Sub(s.begun), s.states, s.result.broken)
		}
	}
}

// happen lets time pass.
func (s *simulation) happen(until time.Time) {
	for ; s.nextEv < len(s.events) && !s.events[s.nextEv].at.After(until); s.nextEv++ {
		sleepUntil(s.events[s.nextEv].at)
		s.events[s.nextEv].do()
	}
	sleepUntil(until)
}

// completed notes when a process has read everything. One with a state file
// knows at its first scrape all that the one before knew.
func (s *simulation) completed() {
	warm := s.file != "" && !s.started.Equal(s.begun)
	if warm && !s.scraped {
		s.result.warm = append(s.result.warm, fmt.Sprintf("%d of %d", s.states["complete"], s.before["complete"]))
		if s.states["complete"] < s.before["complete"] {
			s.violated("tenants are %v after a warm start, and were %v before", s.states, s.before)
		}
	}
	s.scraped = true
	if s.complete || s.states["pending"]+s.states["stale"] > 0 {
		return
	}
	s.complete = true
	if !warm || len(s.result.cold) == 0 {
		after := s.started
		if warm {
			after = s.begun
		}
		s.coldFor = time.Since(after).Round(time.Second)
		s.result.cold = append(s.result.cold, s.coldFor.String())
	}
}

// observe measures how long changes have taken to be shown by a server's scrape.
func (s *simulation) observe(server int) {
	now := time.Now()
	for ; s.nextCh < len(s.all) && !s.all[s.nextCh].fact().at.After(now); s.nextCh++ {
		c := s.all[s.nextCh]
		at := c.fact().at
		phase := "warm"
		switch {
		case s.down.has(at):
			phase = "outage"
		case !s.complete && !s.baseline || at.Before(s.begun.Add(s.warmUp)):
			phase = "cold"
		}
		where := "newest 500"
		if !c.created.After(s.reach(at)) {
			where = "older"
		}
		s.waiting = append(s.waiting, &waiting{c, c.fact().kind + ", " + where + ", " + phase, make([]bool, s.servers)})
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(w *waiting) bool {
		if w.by[server] || !w.fact().at.Before(now) || !s.shows(w.change, now) {
			return false
		}
		w.by[server] = true
		s.result.freshness[w.class] = append(s.result.freshness[w.class], now.Sub(w.fact().at))
		return !slices.Contains(w.by, false)
	})
}

// shows reports whether what is known has the change, or a later one.
func (s *simulation) shows(c change, now time.Time) bool {
	known, ok := s.subject.known(c.tenant, c.id)
	for i := c.index; i < len(c.facts) && !c.facts[i].at.After(now); i++ {
		if f := &c.facts[i]; !f.listed && (!ok || !known.Present) || f.listed && ok && f.is(known) {
			return true
		}
	}
	return false
}

// is reports whether that is what is known.
func (f *fact) is(k collector.KnownIncident) bool {
	return k.Present && k.Status == f.status && k.Live == f.live && k.HasDwell == f.hasDwell && (!f.hasDwell || k.Dwell == f.dwell)
}

// settle goes on, without changes, until every tenant was read in full again and
// nothing waits for a second answer.
func (s *simulation) settle() {
	changed := s.begun.Add(s.changes)
	for limit := time.Now().Add(4 * 24 * time.Hour); time.Now().Before(limit); {
		s.until(time.Now().Add(10 * time.Minute))
		if !s.oldestFullRead.Before(changed) && s.missing == 0 && s.states["pending"]+s.states["stale"] == 0 {
			s.result.restored = time.Since(changed).Round(time.Minute).String()
			return
		}
	}
	s.violated("no full round of full reads in 4 days")
}

// percentile is of sorted times.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// of are the times of one kind of change, sorted.
func (r *result) of(kind, where string, phases ...string) []time.Duration {
	var all []time.Duration
	for _, phase := range phases {
		all = append(all, r.freshness[kind+", "+where+", "+phase]...)
	}
	slices.Sort(all)
	return all
}

// summary is p50 / p99 / max (number).
func summary(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "-"
	}
	var text []string
	for _, p := range []float64{0.5, 0.99, 1} {
		d := percentile(sorted, p)
		if d < 2*time.Minute {
			text = append(text, fmt.Sprintf("%.1f s", d.Seconds()))
		} else {
			text = append(text, fmt.Sprintf("%.1f min", d.Minutes()))
		}
	}
	return fmt.Sprintf("%s (%d)", strings.Join(text, " / "), len(sorted))
}

// table shows the results, as Markdown.
func table(results []*result) string {
	var b strings.Builder
	b.WriteString("\n| world | what happened | complete after a cold start | complete at the first scrape after a warm start, of those before | all read again | incidents raised, by the counters | most requests in 60 s | 429s | broken invariants | took |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d | %d | %d | %s |\n", r.row.name, r.rates,
			strings.Join(r.cold, ", "), strings.Join(r.warm, ", "), r.restored, r.increase, r.requests, r.refused, r.broken, r.took)
	}
	b.WriteString("\nFreshness, p50 / p99 / max (number):\n\n| world | when | new | remediated, newest 500 | remediated, older | withdrawn, newest 500 | withdrawn, older | live flag or dwell, newest 500 | live flag or dwell, older |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		for _, phase := range []struct{ name, phase string }{{"once complete", "warm"}, {"before", "cold"}, {"in the outage", "outage"}} {
			cells := []string{summary(r.of(raised, "newest 500", phase.phase))}
			for _, kind := range []string{remediated, withdrawn, corrected} {
				cells = append(cells, summary(r.of(kind, "newest 500", phase.phase)), summary(r.of(kind, "older", phase.phase)))
			}
			if slices.ContainsFunc(cells, func(cell string) bool { return cell != "-" }) {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", r.row.name, phase.name, strings.Join(cells, " | "))
			}
		}
	}
	return b.String()
}
