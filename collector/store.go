package collector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// maxOpenIncidents is how many open incidents have series, of all tenants.
const maxOpenIncidents = 5000

// store holds what is known of the tenants and their incidents. Only the
// refresher writes it; only Collect, the plan and the status page read it.
type store struct {
	mu        sync.RWMutex
	cfg       *Config
	tenants   map[string]*tenant // by ID
	statuses  statuses
	vecs      durationVecs
	rejected  map[petra.Rejection]bool // each is counted once
	rejection map[petra.Reason]int

	listTried bool // an attempt at the list of tenants has ended
	listSize  int  // of the last good list; -1 before the first

	headFrom  time.Time // creation of the oldest incident of the last head, if that was cut
	headWhole bool      // the last head was not cut: it read every tenant whole
	applied   []span    // what answers covered that another in flight may cover too
}

// note is a log line: something changed that a person may want to know.
type note []any

func newStore(cfg *Config) *store {
	s := &store{
		tenants:   map[string]*tenant{},
		rejected:  map[petra.Rejection]bool{},
		rejection: map[petra.Reason]int{},
		listSize:  -1,
	}
	s.configure(cfg)
	return s
}

// configure takes over a new configuration and keeps what is known and counted.
func (s *store) configure(cfg *Config) []note {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.cfg
	s.cfg = cfg
	s.statuses.configure(cfg)
	rebuild := old == nil || old.NativeHistograms != cfg.NativeHistograms
	if rebuild {
		s.vecs = newDurationVecs(cfg.NativeHistograms)
	}
	movedBack := old != nil && cfg.Since.Before(old.Since)
	for _, t := range s.tenants {
		t.configured = false
		if movedBack && t.complete {
			t.complete, t.knownFrom, t.attempted = false, old.Since, time.Time{}
			t.headRead, t.wholeRead = false, false // of what is older
		}
		s.reconfigureTenant(t, rebuild)
	}
	notes := s.configureTenants()
	s.listOpen()
	return notes
}

// reconfigureTenant brings a tenant's incidents under the new configuration.
func (s *store) reconfigureTenant(t *tenant, rebuild bool) {
	if rebuild {
		t.durations = s.vecs.of(t.ID)
		for _, id := range slices.Sorted(maps.Keys(t.incidents)) {
			for kind, o := range t.incidents[id].counted {
				if o.done {
					t.durations.of(durationKind(kind), o.live).Observe(o.seconds)
				}
			}
		}
	}
	had := t.statuses
	t.statuses = nil
	for _, st := range had {
		if st.label != otherStatus {
			again, _ := s.statuses.get(st.label)
			t.hasHad(again)
		}
	}
	for _, i := range t.incidents {
		i.status, _ = s.statuses.get(i.RemediationStatus)
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

// configureTenants marks the configured tenants, and makes those that are not
// known yet.
func (s *store) configureTenants() (notes []note) {
	for _, id := range s.cfg.Tenants {
		key := tenantKey(id)
		t := s.tenants[key]
		for _, other := range s.tenants {
			if t == nil && other.MicrosoftID == key {
				t = other
			}
		}
		if t == nil {
			t = s.newTenant(key)
		}
		if t.configured {
			notes = append(notes, sameTenant(t))
		}
		t.configured = true
	}
	for key, t := range s.tenants {
		if !t.configured && !t.resolved && len(t.incidents) == 0 {
			delete(s.tenants, key)
		}
	}
	return notes
}

func sameTenant(t *tenant) note {
	return note{"msg", "two configured tenant IDs are one tenant", "tenant_id", t.ID, "microsoft_tenant_id", t.MicrosoftID}
}

func (s *store) newTenant(id string) *tenant {
	t := &tenant{
		Tenant:    petra.Tenant{ID: id},
		incidents: map[string]*incident{},
		durations: s.vecs.of(id),
	}
	s.tenants[id] = t
	return t
}

// member reports whether the tenant is to be collected.
func (s *store) member(t *tenant) bool {
	if len(s.cfg.Tenants) > 0 {
		return t.configured
	}
	return t.inList || t.learned
}

// members are the tenants to be collected, in the order of their IDs.
func (s *store) members() []*tenant {
	members := make([]*tenant, 0, len(s.tenants))
	for _, t := range s.tenants {
		if s.member(t) {
			members = append(members, t)
		}
	}
	slices.SortFunc(members, func(a, b *tenant) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// mistyped reports whether a tenant is configured that a good list does not
// contain, and of which no incident came.
func (s *store) mistyped(t *tenant) bool {
	return t.configured && !t.inList && len(t.incidents) == 0 && s.listSize >= 0
}

// publishable reports whether the tenant may have series of incidents: its
// Petra ID is known, or nothing says that the configured one is wrong.
func (s *store) publishable(t *tenant) bool {
	return t.resolved || s.listTried && !s.mistyped(t) && !uuid.MatchString(t.ID)
}

// tooOld reports whether an incident was created before the configured bound.
func (s *store) tooOld(created time.Time) bool {
	return !created.IsZero() && created.Before(s.cfg.Since)
}

// applyTenants takes over a list of tenants, or the failure to get one. A list
// that is empty after one that was not is an error, and changes nothing.
func (s *store) applyTenants(list []petra.Tenant, err error) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listTried = true
	if err == nil && len(list) == 0 && s.listSize > 0 {
		err = fmt.Errorf("%w: an empty list after one of %d tenants", petra.ErrUndecodable, s.listSize)
	}
	if err != nil {
		return nil, err
	}
	s.listSize = len(list)
	var notes []note
	in := map[string]bool{}
	for _, told := range list {
		t, found := s.resolve(told)
		notes = append(notes, found...)
		if t == nil {
			t = s.newTenant(told.ID)
		}
		t.Tenant, t.resolved, t.inList, t.lacking, t.warned = told, true, true, 0, false
		in[told.ID] = true
	}
	for _, t := range s.tenants {
		if !in[t.ID] {
			t.lacking++
			if t.lacking >= 3 {
				t.inList, t.learned = false, false
			}
			if s.mistyped(t) && !t.warned {
				t.warned = true
				notes = append(notes, note{"msg", "a configured tenant is not in the organisation; check its ID", "tenant_id", t.ID})
			}
		}
	}
	s.listOpen()
	return notes, nil
}

// resolve finds the tenant that the API speaks of, nil where it is not known. A
// configured Microsoft ID becomes the tenant's Petra ID here.
func (s *store) resolve(told petra.Tenant) (*tenant, []note) {
	t := s.tenants[told.ID]
	placeholder := s.tenants[told.MicrosoftID]
	if told.MicrosoftID == "" || placeholder == nil || placeholder == t || placeholder.resolved {
		return t, nil
	}
	delete(s.tenants, told.MicrosoftID)
	if t == nil {
		t = placeholder
		t.ID, t.durations = told.ID, s.vecs.of(told.ID)
		s.tenants[told.ID] = t
		return t, nil
	}
	var notes []note
	if t.configured && placeholder.configured {
		told.Name = t.Name
		t.MicrosoftID = told.MicrosoftID
		notes = append(notes, sameTenant(t))
	}
	t.configured = t.configured || placeholder.configured
	return t, notes
}

// learn takes over what an incident says of its tenant. Without a
// configuration or a good list, incidents are how tenants become known.
func (s *store) learn(told petra.Tenant) (*tenant, []note) {
	t, notes := s.resolve(told)
	discovering := len(s.cfg.Tenants) == 0 && s.listSize < 0
	if t == nil && discovering {
		t = s.newTenant(told.ID)
	}
	if t == nil {
		return nil, notes
	}
	t.resolved = true
	t.learned = t.learned || discovering
	if !t.inList { // else the list knows better
		t.Name, t.MicrosoftID = told.Name, told.MicrosoftID
	}
	return t, notes
}

// hasHad remembers a status of the tenant, which has a series from then on.
func (t *tenant) hasHad(st *status) {
	if !slices.Contains(t.statuses, st) {
		t.statuses = append(t.statuses, st)
	}
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
		member := s.member(t)
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
