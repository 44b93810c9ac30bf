package collector

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
)

// maxOpenIncidents is how many open incidents have series, of all tenants.
const maxOpenIncidents = 5000

// store is the state of the tenants and their incidents. Only the refresher writes
// it; only Collect, the plan and the status page read it.
type store struct {
	mu       sync.RWMutex
	cfg      *config.Config
	tenants  map[string]*tenant // by ID
	statuses statuses
	vecs     histogramVecs

	rejected        rejections // of incidents
	tenantsRejected rejections
	answered        bool // an answer to a request for incidents has come
	orgUnreadable   int  // elements of the last organization read that could not be assigned
	listUnreadable  int  // elements of the last list of tenants that could not be used
	unordered       bool // an answer was not newest first

	listTried bool // an attempt at the list of tenants has ended
	listSize  int  // of the last good list; -1 before the first

	orgReadFrom  time.Time  // creation of the oldest incident of the last organization read, if that was truncated
	orgReadWhole bool       // the last organization read was not truncated: it read every tenant in full
	applied      []coverage // what answers covered that another one in flight may cover too
}

// note is a log line about a change that a person may want to know.
type note struct {
	level   func(log.Logger) log.Logger
	keyvals []any
}

func warn(keyvals ...any) note { return note{level.Warn, keyvals} }

// newStore returns a store without a configuration.
func newStore() *store {
	return &store{
		tenants:         map[string]*tenant{},
		rejected:        newRejections(),
		tenantsRejected: newRejections(),
		listSize:        -1,
	}
}

// configure applies a new configuration and keeps data and counters.
func (s *store) configure(cfg *config.Config) []note {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.cfg
	s.cfg = cfg
	s.statuses.configure(cfg)
	rebuild := s.vecs[dwell] == nil || old.NativeHistograms != cfg.NativeHistograms
	if rebuild {
		s.vecs = newHistogramVecs(cfg.NativeHistograms)
	}
	movedBack := old != nil && cfg.Since.Before(old.Since)
	for _, t := range s.tenants {
		t.configured = false
		if movedBack && t.complete {
			t.complete, t.knownFrom, t.attempted = false, old.Since, time.Time{}
			t.orgReadDone, t.fullReadDone = false, false // of what is older
		}
		s.reconfigureTenant(t, rebuild)
	}
	notes := s.configureTenants()
	s.listOpen()
	return notes
}

// reconfigureTenant updates a tenant's incidents for the new configuration.
func (s *store) reconfigureTenant(t *tenant, rebuild bool) {
	if rebuild {
		t.histograms = s.vecs.of(t.ID)
		for _, i := range t.incidents {
			for kind, o := range i.counted {
				if o.done {
					t.histograms.of(interval(kind), o.live).observe(o.duration, "")
				}
			}
		}
	}
	had := t.statuses
	t.statuses = nil
	for _, st := range had {
		if st.label != otherStatus {
			t.hasHad(s.statuses.get(st.label))
		}
	}
	for _, i := range t.incidents {
		i.status, _ = s.statuses.see(i.RemediationStatus)
		t.hasHad(i.status)
		if !s.cfg.OpenIncidentUser {
			i.UserPrincipalName = ""
		}
		if s.tooOld(i.CreatedAt) {
			i.present = false
		}
		if i.present {
			t.count(i, false)
		}
	}
}

// tooOld reports whether an incident was created before the configured `since`.
func (s *store) tooOld(created time.Time) bool {
	return !created.IsZero() && created.Before(s.cfg.Since)
}

// hasHad remembers a status of the tenant, which has a series from then on.
func (t *tenant) hasHad(st *status) {
	if !slices.Contains(t.statuses, st) {
		t.statuses = append(t.statuses, st)
	}
}

// listOpen gives open incidents series of their own. A listed incident stays
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
		member := s.collects(t)
		placesOf[t] = s.cfg.MaxOpenIncidents
		for _, i := range t.incidents {
			if !member || !i.open() {
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
