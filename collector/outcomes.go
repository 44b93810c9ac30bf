package collector

import (
	"errors"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
)

// failed records that a read has failed: of one tenant or, if id is empty, an
// organization read.
func (w active) failed(logger log.Logger, id string, err error) {
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
		w.routeFailed(logger, petra.RouteIncidents, err, id == "")
		return
	}
	w.route(petra.RouteIncidents, func(h *routeHealth) { h.remember(err) })
	if news {
		level.Warn(logger).Log("msg", "tenant cannot be read", "tenant_id", id, "err", err)
	}
}

// routeFailed takes over the failure of a route, and logs it where it is news.
func (w active) routeFailed(logger log.Logger, route petra.Route, err error, ofOrgRead bool) {
	news := false
	w.route(route, func(h *routeHealth) { news = h.failed(err, ofOrgRead) })
	if news {
		level.Error(logger).Log("msg", "request failed", "route", route, "err", err)
	}
}

// routeSucceeded takes over a good answer of a route, and logs it where it ends
// a failure.
func (w active) routeSucceeded(logger log.Logger, route petra.Route, ofOrgRead bool) {
	again := false
	w.route(route, func(h *routeHealth) { again = h.succeeded(ofOrgRead) })
	if again {
		level.Info(logger).Log("msg", "requests succeed again", "route", route)
	}
}

// logNotes logs the notes of the store.
func logNotes(logger log.Logger, notes []note) {
	for _, n := range notes {
		n.level(logger).Log(n.keyvals...)
	}
}
