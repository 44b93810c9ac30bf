package petratest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// reply is a response that was read to its end.
type reply struct {
	StatusCode int
	Header     http.Header
	Body       string
	Gzip       bool // the client decompressed it
}

// get asks the handler without a network.
func get(t *testing.T, h http.Handler, target string, header ...string) reply {
	t.Helper()
	return do(t, h, http.MethodGet, target, header...)
}

func do(t *testing.T, h http.Handler, method, target string, header ...string) reply {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Authorization", "Bearer key")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return reply{StatusCode: rec.Code, Header: rec.Header(), Body: rec.Body.String()}
}

func ids(t *testing.T, resp reply) []string {
	t.Helper()
	var answer struct {
		Incidents []struct {
			ID string `json:"id"`
		} `json:"incidents"`
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, resp.Body)
	}
	if err := json.Unmarshal([]byte(resp.Body), &answer); err != nil {
		t.Fatalf("%v in %s", err, resp.Body)
	}
	if answer.Incidents == nil {
		t.Fatalf("no list in %s", resp.Body)
	}
	list := []string{}
	for _, in := range answer.Incidents {
		list = append(list, in.ID)
	}
	return list
}

// smallOrg has i0 (the oldest) to i5 (the newest), an hour apart, of tenants A
// and B in turn.
func smallOrg() *Organization {
	w := NewOrganization()
	w.SetTenant(Tenant{ID: "BBBBB1", Name: "Beta", MicrosoftID: "00000000-0000-4000-8000-00000000000B", Paused: true})
	w.SetTenant(Tenant{ID: "AAAAA1", Name: "Alpha", MicrosoftID: "00000000-0000-4000-8000-00000000000A", Onboarded: epoch})
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		at := epoch.Add(time.Duration(i-6) * time.Hour)
		tenant := "AAAAA1"
		if i%2 == 1 {
			tenant = "BBBBB1"
		}
		w.Add(Incident{ID: fmt.Sprintf("i%d", i), TenantID: tenant, CreatedAt: at, OccurredAt: at.Add(-time.Minute)})
	}
	return w
}

func TestIncidents(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Limit: -1})
	for _, tc := range []struct{ query, want string }{
		{"", "i5 i4 i3 i2 i1 i0"},
		{"?limit=1", "i5"},
		{"?limit=500", "i5 i4 i3 i2 i1 i0"},
		{"?tenantId=AAAAA1", "i4 i2 i0"},
		{"?tenantId=AAAAA1&limit=2", "i4 i2"},
		{"?tenantId=00000000-0000-4000-8000-00000000000B", "i5 i3 i1"},
		{"?tenantId=00000000-0000-4000-8000-00000000000b", "i5 i3 i1"},
		{"?tenantId=", "i5 i4 i3 i2 i1 i0"},
		{"?startDate=2026-03-01T09:00:00Z", "i5 i4 i3"},
		{"?startDate=2026-03-01T09:00:00.001Z", "i5 i4"},
		{"?startDate=2026-03-01T11:00:00%2B02:00", "i5 i4 i3"},
		{"?startDate=2026-03-01T09:00:00", "i5 i4 i3"},
		{"?startDate=2026-03-01", "i5 i4 i3 i2 i1 i0"},
		{"?startDate=2026-03-02", ""},
		{"?startDate=2026-03-01T09:00:00Z&tenantId=BBBBB1", "i5 i3"},
	} {
		resp := get(t, api, "/v1/incidents"+tc.query)
		if got := strings.Join(ids(t, resp), " "); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.query, got, tc.want)
		}
		if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("%q: Content-Type %q", tc.query, ct)
		}
	}
}

func TestDefaultLimit(t *testing.T) {
	w := NewOrganization()
	for i := range 600 {
		w.Add(Incident{ID: fmt.Sprintf("%03d", i), TenantID: "A", CreatedAt: epoch.Add(time.Duration(i) * time.Second)})
	}
	api := NewAPI(w, Options{Limit: -1})
	for query, want := range map[string]int{"": 100, "?limit=500": 500, "?limit=499": 499} {
		list := ids(t, get(t, api, "/v1/incidents"+query))
		if len(list) != want || list[0] != "599" {
			t.Errorf("%q: %d incidents from %s on, want %d from 599 on", query, len(list), list[0], want)
		}
	}
}

func TestRefusals(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Keys: []string{"key"}, Limit: -1})
	for _, tc := range []struct {
		name, method, target string
		header               []string
		want                 int
	}{
		{"limit 0", "GET", "/v1/incidents?limit=0", nil, 400},
		{"limit 501", "GET", "/v1/incidents?limit=501", nil, 400},
		{"limit -1", "GET", "/v1/incidents?limit=-1", nil, 400},
		{"limit 1.5", "GET", "/v1/incidents?limit=1.5", nil, 400},
		{"limit ten", "GET", "/v1/incidents?limit=ten", nil, 400},
		{"startDate word", "GET", "/v1/incidents?startDate=yesterday", nil, 400},
		{"startDate day", "GET", "/v1/incidents?startDate=2026-02-30", nil, 400},
		{"startDate unix", "GET", "/v1/incidents?startDate=1767225600", nil, 400},
		{"no User-Agent", "GET", "/v1/incidents", []string{"User-Agent", ""}, 403},
		{"no User-Agent, no key", "GET", "/v1/tenants", []string{"User-Agent", "", "Authorization", ""}, 403},
		{"no key", "GET", "/v1/incidents", []string{"Authorization", ""}, 401},
		{"empty key", "GET", "/v1/incidents", []string{"Authorization", "Bearer "}, 401},
		{"wrong key", "GET", "/v1/tenants", []string{"Authorization", "Bearer other"}, 401},
		{"wrong scheme", "GET", "/v1/tenants", []string{"Authorization", "Basic key"}, 401},
		{"wrong key before bad limit", "GET", "/v1/incidents?limit=0", []string{"Authorization", "Bearer other"}, 401},
		{"unknown tenant", "GET", "/v1/incidents?tenantId=CCCCC1", nil, 404},
		{"tenant IDs have case", "GET", "/v1/incidents?tenantId=aaaaa1", nil, 404},
		{"unknown route", "GET", "/v1/incidents/i1", nil, 404},
		{"root", "GET", "/", nil, 404},
		{"post", "POST", "/v1/incidents", nil, 405},
		{"head", "HEAD", "/v1/tenants", nil, 405},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := do(t, api, tc.method, tc.target, tc.header...)
			if resp.StatusCode != tc.want {
				t.Fatalf("status %d, want %d", resp.StatusCode, tc.want)
			}
			if allow := resp.Header.Get("Allow"); (allow == "GET") != (tc.want == 405) {
				t.Errorf("Allow: %q", allow)
			}
			if !json.Valid([]byte(resp.Body)) {
				t.Errorf("no JSON: %s", resp.Body)
			}
			log := api.Requests()
			if last := log[len(log)-1]; last.Status != tc.want {
				t.Errorf("logged status %d", last.Status)
			}
		})
	}
}

func TestUnknownTenantAsEmptyList(t *testing.T) {
	api := NewAPI(smallOrg(), Options{UnknownTenant: http.StatusOK})
	if got := ids(t, get(t, api, "/v1/incidents?tenantId=nobody")); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestKeys(t *testing.T) {
	api := NewAPI(NewOrganization(), Options{Limit: -1})
	status := func(key string) int {
		return get(t, api, "/v1/tenants", "Authorization", "Bearer "+key).StatusCode
	}
	if got := status("any"); got != 200 {
		t.Errorf("without keys: %d", got)
	}
	api.SetKeys("a", "b")
	if a, b, c := status("a"), status("b"), status("any"); a != 200 || b != 200 || c != 401 {
		t.Errorf("keys a and b: %d %d %d", a, b, c)
	}
	api.SetKeys("b")
	if a, b := status("a"), status("b"); a != 401 || b != 200 {
		t.Errorf("a deleted: %d %d", a, b)
	}
	api.SetKeys()
	if b := status("b"); b != 401 {
		t.Errorf("all deleted: %d", b)
	}
}

func TestTenants(t *testing.T) {
	w := smallOrg()
	api := NewAPI(w, Options{Limit: -1})
	const alpha = `{"petraTenantId":"AAAAA1","name":"Alpha","microsoftTenantId":"00000000-0000-4000-8000-00000000000A","isPaused":false,"onboardingDate":"2026-03-01T12:00:00.000Z"}`
	const beta = `{"petraTenantId":"BBBBB1","name":"Beta","microsoftTenantId":"00000000-0000-4000-8000-00000000000B","isPaused":true,"onboardingDate":null}`
	if got, want := get(t, api, "/v1/tenants").Body, `{"totalTenants":2,"tenants":[`+alpha+`,`+beta+`]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.RemoveTenant("AAAAA1")
	if got, want := get(t, api, "/v1/tenants").Body, `{"totalTenants":1,"tenants":[`+beta+`]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := ids(t, get(t, api, "/v1/incidents?tenantId=AAAAA1")); len(got) != 3 {
		t.Errorf("a removed tenant's incidents: %v", got)
	}
	w.SetTenant(Tenant{ID: "AAAAA1", Name: "Zulu", MicrosoftID: "00000000-0000-4000-8000-00000000000C"})
	if got := w.Tenants(); len(got) != 2 || got[1].Name != "Zulu" {
		t.Errorf("after the return: %+v", got)
	}
	if got := get(t, api, "/v1/incidents?tenantId=00000000-0000-4000-8000-00000000000A").StatusCode; got != 404 {
		t.Errorf("the former Microsoft ID: %d", got)
	}
	w.RemoveTenant("AAAAA1")
	w.RemoveTenant("BBBBB1")
	if got, want := get(t, api, "/v1/tenants").Body, `{"totalTenants":0,"tenants":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRequestsLog(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Limit: -1})
	get(t, api, "/v1/tenants")
	get(t, api, "/v1/incidents?limit=500")
	get(t, api, "/v1/incidents?limit=7&tenantId=AAAAA1&startDate=2026-01-01")
	get(t, api, "/v2/x")
	want := []Request{
		{Route: RouteTenants, Status: 200},
		{Route: RouteIncidents, Limit: "500", Status: 200},
		{Route: RouteIncidents, Limit: "7", TenantID: "AAAAA1", StartDate: "2026-01-01", Status: 200},
		{Route: "/v2/x", Status: 404},
	}
	log := api.Requests()
	for i := range log {
		if log[i].Time.IsZero() {
			t.Errorf("request %d has no time", i)
		}
		log[i].Time = time.Time{}
	}
	if !slices.Equal(log, want) {
		t.Errorf("got  %+v\nwant %+v", log, want)
	}
	matches := func(r Request) [3]bool { return [3]bool{IsOrgRead(r), IsFullRead(r), IsTenants(r)} }
	for i, want := range [][3]bool{{false, false, true}, {true, false, false}, {false, true, false}, {}} {
		if got := matches(log[i]); got != want {
			t.Errorf("request %d: head, whole, tenants = %v, want %v", i, got, want)
		}
	}
	for range 2*keepRequests + 10 {
		get(t, api, "/")
	}
	if n := len(api.Requests()); n < keepRequests || n > 2*keepRequests {
		t.Errorf("the log holds %d requests", n)
	}
}
