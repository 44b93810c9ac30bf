package collector

import (
	"errors"
	"time"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
)

// routeState is how the requests of a route go.
type routeState struct {
	success time.Time // the last good answer
	err     string    // of the last failure; it stays when the route recovers
	errAt   time.Time
	failing string // what kind of failure the log knows of; empty while good
	ofHead  bool   // the failure is that of heads: the success of a tenant's read does not end it
}

// failed takes over that a read has failed: of one tenant or, where id is
// empty, of a head.
func (r *refresher) failed(w world, id string, err error) {
	unauthorized := errors.Is(err, petra.ErrUnauthorized)
	denied := id != "" && (errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrNotFound))
	r.mu.Lock()
	failing := r.routes[petra.RouteIncidents].failing
	r.headOnly = r.headOnly || unauthorized
	switch {
	case waits(err):
		r.hold = true // the next head is to show whether the API answers again
	case id == "":
		r.hold = unauthorized || errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrKey)
	}
	r.mu.Unlock()
	// A failure that the route as a whole does not have is the tenant's own. In
	// organisation mode a head follows a 401, and shows whose it is.
	ofRoute := id == "" || unauthorized && w.cfg.Plain() || errors.Is(err, petra.ErrKey)
	own := petra.Kind(err)
	if ofRoute || failing != "" && !denied {
		own = ""
	}
	news := w.store.failed(id, own, unauthorized, denied)
	if ofRoute {
		r.routeFailed(petra.RouteIncidents, err, id == "")
		return
	}
	r.remember(petra.RouteIncidents, err)
	if news {
		level.Warn(r.logger).Log("msg", "tenant cannot be read", "tenant_id", id, "err", err)
	}
}

// waits reports whether the answer has closed its route.
func waits(err error) bool {
	status, ok := errors.AsType[*petra.StatusError](err)
	return ok && status.Wait > 0
}

// routeFailed remembers the failure of a request, and logs it where the one
// before did not fail in the same way.
func (r *refresher) routeFailed(route petra.Route, err error, ofHead bool) {
	kind := petra.Kind(err)
	r.mu.Lock()
	state := r.routes[route]
	before := state.failing
	state.err, state.errAt = err.Error(), clock()
	state.failing, state.ofHead = kind, ofHead || state.ofHead
	r.routes[route] = state
	r.mu.Unlock()
	if before != kind {
		level.Error(r.logger).Log("msg", "request failed", "route", route, "err", err)
	}
}

// remember keeps the failure for the status page.
func (r *refresher) remember(route petra.Route, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.routes[route]
	state.err, state.errAt = err.Error(), clock()
	r.routes[route] = state
}

// succeeded takes over a good answer; ofHead is true of all but the read of one
// of many tenants.
func (r *refresher) succeeded(route petra.Route, ofHead bool) {
	r.mu.Lock()
	state := r.routes[route]
	state.success = clock()
	again := state.failing != "" && (ofHead || !state.ofHead)
	if again {
		state.failing, state.ofHead = "", false
	}
	r.routes[route] = state
	r.mu.Unlock()
	if again {
		level.Info(r.logger).Log("msg", "requests succeed again", "route", route)
	}
}

// tell logs what the store has found.
func (r *refresher) tell(notes []note) {
	for _, n := range notes {
		n.level(r.logger).Log(n.keyvals...)
	}
}
