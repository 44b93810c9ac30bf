package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

const (
	// withdrawnAfter is how far apart two answers without an incident must be
	// before it counts as withdrawn: one wrong empty answer must not resolve every
	// page.
	withdrawnAfter = 30 * time.Second
	// unreachableFor is how long an open incident is published as last known when
	// it is older than what the API still gives.
	unreachableFor = 30 * 24 * time.Hour
)

// incident is what is known of one incident.
type incident struct {
	petra.Incident // without Tenant
	status         *status
	url            string    // empty unless a browser can open it
	firstSeen      time.Time // when this exporter first knew it
	present        bool      // the API lists it, as far as is known
	missing        time.Time // the first in a row of covering answers without it
	unreachable    time.Time // since when it is open, but older than a truncated full read
	listed         bool      // has series of its own, as an open incident
	// doubts is how many elements could not be assigned in the last organization
	// read and in the last full read that contained the incident: an answer with
	// more of them is no evidence that it is gone.
	doubts [2]int
	// counted is what the histograms contain of it: an incident is counted once,
	// whatever the API says later.
	counted [intervals]observation
}

// sighting is an incident in an answer, fit to be published: with an ID that can
// be a label value, and its status looked up.
type sighting struct {
	petra.Incident
	status *status
}

// observation is what was observed in a histogram.
type observation struct {
	done, live bool
	duration   time.Duration
}

// created is the creation of the incident or, where the API gives no usable
// time, when this exporter first knew it.
func (i *incident) created() time.Time {
	if i.CreatedAt.IsZero() {
		return i.firstSeen
	}
	return i.CreatedAt
}

func (i *incident) open() bool {
	return i.present && config.IsOpen(i.status.meaning)
}

func (i *incident) remediated() bool {
	return i.status.meaning == config.Remediated
}

// recent reports whether the incident was raised in the window that begins at
// from, or remediated in it.
func (i *incident) recent(from, now time.Time) (raised, remediated bool) {
	in := func(t time.Time) bool { return !t.Before(from) && !t.After(now.Add(time.Hour)) }
	// Without a usable time, only one that is not over is taken for a new one.
	raised = in(i.created()) && (!i.CreatedAt.IsZero() || !i.remediated())
	if i.remediated() && i.HasDwell {
		at, ok := i.RemediatedAt()
		remediated = in(at) || raised && (!ok || at.After(now))
	}
	return raised, remediated
}

// update takes over what the API says now. A time that has become unusable is
// still known.
func (i *incident) update(seen sighting, keepUser bool) {
	seen.Tenant = petra.Tenant{}
	if seen.CreatedAt.IsZero() {
		seen.CreatedAt = i.CreatedAt
	}
	if seen.OccurredAt.IsZero() {
		seen.OccurredAt = i.OccurredAt
	}
	if !keepUser {
		seen.UserPrincipalName = ""
	}
	i.Incident, i.status, i.url = seen.Incident, seen.status, pageURL(seen.URL)
	i.present = true
	i.missing, i.unreachable = time.Time{}, time.Time{}
}

// markMissing takes over that an answer does not contain the incident.
func (i *incident) markMissing(at time.Time, covered *coverage) {
	switch {
	case covered.covers(i.CreatedAt):
		if i.missing.IsZero() {
			i.missing = at
		} else if at.Sub(i.missing) >= withdrawnAfter {
			i.present = false
		}
	case !covered.truncated:
		// The answer says nothing about it.
	case !i.open():
		i.present = false
	case i.unreachable.IsZero():
		i.unreachable = at
	case at.Sub(i.unreachable) > unreachableFor:
		i.present = false
	}
}
