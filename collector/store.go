package collector

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// maxOpenIncidents is how many open incidents have series, over all tenants.
const maxOpenIncidents = 5000

// clock is time.Now: a test lets its wall clock jump, which must change nothing
// of what is known or planned.
var clock = time.Now

// store is what is known of the tenants and their incidents. Answers, a reload and
// a state file change it; Collect, the plan and the overview read it.
type store struct {
	mu       sync.RWMutex
	cfg      *config.Config
	tenants  map[string]*tenant // by ID
	statuses statuses
	vecs     histogramVecs

	list       tenantList
	orgRead    coverage   // of the last organization read
	merged     []coverage // of answers, while another that was asked for earlier may be in flight
	rejected   rejections // incidents
	answered   bool       // an answer to a request for incidents has come
	unreadable int        // elements of the last organization read that could not be assigned
	unordered  bool       // an answer was not newest first
	// unreadableLogged: the log says that some could not be assigned.
	unreadableLogged bool
}

// tenantList is what is known of the list of tenants.
type tenantList struct {
	tried      bool // an attempt to read it has ended
	good       bool // it was read
	size       int  // tenants in the last good one
	unreadable int  // elements of the last good one that could not be used
	rejected   rejections
}

// allUsable reports whether there is a list of which all could be used.
func (l *tenantList) allUsable() bool { return l.good && l.unreadable == 0 }

// note is a log line: something changed that a person may want to know.
type note struct {
	level   func(log.Logger) log.Logger
	keyvals []any
}

func warn(keyvals ...any) note { return note{level.Warn, keyvals} }
func info(keyvals ...any) note { return note{level.Info, keyvals} }

// newStore returns a store without a configuration.
func newStore() *store {
	return &store{
		tenants:  map[string]*tenant{},
		list:     tenantList{rejected: newRejections()},
		rejected: newRejections(),
	}
}

func (s *store) newTenant(id string) *tenant {
	t := &tenant{
		Tenant:     petra.Tenant{ID: id},
		incidents:  map[string]*incident{},
		histograms: s.vecs.of(id),
	}
	s.tenants[id] = t
	return t
}

// collects reports whether the tenant is to be collected.
func (s *store) collects(t *tenant) bool {
	if len(s.cfg.Tenants) > 0 {
		return t.configuredID != ""
	}
	return t.inList || t.fromIncident
}

// collected returns the tenants to be collected, ordered by ID.
func (s *store) collected() []*tenant {
	tenants := make([]*tenant, 0, len(s.tenants))
	for _, t := range s.tenants {
		if s.collects(t) {
			tenants = append(tenants, t)
		}
	}
	slices.SortFunc(tenants, func(a, b *tenant) int { return cmp.Compare(a.ID, b.ID) })
	return tenants
}

// readOf returns the tenant of which the answer is a full read. Its Petra ID may
// have become known since the request was made.
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

// unknownID reports whether a configured tenant is neither in the list nor has
// incidents.
func (s *store) unknownID(t *tenant) bool {
	return t.configuredID != "" && !t.inList && len(t.incidents) == 0 && s.list.allUsable()
}

// canPublish reports whether the tenant may have series about incidents: its
// Petra ID is known, or nothing says that the configured one is wrong.
func (s *store) canPublish(t *tenant) bool {
	return t.petraIDKnown || s.list.tried && !s.unknownID(t) && !config.IsMicrosoftID(t.ID)
}

// The states of petra_tenants.
const (
	stateComplete = "complete"
	statePending  = "pending"
	stateStale    = "stale"
)

func (s *store) state(t *tenant, now time.Time) string {
	switch {
	case t.reads.readiness != complete || !s.canPublish(t):
		return statePending
	case t.stale(now, s.cfg.MaxStaleness):
		return stateStale
	}
	return stateComplete
}

// tooOld reports whether an incident was created before the configured since.
func (s *store) tooOld(created time.Time) bool {
	return !created.IsZero() && created.Before(s.cfg.Since)
}

// attempt notes that a full read of the tenant begins, and returns the ID to
// send: the configured one until the Petra ID is known.
func (s *store) attempt(id string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[id]
	if t == nil {
		return id
	}
	t.reads.lastAttempt = now
	if t.petraIDKnown || t.configuredID == "" {
		return t.ID
	}
	return t.configuredID
}

// listOpen gives open incidents series of their own. One that is listed stays
// listed until it is no longer open: a flood of new ones must not resolve the
// oldest page. Free places go to the newest.
func (s *store) listOpen() {
	type candidate struct {
		*tenant
		*incident
	}
	var candidates []candidate
	places, placesOf := maxOpenIncidents, map[*tenant]int{}
	for _, t := range s.tenants {
		collects := s.collects(t)
		placesOf[t] = s.cfg.MaxOpenIncidents
		for _, i := range t.incidents {
			if !collects || !i.open() {
				i.listed = false
			} else if i.listed {
				places--
				placesOf[t]--
			} else {
				candidates = append(candidates, candidate{t, i})
			}
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(b.created().Compare(a.created()), cmp.Compare(a.incident.ID, b.incident.ID), cmp.Compare(a.tenant.ID, b.tenant.ID))
	})
	for _, c := range candidates {
		if places > 0 && placesOf[c.tenant] > 0 {
			c.listed = true
			places--
			placesOf[c.tenant]--
		}
	}
}
