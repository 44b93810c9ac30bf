package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// route says how the request of a route ended.
func (d *doctor) route(r request, made []request, tenants *petra.Tenants, incidents *petra.Incidents) {
	switch {
	case r.Err != nil:
		d.failed(r, made)
	case r.Route == petra.RouteTenants && len(tenants.Tenants) == 0:
		d.wrong(checkTenants, "the list of tenants is empty", "is the key of the right organization?")
	case r.Route == petra.RouteTenants && len(tenants.Rejected) > 0:
		d.wrong(checkTenants, fmt.Sprintf("%s in the list cannot be used (%s): no tenant leaves until all can", count(len(tenants.Rejected), "tenant"), tenants.Rejected[0].Reason), tellTheVendor)
	case r.Route == petra.RouteIncidents && len(incidents.Unassigned()) > 0:
		unread := incidents.Unassigned()
		d.wrong(checkIncidents, fmt.Sprintf("%d of %s cannot be read (%s): until all can, no incident counts as withdrawn", len(unread), count(incidents.Received, "incident"), unread[0].Reason), tellTheVendor)
	default:
		d.ok(path(r.Route), "%s", content(r.Route, tenants, incidents))
	}
}

const tellTheVendor = "look at the answer with curl, and report it to the vendor"

// content says what a good answer held.
func content(route petra.Route, tenants *petra.Tenants, incidents *petra.Incidents) string {
	if route == petra.RouteTenants {
		paused := 0
		for _, t := range tenants.Tenants {
			if t.Paused {
				paused++
			}
		}
		return fmt.Sprintf("%s, %d of them paused", count(len(tenants.Tenants), "tenant"), paused)
	}
	text := count(incidents.Received, "incident")
	if incidents.Truncated() {
		text += ", the most that come at once; the exporter reads older ones tenant by tenant"
	}
	if n := len(incidents.Rejected); n > 0 {
		text += fmt.Sprintf("; %d of their fields could not be used", n)
	}
	return text
}

// failed says why a request failed; made are all of them.
func (d *doctor) failed(r request, made []request) {
	check := path(r.Route)
	code, wait := 0, time.Duration(0)
	if status, ok := errors.AsType[*petra.StatusError](r.Err); ok {
		code, wait = status.Code, status.Wait
	}
	var remedy string
	switch {
	case code == http.StatusUnauthorized && !slices.ContainsFunc(made, func(r request) bool { return r.Err == nil }):
		d.skip("the key is refused", check)
		return
	case code == http.StatusTooManyRequests:
		d.skip("the limit is reached", check)
		return
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		remedy = "ask the vendor what the key may do; does a proxy take away the User-Agent?"
	case code == http.StatusNotFound:
		remedy = "is api.url right? It ends before /v1"
	case code >= 300 && code < 400:
		remedy = "redirects are not followed: something on the way asks for a login, or api.url is wrong"
	case wait > 0:
		remedy = "the API, or a proxy before it, asks to wait, as in maintenance: the exporter waits as long, at most 10 minutes at a time, and goes on by itself"
	case code >= 500:
		remedy = "the API, or a proxy in front of it, fails: wait, and report it to the vendor if it lasts"
	case code > 0:
		remedy = "is api.url right? Otherwise report it to the vendor"
	case errors.Is(r.Err, petra.ErrUndecodable):
		remedy = "a portal or proxy answers in the API's place, or the API has changed: look with curl at what comes"
	case errors.Is(r.Err, petra.ErrTooLarge):
		remedy = "is it the API that answers? Then report it to the vendor"
	case errors.Is(r.Err, context.DeadlineExceeded):
		remedy = "the API is slow or silent: wait; does a higher api.timeout help?"
	default:
		remedy = "something on the way ends the connection, such as a firewall or proxy: try again, and from another network"
	}
	d.wrong(check, printable(r.Err.Error()), remedy)
}

// limit says whether another program spends the key's requests: the doctor
// makes one of each route, and so never meets the limit by itself.
func (d *doctor) limit(cfg *config.Config, made []request) {
	n := cfg.API.RequestsPerMinute
	answered := false
	for _, r := range made {
		answered = answered || r.Code > 0
		status, ok := errors.AsType[*petra.StatusError](r.Err)
		if !ok || status.Code != http.StatusTooManyRequests {
			continue
		}
		d.wrong(checkLimit, fmt.Sprintf("%s: %s", path(r.Route), printable(status.Error())),
			fmt.Sprintf("other programs have spent the key's requests of this minute (an exporter may be one: requests_per_minute is %d here, the API takes %d in all): lower it in each, or give each a key of its own", n, petra.RequestsPerMinute))
		return
	}
	if n > petra.RequestsPerMinute {
		d.wrong(checkLimit, fmt.Sprintf("requests_per_minute is %d, and the API allows %d", n, petra.RequestsPerMinute),
			fmt.Sprintf("set it to %d or less: the API refuses the rest (429)", petra.RequestsPerMinute))
		return
	}
	if !answered {
		d.skip("no route has answered", checkLimit)
		return
	}
	d.ok(checkLimit, "not reached; requests_per_minute is %d for each route", n)
}
