package petratest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Organization is what an organization's tenants and incidents are and will be.
// It is safe for concurrent use.
type Organization struct {
	mu        sync.Mutex
	tenants   map[string]*tenantState
	microsoft map[string]string // Microsoft tenant ID in lower case -> tenant ID
	incidents map[string]*Incident
	ordered   []*Incident // by older
	unnamed   int

	// grow returns the incidents created until now that it has not returned
	// yet, and maybe later ones, which the API does not list before their time.
	grow func(now time.Time) []Incident
}

type tenantState struct {
	Tenant
	listed  bool        // false: removed, or known by its incidents only
	removed bool        // no new incidents are made up for it
	ordered []*Incident // by older
}

// NewOrganization returns an organization without tenants and incidents.
func NewOrganization() *Organization {
	return &Organization{
		tenants:   map[string]*tenantState{},
		microsoft: map[string]string{},
		incidents: map[string]*Incident{},
	}
}

// SetTenant adds a tenant, or replaces the one with its ID; a removed one returns.
func (w *Organization) SetTenant(t Tenant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ts := w.tenant(t.ID)
	delete(w.microsoft, strings.ToLower(ts.MicrosoftID))
	ts.Tenant, ts.listed, ts.removed = t, true, false
	if t.MicrosoftID != "" {
		w.microsoft[strings.ToLower(t.MicrosoftID)] = t.ID
	}
}

// RemoveTenant takes a tenant out of /v1/tenants. Its incidents stay in
// /v1/incidents, with and without a filter, unless they are withdrawn.
func (w *Organization) RemoveTenant(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ts := w.tenants[id]; ts != nil {
		ts.listed, ts.removed = false, true
	}
}

// Tenants returns the tenants that the API lists, sorted by name.
func (w *Organization) Tenants() []Tenant {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Tenant
	for _, ts := range w.tenants {
		if ts.listed {
			list = append(list, ts.Tenant)
		}
	}
	slices.SortFunc(list, func(a, b Tenant) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Add adds incidents. One with the ID of an earlier one replaces it; one
// without an ID gets one, which Raw need not repeat.
func (w *Organization) Add(incidents ...Incident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(incidents)
}

// Update changes an incident's life (not its ID), and reports whether there is
// such an incident. change must not call the organization.
func (w *Organization) Update(id string, change func(*Incident)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := w.incidents[id]
	if in == nil {
		return false
	}
	changed := *in
	change(&changed)
	changed.ID = id
	w.add([]Incident{changed})
	return true
}

// Incidents returns the truth at now: every incident that the API would list if
// it had no limit, newest first.
func (w *Organization) Incidents(now time.Time) []View {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.growTo(now)
	var views []View
	for _, in := range slices.Backward(w.ordered) {
		if v, ok := in.At(now); ok {
			views = append(views, v)
		}
	}
	return views
}

// listed is an incident as one answer of the API shows it.
type listed struct {
	Incident
	View
	tenant Tenant
}

// list returns at most limit incidents that the API lists at now, newest first.
// It stops at the limit, so that its cost does not grow with the organization.
func (w *Organization) list(now time.Time, tenantID string, since time.Time, limit int) []listed {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.growTo(now)
	ordered := w.ordered
	if tenantID != "" {
		ordered = nil
		if ts := w.tenants[tenantID]; ts != nil {
			ordered = ts.ordered
		}
	}
	var out []listed
	for _, in := range slices.Backward(ordered) {
		if len(out) == limit || in.CreatedAt.Before(since) {
			break
		}
		if v, ok := in.At(now); ok {
			out = append(out, listed{Incident: *in, View: v, tenant: w.tenants[in.TenantID].Tenant})
		}
	}
	return out
}

// resolve returns the tenant ID that a Petra or Microsoft tenant ID stands for.
func (w *Organization) resolve(id string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.tenants[id]; ok {
		return id, true
	}
	resolved, ok := w.microsoft[strings.ToLower(id)]
	return resolved, ok
}

func (w *Organization) growTo(now time.Time) {
	if w.grow == nil {
		return
	}
	fresh := w.grow(now)
	w.add(slices.DeleteFunc(fresh, func(in Incident) bool { return w.tenant(in.TenantID).removed }))
}

func (w *Organization) tenant(id string) *tenantState {
	ts := w.tenants[id]
	if ts == nil {
		ts = &tenantState{Tenant: Tenant{ID: id}}
		w.tenants[id] = ts
	}
	return ts
}

// sortFrom is the number of incidents from which one sort of everything is
// cheaper than an insertion for each.
const sortFrom = 64

func (w *Organization) add(incidents []Incident) {
	bulk := len(incidents) >= sortFrom
	touched := map[*tenantState]bool{}
	for _, in := range incidents {
		if in.ID == "" {
			w.unnamed++
			in.ID = fmt.Sprintf("unnamed-%d", w.unnamed)
		}
		in.CreatedAt = in.CreatedAt.Truncate(time.Millisecond)
		in.OccurredAt = in.OccurredAt.Truncate(time.Millisecond)
		if old := w.incidents[in.ID]; old != nil {
			w.ordered = without(w.ordered, old)
			ts := w.tenant(old.TenantID)
			ts.ordered = without(ts.ordered, old)
		}
		p, ts := &in, w.tenant(in.TenantID)
		w.incidents[in.ID] = p
		if bulk {
			w.ordered = append(w.ordered, p)
			ts.ordered = append(ts.ordered, p)
			touched[ts] = true
			continue
		}
		w.ordered = with(w.ordered, p)
		ts.ordered = with(ts.ordered, p)
	}
	if bulk {
		slices.SortFunc(w.ordered, older)
		for ts := range touched {
			slices.SortFunc(ts.ordered, older)
		}
	}
}

func with(ordered []*Incident, in *Incident) []*Incident {
	i, _ := slices.BinarySearchFunc(ordered, in, older)
	return slices.Insert(ordered, i, in)
}

// without searches by identity: in the middle of a bulk the order does not hold.
func without(ordered []*Incident, in *Incident) []*Incident {
	if i := slices.Index(ordered, in); i >= 0 {
		return slices.Delete(ordered, i, i+1)
	}
	return ordered
}
