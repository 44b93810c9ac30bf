package petratest

import (
	"net/http"
	"slices"
	"time"
)

// FaultKind is a way in which the API fails.
type FaultKind string

// The kinds of fault. What answers with an error status does so in JSON, as the
// API does.
const (
	Status401     FaultKind = "status-401"
	Status403     FaultKind = "status-403"
	Status404     FaultKind = "status-404"
	Status429     FaultKind = "status-429" // with a header only where Fault.RetryHeader is set
	Status500     FaultKind = "status-500"
	Status502     FaultKind = "status-502"
	Status503     FaultKind = "status-503"     // likewise
	Cut           FaultKind = "cut"            // the connection ends in the middle of the body
	Slow          FaultKind = "slow"           // a good answer, byte by byte
	Huge          FaultKind = "huge"           // a good answer behind more padding than a client should read
	GzipBomb      FaultKind = "gzip-bomb"      // the same, small on the wire
	HTML          FaultKind = "html"           // a login page with status 200
	BadJSON       FaultKind = "bad-json"       // JSON that breaks off, with status 200
	NullList      FaultKind = "null-list"      // null in place of the list
	EmptyList     FaultKind = "empty-list"     // no incidents, no tenants
	IgnoredFilter FaultKind = "ignored-filter" // tenantId is taken as left out; other requests are answered well
	Redirect      FaultKind = "redirect"       // to another host
	Hang          FaultKind = "hang"           // no answer until the client is gone
	EchoKey       FaultKind = "echo-key"       // status 500 with the Authorization header in its body
	Damaged       FaultKind = "damaged"        // elements of a good answer are changed by Fault.Damage
	Reset         FaultKind = "reset"          // the connection ends without an answer; Go's client sends a GET again if the connection was a reused one
)

// FaultKinds returns every kind, so that a test can walk through them.
func FaultKinds() []FaultKind {
	return []FaultKind{
		Status401, Status403, Status404, Status429, Status500, Status502, Status503, Cut, Slow, Huge, GzipBomb,
		HTML, BadJSON, NullList, EmptyList, IgnoredFilter, Redirect, Hang, EchoKey, Damaged, Reset,
	}
}

// Fault makes requests fail that have a User-Agent, a good key and room in the
// rate limit. They count against the limit.
type Fault struct {
	Kind  FaultKind
	Match func(Request) bool // nil: every request; it must not call the API
	Times int                // how many requests fail; 0: until it is cleared

	Body                    string        // what the status kinds, HTML and BadJSON send; default: a fitting text
	RetryHeader, RetryValue string        // of the status kinds: a header that names the wait
	Location                string        // Redirect; default: a URL of a host that does not exist
	Delay                   time.Duration // Slow: between two bytes; default 1 s
	// Damage returns what goes out in place of element n of the list, DamageList
	// what goes out in place of the list: Damaged only. Default: each element
	// without its ID.
	Damage     func(n int, element map[string]any) any
	DamageList func([]any) []any
	Size       int // Huge, GzipBomb: bytes of padding; default 33 MiB
}

// IsOrgRead reports whether a request asks for the incidents of every tenant.
func IsOrgRead(r Request) bool { return r.Route == RouteIncidents && r.TenantID == "" }

// IsFullRead reports whether a request asks for the incidents of one tenant.
func IsFullRead(r Request) bool { return r.Route == RouteIncidents && r.TenantID != "" }

// IsTenants reports whether a request asks for the tenants.
func IsTenants(r Request) bool { return r.Route == RouteTenants }

// SetFault replaces all faults by these. The first that matches a request holds.
func (a *API) SetFault(faults ...Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = slices.Clone(faults)
}

// ClearFault ends all faults. Requests that one has caught go on as they began.
func (a *API) ClearFault() { a.SetFault() }

// nextFault returns the fault that a request meets, if any.
func (a *API) nextFault(r Request) *Fault {
	for i := range a.faults {
		f := a.faults[i]
		if f.Match != nil && !f.Match(r) {
			continue
		}
		if f.Times == 1 {
			a.faults = slices.Delete(a.faults, i, i+1)
		} else if f.Times > 1 {
			a.faults[i].Times--
		}
		return &f
	}
	return nil
}

var faultStatus = map[FaultKind]int{
	Status401: http.StatusUnauthorized, Status403: http.StatusForbidden, Status404: http.StatusNotFound,
	Status429: http.StatusTooManyRequests, Status500: http.StatusInternalServerError,
	Status502: http.StatusBadGateway, Status503: http.StatusServiceUnavailable,
}
