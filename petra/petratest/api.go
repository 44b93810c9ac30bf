package petratest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The routes of the API, as Request.Route names them.
const (
	RouteIncidents = "incidents"
	RouteTenants   = "tenants"
)

// Options says how an API behaves. The zero value behaves like the real one,
// with any key.
type Options struct {
	Keys          []string      // the good keys; empty: any key is good, and all count as one
	Limit         int           // requests in any 60 s per route and key; 0: the real 10; negative: no limit
	Latency       time.Duration // before each answer
	UnknownTenant int           // status for a tenantId that nobody has; 0: 404; 200: an empty list
}

// Request is one request that came, for tests to look at. It holds no key.
type Request struct {
	Time      time.Time // of its arrival
	Route     string    // RouteIncidents or RouteTenants; for anything else its path
	TenantID  string    // these three as they were sent
	StartDate string
	Limit     string
	Fault     FaultKind // that it met, if any
	Status    int       // of the answer; 0: not yet, or never
}

// keepRequests bounds the log: a demo runs for weeks.
const keepRequests = 20_000

// API simulates the Petra API over an Organization. It is an http.Handler.
type API struct {
	org           *Organization
	unknownTenant int

	mu       sync.Mutex
	anyKey   bool
	keys     map[string]bool
	latency  time.Duration
	limiter  limiter
	faults   []Fault
	requests []*Request
}

// NewAPI returns the API of an organization.
func NewAPI(w *Organization, o Options) *API {
	a := &API{
		org:           w,
		unknownTenant: cmp.Or(o.UnknownTenant, http.StatusNotFound),
		latency:       o.Latency,
		limiter:       limiter{limit: cmp.Or(o.Limit, 10), spent: map[[2]string][]time.Time{}},
	}
	a.SetKeys(o.Keys...)
	a.anyKey = len(o.Keys) == 0
	return a
}

// SetKeys makes these keys good and all others bad, at once. Without any, every
// request gets a 401.
func (a *API) SetKeys(keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.anyKey = false
	a.keys = map[string]bool{}
	for _, k := range keys {
		a.keys[k] = true
	}
}

// SetLatency sets how long each later request waits for its answer.
func (a *API) SetLatency(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latency = d
}

// Spend is another program that makes n requests with the same key now. It
// returns how many of them the API accepted.
func (a *API) Spend(route string, n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	keys := slices.Collect(maps.Keys(a.keys))
	if a.anyKey {
		keys = []string{""}
	}
	accepted := 0
	for _, key := range keys {
		got := 0
		for range n {
			if a.limiter.take(route, key, time.Now()) == 0 {
				got++
			}
		}
		accepted = max(accepted, got)
	}
	return accepted
}

// Requests returns what came so far, in order; of a long run the last 20,000.
func (a *API) Requests() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Request, 0, len(a.requests))
	for _, r := range a.requests {
		list = append(list, *r)
	}
	return list
}

// ServeHTTP judges and logs a request on its arrival, waits for the latency, and
// answers with what is true then.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry, refusal, fault, latency := a.arrive(r)
	if !sleep(r.Context(), latency) {
		return
	}
	switch {
	case refusal != nil:
		a.send(w, r, entry, *refusal)
	case fault != nil:
		a.fail(w, r, entry, fault)
	default:
		a.send(w, r, entry, a.answer(entry, false))
	}
}

func (a *API) arrive(r *http.Request) (*Request, *answer, *Fault, time.Duration) {
	query := r.URL.Query()
	entry := &Request{
		Route: r.URL.Path, TenantID: query.Get("tenantId"), StartDate: query.Get("startDate"), Limit: query.Get("limit"),
	}
	switch r.URL.Path {
	case "/v1/incidents":
		entry.Route = RouteIncidents
	case "/v1/tenants":
		entry.Route = RouteTenants
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	entry.Time = time.Now()
	if len(a.requests) >= 2*keepRequests {
		a.requests = slices.Clone(a.requests[keepRequests:])
	}
	a.requests = append(a.requests, entry)

	refusal := a.judge(r, entry)
	if refusal != nil {
		return entry, refusal, nil, a.latency
	}
	fault := a.nextFault(*entry)
	if fault != nil {
		entry.Fault = fault.Kind
	}
	return entry, nil, fault, a.latency
}

// judge refuses a request that does not reach the data, in the order of the
// API's own checks, or counts it against the limit.
func (a *API) judge(r *http.Request, entry *Request) *answer {
	var ans answer
	switch {
	case entry.Route != RouteIncidents && entry.Route != RouteTenants:
		ans = refuse(http.StatusNotFound, "no such route")
		return &ans
	case r.Method != http.MethodGet:
		ans = refuse(http.StatusMethodNotAllowed, "method not allowed")
		ans.header.Set("Allow", http.MethodGet)
		return &ans
	case r.UserAgent() == "":
		ans = refuse(http.StatusForbidden, "a User-Agent is required")
		return &ans
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || key == "" || !a.anyKey && !a.keys[key] {
		ans = refuse(http.StatusUnauthorized, "invalid API key")
		return &ans
	}
	if a.anyKey {
		key = ""
	}
	if wait := a.limiter.take(entry.Route, key, entry.Time); wait > 0 {
		ans = refuse(http.StatusTooManyRequests, "rate limit exceeded")
		ans.header.Set("Retry-After-public-api", strconv.Itoa(retryAfter(wait)))
		return &ans
	}
	return nil
}
