package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html/atom"
)

// TestStatusOpenIncidents holds that every listed open incident has its row,
// the newest first, with a link where it has a page.
func TestStatusOpenIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		w := petratest.NewOrganization()
		w.SetTenant(petratest.Tenant{ID: "A", Name: "Acme & Sons"})
		w.SetTenant(petratest.Tenant{ID: "B"})
		w.Add(
			petratest.Incident{ID: "old", TenantID: "A", CreatedAt: now.Add(-100 * time.Hour), OccurredAt: now.Add(-200 * time.Hour), OpenStatus: "ACTIVE", URL: "https://example.com/i/old"},
			petratest.Incident{ID: "new", TenantID: "A", CreatedAt: now.Add(-90 * time.Minute), OccurredAt: now.Add(-2 * time.Hour), OpenStatus: "ACTIVE", Live: true, URL: "javascript:alert(1)"},
			petratest.Incident{ID: "done", TenantID: "A", CreatedAt: now.Add(-time.Hour), OccurredAt: now.Add(-time.Hour), RemediatedAt: now.Add(-time.Minute)},
			petratest.Incident{ID: "sole", TenantID: "B", CreatedAt: now.Add(-time.Minute), OccurredAt: now.Add(-time.Minute), OpenStatus: "SURPRISE"},
		)
		e := newExporter(t, petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}}), "open_statuses: [ACTIVE]\nmax_open_incidents: 1")
		e.scrape()
		page := e.status()
		var got []string
		for _, row := range tableRows(t, page, "open") {
			text := strings.Join(cells(row), " | ")
			for n := range row.Descendants() {
				if n.DataAtom == atom.A {
					text += " -> " + attribute(n, "href")
				}
			}
			got = append(got, text)
		}
		want := []string{
			"B | 1m ago | no | sole | 1m ago | SURPRISE -> #tenant-1 -> https://",
			"Acme & Sons | 1h30m ago | live | new | 2h ago | ACTIVE -> #tenant-0",
		}
		if len(got) != 2 || !strings.HasPrefix(got[0], want[0]) || got[1] != want[1] {
			t.Errorf("got %q, want %q", got, want)
		}
		if text := textOf(section(t, page, "open")); !strings.Contains(text, "2 in 2 tenants, 1 live; 1 more are not listed.") {
			t.Errorf("got %s", text)
		}
		statuses := map[string]string{}
		for _, row := range tableRows(t, page, "statuses") {
			c := cells(row)
			statuses[c[0]] = c[1] + " " + c[2]
		}
		for status, want := range map[string]string{"REMEDIATED": "remediated 1", "ACTIVE": "open 2", "SURPRISE": "unknown, treated as open 1"} {
			if statuses[status] != want {
				t.Errorf("%s: %q, want %q", status, statuses[status], want)
			}
		}
		if got := problems(t, page); len(got) != 1 || !strings.Contains(got[0], "SURPRISE is in none of the configured lists") {
			t.Errorf("problems: %q", got)
		}
	})
}

// TestStatusCalm holds that the page is calm only where everything is known:
// a tenant that is not read may have an open incident.
func TestStatusCalm(t *testing.T) {
	const well, none = "Nothing: every tenant is read and fresh.", "None."
	synctest.Test(t, func(t *testing.T) {
		w := petratest.NewOrganization()
		w.SetTenant(petratest.Tenant{ID: "A", Name: "Acme"})
		w.SetTenant(petratest.Tenant{ID: "B", Name: "Bolt"})
		api := petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})
		e := newExporter(t, api, "max_staleness: 5m")
		e.scrape()
		page := e.status()
		if got := textOf(section(t, page, "wrong")); !strings.Contains(got, well) {
			t.Errorf("all is read: %s", got)
		}
		if got := textOf(section(t, page, "open")); !strings.Contains(got, none) {
			t.Errorf("all is read: %s", got)
		}
		api.SetFault(petratest.Fault{Kind: petratest.Status401})
		for range 4 {
			time.Sleep(2 * time.Minute)
			e.scrape()
		}
		page = e.status()
		want := []string{
			"Requests for incidents fail; the last good answer was 8m ago. status 401 Unauthorized",
			"Tenant Acme and 1 more: stale: not read for too long, nothing is published.",
		}
		got := problems(t, page)
		if len(got) < 2 || !strings.HasPrefix(got[0], want[0]) || got[len(got)-1] != want[1] {
			t.Errorf("the key is revoked: %q", got)
		}
		if got := textOf(section(t, page, "open")); !strings.Contains(got, "There may be some in tenants that are pending or stale.") {
			t.Errorf("the key is revoked: %s", got)
		}
	})
}

// busy is known of two tenants, one of which has open incidents.
var busy = known{Tenants: []collector.TenantOverview{
	{ID: "A", Name: "Acme", State: collector.Complete, Open: 2, Listed: []collector.OpenIncident{
		{ID: "new", Created: time.Unix(2000, 0), URL: "https://app.example.com/incidents/new"},
		{ID: "old", Created: time.Unix(1000, 0)},
	}},
	{ID: "B", Name: "Bolt", State: collector.Complete},
}}

var ages = regexp.MustCompile(`[0-9a-z]+ ago`)

// TestStatusLinks holds that a tenant's row leads to its newest open incident on
// the page, and an incident's row to its tenant and to Petra's page of it; and that
// the page reloads without its script too.
func TestStatusLinks(t *testing.T) {
	handler, err := web.Handler(busy, prometheus.NewRegistry(), web.Options{TelemetryPath: "/metrics"})
	if err != nil {
		t.Fatal(err)
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/status", nil))
	page := response.Body.String()
	rows := func(section string) (all []string) {
		for _, row := range tableRows(t, page, section) {
			text := attribute(row, "id") + ": " + ages.ReplaceAllString(strings.Join(cells(row)[:4], " | "), "AGE")
			for n := range row.Descendants() {
				if n.DataAtom == atom.A {
					text += " -> " + attribute(n, "href")
				}
			}
			all = append(all, text)
		}
		return all
	}
	for section, want := range map[string][]string{
		"open": {
			"open-0: Acme | AGE | no | new -> #tenant-0 -> https://app.example.com/incidents/new",
			": Acme | AGE | no | old -> #tenant-0",
		},
		"tenants": {
			"tenant-0: Acme | A | unknown | 2 -> #open-0",
			"tenant-1: Bolt | B | unknown | 0",
		},
	} {
		if got := rows(section); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !strings.Contains(page, `<noscript><meta http-equiv="refresh" content="60"></noscript>`) {
		t.Error("without its script the page does not reload")
	}
}
