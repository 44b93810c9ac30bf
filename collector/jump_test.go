package collector_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// clock is one on which time passes as a test says. Its wall clock can be set,
// as a system's can, while its monotonic clock goes on.
type clock struct {
	passed, set atomic.Int64
}

// now relies on the layout of time.Time: the wall clock's seconds begin at bit
// 30 of the first word.
func (c *clock) now() time.Time {
	at := time.Now().Add(time.Duration(c.passed.Load()))
	*(*uint64)(unsafe.Pointer(&at)) += uint64(time.Duration(c.set.Load())/time.Second) << 30
	return at
}

// TestWallClockJumps: a wall clock that is set by hours makes nothing stale,
// keeps nothing from becoming stale, and neither hurries nor puts off a read.
// It is not in a bubble, where no time has a monotonic reading.
func TestWallClockJumps(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			testWallClockJumps(t, by, "")
		})
		t.Run(name+", warm start", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.json")
			before := newExporterWithState(t, petratest.NewAPI(smallOrg(time.Now().Add(-24*time.Hour)), petratest.Options{}), "", file)
			before.scrape()
			before.stop()
			testWallClockJumps(t, by, file)
		})
	}
}

func testWallClockJumps(t *testing.T, by time.Duration, stateFile string) {
	var c clock
	defer collector.SetClock(c.now)()
	api := petratest.NewAPI(smallOrg(time.Now().Add(-24*time.Hour)), petratest.Options{})
	if stateFile != "" {
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
	}
	e := newExporterWithState(t, api, "max_staleness: 10m", stateFile)
	defer e.stop() // before the clock is put back
	orgReads := 0
	step := func(what string, jump, pass time.Duration, asked int, state string) {
		t.Helper()
		before := c.now()
		c.set.Add(int64(jump))
		if after := c.now(); after.Sub(before) > time.Hour || (after.Round(0).Sub(before.Round(0))-jump).Abs() > time.Hour {
			t.Fatalf("the wall clock does not jump by %s alone: %s, %s", jump, before, after)
		}
		c.passed.Add(int64(pass))
		e.scrape().want(t, `petra_tenants{state="`+state+`"}`, 3)
		orgReads += asked
		got := 0
		for _, r := range api.Requests() {
			if petratest.IsOrgRead(r) {
				got++
			}
		}
		if got != orgReads {
			t.Errorf("%s: %d heads, want %d", what, got, orgReads)
		}
	}
	step("at first", 0, 0, 1, "complete")
	step("set", by, 0, 0, "complete")
	step("set, and later", 0, 15*time.Second, 1, "complete")
	api.SetFault(petratest.Fault{Kind: petratest.Status500})
	step("the API fails", 0, 9*time.Minute, 1, "complete")
	step("set back", -by, 0, 0, "complete")
	step("for too long", 0, 2*time.Minute, 1, "stale")
}

// TestStaleFacts: what organization reads have told of a tenant whose own reads are refused
// ends with max_staleness, on the collector's clock.
func TestStaleFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		defer collector.SetClock(func() time.Time { return time.Now().Add(time.Duration(c.passed.Load())) })()
		org := bigOrg(time.Now())
		api := petratest.NewAPI(org, petratest.Options{})
		e := newExporter(t, api, "max_staleness: 10m")
		defer e.stop() // before the clock is put back
		runScrapes(e, 3*time.Minute)
		api.SetFault(petratest.Fault{Kind: petratest.Status403, Match: func(r petratest.Request) bool { return r.TenantID == "Aaaaa1" }})
		org.Add(petratest.Incident{ID: "new", TenantID: "Aaaaa1", CreatedAt: time.Now(), OccurredAt: time.Now()})
		runScrapes(e, 3*time.Minute)
		const fact = `petra_open_incident_live{incident_id="new",tenant_id="Aaaaa1"}`
		e.scrape().want(t, fact, 0)
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
		c.passed.Add(int64(11 * time.Minute))
		s := e.scrape()
		s.want(t, `petra_tenants{state="stale"}`, 3)
		if _, ok := s.value(fact); ok {
			t.Error("an incident is still told 11 minutes after the last organization read")
		}
	})
}
