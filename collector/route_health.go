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

// routes is the health of each route.
type routes map[petra.Route]routeHealth

// remember keeps a failure for the status page.
func (h *routeHealth) remember(err error) {
	h.err, h.errAt = err.Error(), clock()
}

// failed takes over a failure of the whole route, and reports whether it is of
// another kind than the last one.
func (h *routeHealth) failed(err error, ofOrgRead bool) (news bool) {
	kind := petra.Kind(err)
	news = h.failing != kind
	h.remember(err)
	h.failing, h.ofOrgRead = kind, ofOrgRead || h.ofOrgRead
	return news
}

// succeeded takes over a good answer, and reports whether that ends a failure;
// ofOrgRead is true of all but the read of one of many tenants.
func (h *routeHealth) succeeded(ofOrgRead bool) (again bool) {
	h.success = clock()
	again = h.failing != "" && (ofOrgRead || !h.ofOrgRead)
	if again {
		h.failing, h.ofOrgRead = "", false
	}
	return again
}

// failed records that a read has failed: of one tenant or, if id is empty, an
// organization read.
func (r *refresher) failed(w active, id string, err error) {
	unauthorized := errors.Is(err, petra.ErrUnauthorized)
	refused := id != "" && (errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrNotFound))
	failing := w.unanswered(id, err)
	// A failure that the route as a whole does not have is the tenant's own. In
	// organization mode an organization read follows a 401, and shows whose it is.
	ofRoute := id == "" || unauthorized && w.cfg.Plain() || errors.Is(err, petra.ErrKey)
	own := petra.Kind(err)
	if ofRoute || failing != "" && !refused {
		own = ""
	}
	news := w.store.failed(id, own, unauthorized, refused)
	if ofRoute {
		r.routeFailed(w, petra.RouteIncidents, err, id == "")
		return
	}
	w.route(petra.RouteIncidents, func(h *routeHealth) { h.remember(err) })
	if news {
		level.Warn(r.logger).Log("msg", "tenant cannot be read", "tenant_id", id, "err", err)
	}
}

// waits reports whether the answer closed its route.
func waits(err error) bool {
	status, ok := errors.AsType[*petra.StatusError](err)
	return ok && status.Wait > 0
}

// routeFailed takes over the failure of a route, and logs it where it is news.
func (r *refresher) routeFailed(w active, route petra.Route, err error, ofOrgRead bool) {
	news := false
	w.route(route, func(h *routeHealth) { news = h.failed(err, ofOrgRead) })
	if news {
		level.Error(r.logger).Log("msg", "request failed", "route", route, "err", err)
	}
}

// routeSucceeded takes over a good answer of a route, and logs it where it ends
// a failure.
func (r *refresher) routeSucceeded(w active, route petra.Route, ofOrgRead bool) {
	again := false
	w.route(route, func(h *routeHealth) { again = h.succeeded(ofOrgRead) })
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
