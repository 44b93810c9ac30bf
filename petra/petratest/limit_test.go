package petratest

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := NewAPI(NewOrganization(), Options{Keys: []string{"key", "other"}})
		ask := func(path, key string) reply {
			return get(t, api, path, "Authorization", "Bearer "+key)
		}
		accepted := func(when string) {
			t.Helper()
			if resp := ask("/v1/incidents", "key"); resp.StatusCode != 200 {
				t.Errorf("%s: status %d", when, resp.StatusCode)
			}
		}
		refused := func(when, wait string) {
			t.Helper()
			resp := ask("/v1/incidents", "key")
			if got := resp.Header.Get("Retry-After-public-api"); resp.StatusCode != 429 || got != wait {
				t.Errorf("%s: status %d, wait %q, want 429 and %q", when, resp.StatusCode, got, wait)
			}
		}
		// One request each second from 0 s to 9 s.
		for range 10 {
			accepted("of the first ten")
			time.Sleep(time.Second)
		}
		refused("at 10 s", "50")
		time.Sleep(500 * time.Millisecond)
		refused("at 10.5 s", "50")
		for _, target := range []string{"/v1/tenants", "/v1/incidents"} {
			if got := ask(target, "other").StatusCode; got != 200 {
				t.Errorf("%s with another key: %d", target, got)
			}
		}
		if got := ask("/v1/tenants", "key").StatusCode; got != 200 {
			t.Errorf("another route: %d", got)
		}
		time.Sleep(49*time.Second + 499*time.Millisecond)
		refused("at 59.999 s", "1")
		time.Sleep(time.Millisecond)
		// The refused ones did not count: just the one of 0 s has left.
		accepted("at 60 s")
		refused("at 60 s again", "1")
		time.Sleep(time.Second)
		accepted("at 61 s")
	})
}

func TestRefusalsBeforeTheLimitDoNotCount(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Keys: []string{"key"}, Limit: 2})
	for range 5 {
		get(t, api, "/v1/incidents", "Authorization", "Bearer wrong")
		get(t, api, "/v1/incidents", "User-Agent", "")
	}
	// A bad parameter does.
	for i, want := range []int{400, 200, 429} {
		target := "/v1/incidents"
		if i == 0 {
			target += "?limit=0"
		}
		if got := get(t, api, target).StatusCode; got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
}

func TestSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, keys := range [][]string{nil, {"key"}} {
			api := NewAPI(NewOrganization(), Options{Keys: keys})
			if got := api.Spend(RouteIncidents, 8); got != 8 {
				t.Errorf("%v: 8 became %d", keys, got)
			}
			time.Sleep(30 * time.Second)
			if got := api.Spend(RouteIncidents, 8); got != 2 {
				t.Errorf("%v: 2 were left, not %d", keys, got)
			}
			if got := get(t, api, "/v1/incidents"); got.StatusCode != 429 || got.Header.Get("Retry-After-public-api") != "30" {
				t.Errorf("%v: %d, %v", keys, got.StatusCode, got.Header)
			}
			if got := get(t, api, "/v1/tenants").StatusCode; got != 200 {
				t.Errorf("%v: the other route: %d", keys, got)
			}
			if n := len(api.Requests()); n != 2 {
				t.Errorf("%v: %d requests in the log", keys, n)
			}
		}
	})
}
