package collector_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestRequestLines: each request is a line of the log at level debug.
func TestRequestLines(t *testing.T) {
	for want, request := range map[string]petra.Request{
		"level=debug msg=\"request made\" route=incidents tenant_id=A code=200 duration=1.5s incidents=500 truncated=true\n": {
			Route: petra.RouteIncidents, TenantID: "A", Code: 200, Duration: 1500 * time.Millisecond, Received: 500, Truncated: true,
		},
		"level=debug msg=\"request made\" route=tenants tenant_id= code=200 duration=1s tenants=3\n": {
			Route: petra.RouteTenants, Code: 200, Duration: time.Second, Received: 3,
		},
		"level=debug msg=\"request made\" route=incidents tenant_id= code=error duration=1s err=\"no connection\"\n": {
			Route: petra.RouteIncidents, Duration: time.Second, Err: errors.New("no connection"),
		},
	} {
		var text logBuffer
		collector.NewRequests(log.NewLogfmtLogger(&text)).Observe(request)
		if text.String() != want {
			t.Errorf("got  %swant %s", &text, want)
		}
	}
}

// TestProgress: the log tells once a minute how far the full reads are, as long
// as they get on, and when they are done.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 40, Incidents: 800, Open: 1})
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "")
		const line, end = `msg="tenants are pending"`, `msg="no tenant is pending any more"`
		runScrapes(e, 2*time.Minute)
		if n := e.log.lines(line); n < 1 || n > 3 || !strings.Contains(e.log.String(), " tenants=40 requests_per_minute=7 left=") {
			t.Errorf("%d lines after 2 minutes:\n%s", n, e.log)
		}
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
		runScrapes(e, time.Minute)
		before := e.log.lines(line)
		runScrapes(e, 10*time.Minute)
		if n := e.log.lines(line) - before; n > 0 {
			t.Errorf("%d lines while nothing is read:\n%s", n, e.log)
		}
		api.ClearFault()
		runScrapes(e, 20*time.Minute)
		if n, ended := e.log.lines(line), e.log.lines(end); n < 4 || n > 12 || ended != 1 {
			t.Errorf("%d lines in all, %d of the end:\n%s", n, ended, e.log)
		}
	})
}
