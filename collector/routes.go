package collector

import (
	"errors"
	"strconv"
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
}

// failed takes over that a read has failed: of one tenant or, where id is
// empty, of a head.
func (r *refresher) failed(w world, id string, err error) {
	unauthorized := errors.Is(err, petra.ErrUnauthorized)
	denied := id != "" && (errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrNotFound))
	news := w.store.failed(id, kindOf(err), unauthorized, denied)
	r.mu.Lock()
	r.headOnly = r.headOnly || unauthorized
	switch {
	case waits(err):
		r.hold = true // the next head is to show whether the API answers again
	case id == "":
		r.hold = unauthorized || errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrKey)
	}
	r.mu.Unlock()
	if id == "" || unauthorized || errors.Is(err, petra.ErrKey) {
		r.routeFailed(petra.RouteIncidents, err)
		return
	}
	// A failure that the route as a whole does not have is the tenant's own.
	if failing := r.remember(petra.RouteIncidents, err, false); failing == "" && news {
		level.Warn(r.logger).Log("msg", "tenant cannot be read", "tenant_id", id, "err", err)
	}
}

// routeFailed remembers the failure of a request, and logs it where the one
// before did not fail in the same way.
func (r *refresher) routeFailed(route petra.Route, err error) {
	status, ok := errors.AsType[*petra.StatusError](err)
	longWait := ok && status.Asked > 0
	if before := r.remember(route, err, true); before != kindOf(err) || longWait {
		level.Error(r.logger).Log("msg", "request failed", "route", route, "err", err)
	}
}

// remember keeps the failure for the status page, and returns what kind of
// failure the route had before.
func (r *refresher) remember(route petra.Route, err error, failing bool) (before string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.routes[route]
	before = state.failing
	state.err, state.errAt = err.Error(), clock()
	if failing {
		state.failing = kindOf(err)
	}
	r.routes[route] = state
	return before
}

func (r *refresher) succeeded(route petra.Route) {
	r.mu.Lock()
	state := r.routes[route]
	before := state.failing
	state.success, state.failing = clock(), ""
	r.routes[route] = state
	r.mu.Unlock()
	if before != "" {
		level.Info(r.logger).Log("msg", "requests succeed again", "route", route)
	}
}

// tell logs what the store has found.
func (r *refresher) tell(notes []note) {
	for _, n := range notes {
		n.level(r.logger).Log(n.keyvals...)
	}
}

// waits reports whether the answer has closed its route.
func waits(err error) bool {
	status, ok := errors.AsType[*petra.StatusError](err)
	return ok && status.Wait > 0
}

// kindOf tells failures apart that the log should tell apart: not the body of
// an answer, which may differ each time.
func kindOf(err error) string {
	if status, ok := errors.AsType[*petra.StatusError](err); ok {
		return "status " + strconv.Itoa(status.Code)
	}
	return err.Error()
}
