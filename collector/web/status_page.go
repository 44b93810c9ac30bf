package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/common/model"
)

var (
	//go:embed status.html
	statusHTML string
	//go:embed status.css
	statusCSS string
	//go:embed status.js
	statusJS string

	statusTemplate = template.Must(template.New("status").Parse(statusHTML))
	// statusPolicy lets a browser use only this style and this script, and load
	// nothing.
	statusPolicy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		digest(statusCSS), digest(statusJS))
)

// statusPage is what /status shows.
type statusPage struct {
	CSS                         template.CSS
	JS                          template.JS
	Now                         string
	Simulated                   bool
	Problems                    []string // what is wrong, the worst first
	Complete, Pending, Stale    int      // tenants
	Paused                      int      // of these
	Open                        []statusIncident
	OpenTenants, Live, Unlisted int // of the open incidents
	Tenants                     []statusTenant
	Routes                      []statusRoute
	Statuses                    []statusStatus
}

type statusIncident struct {
	Tenant, ID        string
	Number            int    // of the tenant
	First             bool   // the first of its tenant
	URL               string // empty where it has no page
	Created, Occurred statusTime
	Live              bool
	Status            string
	created           time.Time
}

type statusTenant struct {
	Name, ID       string
	Number         int    // for links within the page
	Listed         bool   // the page has open incidents of it
	Problem        string // empty where nothing is wrong
	Up             string
	Paused         bool
	Open, Live     string // empty where not known
	Read, FullRead statusTime
	severity       int
}

type statusRoute struct {
	Route            petra.Route
	Remaining, Limit int
	Blocked          string
	Success          statusTime
	LastError        string
	ErrorAt          statusTime
}

type statusStatus struct {
	Label, Meaning string
	Incidents      int // of tenants whose incidents are known
}

// statusTime is a point in time, for a person and for sorting.
type statusTime struct {
	Text string // how long ago it is
	UTC  string // empty where it never was
	Unix int64
}

// statusHandler serves a page on what is known, what is wrong first. It asks
// nothing of the API.
func statusHandler(source Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		var page bytes.Buffer
		if err := statusTemplate.Execute(&page, newStatusPage(source.Overview(now), now)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", statusPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = page.WriteTo(w)
	})
}

func newStatusPage(o collector.Overview, now time.Time) statusPage {
	page := statusPage{CSS: template.CSS(statusCSS), JS: template.JS(statusJS), Now: now.UTC().Format(time.RFC3339), Simulated: o.Simulated} //nolint:gosec // our own files
	for _, route := range o.Routes {
		page.addRoute(route, now)
	}
	for _, t := range o.Tenants {
		page.addTenant(t, now)
	}
	slices.SortStableFunc(page.Tenants, func(a, b statusTenant) int {
		return cmp.Or(b.severity-a.severity, strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(page.Open, func(a, b statusIncident) int {
		return cmp.Or(b.created.Compare(a.created), strings.Compare(a.ID, b.ID))
	})
	seen := map[int]bool{} // by number
	for i := range page.Open {
		first := &page.Open[i]
		first.First, seen[first.Number] = !seen[first.Number], true
	}
	page.addTenantProblems()
	if n := o.UnreadableIncidents; n > 0 {
		page.problem("%d incidents in the API's last answers have no usable id or tenant: incidents may be missing here, and none is taken for withdrawn.", n)
	}
	if n := o.UnreadableTenants; n > 0 {
		page.problem("%d tenants in the API's list have no usable petraTenantId: tenants may be missing here, and none leaves.", n)
	}
	for _, status := range o.Statuses {
		page.Statuses = append(page.Statuses, statusStatus(status))
		if status.Meaning == config.Unknown {
			page.problem("The remediation status %s is in none of the configured lists, and is treated as open.", status.Label)
		}
	}
	return page
}

func (p *statusPage) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func (p *statusPage) addRoute(route collector.RouteOverview, now time.Time) {
	row := statusRoute{
		Route: route.Route, Remaining: route.Budget.Remaining, Limit: route.Budget.Limit,
		Success: ago(now, route.LastSuccess), LastError: route.Failure, ErrorAt: ago(now, route.LastFailure),
	}
	if !route.Budget.Blocked.IsZero() {
		row.Blocked = "for " + age(route.Budget.Blocked.Sub(now))
	}
	if route.Failing {
		p.problem("Requests for %s fail; the last good answer was %s. %s", route.Route, row.Success.Text, route.Failure)
	}
	p.Routes = append(p.Routes, row)
}

// addTenant adds a tenant and its open incidents.
func (p *statusPage) addTenant(t collector.TenantOverview, now time.Time) {
	row := statusTenant{
		Name: t.Name, ID: t.ID, Number: len(p.Tenants), Listed: len(t.Listed) > 0, Paused: t.Paused,
		Up: "unknown", Read: ago(now, t.LastRead), FullRead: ago(now, t.LastFullRead),
	}
	if t.Up != nil {
		row.Up = map[bool]string{true: "yes", false: "no"}[*t.Up]
	}
	if t.Unknown {
		row.Up = "no"
	}
	switch t.State {
	case collector.Complete:
		p.Complete++
		row.Open, row.Live = fmt.Sprint(t.Open), fmt.Sprint(t.Live)
	case collector.Pending:
		p.Pending++
	case collector.Stale:
		p.Stale++
	}
	row.Problem, row.severity = tenantProblem(t)
	p.Tenants = append(p.Tenants, row)
	if t.Paused {
		p.Paused++
	}
	if t.Open > 0 {
		p.OpenTenants++
	}
	p.Live += t.Live
	p.Unlisted += t.Open - len(t.Listed)
	for _, i := range t.Listed {
		p.Open = append(p.Open, statusIncident{
			Tenant: cmp.Or(t.Name, t.ID), ID: i.ID, Number: row.Number, URL: i.URL,
			Created: ago(now, i.Created), Occurred: ago(now, i.Occurred),
			Live: i.Live, Status: i.Status, created: i.Created,
		})
	}
}

// tenantProblem says what is wrong with a tenant, and how bad that is.
func tenantProblem(t collector.TenantOverview) (problem string, severity int) {
	switch {
	case t.Unknown:
		return "configured, but not in the organization: check the ID", 6
	case t.State == collector.Stale:
		return "stale: not read for too long, nothing is published", 5
	case t.Refused:
		return "the API refuses to give this tenant (" + t.Failure + ")", 4
	case t.Up != nil && !*t.Up && t.Failure != "":
		return "the last request failed (" + t.Failure + ")", 3
	case t.Up != nil && !*t.Up:
		return "the last request failed", 3
	case t.State == collector.Pending:
		return "pending: not yet read in full, no counts", 2
	case t.Truncated:
		return "more incidents than the API gives (500): older ones are out of reach", 1
	}
	return "", 0
}

// addTenantProblems adds each problem once, with the number of tenants that have it.
func (p *statusPage) addTenantProblems() {
	for rest := p.Tenants; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].severity == rest[0].severity && rest[n].Problem == rest[0].Problem {
			n++
		}
		if first := rest[0]; first.Problem != "" {
			others := ""
			if n > 1 {
				others = fmt.Sprintf(" and %d more", n-1)
			}
			p.problem("Tenant %s%s: %s.", cmp.Or(first.Name, first.ID), others, first.Problem)
		}
		rest = rest[n:]
	}
}

// ago is how long something is past.
func ago(now, at time.Time) statusTime {
	if at.IsZero() {
		return statusTime{Text: "never"}
	}
	return statusTime{age(now.Sub(at)) + " ago", at.UTC().Format(time.RFC3339), at.Unix()}
}

// age is a duration for a person: no finer than needed.
func age(d time.Duration) string {
	unit := time.Second
	switch {
	case d >= 48*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	return model.Duration(max(0, d).Round(unit)).String()
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}
