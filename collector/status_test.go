package collector_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// statusRow is a row of the table of tenants.
type statusRow struct {
	name, id, up, open, live, read, whole, problem string
	marked                                         bool // as a problem
}

var rowPattern = regexp.MustCompile(`<tr( class="problem")?><td>(.*)</td><td><code>(.*)</code></td><td>(.*)</td><td class="number">(.*)</td><td class="number">(.*)</td><td>(.*)</td><td>(.*)</td><td>(.*)</td></tr>`)

func statusRows(page string) (rows []statusRow) {
	for _, m := range rowPattern.FindAllStringSubmatch(page, -1) {
		for i := range m {
			m[i] = html.UnescapeString(m[i])
		}
		rows = append(rows, statusRow{m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[1] != ""})
	}
	return rows
}

// routeRow is the row of a route, as text.
func routeRow(t *testing.T, page, route string) string {
	t.Helper()
	m := regexp.MustCompile(`<tr><th scope="row">` + route + `</th>(.*)</tr>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no row of the route %s in:\n%s", route, page)
	}
	cells := strings.ReplaceAll(strings.ReplaceAll(m[1], `<td class="number">`, "<td>"), "</td>", "")
	return html.UnescapeString(strings.TrimPrefix(strings.ReplaceAll(cells, "<td>", " | "), " | "))
}

func (e *exporter) status() string {
	e.t.Helper()
	response := e.get("/status")
	if response.Code != http.StatusOK {
		e.t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}

// TestStatusEscapes holds that what comes from the API is text to a browser,
// wherever it stands.
func TestStatusEscapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const script = `<script>alert("x")</script>`
		w := petratest.NewWorld()
		w.SetTenant(petratest.Tenant{ID: `a"><i>`, Name: script + "'&"})
		w.SetTenant(petratest.Tenant{ID: "B", Name: "turned \u202egnp.exe\u2066 \x00\x1b[31m"})
		w.SetTenant(petratest.Tenant{ID: "C", Name: strings.Repeat("ä", 400)})
		now := time.Now()
		w.Add(petratest.Incident{TenantID: "B", CreatedAt: now, OccurredAt: now, OpenStatus: `<img src=x onerror=alert(1)>`})
		api := petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})
		e := newExporter(t, api, "")
		e.scrape()
		time.Sleep(time.Minute)
		api.SetFault(petratest.Fault{Kind: petratest.Status500, Body: script + "</td><td>`"})
		e.scrape()
		page := e.status()
		for _, bad := range []string{"<script", "<img", "<i>", `a">`, "\u202e", "\u2066", "\x00", "\x1b", strings.Repeat("ä", 257)} {
			if strings.Contains(page, bad) {
				t.Errorf("the page has %q", bad)
			}
		}
		for _, good := range []string{html.EscapeString(`<script>alert(`), html.EscapeString(`<img src=x onerror=alert(1)>`), strings.Repeat("ä", 256), "turned \ufffdgnp.exe\ufffd"} {
			if !strings.Contains(page, good) {
				t.Errorf("the page lacks %q:\n%s", good, page)
			}
		}
		if n := len(statusRows(page)); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	})
}

// TestStatusHeaders holds that a browser is told to run nothing and keep
// nothing, and that the page has no script to run.
func TestStatusHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		response := e.get("/status")
		for name, want := range map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
			"Cache-Control":           "no-store",
		} {
			if got := response.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if n := len(api.Requests()); n > 2 {
			t.Errorf("%d requests: the page is to make none", n)
		}
	})
}

// TestStatusBeforeAnything holds that nothing is claimed of what is not known.
func TestStatusBeforeAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		e := newExporter(t, api, "")
		page := e.status()
		if !strings.Contains(page, "No tenant is known yet.") || !strings.Contains(page, "Tenants: 0 complete, 0 pending, 0 stale.") {
			t.Errorf("got:\n%s", page)
		}
		if got, want := routeRow(t, page, "incidents"), "10 of 10 | no | never | none | "; got != want {
			t.Errorf("incidents: %s, want %s", got, want)
		}
	})
}

// TestStatusOrder holds that what is wrong stands first, and that counts which
// are not known are not shown as 0.
func TestStatusOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		w := petratest.NewWorld()
		for id, name := range map[string]string{"G1": "good one", "G2": "Alright", "D": "Denied", "F": "Failing"} {
			w.SetTenant(petratest.Tenant{ID: id, Name: name})
			w.Add(petratest.Incident{TenantID: id, CreatedAt: now, OccurredAt: now, Live: true}, petratest.Incident{TenantID: id, CreatedAt: now, OccurredAt: now})
		}
		api := petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}, Limit: -1})
		e := newExporter(t, api, "api: {requests_per_minute: 60}\nmax_staleness: 2m\ntenants: [{id: G1}, {id: G2}, {id: D}, {id: F}, {id: Nobody}]")
		e.scrape()
		time.Sleep(time.Minute)
		api.SetFault(
			petratest.Fault{Kind: petratest.Status403, Match: func(r petratest.Request) bool { return r.TenantID == "D" }},
			petratest.Fault{Kind: petratest.Status500, Match: func(r petratest.Request) bool { return r.TenantID == "F" }},
		)
		e.scrape()
		const (
			mistyped = "configured, but not in the organisation: check the ID"
			denied   = "the API refuses to give this tenant (status 403)"
			failing  = "the last request failed"
			stale    = "stale: not read for too long, nothing is published"
		)
		compareRows(t, e.status(), []statusRow{
			{"", "Nobody", "no", "unknown", "unknown", "never", "never", mistyped, true},
			{"Denied", "D", "no", "2", "1", "1m0s ago", "1m0s ago", denied, true},
			{"Failing", "F", "no", "2", "1", "1m0s ago", "1m0s ago", failing, true},
			{"Alright", "G2", "yes", "2", "1", "0s ago", "0s ago", "", false},
			{"good one", "G1", "yes", "2", "1", "0s ago", "0s ago", "", false},
		})
		time.Sleep(90 * time.Second)
		e.scrape()
		page := e.status()
		compareRows(t, page, []statusRow{
			{"", "Nobody", "no", "unknown", "unknown", "never", "never", mistyped, true},
			{"Denied", "D", "no", "unknown", "unknown", "2m30s ago", "2m30s ago", stale, true},
			{"Failing", "F", "no", "unknown", "unknown", "2m30s ago", "2m30s ago", stale, true},
			{"Alright", "G2", "yes", "2", "1", "0s ago", "0s ago", "", false},
			{"good one", "G1", "yes", "2", "1", "0s ago", "0s ago", "", false},
		})
		if !strings.Contains(page, "Tenants: 2 complete, 1 pending, 2 stale.") {
			t.Errorf("the summary is another one:\n%s", page)
		}
	})
}

func compareRows(t *testing.T, page string, want []statusRow) {
	t.Helper()
	got := statusRows(page)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d, in:\n%s", len(got), len(want), page)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("row %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

// TestStatusPending holds that a tenant that is not read whole yet shows no
// counts, though some of its incidents are known.
func TestStatusPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		w := petratest.NewWorld()
		for _, id := range []string{"A", "B"} {
			w.SetTenant(petratest.Tenant{ID: id, Name: "Tenant " + id, Onboarded: now.Add(-365 * 24 * time.Hour)})
		}
		for i := range 600 {
			at := now.Add(-time.Duration(i) * time.Minute)
			w.Add(petratest.Incident{TenantID: "A", CreatedAt: at, OccurredAt: at})
		}
		old := now.Add(-100 * 24 * time.Hour)
		w.Add(petratest.Incident{TenantID: "B", CreatedAt: old, OccurredAt: old})
		api := petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})
		e := newExporter(t, api, "")
		e.scrape()
		const pending = "pending: not yet read whole, no counts"
		compareRows(t, e.status(), []statusRow{
			{"Tenant A", "A", "yes", "unknown", "unknown", "0s ago", "never", pending, true},
			{"Tenant B", "B", "yes", "unknown", "unknown", "0s ago", "never", pending, true},
		})
		// The process makes no whole reads in its first minute.
		time.Sleep(61 * time.Second)
		e.scrape()
		synctest.Wait()
		time.Sleep(30 * time.Second)
		rows := statusRows(e.status())
		if len(rows) != 2 || rows[0].open != "500" || rows[0].problem != "more incidents than the API gives (500): older ones are out of reach" || rows[1].open != "1" || rows[1].problem != "" {
			t.Errorf("after the whole reads: %+v", rows)
		}
	})
}

// TestStatusRoutes holds what the page says of the routes: the last error and
// when it was, also after the route has recovered, never with the key.
func TestStatusRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, api := webAPI(t)
		e := newExporter(t, api, "")
		e.scrape()
		time.Sleep(time.Minute + time.Second)
		api.SetFault(petratest.Fault{Kind: petratest.EchoKey})
		e.scrape()
		synctest.Wait() // the list is read beside
		page := e.status()
		if strings.Contains(page, testKey) {
			t.Error("the page shows the key")
		}
		for _, route := range []string{"incidents", "tenants"} {
			row := routeRow(t, page, route)
			if !strings.Contains(row, "status 500") || !strings.Contains(row, "<secret>") || !strings.HasSuffix(row, "| 0s ago") {
				t.Errorf("%s: %s", route, row)
			}
		}
		if got, want := routeRow(t, page, "incidents"), "9 of 10 | no | 1m1s ago | status 500"; !strings.HasPrefix(got, want) {
			t.Errorf("incidents: %s, want %s", got, want)
		}
		if log := e.log.String(); strings.Contains(log, testKey) || !strings.Contains(log, "<secret>") {
			t.Errorf("the log shows the key, or no error:\n%s", log)
		}
		time.Sleep(30 * time.Second)
		api.ClearFault()
		e.scrape()
		time.Sleep(5 * time.Second)
		if got := routeRow(t, e.status(), "incidents"); !strings.Contains(got, "| 5s ago | status 500") || !strings.HasSuffix(got, "| 35s ago") {
			t.Errorf("after the recovery: %s", got)
		}
		time.Sleep(30 * time.Second)
		api.SetFault(petratest.Fault{Kind: petratest.Status429, RetryHeader: "Retry-After-public-api", RetryValue: "120"})
		e.scrape()
		time.Sleep(20 * time.Second)
		if got := routeRow(t, e.status(), "incidents"); !strings.Contains(got, "| for 1m40s |") || !strings.Contains(got, "status 429 Too Many Requests (waiting 2m0s)") {
			t.Errorf("after a 429: %s", got)
		}
	})
}
