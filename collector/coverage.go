package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// response is one good answer to a request for incidents.
type response struct {
	of         string    // the tenant that was asked for, as the store has it; empty for an organization read
	since      time.Time // what was asked for
	start, end time.Time
	answer     *petra.Incidents
}

// coverage is what an answer covers: everything created after from or, where all
// is set, everything since the time asked for.
type coverage struct {
	of        string // as in response
	start     time.Time
	since     time.Time
	all       bool
	from      time.Time
	truncated bool // a truncated full read: the API does not give what is older
}

// coverage returns what the answer covers, of which foreign incidents belong to
// other tenants than the one asked for. A truncated answer covers what is newer
// than its oldest incident, and not what was created with it: others of that time
// may be beyond it. Without a usable time it covers nothing. An answer that
// was asked for before since moved back says nothing about what is older.
func (r *response) coverage(foreign int, since time.Time) coverage {
	c := coverage{of: r.of, start: r.start, since: r.since, all: true}
	if r.answer.Received > petra.MaxElements {
		c.all = false // the rest was not decoded
	} else if oldest := r.answer.Oldest(); r.answer.Truncated() && (oldest.IsZero() || !oldest.Before(r.since)) {
		c.all, c.from = false, oldest
		c.truncated = r.of != "" && foreign == 0 && !oldest.IsZero()
	} else if r.since.After(since) {
		c.all, c.from = false, r.since.Add(-time.Nanosecond)
	}
	return c
}

// nothing reports whether the answer covers nothing.
func (c *coverage) nothing() bool { return !c.all && c.from.IsZero() }

// covers reports whether an incident created then, which may be unknown, would
// be in the answer.
func (c *coverage) covers(created time.Time) bool {
	switch {
	case created.IsZero():
		return c.all
	case created.Before(c.since):
		return false
	case c.all:
		return true
	}
	return c.reaches(created)
}

// reaches reports whether a time lies after the oldest incident of a truncated
// answer.
func (c *coverage) reaches(t time.Time) bool {
	return !c.from.IsZero() && t.After(c.from)
}

// isFullRead reports whether the answer is a full read of a tenant that was
// onboarded then: it covers everything, or all that the API gives, or the tenant
// is newer than its oldest incident.
func (c *coverage) isFullRead(onboarded time.Time) bool {
	return c.all || c.truncated || c.reaches(onboarded)
}
