package collector

import (
	"cmp"
	"fmt"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// departedAfter is how many good lists in a row a tenant must be missing from
// before it has left.
const departedAfter = 3

// configureTenants marks the configured tenants, and makes those that are not
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
		if t.configuredID != "" {
			notes = append(notes, sameTenant(t))
		}
		t.configuredID = id
	}
	for key, t := range s.tenants {
		if t.configuredID == "" && !t.petraIDKnown && len(t.incidents) == 0 {
			delete(s.tenants, key)
		}
	}
	return notes
}

func sameTenant(t *tenant) note {
	return warn("msg", "two configured tenant IDs are one tenant", "tenant_id", t.ID, "microsoft_tenant_id", t.MicrosoftID)
}

// mergeTenants takes over a list of tenants, or the failure to get one. A list
// that is empty after one that was not is an error, and changes nothing. One with
// elements that could not be used proves no departure: the tenant that is missing
// may be one of these.
func (s *store) mergeTenants(list *petra.Tenants, err error) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list.tried = true
	if list != nil {
		for _, rejection := range list.Rejected {
			s.list.rejected.add(rejection)
		}
	}
	if err == nil && len(list.Tenants) == 0 && s.list.size > 0 {
		err = fmt.Errorf("%w: an empty list after one of %d tenants", petra.ErrUndecodable, s.list.size)
	}
	if err != nil {
		return nil, err
	}
	notes := s.listNotes(list.Rejected)
	s.list.good, s.list.size, s.list.unreadable = true, len(list.Tenants), len(list.Rejected)
	in := map[string]bool{}
	for _, listed := range list.Tenants {
		t, found := s.resolve(listed)
		notes = append(notes, found...)
		if t == nil {
			t = s.newTenant(listed.ID)
		}
		listed.Name, listed.MicrosoftID = cmp.Or(listed.Name, t.Name), cmp.Or(listed.MicrosoftID, t.MicrosoftID)
		t.Tenant, t.petraIDKnown, t.inList, t.listsMissing, t.warned = listed, true, true, 0, false
		in[listed.ID] = true
	}
	if s.list.allUsable() {
		for _, t := range s.tenants {
			if !in[t.ID] {
				notes = append(notes, s.markNotListed(t)...)
			}
		}
	}
	s.listOpen()
	return notes, nil
}

// markNotListed takes over that a good list does not contain the tenant.
func (s *store) markNotListed(t *tenant) []note {
	t.listsMissing++
	if t.listsMissing >= departedAfter {
		t.inList, t.fromIncident = false, false
	}
	if !s.unknownID(t) || t.warned {
		return nil
	}
	t.warned = true
	return []note{warn("msg", "a configured tenant is not in the organization; check its ID", "tenant_id", t.ID)}
}

// listNotes say what has changed in how well the list of tenants can be read.
func (s *store) listNotes(rejected []petra.Rejection) []note {
	if len(rejected) > 0 && s.list.unreadable == 0 {
		return []note{warn("msg", "elements of the list of tenants cannot be used; no tenant leaves meanwhile", "tenants", len(rejected), "reason", rejected[0].Reason)}
	} else if len(rejected) == 0 && s.list.unreadable > 0 {
		return []note{info("msg", "every element of the list of tenants can be used again")}
	}
	return nil
}

// resolve finds the tenant that the API names, nil where it is not known. A
// configured Microsoft ID becomes the tenant's Petra ID here.
func (s *store) resolve(named petra.Tenant) (*tenant, []note) {
	t := s.tenants[named.ID]
	placeholder := s.tenants[named.MicrosoftID]
	if named.MicrosoftID == "" || placeholder == nil || placeholder == t || placeholder.petraIDKnown {
		return t, nil
	}
	delete(s.tenants, named.MicrosoftID)
	if t == nil {
		t = placeholder
		t.ID, t.histograms = named.ID, s.vecs.of(named.ID)
		s.tenants[named.ID] = t
		return t, nil
	}
	var notes []note
	if t.configuredID != "" && placeholder.configuredID != "" {
		t.MicrosoftID = named.MicrosoftID
		notes = append(notes, sameTenant(t))
	}
	t.configuredID = cmp.Or(t.configuredID, placeholder.configuredID)
	return t, notes
}

// discover takes over what an incident says about its tenant. Without a
// configuration or a good list, incidents are how tenants become known.
func (s *store) discover(named petra.Tenant) (*tenant, []note) {
	t, notes := s.resolve(named)
	discovering := len(s.cfg.Tenants) == 0 && !s.list.allUsable() && (t == nil || t.listsMissing < departedAfter)
	if t == nil && discovering {
		t = s.newTenant(named.ID)
	}
	if t == nil {
		return nil, notes
	}
	t.petraIDKnown = true
	t.fromIncident = t.fromIncident || discovering
	if !t.inList { // else the list knows better
		t.Name, t.MicrosoftID = cmp.Or(named.Name, t.Name), cmp.Or(named.MicrosoftID, t.MicrosoftID)
	}
	return t, notes
}
