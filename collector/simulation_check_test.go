package collector_test

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	dto "github.com/prometheus/client_model/go"
)

// checks are the invariants of a simulation, and what they have to remember.
type checks struct {
	s         *simulation
	tenants   map[string]*tenantCheck
	counters  map[string][]float64 // by family, tenant and live
	open      map[*truth]bool      // with series of an open incident
	starts    []time.Time          // of processes that know nothing
	requested time.Time            // the last request that was looked at
	arrivals  map[string][]time.Time

	// Of the last scrape:
	states         map[string]int
	oldestFullRead time.Time
	missing        int
}

// tenantCheck is what a process, or several with a state file, has said of a
// tenant.
type tenantCheck struct {
	collector.KnownTenant
	seen          time.Time // the last scrape with it
	missing       int       // incidents that wait for a second answer without them
	firstFullRead time.Time
	first         float64 // value of its raised counter when that was first published
	happened      int     // of its incidents then
}

func newChecks(s *simulation) *checks {
	c := &checks{s: s, arrivals: map[string][]time.Time{}, open: map[*truth]bool{}}
	c.restarted(false)
	return c
}

// restarted forgets what a process without a state file forgets.
func (c *checks) restarted(keeps bool) {
	if keeps {
		return
	}
	c.starts = append(c.starts, time.Now())
	c.tenants, c.counters, c.open = map[string]*tenantCheck{}, map[string][]float64{}, map[*truth]bool{}
}

// violated counts a broken invariant; the first ones are told.
func (c *checks) violated(format string, args ...any) {
	if c.s.result.broken++; c.s.result.broken <= 20 {
		c.s.Errorf("after "+time.Since(c.s.begun).String()+": "+format, args...)
	}
}

// check looks at the store after a refresh.
func (c *checks) check() {
	now := time.Now()
	reach, all := c.s.e.collector.Reach()
	c.states, c.oldestFullRead, c.missing = map[string]int{}, now, 0
	open := make(map[*truth]bool, len(c.open))
	var tc *tenantCheck
	c.s.e.collector.Each(func(t collector.KnownTenant) {
		tc = c.tenant(t, now)
		c.states[t.State]++
		if t.Whole.Before(c.oldestFullRead) {
			c.oldestFullRead = t.Whole
		}
	}, func(known collector.KnownIncident) {
		tr := c.s.truths[known.ID]
		if tr == nil || tr.tenant != tc.ID {
			c.violated("%s is said to have %s, which is another's: %+v", tc.ID, known.ID, tr)
			return
		}
		from := tc.Whole
		if all || !reach.IsZero() && known.CreatedAt.After(reach) {
			from = tc.Covered
		}
		if !from.IsZero() && !tr.holds(known, from, now) {
			c.violated("%s of %s is %+v, but since %s the truth is %+v", known.ID, tc.ID, known, from, tr.facts)
		}
		if known.Missing && known.Present {
			c.missing++
			tc.missing++
		}
		if known.Listed && !tc.Stale {
			open[tr] = true
		}
	})
	for tr := range c.open {
		if !open[tr] && !c.mayEnd(tr, reach, all, now) {
			c.violated("the series of %s of %s ended, but it is open: %+v", tr.id, tr.tenant, tr.facts)
		}
	}
	c.open = open
}

// tenant compares what is known of a tenant with before.
func (c *checks) tenant(t collector.KnownTenant, now time.Time) *tenantCheck {
	tc := c.tenants[t.ID]
	if tc == nil {
		tc = &tenantCheck{first: -1}
		c.tenants[t.ID] = tc
	}
	if t.Raised < tc.Raised || t.Covered.Before(tc.Covered) || t.Whole.Before(tc.Whole) {
		c.violated("%s fell from %+v to %+v", t.ID, tc.KnownTenant, t)
	}
	if tc.firstFullRead.IsZero() {
		tc.firstFullRead = t.Whole
	}
	tc.KnownTenant, tc.seen, tc.missing = t, now, 0
	return tc
}

// holds reports whether what is known was true at some moment since from.
func (tr *truth) holds(known collector.KnownIncident, from, now time.Time) bool {
	first, last := max(0, tr.index(from)), tr.index(now)
	if last < 0 {
		return false
	}
	if !known.Present {
		return !tr.facts[last].listed
	}
	if first > 0 && !tr.facts[first].listed && known.Missing {
		first-- // withdrawn, of which a second answer has to tell
	}
	for i := last; i >= first; i-- {
		if f := &tr.facts[i]; f.listed && f.is(known) {
			return true
		}
	}
	return false
}

// mayEnd reports whether there is a reason for which the series of an open
// incident may end.
func (c *checks) mayEnd(tr *truth, reach time.Time, all bool, now time.Time) bool {
	tc := c.tenants[tr.tenant]
	if !c.s.memberIn(tr.tenant, now.Add(-time.Minute), now) || tc.seen.Equal(now) && tc.Stale {
		return true
	}
	from := tc.Whole
	if all || tr.created.After(reach) {
		from = tc.Covered
	}
	for i := max(0, tr.index(from)); i < len(tr.facts) && !tr.facts[i].at.After(now); i++ {
		if !tr.facts[i].open() {
			return true
		}
	}
	return false
}

// published is what an exposition has of a tenant.
type published struct {
	refreshed, full, raised, last, oldest float64
	counts, recent                        map[string]float64
	open                                  map[string]string // by incident
	detected, dwelt                       uint64            // observations
}

// expose looks at a full exposition.
func (c *checks) expose() {
	now := time.Now()
	families, err := c.s.e.registry.Gather()
	if err != nil {
		c.violated("%v", err)
	}
	all := map[string]*published{}
	for _, family := range families {
		for _, m := range family.Metric {
			c.sample(all, family, m, now)
		}
	}
	for id, p := range all {
		if tc := c.tenants[id]; tc != nil && p.raised >= 0 {
			quiet := c.quiet(id, tc, now)
			c.count(id, tc, p, quiet, now)
			if quiet {
				c.equal(id, p, now)
			}
		}
	}
	c.limit()
}

// sample takes over a sample, and compares a counter with before.
func (c *checks) sample(all map[string]*published, family *dto.MetricFamily, m *dto.Metric, now time.Time) {
	name := family.GetName()
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	id, ofTenant := labels["tenant_id"]
	if ofTenant {
		c.s.sampleOf(c, all, name, id, labels, m, now)
	}
	var values []float64
	switch {
	case !strings.HasPrefix(name, "petra_incident"):
		return
	case m.Counter != nil:
		values = []float64{m.Counter.GetValue()}
	case m.Histogram != nil:
		values = append(values, float64(m.Histogram.GetSampleCount()), m.Histogram.GetSampleSum())
		for _, b := range m.Histogram.Bucket[:12] { // after them may come one to +Inf
			values = append(values, float64(b.GetCumulativeCount()))
		}
	default:
		return
	}
	key := name + " " + id + " " + labels["live"] + labels["reason"]
	for i, before := range c.counters[key] {
		if values[i] < before {
			c.violated("%s fell from %v to %v", key, c.counters[key], values)
			break
		}
	}
	c.counters[key] = values
}

func (s *script) sampleOf(c *checks, all map[string]*published, name, id string, labels map[string]string, m *dto.Metric, now time.Time) {
	p := all[id]
	if p == nil {
		p = &published{raised: -1, counts: map[string]float64{}, recent: map[string]float64{}, open: map[string]string{}}
		all[id] = p
		// Three lists without it, one a minute; in an outage none come.
		if !s.memberIn(id, now.Add(-10*time.Minute), now) && now.Sub(s.down.to) > 10*time.Minute {
			c.violated("%s has series, and is not in the list", id)
		}
	}
	if incident, ok := labels["incident_id"]; ok && (s.truths[incident] == nil || s.truths[incident].tenant != id) {
		c.violated("%s has a series of %s, which is another's", id, incident)
	}
	value := m.GetGauge().GetValue()
	switch name {
	case "petra_tenant_last_refresh_timestamp_seconds":
		p.refreshed = value
	case "petra_tenant_last_full_read_timestamp_seconds":
		p.full = value
	case "petra_incidents_raised_total":
		p.raised = m.GetCounter().GetValue()
	case "petra_incident_detection_time_seconds":
		p.detected += m.GetHistogram().GetSampleCount()
	case "petra_incident_dwell_time_seconds":
		p.dwelt += m.GetHistogram().GetSampleCount()
	case "petra_last_incident_created_timestamp_seconds":
		p.last = value
	case "petra_oldest_open_incident_created_timestamp_seconds":
		p.oldest = value
	case "petra_incidents", "petra_open_incidents":
		if value > 0 {
			p.counts[name+labels["remediation_status"]+labels["live"]] = value
		}
	case "petra_open_incident_info":
		p.open[labels["incident_id"]] = labels["remediation_status"]
	case "petra_open_incident_live", "petra_open_incident_created_timestamp_seconds", "petra_open_incident_occurred_timestamp_seconds",
		"petra_recent_incident_created_timestamp_seconds", "petra_recent_incident_occurred_timestamp_seconds", "petra_recent_incident_dwell_time_seconds":
		p.recent[name+labels["incident_id"]+labels["live"]] = value
	}
}

// count compares the counters with what happened: none missed, none twice, no
// burst. What was withdrawn before the tenant was first read in full may be in
// them or not.
func (c *checks) count(id string, tc *tenantCheck, p *published, quiet bool, now time.Time) {
	least, most, leastDwelt, mostDwelt := 0, 0, uint64(0), uint64(0)
	for _, tr := range c.s.byTenant[id] {
		if tr.created.After(now) {
			break
		}
		most++
		if seconds(tr.created) <= p.refreshed && !tc.unseen(tr) {
			least++
		}
		if tr.over(now) {
			mostDwelt++
			if quiet && tr.listed(now) {
				leastDwelt++
			}
		}
	}
	if float64(p.detected) != p.raised || p.dwelt < leastDwelt || p.dwelt > mostDwelt {
		c.violated("%s has %d detection times of %v incidents, and %d dwell times, the truth is %d to %d", id, p.detected, p.raised, p.dwelt, leastDwelt, mostDwelt)
	}
	if p.raised < float64(least) || p.raised > float64(most) {
		c.violated("%s has raised %v incidents, the truth is %d to %d", id, p.raised, least, most)
	}
	if tc.first < 0 {
		tc.first, tc.happened = p.raised, least
	}
}

// unseen reports whether the incident was withdrawn before its tenant was first
// read in full.
func (tc *tenantCheck) unseen(tr *truth) bool {
	last := tr.facts[len(tr.facts)-1]
	return !last.listed && !last.at.After(tc.firstFullRead.Add(time.Second))
}

// quiet reports whether a full read has seen all that happened to the tenant,
// and nothing waits for a second answer that lacks it.
func (c *checks) quiet(id string, tc *tenantCheck, now time.Time) bool {
	for _, tr := range c.s.byTenant[id] {
		if i := tr.index(now); i >= 0 && tr.facts[i].at.After(tc.Whole) {
			return false
		}
	}
	return tc.missing == 0
}

// equal compares what is published of a tenant with the API's truth.
func (c *checks) equal(id string, p *published, now time.Time) {
	want := published{counts: map[string]float64{}, recent: map[string]float64{}, open: map[string]string{}}
	for _, tr := range c.s.byTenant[id] {
		i := tr.index(now)
		if i < 0 || !tr.facts[i].listed {
			continue
		}
		f, live := &tr.facts[i], fmt.Sprint(tr.facts[i].live)
		created, occurred := seconds(tr.created), seconds(tr.occurred)
		want.counts["petra_incidents"+f.status+live]++
		want.last = max(want.last, created)
		if f.open() {
			want.counts["petra_open_incidents"+live]++
			want.open[tr.id] = f.status
			want.recent["petra_open_incident_live"+tr.id] = map[bool]float64{true: 1}[f.live]
			want.recent["petra_open_incident_created_timestamp_seconds"+tr.id] = created
			want.recent["petra_open_incident_occurred_timestamp_seconds"+tr.id] = occurred
			if want.oldest == 0 || created < want.oldest {
				want.oldest = created
			}
		}
		window := now.Add(-30 * 24 * time.Hour)
		lately := f.status == "REMEDIATED" && f.hasDwell && !tr.occurred.Add(f.dwell).Before(window)
		if !tr.created.Before(window) || lately {
			want.recent["petra_recent_incident_created_timestamp_seconds"+tr.id+live] = created
			want.recent["petra_recent_incident_occurred_timestamp_seconds"+tr.id+live] = occurred
			if lately {
				want.recent["petra_recent_incident_dwell_time_seconds"+tr.id+live] = f.dwell.Seconds()
			}
		}
	}
	if p.last != want.last || p.oldest != want.oldest || !maps.Equal(p.counts, want.counts) || !maps.Equal(p.open, want.open) || !maps.Equal(p.recent, want.recent) {
		c.violated("%s is\n%+v, the truth is\n%+v", id, *p, want)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// limit looks at the requests since the last time: never more than 10 of the
// exporter's in any 60 s, and no 429 that it provoked. A process that knows
// nothing of what was spent before has a minute.
func (c *checks) limit() {
	requests := c.s.api.Requests()
	for len(requests) > 0 && !requests[0].Time.After(c.requested) {
		requests = requests[1:]
	}
	started := c.starts[len(c.starts)-1]
	for _, r := range requests {
		c.requested = r.Time
		recent := c.arrivals[r.Route]
		for len(recent) > 0 && r.Time.Sub(recent[0]) >= time.Minute {
			recent = recent[1:]
		}
		recent = append(recent, r.Time)
		c.arrivals[r.Route] = recent
		refused := r.Status == 429 && r.Fault == ""
		if refused {
			c.s.result.refused++
		}
		excused := started.After(c.s.begun) && timeSpan{started, started.Add(time.Minute + time.Second)}.has(r.Time)
		if excused {
			continue
		}
		if r.Route == petratest.RouteIncidents {
			c.s.result.requests = max(c.s.result.requests, len(recent))
		}
		if len(recent) > 10 {
			c.violated("%d requests of %s in the 60 s before %s", len(recent), r.Route, r.Time)
		}
		if refused && c.s.otherProgram == 0 {
			c.violated("429 at %s for %s", r.Time, r.Route)
		}
	}
}

// final compares the end with the truth. What happened in all is what the
// counters have grown by.
func (c *checks) final() {
	now := time.Now()
	c.expose()
	var increase float64
	happened, quiet := 0, 0
	for _, t := range c.s.org.Tenants() {
		tc := c.tenants[t.ID]
		if tc == nil {
			c.violated("%s is not known at the end", t.ID)
			continue
		}
		if c.quiet(t.ID, tc, now) {
			quiet++
		} else if c.s.settles {
			c.violated("%s was not read in full at the end: %+v", t.ID, tc)
		}
		if tc.first < 0 {
			continue
		}
		grown, truly := c.counters["petra_incidents_raised_total "+t.ID+" "][0]-tc.first, -tc.happened
		for _, tr := range c.s.byTenant[t.ID] {
			if !tr.created.After(now) && !tc.unseen(tr) {
				truly++
			}
		}
		if c.s.settles && grown != float64(truly) {
			c.violated("the counter of %s has grown by %v, by %d in truth", t.ID, grown, truly)
		}
		increase, happened = increase+grown, happened+truly
	}
	c.s.result.increase = fmt.Sprintf("%v of %d", increase, happened)
	if !c.s.settles {
		c.s.Logf("%d of %d tenants were compared with the truth at the end: %v", quiet, len(c.tenants), c.states)
	}
}
