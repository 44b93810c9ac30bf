package collector_test

import (
	"context"
	"net/url"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
	"go.uber.org/goleak"
)

// TestNothingIsLeft holds on real sockets that no fault leaves a goroutine or a
// file descriptor: while it serves, over a reload, and at a stop in the middle.
func TestNothingIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	files := openFiles(t)
	api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}, Limit: -1})
	server, err := petratest.NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range petratest.FaultKinds() {
		// A 429 without a header would be waited out for a minute.
		fault := petratest.Fault{Kind: kind, RetryHeader: "Retry-After", RetryValue: "1"}
		ctx, cancel := context.WithCancel(t.Context())
		c := collector.New(ctx, log.NewNopLogger())
		configure(t, c, server.URL)
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			c.Run()
		}()
		asked := func(fault petratest.FaultKind) func() bool {
			seen := len(api.Requests())
			return func() bool {
				<-c.Refresh()
				return slices.ContainsFunc(api.Requests()[seen:], func(r petratest.Request) bool {
					return r.Route == petratest.RouteIncidents && r.Fault == fault && (r.Status == 200 || fault != "")
				})
			}
		}
		eventually(t, "the first good answer", asked(""))
		api.SetFault(fault)
		eventually(t, string(kind)+" strikes", asked(kind))
		configure(t, c, server.URL)
		eventually(t, string(kind)+" strikes after a reload", asked(kind))
		api.ClearFault()
		eventually(t, "it recovers from "+string(kind), asked(""))
		eventually(t, "no descriptor is left of "+string(kind), func() bool { return openFiles(t) <= files+1 }) // the server listens on one
		api.SetFault(fault)
		seen := len(api.Requests())
		refreshed := make(chan struct{})
		go func() {
			defer close(refreshed)
			for len(api.Requests()) == seen && ctx.Err() == nil {
				<-c.Refresh()
			}
		}()
		eventually(t, string(kind)+" strikes before the stop", func() bool { return len(api.Requests()) > seen })
		cancel()
		<-ran
		<-refreshed
		api.ClearFault()
		eventually(t, "no descriptor is left after a stop at "+string(kind), func() bool { return openFiles(t) <= files+1 })
	}
	server.Close()
	eventually(t, "no descriptor is left", func() bool { return openFiles(t) <= files })
	goleak.VerifyNone(t, before)
}

// configure lets a collector ask often, and give up after the least time.
func configure(t *testing.T, c *collector.Collector, api string) {
	t.Helper()
	cfg := loadConfig(t, "api: {timeout: 1s, requests_per_minute: 60000}\ntenants: [{id: Aaaaa1}]")
	u, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.URL = u
	client, err := petra.NewClient(petra.ClientConfig{
		URL: u, Key: config.NewInlineSecret(testKey), Timeout: cfg.API.Timeout, Version: "test", Budgets: c.Budgets(), Observe: c.ObserveRequest,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Configure(cfg, client)
}

// openFiles counts the descriptors of this process, where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// eventually waits for what happens on its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s: not within a minute", what)
		}
	}
}
