package collector

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// configureTenants marks the configured tenants and creates those that are not
// known yet.
func (s *store) configureTenants() (notes []note) {
	for _, id := range s.cfg.Tenants {
		key := config.TenantKey(id)
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
		t.configured, t.configuredID = true, id
	}
	for key, t := range s.tenants {
		if !t.configured && !t.petraIDKnown && len(t.incidents) == 0 {
			delete(s.tenants, key)
		}
	}
	return notes
}

func sameTenant(t *tenant) note {
	return warn("msg", "two configured tenant IDs are one tenant", "tenant_id", t.ID, "microsoft_tenant_id", t.MicrosoftID)
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
		return t.configured
	}
	return t.inList || t.fromIncident
}

// collected are the tenants to be collected, in the order of their IDs.
func (s *store) collected() []*tenant {
	members := make([]*tenant, 0, len(s.tenants))
	for _, t := range s.tenants {
		if s.collects(t) {
			members = append(members, t)
		}
	}
	slices.SortFunc(members, func(a, b *tenant) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// unknownID reports whether a configured tenant is missing from a good list and
// no incident of it was seen.
func (s *store) unknownID(t *tenant) bool {
	return t.configured && !t.inList && len(t.incidents) == 0 && s.listKnown()
}

// listKnown reports whether there is a list of tenants and every element of it
// could be used.
func (s *store) listKnown() bool {
	return s.listSize >= 0 && s.listUnreadable == 0
}

// canPublish reports whether the tenant may have series of incidents: its
// Petra ID is known, or nothing says that the configured one is wrong.
func (s *store) canPublish(t *tenant) bool {
	return t.petraIDKnown || s.listTried && !s.unknownID(t) && !config.IsMicrosoftID(t.ID)
}

// mergeTenants applies a list of tenants, or the failure to get one. An empty list
// after one that was not empty is an error and changes nothing. A list with
// elements that could not be used proves no departure: a tenant that is missing
// from it may be one of these.
func (s *store) mergeTenants(list *petra.Tenants, err error) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listTried = true
	if err == nil && len(list.Tenants) == 0 && s.listSize > 0 {
		err = fmt.Errorf("%w: an empty list after one of %d tenants", petra.ErrUndecodable, s.listSize)
	}
	if list != nil {
		for _, rejection := range list.Rejected {
			s.tenantsRejected.add(rejection)
		}
	}
	if err != nil {
		return nil, err
	}
	notes := s.listNotes(list.Rejected)
	s.listSize, s.listUnreadable = len(list.Tenants), len(list.Rejected)
	in := map[string]bool{}
	for _, told := range list.Tenants {
		t, found := s.resolve(told)
		notes = append(notes, found...)
		if t == nil {
			t = s.newTenant(told.ID)
		}
		told.Name, told.MicrosoftID = cmp.Or(told.Name, t.Name), cmp.Or(told.MicrosoftID, t.MicrosoftID)
		t.Tenant, t.petraIDKnown, t.inList, t.listsMissing, t.warned = told, true, true, 0, false
		in[told.ID] = true
	}
	for _, t := range s.tenants {
		if in[t.ID] || !s.listKnown() {
			continue
		}
		t.listsMissing++
		if t.listsMissing >= 3 {
			t.inList, t.fromIncident = false, false
		}
		if s.unknownID(t) && !t.warned {
			t.warned = true
			notes = append(notes, warn("msg", "a configured tenant is not in the organization; check its ID", "tenant_id", t.ID))
		}
	}
	s.listOpen()
	return notes, nil
}

// listNotes reports changes in how well the list of tenants can be read.
func (s *store) listNotes(rejected []petra.Rejection) []note {
	if len(rejected) > 0 && s.listUnreadable == 0 {
		return []note{warn("msg", "elements of the list of tenants cannot be used; no tenant leaves meanwhile", "tenants", len(rejected), "reason", rejected[0].Reason)}
	} else if len(rejected) == 0 && s.listUnreadable > 0 {
		return []note{{level.Info, []any{"msg", "every element of the list of tenants can be used again"}}}
	}
	return nil
}

// resolve finds the tenant that the API means, nil if it is not known. A
// configured Microsoft ID becomes the tenant's Petra ID here.
func (s *store) resolve(told petra.Tenant) (*tenant, []note) {
	t := s.tenants[told.ID]
	placeholder := s.tenants[told.MicrosoftID]
	if told.MicrosoftID == "" || placeholder == nil || placeholder == t || placeholder.petraIDKnown {
		return t, nil
	}
	delete(s.tenants, told.MicrosoftID)
	if t == nil {
		t = placeholder
		t.ID, t.histograms = told.ID, s.vecs.of(told.ID)
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

// discover applies what an incident says about its tenant. Without a configuration
// or a good list, tenants become known through their incidents.
func (s *store) discover(told petra.Tenant) (*tenant, []note) {
	t, notes := s.resolve(told)
	discovering := len(s.cfg.Tenants) == 0 && !s.listKnown()
	if t == nil && discovering {
		t = s.newTenant(told.ID)
	}
	if t == nil {
		return nil, notes
	}
	t.petraIDKnown = true
	t.fromIncident = t.fromIncident || discovering
	if !t.inList { // else the list knows better
		t.Name, t.MicrosoftID = cmp.Or(told.Name, t.Name), cmp.Or(told.MicrosoftID, t.MicrosoftID)
	}
	return t, notes
}
