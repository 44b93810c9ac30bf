package collector

import (
	"fmt"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// merge takes over a good answer. One without a single incident that could be
// used is an error, and changes nothing.
func (s *store) merge(r response) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, foreign, unlisted, notes := s.groupByTenant(r)
	if foreign > 0 && foreign == len(r.answer.Incidents) {
		return nil, fmt.Errorf("%w: none of %d incidents belongs to the requested tenant", petra.ErrUndecodable, r.answer.Received)
	}
	covered := r.coverage(foreign, s.cfg.Since)
	doubts := len(r.answer.Unassigned()) + foreign + unlisted
	if r.of == "" {
		s.orgRead = covered
		for _, t := range s.collected() {
			s.mergeTenant(t, seen[t], r, covered, doubts)
		}
	} else if t := s.readOf(r); t != nil {
		covered.of = t.ID
		if t.err != "" {
			notes = append(notes, info("msg", "tenant is read again", "tenant_id", t.ID))
		}
		s.mergeTenant(t, seen[t], r, covered, doubts)
	}
	s.countUnreadable(r, covered)
	s.remember(covered)
	s.listOpen()
	return append(notes, s.answerNotes(r)...), nil
}

// failed takes over that a request for incidents has failed: of a tenant or,
// where of is empty, an organization read. The kind is that of the tenant's own
// failure, empty where the route as a whole fails. It reports whether that is news.
func (s *store) failed(of, kind string, everyone, refused bool) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if of == "" || everyone || t.ID == of {
			t.markUp(false)
		}
	}
	t := s.tenants[of]
	if t == nil || refused && !t.petraIDKnown && !s.list.tried {
		return false // the list will show whether there is such a tenant
	}
	if refused && !t.refused {
		t.refused, t.lastBeforeRefusal = true, t.reads.last
	}
	if kind == "" {
		return false
	}
	news = t.err != kind && !s.unknownID(t)
	t.err = kind
	return news
}

// groupByTenant sorts the incidents of an answer by tenant. It leaves out those
// that are too old, the unlisted ones of tenants that are not known and, in the
// answer for one tenant, the foreign ones of another.
func (s *store) groupByTenant(r response) (seen map[*tenant][]sighting, foreign, unlisted int, notes []note) {
	seen = map[*tenant][]sighting{}
	unseen := map[*status]int{}
	for _, i := range r.answer.Incidents {
		if r.of != "" && i.Tenant.ID != r.of && i.Tenant.MicrosoftID != r.of {
			foreign++
			s.rejected.add(petra.Rejection{Reason: petra.WrongTenant, Key: i.ID})
			continue
		}
		t, found := s.discover(i.Tenant)
		notes = append(notes, found...)
		if t == nil {
			unlisted++ // of a tenant that was removed, or whose ID has changed
			continue
		}
		if !s.collects(t) {
			continue
		}
		i.ID = incidentID(i.ID)
		if s.tooOld(i.CreatedAt) {
			if known := t.incidents[i.ID]; known == nil || !known.present {
				continue
			}
			i.CreatedAt = time.Time{} // the API does not send what is too old: it is wrong, and the known time stays
		}
		st, isUnseen := s.statuses.see(i.RemediationStatus)
		if isUnseen || unseen[st] > 0 {
			unseen[st]++
		}
		seen[t] = append(seen[t], sighting{i, st})
	}
	for st, n := range unseen {
		if st.meaning == config.Unknown {
			notes = append(notes, warn("msg", "a remediation status in none of the configured lists is treated as open", "remediation_status", st.label, "incidents", n))
		}
	}
	return seen, foreign, unlisted, notes
}

// mergeTenant takes over what an answer says, and does not say, about one tenant.
// Of two answers in flight, the one that was asked for earlier says nothing about
// what the other covered. Each of the doubts, elements that could not be assigned
// or that seem to be another tenant's, may be an incident that seems to be missing.
func (s *store) mergeTenant(t *tenant, seen []sighting, r response, covered coverage, doubts int) {
	isFullRead := covered.isFullRead(t.Onboarded)
	history := t.reads.history(isFullRead)
	later := s.laterThan(t, r.start)
	kind := index(r.of != "")
	in := map[string]bool{}
	for _, i := range seen {
		if in[i.ID] || later(i.CreatedAt) {
			continue
		}
		in[i.ID] = true
		t.upsert(i, r.start, history, s.cfg.OpenIncidentUser).doubts[kind] = doubts
	}
	for _, i := range t.incidents {
		if i.present && !in[i.ID] && !later(i.CreatedAt) && doubts <= i.doubts[kind] {
			i.markMissing(r.start, &covered)
		}
	}
	if r.of != "" || covered.all {
		t.refused, t.err = false, ""
	}
	if !t.refused {
		t.markUp(true)
	}
	if !covered.nothing() {
		t.reads.add(r, &covered, isFullRead)
	}
}

// laterThan returns a function that reports whether an answer that was asked for
// later than start covered an incident of the tenant.
func (s *store) laterThan(t *tenant, start time.Time) func(created time.Time) bool {
	var later []coverage
	for _, other := range s.merged {
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

// remember keeps what an answer covered while another request may be in flight
// that began before it.
func (s *store) remember(covered coverage) {
	kept := s.merged[:0]
	for _, other := range s.merged {
		if covered.start.Sub(other.start) <= 2*s.cfg.API.Timeout {
			kept = append(kept, other)
		}
	}
	s.merged = append(kept, covered)
}
