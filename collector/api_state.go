package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// Client is what the refresher needs of the API client. Tests replace its
// transport, never the client.
type Client interface {
	Incidents(context.Context, petra.IncidentsQuery) (*petra.Incidents, error)
	Tenants(context.Context) (*petra.Tenants, error)
}

// active is what one request works with; a reload replaces all of it at once.
type active struct {
	cfg    *config.Config
	client Client
	*apiState
}

// apiState is what is known of one API, and how it answers. A reload to another
// API begins a new one; a request that is then in flight ends in the old one,
// where nobody looks.
type apiState struct {
	store *store

	mu            sync.Mutex
	lastRead      time.Time // start of the last organization read or, in plain mode, of the last reads
	lastList      time.Time
	probeOnly     bool // a 401 came, and no request for incidents has succeeded since
	holdFullReads bool // the last organization read was refused, or the API asked to wait: no full reads until an organization read succeeds
	routes        routes
	up            *bool // whether the last refresh that made a request had a good answer
}

func newAPIState(s *store) *apiState {
	return &apiState{store: s, routes: routes{}}
}

// probing reports whether an organization read is to show that the key is good.
func (a *apiState) probing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.probeOnly
}

// fullReadsHeld reports whether an organization read has to succeed first.
func (a *apiState) fullReadsHeld() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.probeOnly || a.holdFullReads
}

// listDue reports whether the list of tenants is to be read now, which then has
// begun.
func (a *apiState) listDue(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := !a.probeOnly && (a.lastList.IsZero() || now.Sub(a.lastList) >= listEvery)
	if due {
		a.lastList = now
	}
	return due
}

// answered takes over a good answer to a request for the incidents of one tenant
// or, where id is empty, of the organization.
func (a *apiState) answered(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id == "" {
		a.probeOnly, a.holdFullReads = false, false
	}
}

// unanswered takes over that such a request has failed, and returns the kind of
// failure that the route had before.
func (a *apiState) unanswered(id string, err error) (failing string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	unauthorized := errors.Is(err, petra.ErrUnauthorized)
	a.probeOnly = a.probeOnly || unauthorized
	switch {
	case waits(err):
		a.holdFullReads = true // the next organization read is to show whether the API answers again
	case id == "" && (unauthorized || errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrKey)):
		a.holdFullReads = true
	}
	return a.routes[petra.RouteIncidents].failing
}

// refreshed takes over that a refresh made a request, and had a good answer or
// none.
func (a *apiState) refreshed(good bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = &good
}

// route changes what is known of a route.
func (a *apiState) route(route petra.Route, change func(*routeHealth)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	health := a.routes[route]
	change(&health)
	a.routes[route] = health
}
