package petra_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// An answer of exactly the bound is read, one byte more is not, however
// small it is on the wire.
func TestAnswerBound(t *testing.T) {
	const list = `{"incidents": [], "tenants": []}`
	for name, test := range map[string]struct {
		size       int
		compressed bool
		want       error
	}{
		"the bound":                   {petra.MaxAnswerBytes, false, nil},
		"one byte beyond":             {petra.MaxAnswerBytes + 1, false, petra.ErrTooLarge},
		"one byte beyond, compressed": {petra.MaxAnswerBytes + 1, true, petra.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			body := list + strings.Repeat(" ", test.size-len(list))
			dial := served(t, good(body))
			if test.compressed {
				api := petratest.NewAPI(petratest.NewOrganization(), petratest.Options{})
				api.SetFault(petratest.Fault{Kind: petratest.BadJSON, Body: body})
				dial = newPipe(t, api)
			}
			if err := newClient(t, dial).ask(t.Context(), petra.RouteIncidents); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// An API that never stops sending is not read to its end, which there is not.
func TestEndlessAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		want   error
	}{
		"good":  {200, petra.ErrTooLarge},
		"error": {500, nil},
		"429":   {429, petra.ErrRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				c := newClient(t, served(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(test.status)
					for {
						n, err := io.WriteString(w, strings.Repeat("x", 1<<16))
						if err != nil {
							return
						}
						sent += n
					}
				}))
				start := time.Now()
				err := c.ask(t.Context(), petra.RouteIncidents)
				wantKind(t, err, test.want)
				if time.Since(start) != 0 || sent > petra.MaxAnswerBytes+1<<20 {
					t.Errorf("it ended after %v and %d bytes", time.Since(start), sent)
				}
			})
		})
	}
}

// The timeout bounds the whole of a request, whatever takes the time, and each
// ends at exactly that moment.
func TestTimeout(t *testing.T) {
	trickle := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				time.Sleep(700 * time.Millisecond)
			}
		}
	}
	for _, test := range []struct {
		name string
		dial func(*testing.T) config.DialContextFunc
		want error
		code int
	}{
		{"no connection", neverConnecting, context.DeadlineExceeded, 0},
		{"no reader", func(*testing.T) config.DialContextFunc { return unread }, context.DeadlineExceeded, 0},
		{"no answer", func(t *testing.T) config.DialContextFunc {
			return served(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, context.DeadlineExceeded, 0},
		{"half a header", func(t *testing.T) config.DialContextFunc {
			return holding(t, "HTTP/1.1 200 OK\r\nContent-Le")
		}, context.DeadlineExceeded, 0},
		{"no body", func(t *testing.T) config.DialContextFunc {
			return holding(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
		}, context.DeadlineExceeded, 200},
		{"slow body", func(t *testing.T) config.DialContextFunc { return served(t, trickle(200)) }, context.DeadlineExceeded, 200},
		{"slow error body", func(t *testing.T) config.DialContextFunc { return served(t, trickle(403)) }, petra.ErrForbidden, 403},
		{"slow body of a 429", func(t *testing.T) config.DialContextFunc { return served(t, trickle(429)) }, petra.ErrRateLimited, 429},
		// After a 101 net/http leaves the connection to the caller.
		{"switched protocols", func(t *testing.T) config.DialContextFunc {
			return holding(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}, nil, 101},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, test.dial(t), func(cfg *petra.ClientConfig) { cfg.Timeout = 7 * time.Second })
				ended := make(chan error, 1)
				start := time.Now()
				go func() { ended <- c.ask(t.Context(), petra.RouteIncidents) }()
				time.Sleep(7 * time.Second)
				synctest.Wait()
				select {
				case err := <-ended:
					wantKind(t, err, test.want)
					wantNoKey(t, err, testKey)
					if test.want == context.DeadlineExceeded && !strings.Contains(err.Error(), "within 7s") { //nolint:errorlint // identity is meant
						t.Errorf("%v does not say how long it waited", err)
					}
					got := c.requests()
					if len(got) != 1 || got[0].Code != test.code || got[0].Duration > time.Since(start) {
						t.Errorf("observed %+v", got)
					}
				default:
					t.Error("the request outlives its timeout")
				}
				if at, known := c.budgets[petra.RouteIncidents].FreeAt(time.Now(), 10); test.code != 429 && (!known || time.Until(at) > time.Minute+1) {
					t.Errorf("all free in %v (%t)", time.Until(at), known)
				}
			})
		})
	}
}

// neverConnecting connects to nothing until the test ends: net/http lets go of
// a connection attempt with its request, but does not end it.
func neverConnecting(t *testing.T) config.DialContextFunc {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	return func(context.Context, string, string) (net.Conn, error) {
		<-ended
		return nil, net.ErrClosed
	}
}

// unread connects to a server that does not even read.
func unread(context.Context, string, string) (net.Conn, error) {
	ours, _ := net.Pipe()
	return ours, nil
}

// holding answers with reply and keeps the connection open until the test ends.
func holding(t *testing.T, reply string) config.DialContextFunc {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	return replying(reply, hold)
}

func TestCancelEndsARequestAtOnce(t *testing.T) {
	for _, kind := range []petratest.FaultKind{petratest.Hang, petratest.Slow} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(petratest.Documented(), petratest.Options{})
				api.SetFault(petratest.Fault{Kind: kind})
				c := newClient(t, newPipe(t, api))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(3*time.Second+1, cancel)
				start := time.Now()
				err := c.ask(ctx, petra.RouteIncidents)
				wantKind(t, err, context.Canceled)
				if lasted := time.Since(start); lasted != 3*time.Second+1 {
					t.Errorf("it lasted %v", lasted)
				}
				if got := c.requests(); len(got) != 1 || got[0].Duration != 3*time.Second+1 || !errors.Is(got[0].Err, context.Canceled) {
					t.Errorf("observed %+v", got)
				}
				// It reached the API and counts.
				if n, spent := len(api.Requests()), c.spent(petra.RouteIncidents); n != 1 || spent != 1 {
					t.Errorf("%d sent, %d spent", n, spent)
				}
				cancel()
			})
		})
	}
	t.Run("before the request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := petratest.NewAPI(petratest.Documented(), petratest.Options{})
			c := newClient(t, newPipe(t, api))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantKind(t, c.ask(ctx, petra.RouteIncidents), context.Canceled)
			if n := len(api.Requests()); n != 0 {
				t.Errorf("%d sent", n)
			}
		})
	})
}

// Observe gets no request that was not made, and a client without Observe works.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Latency: 1500 * time.Millisecond})
		c := newClient(t, newPipe(t, api))
		c.budgets[petra.RouteTenants].SetLimit(1)
		start := time.Now().Round(0) // without the monotonic reading
		for range 2 {
			_ = c.ask(t.Context(), petra.RouteTenants)
		}
		if got := c.requests(); len(got) != 1 || got[0] != (petra.Request{Route: petra.RouteTenants, Code: 200, Date: start.Add(time.Second).UTC(), Duration: 1500 * time.Millisecond, Received: 1}) {
			t.Errorf("observed %+v", got)
		}
		quiet := newClient(t, newPipe(t, api), func(cfg *petra.ClientConfig) { cfg.Observe = nil })
		if err := quiet.ask(t.Context(), petra.RouteIncidents); err != nil {
			t.Error(err)
		}
		wantKind(t, newClient(t, nil, withKey(nil), func(cfg *petra.ClientConfig) { cfg.Observe = nil }).
			ask(t.Context(), petra.RouteIncidents), petra.ErrKey)
	})
}
