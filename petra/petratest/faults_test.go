package petratest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type outcome struct {
	resp    *reply
	err     error
	elapsed time.Duration
}

// seen says what a plain http.Client that follows no redirect sees of each kind,
// asking for the incidents of tenant AAAAA1 (i4, i2, i0).
var seen = map[FaultKind]func(t *testing.T, o outcome){
	Status401: status(401), Status403: status(403), Status404: status(404), Status500: status(500),
	Status502: status(502), Status503: status(503),
	Status429: func(t *testing.T, o outcome) {
		status(429)(t, o)
		for name := range o.resp.Header {
			if strings.Contains(strings.ToLower(name), "retry") {
				t.Errorf("header %s", name)
			}
		}
	},
	Cut: func(t *testing.T, o outcome) {
		if o.resp == nil || o.resp.StatusCode != 200 || !errors.Is(o.err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v, %v", o.resp, o.err)
		}
		if !strings.HasPrefix(o.resp.Body, `{"incidents":[`) || json.Valid([]byte(o.resp.Body)) {
			t.Errorf("body %s", o.resp.Body)
		}
	},
	Slow: func(t *testing.T, o outcome) {
		good(t, o, "i4 i2 i0")
		if want := time.Duration(len(o.resp.Body)-1) * time.Second; o.elapsed < want {
			t.Errorf("%d bytes in %s", len(o.resp.Body), o.elapsed)
		}
	},
	Huge: huge,
	GzipBomb: func(t *testing.T, o outcome) {
		huge(t, o)
		if !o.resp.Gzip {
			t.Error("not compressed")
		}
	},
	HTML: func(t *testing.T, o outcome) {
		status200(t, o)
		if ct := o.resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/html") || !strings.HasPrefix(o.resp.Body, "<!DOCTYPE html>") {
			t.Errorf("%s: %s", ct, o.resp.Body)
		}
	},
	BadJSON: func(t *testing.T, o outcome) {
		status200(t, o)
		if json.Valid([]byte(o.resp.Body)) || !strings.HasPrefix(o.resp.Body, "{") {
			t.Errorf("body %s", o.resp.Body)
		}
	},
	NullList:      exactly(`{"incidents": null}`),
	EmptyList:     exactly(`{"incidents": []}`),
	IgnoredFilter: func(t *testing.T, o outcome) { good(t, o, "i5 i4 i3 i2 i1 i0") },
	Damaged: func(t *testing.T, o outcome) {
		good(t, o, "  ") // three without an ID
		if !strings.Contains(o.resp.Body, `"remediationStatus":`) {
			t.Errorf("body %s", o.resp.Body)
		}
	},
	Redirect: func(t *testing.T, o outcome) {
		if o.err != nil || o.resp.StatusCode != 302 || o.resp.Header.Get("Location") != "https://elsewhere.invalid/v1/incidents" {
			t.Errorf("%v, %v", o.resp, o.err)
		}
	},
	Hang: func(t *testing.T, o outcome) {
		if !errors.Is(o.err, context.DeadlineExceeded) || o.resp != nil {
			t.Errorf("%v, %v", o.resp, o.err)
		}
	},
	EchoKey: func(t *testing.T, o outcome) {
		status(500)(t, o)
		if !strings.Contains(o.resp.Body, "Bearer key") {
			t.Errorf("body %s", o.resp.Body)
		}
	},
	Reset: func(t *testing.T, o outcome) {
		if !errors.Is(o.err, io.EOF) || o.resp != nil {
			t.Errorf("%v, %v", o.resp, o.err)
		}
	},
}

func status(want int) func(*testing.T, outcome) {
	return func(t *testing.T, o outcome) {
		if o.err != nil || o.resp.StatusCode != want {
			t.Fatalf("%v, %v, want %d", o.resp, o.err, want)
		}
		if !json.Valid([]byte(o.resp.Body)) {
			t.Errorf("body %s", o.resp.Body)
		}
	}
}

func status200(t *testing.T, o outcome) {
	t.Helper()
	if o.err != nil || o.resp.StatusCode != 200 {
		t.Fatalf("%v, %v", o.resp, o.err)
	}
}

func exactly(want string) func(*testing.T, outcome) {
	return func(t *testing.T, o outcome) {
		status200(t, o)
		if o.resp.Body != want {
			t.Errorf("body %s", o.resp.Body)
		}
	}
}

func good(t *testing.T, o outcome, want string) {
	t.Helper()
	status200(t, o)
	var answer struct{ Incidents []struct{ ID string } }
	if err := json.Unmarshal([]byte(o.resp.Body), &answer); err != nil {
		t.Fatalf("%v in %.200s", err, o.resp.Body)
	}
	var got []string
	for _, in := range answer.Incidents {
		got = append(got, in.ID)
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func huge(t *testing.T, o outcome) {
	status200(t, o)
	if len(o.resp.Body) <= 32<<20 {
		t.Errorf("%d bytes", len(o.resp.Body))
	}
	// A JSON decoder would take seconds for the padding.
	padding, ok := strings.CutPrefix(o.resp.Body, `{"padding":"`)
	rest, ok2 := strings.CutPrefix(strings.TrimLeft(padding, "x"), `",`)
	if !ok || !ok2 {
		t.Fatalf("body %.100s", o.resp.Body)
	}
	o.resp.Body = "{" + rest
	good(t, o, "i4 i2 i0")
}

func TestEveryFault(t *testing.T) {
	kinds := FaultKinds()
	if len(kinds) != len(seen) {
		t.Errorf("%d kinds, %d expectations", len(kinds), len(seen))
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := smallOrg()
				// The bubble's clock starts long before the incidents.
				for i := range 6 {
					w.Update("i"+string(rune('0'+i)), func(in *Incident) { in.Visible = time.Unix(0, 0) })
				}
				api := NewAPI(w, Options{})
				p := NewPipe(api)
				c, closeIdle := pipeClient(p)
				c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				defer p.Close()
				defer closeIdle()

				api.SetFault(Fault{Kind: kind, Times: 1})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var o outcome
				start := time.Now()
				o.resp, o.err = c.get(ctx, "/v1/incidents?limit=500&tenantId=AAAAA1")
				o.elapsed = time.Since(start)
				seen[kind](t, o)
				log := api.Requests()
				want := 0
				if o.resp != nil {
					want = o.resp.StatusCode
				}
				if len(log) != 1 || log[0].Fault != kind || log[0].Status != want {
					t.Errorf("log %+v, want status %d", log, want)
				}

				// The next one is well again, though the fault's request counted.
				o.resp, o.err = c.get(t.Context(), "/v1/incidents?limit=500&tenantId=AAAAA1")
				good(t, o, "i4 i2 i0")
				time.Sleep(time.Until(start.Add(window)) - time.Nanosecond)
				if got := api.Spend(RouteIncidents, 10); time.Since(start) < window && got != 8 {
					t.Errorf("%d of the limit were left, want 8", got)
				}
			})
		})
	}
}

func TestFaultOfTenants(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Limit: -1})
	for kind, want := range map[FaultKind]string{
		NullList:  `{"totalTenants": 0, "tenants": null}`,
		EmptyList: `{"totalTenants": 0, "tenants": []}`,
	} {
		api.SetFault(Fault{Kind: kind})
		if got := get(t, api, "/v1/tenants").Body; got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func TestFaultParameters(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Limit: -1})
	for _, kind := range []FaultKind{Status429, Status503} {
		api.SetFault(Fault{Kind: kind, RetryHeader: "Retry-After", RetryValue: "7"})
		if got := get(t, api, "/v1/tenants").Header.Get("Retry-After"); got != "7" {
			t.Errorf("%s: Retry-After %q", kind, got)
		}
	}
	api.SetFault(Fault{Kind: Redirect, Location: "http://127.0.0.1:1/"})
	if got := get(t, api, "/v1/tenants").Header.Get("Location"); got != "http://127.0.0.1:1/" {
		t.Errorf("Location %q", got)
	}
	for _, kind := range []FaultKind{Status500, HTML, BadJSON} {
		api.SetFault(Fault{Kind: kind, Body: "mine"})
		if got := get(t, api, "/v1/tenants").Body; got != "mine" {
			t.Errorf("%s: body %q", kind, got)
		}
	}
	api.SetFault(Fault{Kind: Huge, Size: 10})
	if got := get(t, api, "/v1/incidents?startDate=2027-01-01").Body; got != `{"padding":"xxxxxxxxxx","incidents":[]}` {
		t.Errorf("huge: %s", got)
	}
	api.SetFault(Fault{Kind: "no such kind"})
	if got := get(t, api, "/v1/tenants").StatusCode; got != 500 {
		t.Errorf("an unknown kind: %d", got)
	}
}

func TestFaultMatchAndTimes(t *testing.T) {
	api := NewAPI(smallOrg(), Options{Keys: []string{"key"}, Limit: -1})
	statuses := func() []int {
		var list []int
		for _, target := range []string{"/v1/tenants", "/v1/incidents", "/v1/incidents?tenantId=AAAAA1"} {
			list = append(list, get(t, api, target).StatusCode)
		}
		return list
	}
	expect := func(when string, want ...int) {
		t.Helper()
		if got := statuses(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	api.SetFault(Fault{Kind: Status500, Match: IsTenants}, Fault{Kind: Status502, Match: IsOrgRead, Times: 2}, Fault{Kind: Status503, Match: IsFullRead, Times: 1})
	expect("first", 500, 502, 503)
	if got := get(t, api, "/v1/incidents", "Authorization", "Bearer wrong").StatusCode; got != 401 {
		t.Errorf("a wrong key met the fault: %d", got)
	}
	expect("second", 500, 502, 200)
	expect("third", 500, 200, 200)
	api.ClearFault()
	expect("cleared", 200, 200, 200)
}
