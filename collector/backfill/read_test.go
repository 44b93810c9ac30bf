package backfill_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/backfill"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// manyIncidents is an organization that no organization read tells whole.
func manyIncidents(now time.Time, tenants int) *petratest.Organization {
	w := petratest.NewOrganization()
	for n := range tenants {
		id := fmt.Sprintf("T%02d", n)
		w.SetTenant(petratest.Tenant{ID: id, Name: id})
		for i := range 600/tenants + 1 {
			at := now.Add(-time.Duration(i*tenants+n+1) * time.Minute)
			w.Add(petratest.Incident{ID: fmt.Sprintf("%s-%d", id, i), TenantID: id, CreatedAt: at, OccurredAt: at, RemediatedAt: at.Add(time.Second)})
		}
	}
	return w
}

// TestBackfillBudget: every tenant is read in full once, beside an exporter that
// spends too, and the time left is told.
func TestBackfillBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		const tenants, limit = 20, 4
		api := petratest.NewAPI(manyIncidents(epochNoon, tenants), petratest.Options{Keys: []string{testKey}, Latency: 200 * time.Millisecond})
		api.Spend(petratest.RouteIncidents, 8) // so that the third request gets a 429
		b := command{api: api, options: backfill.Options{Step: "1m"}}
		past := parsePast(t, b.run(t))
		if b.err != nil {
			t.Fatal(b.err)
		}
		for n := range tenants {
			if got, _ := past.at(fmt.Sprintf(`petra_incidents_raised_total{tenant_id="T%02d"}`, n), epochNoon); got != 31 {
				t.Errorf("tenant %d: %v incidents, want 31", n, got)
			}
			if _, there := past.at(fmt.Sprintf(`petra_incidents_raised_total{tenant_id="T%02d"}`, n), epochNoon.Add(time.Minute)); there {
				t.Errorf("tenant %d: a sample of a time after the first request", n)
			}
		}
		requests := api.Requests()
		asked, refused := map[string]int{}, 0
		for i, r := range requests {
			switch {
			case r.Status == 429:
				refused++
			case r.Route == petratest.RouteIncidents:
				asked[r.TenantID]++
			}
			inWindow := 0
			for _, other := range requests[:i+1] {
				if other.Route == r.Route && r.Time.Sub(other.Time) <= time.Minute {
					inWindow++
				}
			}
			if inWindow > limit {
				t.Errorf("%d requests in a minute", inWindow)
			}
		}
		if len(asked) != tenants+1 || refused != 1 {
			t.Errorf("asked %v, %d refused", asked, refused)
		}
		for who, n := range asked {
			if n != 1 {
				t.Errorf("%q: %d requests", who, n)
			}
		}
		// 22 requests on the route take at least 5 minutes.
		if b.log.lines(`msg="reading tenants" done=0 of=20 left=5m0s`) != 1 || b.log.lines(`msg="reading tenants"`) < 4 || b.log.lines(`msg="every tenant is read" tenants=20`) != 1 {
			t.Errorf("the log:\n%s", b.log)
		}
	})
}

// TestBackfillFaults: what passes is tried again; what does not, ends the run or
// leaves a tenant out, and is told.
func TestBackfillFaults(t *testing.T) {
	of := func(id string) func(petratest.Request) bool {
		return func(r petratest.Request) bool { return r.TenantID == id }
	}
	for name, c := range map[string]struct {
		faults  []petratest.Fault
		yaml    string
		err     string // empty: it succeeds
		log     string
		without string // the tenant that is left out
		most    time.Duration
	}{
		"the list fails twice":              {faults: []petratest.Fault{{Kind: petratest.Status500, Match: petratest.IsTenants, Times: 2}}, most: 10 * time.Minute},
		"the list fails":                    {faults: []petratest.Fault{{Kind: petratest.Status500, Match: petratest.IsTenants}}, err: "the tenants cannot be listed: status 500", most: time.Hour},
		"the list fails, and is no need":    {faults: []petratest.Fault{{Kind: petratest.Status403, Match: petratest.IsTenants}}, yaml: "tenants: [{id: T01}]", most: time.Minute},
		"the first organization read fails": {faults: []petratest.Fault{{Kind: petratest.Reset, Match: petratest.IsOrgRead, Times: 1}}, most: 10 * time.Minute},
		"organization reads fail":           {faults: []petratest.Fault{{Kind: petratest.HTML, Match: petratest.IsOrgRead}}, err: "incidents cannot be read: undecodable answer", most: time.Hour},
		"all reads of tenants fail":         {faults: []petratest.Fault{{Kind: petratest.Status502, Match: petratest.IsFullRead}}, err: "of 4 tenants, 4 cannot be read; last, tenant T03: status 502", most: time.Hour},
		"an outage":                         {faults: []petratest.Fault{{Kind: petratest.Cut, Match: petratest.IsFullRead, Times: 10}}, most: 20 * time.Minute},
		"one tenant is refused":             {faults: []petratest.Fault{{Kind: petratest.Status403, Match: of("T02")}}, log: `msg="tenant cannot be read and is left out" tenant_id=T02`, without: "T02", most: 2 * time.Minute},
		"one tenant fails for long":         {faults: []petratest.Fault{{Kind: petratest.Status500, Match: of("T02"), Times: 3}}, most: 10 * time.Minute},
		"the key is refused":                {faults: []petratest.Fault{{Kind: petratest.Status401}}, err: "the tenants cannot be listed: status 401 Unauthorized", most: time.Second},
		"the key is deleted":                {faults: []petratest.Fault{{Kind: petratest.Status401, Match: of("T02")}}, err: "status 401 Unauthorized", most: 2 * time.Minute},
		"a mistyped tenant":                 {yaml: "tenants: [{id: T01}, {id: Nobody}]", log: `msg="tenant cannot be read and is left out" tenant_id=Nobody`, without: "Nobody", most: 2 * time.Minute},
		"none but mistyped":                 {yaml: "tenants: [{id: Nobody}]", err: "no tenant could be read", most: 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(epochNoon)
				api := petratest.NewAPI(manyIncidents(epochNoon, 4), petratest.Options{Keys: []string{testKey}})
				api.SetFault(c.faults...)
				b := command{api: api, yaml: c.yaml}
				begun := time.Now()
				text := b.run(t)
				if took := time.Since(begun); took > c.most {
					t.Errorf("it took %s", took)
				}
				if !strings.Contains(b.log.String(), c.log) {
					t.Errorf("the log lacks %s:\n%s", c.log, b.log)
				}
				if c.err != "" {
					if b.err == nil || !strings.HasPrefix(b.err.Error(), c.err) || text != "" {
						t.Errorf("%v; want %s; and a file of %d bytes", b.err, c.err, len(text))
					}
					return
				}
				if b.err != nil {
					t.Fatal(b.err)
				}
				past := parsePast(t, text)
				for _, id := range []string{"T00", "T01", "T02", "T03"} {
					_, there := past.at(`petra_incidents_raised_total{tenant_id="`+id+`"}`, epochNoon)
					if want := id != c.without && (c.yaml == "" || id == "T01"); there != want {
						t.Errorf("%s: there %t, want %t", id, there, want)
					}
				}
			})
		})
	}
}

// TestBackfillTruncated: of a tenant with more incidents than the API gives, the
// history begins where they do, and the log says so.
func TestBackfillTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		b := command{api: petratest.NewAPI(manyIncidents(epochNoon, 1), petratest.Options{Keys: []string{testKey}})}
		past := parsePast(t, b.run(t))
		first := epochNoon.Add(-500 * time.Minute).Truncate(time.Hour)
		if value, ok := past.at(`petra_incidents_raised_total{tenant_id="T00"}`, first); !ok || value != 0 {
			t.Errorf("at %s: %v, there: %t", first, value, ok)
		}
		if value, _ := past.at(`petra_incidents_raised_total{tenant_id="T00"}`, epochNoon); value != 500 || b.log.lines("begins with the oldest of those") != 1 {
			t.Errorf("at last %v; the log:\n%s", value, b.log)
		}
	})
}

// TestBackfillInterrupted: no file, whenever it is.
func TestBackfillInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(90*time.Second, cancel)
		b := command{api: petratest.NewAPI(manyIncidents(epochNoon, 20), petratest.Options{Keys: []string{testKey}}), ctx: ctx}
		text := b.run(t)
		if text != "" || b.err == nil || b.err.Error() != "interrupted" {
			t.Errorf("%d bytes, %v", len(text), b.err)
		}
		if entries, err := os.ReadDir(filepath.Dir(b.options.Output)); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	})
}

// TestBackfillTooLarge: a large file is refused, save by force; and what is
// interrupted while it is written leaves nothing behind.
func TestBackfillTooLarge(t *testing.T) {
	for force, want := range map[bool]string{
		false: " GB would be written, more than 10.0 GB; choose a longer --step, a later --start or fewer of --metric, or set --force",
		true:  "interrupted",
	} {
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(epochNoon)
			ctx, cancel := context.WithCancel(t.Context())
			b := command{
				api: petratest.NewAPI(pastOrg(epochNoon), petratest.Options{Keys: []string{testKey}}), ctx: ctx,
				options: backfill.Options{Step: "1s", Labels: []string{"note=" + strings.Repeat("x", 10_000)}, Force: force},
			}
			b.onLog = func(line string) {
				if strings.Contains(line, "msg=writing") {
					cancel()
				}
			}
			text := b.run(t)
			if text != "" || b.err == nil || !strings.HasSuffix(b.err.Error(), want) {
				t.Errorf("force %t: %d bytes, %v", force, len(text), b.err)
			}
			if entries, err := os.ReadDir(filepath.Dir(b.options.Output)); err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// TestBackfillOptions: each error names the flag, the value and a way out.
func TestBackfillOptions(t *testing.T) {
	for _, c := range []struct {
		change func(*backfill.Options)
		want   string
	}{
		{func(o *backfill.Options) { o.Output = "" }, "--output: must name a file, such as history.om"},
		{func(o *backfill.Options) { o.Start = "yesterday" }, `--start: "yesterday" is not a time; give a date (2026-01-31, UTC), a time with its zone (2026-01-31T12:00:00Z) or Unix seconds`},
		{func(o *backfill.Options) { o.End = "2026-02-30" }, `--end: "2026-02-30" is not a time; give `},
		{func(o *backfill.Options) { o.End = "1767225600000" }, `--end: "1767225600000" is not a time; give `},
		{func(o *backfill.Options) { o.End = "2199-01-01" }, "--end: 2199-01-01 lies in the future; leave it out for now"},
		{func(o *backfill.Options) { o.Start, o.End = "2025-02-01", "2025-01-01" }, "--start: 2025-02-01 is not before the end, 2025-01-01T00:00:00Z"},
		{func(o *backfill.Options) { o.Start, o.End = "2025-01-01", "2025-01-01" }, "--start: 2025-01-01 is not before the end, 2025-01-01T00:00:00Z"},
		{func(o *backfill.Options) { o.Step = "1" }, `--step: "1" must be whole seconds, at least 1s, such as 15m, 1h or 1d`},
		{func(o *backfill.Options) { o.Step = "1500ms" }, `--step: "1500ms" must be whole seconds`},
		{func(o *backfill.Options) { o.Step = "0s" }, `--step: "0s" must be whole seconds`},
		{func(o *backfill.Options) { o.Start, o.End = "2025-01-01T13:05:00Z", "2025-01-01T13:08:00Z" }, "--step: no multiple of 1h lies between 2025-01-01T13:05:00Z and 2025-01-01T13:08:00Z, and samples lie there only; choose a shorter --step or a longer range"},
		{func(o *backfill.Options) { o.Step, o.End = "100000d", "2025-01-01" }, "--step: no multiple of 100000d lies between 2001-09-09T01:46:40Z and 2025-01-01T00:00:00Z, "},
		{func(o *backfill.Options) { o.End = "1999-12-31" }, "--end: 1999-12-31 is before 2001-09-09T01:46:40Z, the first time that can be written"},
		{func(o *backfill.Options) { o.RequestsPerMinute = 0 }, "--requests-per-minute: 0 must be at least 1"},
		{func(o *backfill.Options) { o.Metrics = []string{"closed"} }, `--metric: "closed" must be one of raised, incidents, open, dwell, detection, remediation`},
		{func(o *backfill.Options) { o.Labels = []string{"job"} }, `--label: "job" must be NAME=VALUE, such as job=petra`},
		{func(o *backfill.Options) { o.Labels = []string{"a-b=c"} }, `--label: "a-b" is not a valid label name`},
		{func(o *backfill.Options) { o.Labels = []string{"__name__=c"} }, `--label: "__name__" is not a valid label name`},
		{func(o *backfill.Options) { o.Labels = []string{"tenant_id=c"} }, `--label: "tenant_id" is a label that the exporter sets; choose another name`},
		{func(o *backfill.Options) { o.Labels = []string{"job=a", "job=b"} }, `--label: "job" is given twice; keep one`},
		{func(o *backfill.Options) { o.Labels = []string{"job=\xff"} }, `--label: the value of "job" is not valid UTF-8`},
	} {
		o := backfill.Options{Output: "history.om", Step: "1h", Metrics: []string{"raised"}, Labels: []string{"job=petra"}, RequestsPerMinute: 4}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

// TestBackfillOutput: what cannot be written is told before anything is read.
func TestBackfillOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ output, want string }{
		"no folder": {filepath.Join(dir, "missing", "history.om"), "no such file or directory"},
		"in a file": {filepath.Join(file, "history.om"), "not a directory"},
		"a folder":  {filepath.Join(dir, "folder"), "is not a regular file; name another"},
		"a link":    {link, "is not a regular file; name another"},
		"a device":  {"/dev/full", "/dev/full is not a regular file; name another"},
		"read-only": {"/proc/history.om", "/proc/"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o700); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(epochNoon)
				api := petratest.NewAPI(pastOrg(epochNoon), petratest.Options{Keys: []string{testKey}})
				b := command{api: api, options: backfill.Options{Output: c.output}}
				b.runOnly(t)
				if b.err == nil || !strings.HasPrefix(b.err.Error(), "--output: ") || !strings.Contains(b.err.Error(), c.want) {
					t.Errorf("%v, want %s", b.err, c.want)
				}
				if n := len(api.Requests()); n != 0 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}
