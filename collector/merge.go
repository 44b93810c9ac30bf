package collector

import (
	"fmt"
	"time"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

const (
	// withdrawnAfter is the least time between two answers that are both missing
	// an incident before it counts as withdrawn: one wrong empty answer must not
	// close every page.
	withdrawnAfter = 30 * time.Second
	// unreachableFor is how long an open incident is published as last known
	// after it became older than what the API still returns.
	unreachableFor = 30 * 24 * time.Hour
)

// response is one good answer to a request for incidents.
type response struct {
	of         string    // the requested tenant, under its ID in the store; empty for an organization read
	since      time.Time // what was asked for
	start, end time.Time
	answer     *petra.Incidents
}

// coverage is what an answer covers: everything created after from, or everything
// since the requested time.
type coverage struct {
	of    string // as in response
	start time.Time
	since time.Time
	all   bool
	from  time.Time
	cut   bool // a truncated full read: the API does not return what is older
}

// covers reports whether an incident created then, which may be unknown, would
// be in the answer.
func (s *coverage) covers(created time.Time) bool {
	switch {
	case created.IsZero():
		return s.all
	case created.Before(s.since):
		return false
	case s.all:
		return true
	}
	return !s.from.IsZero() && created.After(s.from)
}

// coverage is what the answer covers. A truncated answer covers what is newer than
// its oldest incident, and not what was created at the same time as that: others
// of that time may be missing from it. Without a usable time it covers nothing. An
// answer requested before the bound since moved back does not cover what is older.
func (r *response) coverage(foreign int, since time.Time) coverage {
	s := coverage{of: r.of, start: r.start, since: r.since, all: true}
	if oldest := r.answer.Oldest(); r.answer.Full() && (oldest.IsZero() || !oldest.Before(r.since)) {
		s.all, s.from = false, oldest
		s.cut = r.of != "" && foreign == 0 && !oldest.IsZero()
	} else if r.since.After(since) {
		s.all, s.from = false, r.since.Add(-time.Nanosecond)
	}
	return s
}

// whole reports whether the answer is a full read of the tenant: it covers
// everything, or all that can be, or the tenant is newer than its oldest incident.
func (s *coverage) whole(t *tenant) bool {
	return s.all || s.cut || !s.from.IsZero() && t.Onboarded.After(s.from)
}

// failed records that a request for incidents has failed: for one tenant, or, if
// of is empty, an organization read. The kind is that of the tenant's own failure,
// empty if the whole route fails. It reports whether the failure is a new one.
func (s *store) failed(of, kind string, everyone, refused bool) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if of == "" || everyone || t.ID == of {
			t.mark(false)
		}
	}
	t := s.tenants[of]
	if t == nil || refused && !t.petraIDKnown && !s.listTried {
		return false // the list will show whether there is such a tenant
	}
	t.refused = t.refused || refused
	if kind == "" {
		return false
	}
	news = t.err != kind && !s.unknownID(t)
	t.err = kind
	return news
}

// merge applies a good answer. An answer without a single usable incident is an
// error and changes nothing.
func (s *store) merge(r response) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told, foreign, notes := s.groupByTenant(r)
	if foreign > 0 && foreign == len(r.answer.Incidents) {
		return nil, fmt.Errorf("%w: none of %d incidents belongs to the requested tenant", petra.ErrUndecodable, r.answer.Received)
	}
	unreadable := s.unreadable()
	covered := r.coverage(foreign, s.cfg.Since)
	doubts := len(r.answer.Unassigned()) + foreign
	if r.of == "" {
		s.orgReadFrom, s.orgReadWhole = covered.from, covered.all
		for _, t := range s.collected() {
			s.mergeTenant(t, told[t], r, covered, doubts)
		}
	} else if t := s.readOf(r); t != nil {
		covered.of = t.ID
		if t.err != "" {
			notes = append(notes, note{level.Info, []any{"msg", "tenant is read again", "tenant_id", t.ID}})
		}
		s.mergeTenant(t, told[t], r, covered, doubts)
	}
	s.noteUnreadable(r, covered)
	s.remember(covered)
	s.listOpen()
	return append(notes, s.answerNotes(r, unreadable)...), nil
}

// noteUnreadable counts the elements of an answer that could not be assigned. It
// is also called for an answer without a single usable element.
func (s *store) noteUnreadable(r response, covered coverage) {
	for _, rejection := range r.answer.Rejected {
		s.rejected.add(rejection)
	}
	n := len(r.answer.Unassigned())
	if r.of != "" {
		if t := s.readOf(r); t != nil {
			t.unreadable = n
		}
	} else {
		s.orgUnreadable = n
	}
	for _, t := range s.tenants {
		if r.of == "" && covered.all {
			t.unreadable = 0 // the organization read has read it in full
		}
	}
	s.answered = true
}

// unusable records an answer of which no element could be used.
func (s *store) unusable(r response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteUnreadable(r, coverage{})
}

// unreadable is how many elements of the last answers could not be assigned. An
// organization read and a full read may contain the same ones; in plain mode there
// are no organization reads.
func (s *store) unreadable() int {
	n := 0
	for _, t := range s.collected() {
		n += t.unreadable
	}
	if s.cfg.Plain() {
		return n
	}
	return max(n, s.orgUnreadable)
}

// answerNotes reports changes in how well the API's answers can be read.
func (s *store) answerNotes(r response, before int) (notes []note) {
	if now := s.unreadable(); now > 0 && before == 0 { // it can only be of this answer
		notes = append(notes, warn("msg", "incidents in the API's answer cannot be read; known incidents missing from it stay as they are", "incidents", now, "reason", r.answer.Unassigned()[0].Reason))
	} else if now == 0 && before > 0 {
		notes = append(notes, note{level.Info, []any{"msg", "all incidents in the API's answers can be read again"}})
	}
	if !s.unordered && !r.answer.NewestFirst() {
		s.unordered = true
		notes = append(notes, warn("msg", "the API's answer is not ordered newest first; the exporter sorts it", "tenant_id", r.of))
	}
	return notes
}

// readOf is the tenant that the full read was for. Its Microsoft ID may have been
// resolved since the request was made.
func (s *store) readOf(r response) *tenant {
	if t := s.tenants[r.of]; t != nil {
		return t
	}
	for _, t := range s.collected() {
		if t.MicrosoftID == r.of {
			return t
		}
	}
	return nil
}

// groupByTenant sorts the incidents of an answer by tenant. It leaves out those
// that are too old and, in the answer for one tenant, those of other tenants.
func (s *store) groupByTenant(r response) (told map[*tenant][]petra.Incident, foreign int, notes []note) {
	told = map[*tenant][]petra.Incident{}
	unseen := map[*status]int{}
	for _, i := range r.answer.Incidents {
		if r.of != "" && i.Tenant.ID != r.of && i.Tenant.MicrosoftID != r.of {
			foreign++
			s.rejected.add(petra.Rejection{Reason: petra.WrongTenant, Key: i.ID})
			continue
		}
		t, found := s.discover(i.Tenant)
		notes = append(notes, found...)
		if t == nil || !s.collects(t) {
			continue
		}
		i.ID = incidentID(i.ID)
		if known := t.incidents[i.ID]; s.tooOld(i.CreatedAt) && (known == nil || !known.present) {
			continue // the API does not send what is too old: of a known one, the time has become wrong
		}
		told[t] = append(told[t], i)
		if st, isUnseen := s.statuses.see(i.RemediationStatus); isUnseen || unseen[st] > 0 {
			unseen[st]++
		}
	}
	for st, n := range unseen {
		if st.meaning == config.Unknown {
			notes = append(notes, warn("msg", "a remediation status in none of the configured lists is treated as open", "remediation_status", st.label, "incidents", n))
		}
	}
	return told, foreign, notes
}

// mergeTenant applies an answer to one tenant. Of two answers in flight, the one
// requested earlier says nothing about what the other covered. Each of the doubts,
// elements that could not be assigned or belong to another tenant, may be an
// incident that seems to be missing from the answer.
func (s *store) mergeTenant(t *tenant, told []petra.Incident, r response, covered coverage, doubts int) {
	first := !t.orgReadDone || covered.whole(t) && !t.fullReadDone
	later := s.laterThan(t, r.start)
	kind := index(r.of != "")
	said := map[string]bool{}
	for _, incident := range told {
		if said[incident.ID] || later(incident.CreatedAt) {
			continue
		}
		said[incident.ID] = true
		st := s.statuses.get(incident.RemediationStatus)
		t.hasHad(st)
		t.upsert(incident, st, r.start, first, s.cfg.OpenIncidentUser)
		t.incidents[incident.ID].doubts[kind] = doubts
	}
	for _, i := range t.incidents {
		if i.present && !said[i.ID] && !later(i.CreatedAt) && doubts <= i.doubts[kind] {
			i.markMissing(r.start, &covered)
		}
	}
	t.markRead(r, &covered)
}

// upsert applies what an answer says about one incident.
func (t *tenant) upsert(told petra.Incident, st *status, at time.Time, first, keepUser bool) {
	i := t.incidents[told.ID]
	if i == nil {
		i = &incident{firstSeen: at}
		if first && !told.CreatedAt.IsZero() {
			i.firstSeen = told.CreatedAt
		}
		t.incidents[told.ID] = i
	}
	i.update(told, st, keepUser)
	t.count(i, !first)
}

// markMissing records that the incident is missing from an answer.
func (i *incident) markMissing(at time.Time, covered *coverage) {
	switch {
	case covered.covers(i.CreatedAt):
		if i.missing.IsZero() {
			i.missing = at
		} else if at.Sub(i.missing) >= withdrawnAfter {
			i.present = false
		}
	case !covered.cut:
		// The answer says nothing about it.
	case !i.open():
		i.present = false
	case i.unreachable.IsZero():
		i.unreachable = at
	case at.Sub(i.unreachable) > unreachableFor:
		i.present = false
	}
}

// markRead records how much of the tenant is known after an answer.
func (t *tenant) markRead(r response, covered *coverage) {
	if r.of != "" || covered.all {
		t.refused, t.err = false, ""
	}
	if !t.refused {
		t.mark(true)
	}
	if covered.from.IsZero() && !covered.all {
		return // no incident in it has a usable time: it covers nothing
	}
	t.orgReadDone = true
	newer := r.start.After(t.covered)
	switch {
	case covered.whole(t):
		t.fullReadDone = true
		t.complete, t.truncated = true, covered.cut
		t.knownFrom = covered.from
		if r.start.After(t.whole) {
			t.whole = r.start
		}
		if r.start.After(t.attempted) {
			t.attempted = r.start
		}
	case t.covered.IsZero():
		t.knownFrom = covered.from
	case newer && t.coveredAt.Before(covered.from):
		// Between the last answer and this one, incidents may have come and
		// gone out of reach: a full read is due.
		t.complete, t.knownFrom, t.attempted = false, covered.from, time.Time{}
	case covered.from.Before(t.knownFrom):
		t.knownFrom = covered.from
	}
	if newer {
		t.covered = r.start
		t.coveredAt = r.answer.Date.Add(r.start.Sub(r.end))
	}
}

// laterThan returns a function that reports whether an answer requested later than
// start covered an incident of the tenant.
func (s *store) laterThan(t *tenant, start time.Time) func(created time.Time) bool {
	var later []coverage
	for _, other := range s.applied {
		if other.start.After(start) && (other.of == "" || other.of == t.ID) {
			later = append(later, other)
		}
	}
	return func(created time.Time) bool {
		for i := range later {
			if later[i].covers(created) {
				return true
			}
		}
		return false
	}
}

// remember keeps what an answer covered while a request that began before it may
// still be in flight.
func (s *store) remember(covered coverage) {
	kept := s.applied[:0]
	for _, other := range s.applied {
		if covered.start.Sub(other.start) <= 2*s.cfg.API.Timeout {
			kept = append(kept, other)
		}
	}
	s.applied = append(kept, covered)
}
