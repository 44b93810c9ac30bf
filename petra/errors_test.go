package petra_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// faults says what each way in which the API fails is to the caller.
var faults = map[petratest.FaultKind]struct {
	kind   error // the sentinel that it is; nil: none
	code   int   // that Observe is told; also the StatusError's where it is not 200 or 0
	cause  error // of the transport, that must be found in it
	well   bool  // no error at all
	lasted time.Duration
}{
	petratest.Status401:     {kind: petra.ErrUnauthorized, code: 401},
	petratest.Status403:     {kind: petra.ErrForbidden, code: 403},
	petratest.Status404:     {kind: petra.ErrNotFound, code: 404},
	petratest.Status429:     {kind: petra.ErrRateLimited, code: 429},
	petratest.Status500:     {code: 500},
	petratest.Status502:     {code: 502},
	petratest.Status503:     {code: 503},
	petratest.Cut:           {code: 200, cause: io.ErrUnexpectedEOF},
	petratest.Slow:          {kind: context.DeadlineExceeded, code: 200, lasted: testTimeout},
	petratest.Huge:          {kind: petra.ErrTooLarge, code: 200},
	petratest.GzipBomb:      {kind: petra.ErrTooLarge, code: 200},
	petratest.HTML:          {kind: petra.ErrUndecodable, code: 200},
	petratest.BadJSON:       {kind: petra.ErrUndecodable, code: 200},
	petratest.NullList:      {kind: petra.ErrUndecodable, code: 200},
	petratest.EmptyList:     {code: 200, well: true},
	petratest.IgnoredFilter: {code: 200, well: true},
	petratest.Redirect:      {kind: petra.ErrRedirect, code: 302},
	petratest.Hang:          {kind: context.DeadlineExceeded, lasted: testTimeout},
	petratest.EchoKey:       {code: 500},
	petratest.Damaged:       {kind: petra.ErrUndecodable, code: 200},
	petratest.Reset:         {cause: io.EOF},
}

func TestEveryFault(t *testing.T) {
	const latency = 250 * time.Millisecond
	for _, kind := range petratest.FaultKinds() {
		want, ok := faults[kind]
		if !ok {
			t.Errorf("the table has no row for %s", kind)
		}
		for _, route := range petra.Routes() {
			t.Run(fmt.Sprintf("%s %s", kind, route), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}, Latency: latency})
					c := newClient(t, newPipe(t, api))
					api.SetFault(petratest.Fault{Kind: kind})
					start := time.Now()
					err := c.ask(t.Context(), route)
					lasted := time.Since(start)
					if want.well {
						if err != nil {
							t.Error(err)
						}
					} else {
						wantKind(t, err, want.kind)
					}
					wantNoKey(t, err, testKey)
					if want.cause != nil && !errors.Is(err, want.cause) {
						t.Errorf("%v is not %v", err, want.cause)
					}
					var status *petra.StatusError
					if isStatus := errors.As(err, &status); isStatus != (want.code > 200) || isStatus && status.Code != want.code {
						t.Errorf("StatusError: %t, %v", isStatus, err)
					}
					if isStatus := status != nil; isStatus && (status.Wait > 0) != (want.code == 429) {
						t.Errorf("status %d waits %v", status.Code, status.Wait)
					}
					if expected := max(latency, want.lasted); lasted != expected {
						t.Errorf("it lasted %v, want %v", lasted, expected)
					}
					if strings.ContainsAny(fmt.Sprint(err), "\n\r\x00") || len(fmt.Sprint(err)) > 300 {
						t.Errorf("not one short line: %q", err)
					}
					observed := []petra.Request{{Route: route, Code: want.code, Duration: lasted, Err: err}}
					if want.code > 0 { // an answer begins after the latency
						observed[0].Date = start.Add(latency).Truncate(time.Second).UTC()
					}
					got := c.requests()
					for i := range got {
						got[i].Received = 0 // of which TestObserve is
					}
					if !slices.Equal(got, observed) {
						t.Errorf("observed %+v, want %+v", got, observed)
					}
					if n := len(api.Requests()); n != 1 {
						t.Errorf("%d requests came, want 1", n)
					}
					if got := c.spent(route); got != 1 {
						t.Errorf("%d spent, want 1", got)
					}

					api.ClearFault()
					time.Sleep(2 * time.Minute)
					if err := c.ask(t.Context(), route); err != nil {
						t.Errorf("afterwards: %v", err)
					}
				})
			})
		}
	}
	if n := len(petratest.FaultKinds()); len(faults) != n {
		t.Errorf("the table has %d rows for %d kinds", len(faults), n)
	}
}

func TestTheAPIsOwnRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := petratest.Documented()
		api := petratest.NewAPI(org, petratest.Options{Keys: []string{"another"}, Limit: 1})
		c := newClient(t, newPipe(t, api))
		wantKind(t, c.ask(t.Context(), petra.RouteIncidents), petra.ErrUnauthorized)
		api.SetKeys(testKey)
		_, err := c.Incidents(t.Context(), petra.IncidentsQuery{TenantID: "nobody"})
		wantKind(t, err, petra.ErrNotFound)
		start := time.Now()
		err = c.ask(t.Context(), petra.RouteIncidents)
		wantKind(t, err, petra.ErrRateLimited)
		if got := c.budgets[petra.RouteIncidents].State(time.Now()).Blocked; got.Sub(start) != time.Minute {
			t.Errorf("blocked for %v, want what the API named", got.Sub(start))
		}
		time.Sleep(time.Minute)
		if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
			t.Error(err)
		}
	})
}

// What is not 200 is an error, also where it is no failure elsewhere.
func TestStatusKinds(t *testing.T) {
	for code, kind := range map[int]error{
		201: nil, 202: nil, 204: nil, 206: nil, 300: petra.ErrRedirect, 304: petra.ErrRedirect, 307: petra.ErrRedirect,
		308: petra.ErrRedirect, 399: petra.ErrRedirect, 400: nil, 401: petra.ErrUnauthorized, 402: nil, 403: petra.ErrForbidden,
		404: petra.ErrNotFound, 407: nil, 410: nil, 418: nil, 429: petra.ErrRateLimited, 500: nil, 504: nil, 599: nil,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			body := `{"incidents": [], "tenants": []}`
			if code == 204 || code == 304 {
				body = ""
			}
			c := newClient(t, served(t, answering(code, nil, body)))
			err := c.ask(t.Context(), petra.RouteIncidents)
			wantKind(t, err, kind)
			var status *petra.StatusError
			if !errors.As(err, &status) || status.Code != code || status.Body != body {
				t.Errorf("got %#v", err)
			}
			if got := c.requests(); len(got) != 1 || got[0].Code != code {
				t.Errorf("observed %+v", got)
			}
		})
	}
}

func TestStatusErrorText(t *testing.T) {
	for want, err := range map[string]petra.StatusError{
		`status 500 Internal Server Error`:                                                {Code: 500},
		`status 401 Unauthorized: "bad \"key\""`:                                          {Code: 401, Body: `bad "key"`},
		`status 429 Too Many Requests (waiting 30s)`:                                      {Code: 429, Wait: 30 * time.Second},
		`status 429 Too Many Requests (asked to wait 1h0m0s, waiting 10m0s): "slow down"`: {Code: 429, Wait: petra.MaxWait, Asked: time.Hour, Body: "slow down"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestWait(t *testing.T) {
	const preferred, standard = "Retry-After-Public-Api", "Retry-After"
	type header map[string]string
	ahead := func(d time.Duration) string { return apiDate.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		name   string
		header header
		wait   time.Duration // 0: the default
		asked  time.Duration
	}{
		{"no header", nil, 0, 0},
		{"seconds", header{preferred: "30"}, 30 * time.Second, 0},
		{"seconds, standard", header{standard: "45"}, 45 * time.Second, 0},
		{"spaces", header{preferred: "  30 "}, 30 * time.Second, 0},
		{"the API's own first, shorter", header{preferred: "20", standard: "40"}, 20 * time.Second, 0},
		{"the API's own first, longer", header{preferred: "40", standard: "20"}, 40 * time.Second, 0},
		{"garbage, then standard", header{preferred: "soon", standard: "40"}, 40 * time.Second, 0},
		{"empty, then standard", header{preferred: "", standard: "40"}, 40 * time.Second, 0},
		{"date", header{preferred: ahead(90 * time.Second)}, 90 * time.Second, 0},
		{"date, standard", header{standard: ahead(15 * time.Second)}, 15 * time.Second, 0},
		{"date, RFC 850", header{standard: apiDate.Add(15 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT")}, 15 * time.Second, 0},
		{"date now", header{standard: ahead(0)}, 0, 0},
		{"date gone", header{standard: ahead(-time.Hour)}, 0, 0},
		{"ISO 8601", header{standard: apiDate.Add(time.Minute).Format(time.RFC3339)}, 0, 0},
		{"fraction", header{preferred: "0.2"}, time.Second, 0},
		{"more than a second", header{preferred: "1.5"}, 2 * time.Second, 0},
		{"zero", header{preferred: "0"}, 0, 0},
		{"zero, then standard", header{preferred: "0", standard: "40"}, 40 * time.Second, 0},
		{"negative", header{preferred: "-5"}, 0, 0},
		{"garbage", header{preferred: "soon", standard: "a while"}, 0, 0},
		{"unit", header{preferred: "30s"}, 0, 0},
		{"not a number", header{preferred: "NaN"}, 0, 0},
		{"ten minutes", header{preferred: "600"}, petra.MaxWait, 0},
		{"a second more", header{preferred: "601"}, petra.MaxWait, 601 * time.Second},
		{"a fraction more", header{preferred: "600.5"}, petra.MaxWait, 601 * time.Second},
		{"a year", header{preferred: "31536000"}, petra.MaxWait, 365 * 24 * time.Hour},
		{"a year, as a date", header{standard: ahead(365 * 24 * time.Hour)}, petra.MaxWait, 365 * 24 * time.Hour},
		{"the last date there is", header{standard: "Fri, 31 Dec 9999 23:59:59 GMT"}, petra.MaxWait, (1<<31 - 1) * time.Second},
		{"more than fits", header{preferred: "99999999999999999999"}, petra.MaxWait, (1<<31 - 1) * time.Second},
	} {
		for code, kind := range map[int]error{429: petra.ErrRateLimited, 503: nil} {
			t.Run(fmt.Sprintf("%d/%s", code, test.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := http.Header{"Date": {apiDate.Format(http.TimeFormat)}}
					for name, value := range test.header {
						h[name] = []string{value}
					}
					sent := 0
					c := newClient(t, served(t, func(w http.ResponseWriter, r *http.Request) {
						if sent++; sent == 1 {
							answering(code, h, "wait")(w, r)
							return
						}
						good(`{"incidents": [], "tenants": []}`)(w, r)
					}))
					time.Sleep(300 * time.Millisecond) // not at a whole second
					err := c.ask(t.Context(), petra.RouteIncidents)
					wantKind(t, err, kind)
					var status *petra.StatusError
					if !errors.As(err, &status) {
						t.Fatal(err)
					}
					want := test.wait
					if want == 0 && code == 429 {
						want = time.Minute
					}
					if status.Wait != want || status.Asked != test.asked {
						t.Errorf("waits %v, asked %v, want %v and %v", status.Wait, status.Asked, want, test.asked)
					}
					// The route is closed exactly as long, and the other one is not.
					if got := time.Until(c.budgets[petra.RouteIncidents].State(time.Now()).Blocked); max(0, got) != want {
						t.Errorf("blocked for %v, want %v", got, want)
					}
					if got := c.budgets[petra.RouteTenants].State(time.Now()).Blocked; !got.IsZero() {
						t.Errorf("the other route is blocked until %v", got)
					}
					if want > 0 {
						time.Sleep(want - 1)
						wantKind(t, c.ask(t.Context(), petra.RouteIncidents), petra.ErrNoBudget)
						if sent != 1 {
							t.Errorf("%d requests while blocked", sent)
						}
						time.Sleep(time.Nanosecond)
					}
					if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
						t.Errorf("at the end of the wait: %v", err)
					}
				})
			})
		}
	}
}

// A date without the API's clock is measured with ours, which is seldom at a
// whole second; the wait is whole seconds all the same, at least one.
func TestWaitUntilADateByOurClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(700 * time.Millisecond)
		for ahead, want := range map[time.Duration]time.Duration{
			300 * time.Millisecond:               time.Second,
			2*time.Second + 300*time.Millisecond: 3 * time.Second,
		} {
			h := http.Header{"Date": nil, "Retry-After": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}}
			err := newClient(t, served(t, answering(429, h, ""))).ask(t.Context(), petra.RouteIncidents)
			var status *petra.StatusError
			if !errors.As(err, &status) || status.Wait != want {
				t.Errorf("a date %v ahead: %v, want to wait %v", ahead, err, want)
			}
		}
	})
}

// The headers close the route: a body that trickles behind them must not leave
// it open meanwhile, nor lengthen the wait.
func TestA429BlocksBeforeItsBodyHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const after = 3 * time.Second
		start := time.Now()
		c := newClient(t, served(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After-public-api", "40")
			w.WriteHeader(429)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(after)
			_, _ = io.WriteString(w, "at last")
		}))
		ended := make(chan error, 1)
		go func() { ended <- c.ask(t.Context(), petra.RouteIncidents) }()
		time.Sleep(time.Second)
		if c.budgets[petra.RouteIncidents].State(time.Now()).Blocked.IsZero() {
			t.Error("the route is open a second after the 429")
		}
		err := <-ended
		wantKind(t, err, petra.ErrRateLimited)
		if !strings.Contains(err.Error(), "at last") {
			t.Errorf("%v does not have the body", err)
		}
		if got := c.budgets[petra.RouteIncidents].State(time.Now()).Blocked.Sub(start); got != 40*time.Second {
			t.Errorf("blocked until %v after the 429, want 40 s", got)
		}
	})
}
