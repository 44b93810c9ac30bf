package collector

import (
	"errors"
	"time"

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

// waits reports whether the answer closed its route.
func waits(err error) bool {
	status, ok := errors.AsType[*petra.StatusError](err)
	return ok && status.Wait > 0
}
