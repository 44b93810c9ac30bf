package collector

import (
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// tenant is what is known of one tenant.
type tenant struct {
	// Tenant.ID is the Petra ID or, for a configured tenant whose Petra ID is not
	// known yet, its configured ID as config.TenantKey folds it.
	petra.Tenant
	configuredID string // as the configuration has it; empty where it does not name the tenant
	petraIDKnown bool   // the list or an incident has shown that ID is its Petra ID
	inList       bool   // in the last good lists, at most two in a row without it
	fromIncident bool   // known from an incident, while there was no good list
	listsMissing int    // good lists in a row without it
	warned       bool   // the log says that it is not in the organization

	incidents  map[string]*incident // by ID; all that were ever counted
	statuses   []*status            // that its incidents have had
	histograms histograms

	up      *bool  // whether the last request that included it succeeded; nil before the first
	refused bool   // its own full read was answered with 403 or 404
	err     string // the kind of failure of its own full read
	// lastBeforeRefusal is reads.last when it was refused.
	lastBeforeRefusal time.Time

	reads      reads
	unreadable int // elements of its last full read that could not be assigned
}

// reads are how far the answers of the API have made a tenant known. Times are
// starts of requests on our clock, with its monotonic reading: an answer is at
// least as new.
type reads struct {
	readiness   readiness
	last        time.Time // the last answer that contained its newest incidents
	lastOnAPI   time.Time // the same on the API's clock
	lastFull    time.Time
	lastAttempt time.Time // the last try at a full read
	knownFrom   time.Time // everything created after it is known; zero: everything
	truncated   bool      // the last full read was truncated
}

// readiness is how much of a tenant is known. All but the last are pending.
type readiness int

const (
	unread   readiness = iota // nothing; or nothing of what since has brought within reach
	partRead                  // the newest incidents, never all of them
	gap                       // all of them once, but some may have come and gone since
	complete                  // all of them
)

// history reports whether an answer that covers so much of the tenant is the
// first to do so: what it contains was there before.
func (r *reads) history(isFullRead bool) bool {
	return r.readiness == unread || isFullRead && r.readiness == partRead
}

// add takes over an answer that covers something.
func (r *reads) add(resp response, covered *coverage, isFullRead bool) {
	newer := resp.start.After(r.last)
	switch {
	case isFullRead:
		r.readiness, r.truncated, r.knownFrom = complete, covered.truncated, covered.from
		if resp.start.After(r.lastFull) {
			r.lastFull = resp.start
		}
		if resp.start.After(r.lastAttempt) {
			r.lastAttempt = resp.start
		}
	case r.last.IsZero():
		r.knownFrom = covered.from
	case newer && r.lastOnAPI.Before(covered.from):
		// Between the last answer and this one, incidents may have come and gone
		// out of reach: a full read is due.
		if r.readiness == complete {
			r.readiness = gap
		}
		r.knownFrom, r.lastAttempt = covered.from, time.Time{}
	case covered.from.Before(r.knownFrom):
		r.knownFrom = covered.from
	}
	if r.readiness == unread {
		r.readiness = partRead
	}
	if newer {
		r.last = resp.start
		r.lastOnAPI = resp.answer.Date.Add(resp.start.Sub(resp.end))
	}
}

// widen takes over that since, which was old, has moved back: nothing is known
// of what that brings within reach.
func (r *reads) widen(old time.Time) {
	if r.readiness >= gap {
		r.readiness, r.knownFrom, r.lastAttempt = unread, old, time.Time{}
	}
}

// stale reports whether what is known of the tenant is too old to be published.
// While its own reads are refused, organization reads do not keep it fresh: a
// truncated one does not reach its older incidents.
func (t *tenant) stale(now time.Time, most time.Duration) bool {
	basis := t.reads.last
	if t.refused {
		basis = t.reads.lastFull
		if t.lastBeforeRefusal.After(basis) {
			basis = t.lastBeforeRefusal
		}
	}
	return now.Sub(basis) > most
}

// markUp remembers how the last request that included the tenant ended.
func (t *tenant) markUp(up bool) {
	t.up = &up
}

// hasHad remembers a status of the tenant, which has a series from then on.
func (t *tenant) hasHad(st *status) {
	if !slices.Contains(t.statuses, st) {
		t.statuses = append(t.statuses, st)
	}
}

// upsert takes over what an answer says about one incident. The first answer of a
// tenant contains history.
func (t *tenant) upsert(seen sighting, at time.Time, history, keepUser bool) *incident {
	i := t.incidents[seen.ID]
	if i == nil {
		i = &incident{firstSeen: at}
		if history && !seen.CreatedAt.IsZero() {
			i.firstSeen = seen.CreatedAt
		}
		t.incidents[seen.ID] = i
	}
	i.update(seen, keepUser)
	t.hasHad(seen.status)
	t.count(i, !history)
	return i
}

// count observes what has become known about the incident and was not counted
// before. Where exemplar is set, the observations carry the incident's ID.
func (t *tenant) count(i *incident, exemplar bool) {
	occurred, created := i.OccurredAt, i.CreatedAt
	if !occurred.IsZero() && !created.IsZero() {
		t.observe(i, detection, created.Sub(occurred), exemplar)
	}
	if !i.remediated() || !i.HasDwell {
		return
	}
	t.observe(i, dwell, i.Dwell, exemplar)
	if at, ok := i.RemediatedAt(); ok && !created.IsZero() {
		t.observe(i, remediation, at.Sub(created), exemplar)
	}
}

// observe counts a duration once; a negative one (clocks differ) is zero.
func (t *tenant) observe(i *incident, kind interval, d time.Duration, exemplar bool) {
	o := &i.counted[kind]
	if o.done {
		return
	}
	*o = observation{done: true, live: i.Live, duration: max(0, d)}
	id := ""
	if exemplar {
		id = i.ID
	}
	t.histograms.of(kind, o.live).observe(o.duration, id)
}
