package collector

import (
	"errors"
	"time"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
)

// routeHealth is the result of a route's last requests.
type routeHealth struct {
	success   time.Time // the last good answer
	err       string    // of the last failure; it stays when the route recovers
	errAt     time.Time
	failing   string // the kind of failure that was logged; empty while good
	ofOrgRead bool   // the failure is that of organization reads: the success of a tenant's read does not end it
}

// failed records that a read has failed: of one tenant or, if id is empty, an
// organization read.
func (r *refresher) failed(w active, id string, err error) {
	unauthorized := errors.Is(err, petra.ErrUnauthorized)
	refused := id != "" && (errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrNotFound))
	r.mu.Lock()
	failing := r.routes[petra.RouteIncidents].failing
	r.probeOnly = r.probeOnly || unauthorized
	switch {
	case waits(err):
		r.holdFullReads = true // the next organization read is to show whether the API answers again
	case id == "":
		r.holdFullReads = unauthorized || errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrKey)
	}
	r.mu.Unlock()
	// A failure that does not concern the whole route is the tenant's own. In
	// organization mode an organization read follows a 401 and shows whose it is.
	ofRoute := id == "" || unauthorized && w.cfg.Plain() || errors.Is(err, petra.ErrKey)
	own := petra.Kind(err)
	if ofRoute || failing != "" && !refused {
		own = ""
	}
	news := w.store.failed(id, own, unauthorized, refused)
	if ofRoute {
		r.routeFailed(petra.RouteIncidents, err, id == "")
		return
	}
	r.remember(petra.RouteIncidents, err)
	if news {
		level.Warn(r.logger).Log("msg", "tenant cannot be read", "tenant_id", id, "err", err)
	}
}

// waits reports whether the answer closed its route.
func waits(err error) bool {
	status, ok := errors.AsType[*petra.StatusError](err)
	return ok && status.Wait > 0
}

// routeFailed remembers the failure of a request, and logs it unless the previous
// one was of the same kind.
func (r *refresher) routeFailed(route petra.Route, err error, ofOrgRead bool) {
	kind := petra.Kind(err)
	r.mu.Lock()
	state := r.routes[route]
	before := state.failing
	state.err, state.errAt = err.Error(), clock()
	state.failing, state.ofOrgRead = kind, ofOrgRead || state.ofOrgRead
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

// succeeded records a good answer; ofOrgRead is true for all but the full read of
// one of many tenants.
func (r *refresher) succeeded(route petra.Route, ofOrgRead bool) {
	r.mu.Lock()
	state := r.routes[route]
	state.success = clock()
	again := state.failing != "" && (ofOrgRead || !state.ofOrgRead)
	if again {
		state.failing, state.ofOrgRead = "", false
	}
	r.routes[route] = state
	r.mu.Unlock()
	if again {
		level.Info(r.logger).Log("msg", "requests succeed again", "route", route)
	}
}

// logNotes logs the notes of the store.
func (r *refresher) logNotes(notes []note) {
	for _, n := range notes {
		n.level(r.logger).Log(n.keyvals...)
	}
}
