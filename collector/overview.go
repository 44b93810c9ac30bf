package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// The states of a tenant, as in petra_tenants.
const (
	Complete = stateComplete
	Pending  = statePending
	Stale    = stateStale
)

// Overview is a copy of what the exporter knows at one time. It is data: the
// status page puts it into words and into order.
type Overview struct {
	Simulated bool
	Routes    []RouteOverview
	Tenants   []TenantOverview // in the order of their IDs
	Statuses  []StatusOverview
	// UnreadableIncidents and UnreadableTenants are the elements of the last
	// answers that could not be assigned.
	UnreadableIncidents, UnreadableTenants int
}

// RouteOverview is one route of the API.
type RouteOverview struct {
	Route       petra.Route
	Budget      petra.BudgetState
	Failing     bool
	LastSuccess time.Time
	LastFailure time.Time
	Failure     string // the error of the last failure, which stays after a success
}

// TenantOverview is one tenant.
type TenantOverview struct {
	ID, Name  string
	State     string
	Unknown   bool // configured, but not in the organization
	Up        *bool
	Refused   bool   // the API answers its full reads with 403 or 404
	Failure   string // the kind of its own failure; empty while it has none
	Truncated bool
	Paused    bool

	LastRead, LastFullRead time.Time

	// Open and Live count its open incidents. While the tenant is not complete
	// there may be more.
	Open, Live int
	Listed     []OpenIncident // the open ones that have series
}

// OpenIncident is one open incident.
type OpenIncident struct {
	ID                string
	URL               string // empty unless a browser can open it
	Status            string
	Live              bool
	Created, Occurred time.Time
}

// StatusOverview is one remediation status.
type StatusOverview struct {
	Label, Meaning string
	Incidents      int // that have it, in tenants that are not stale
}

// Overview returns what is known at now. It asks nothing of the API.
func (c *Collector) Overview(now time.Time) Overview {
	r := c.refresher
	o := Overview{Simulated: c.Simulated()}
	w := r.active()
	w.mu.Lock()
	for _, route := range petra.Routes() {
		health := w.routes[route]
		o.Routes = append(o.Routes, RouteOverview{
			Route: route, Budget: r.budgets[route].State(now), Failing: health.failing != "",
			LastSuccess: health.success, LastFailure: health.errAt, Failure: health.err,
		})
	}
	w.mu.Unlock()
	w.store.overview(&o, now)
	return o
}

func (s *store) overview(o *Overview, now time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	incidents := map[*status]int{}
	for _, t := range s.collected() {
		o.Tenants = append(o.Tenants, s.tenantOverview(t, incidents, now))
	}
	for _, st := range s.statuses.ordered {
		o.Statuses = append(o.Statuses, StatusOverview{st.label, st.meaning, incidents[st]})
	}
	o.UnreadableIncidents, o.UnreadableTenants = s.unreadableNow(), s.list.unreadable
}

// tenantOverview returns a tenant, and counts its incidents by status.
func (s *store) tenantOverview(t *tenant, byStatus map[*status]int, now time.Time) TenantOverview {
	o := TenantOverview{
		ID: t.ID, Name: labelValue(t.Name), State: s.state(t, now), Unknown: s.unknownID(t),
		Up: t.up, Refused: t.refused, Failure: t.err, Truncated: t.reads.truncated, Paused: t.Paused,
		LastRead: t.reads.last, LastFullRead: t.reads.lastFull,
	}
	if !s.canPublish(t) || t.stale(now, s.cfg.MaxStaleness) {
		return o
	}
	for _, i := range t.incidents {
		if i.present {
			byStatus[i.status]++
		}
		if !i.open() {
			continue
		}
		o.Open++
		o.Live += index(i.Live)
		if i.listed {
			o.Listed = append(o.Listed, OpenIncident{i.ID, i.url, i.status.label, i.Live, i.created(), i.OccurredAt})
		}
	}
	return o
}
