package collector

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
	// statusPolicy lets a browser use this style and this script alone, and
	// load nothing.
	statusPolicy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		digest(statusCSS), digest(statusJS))
)

// statusPage is what /status shows a person.
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
	Tenant, TenantID, ID string
	URL                  string // empty where it has no page
	Created, Occurred    statusTime
	Live                 bool
	Status               string
	created              time.Time
}

type statusTenant struct {
	Name, ID       string
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

// StatusHandler serves a page on what is known, what is wrong first. It asks
// nothing of the API.
func (c *Collector) StatusHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var page bytes.Buffer
		if err := statusTemplate.Execute(&page, c.status(clock())); err != nil {
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

func (c *Collector) status(now time.Time) statusPage {
	r := c.refresher
	page := statusPage{CSS: template.CSS(statusCSS), JS: template.JS(statusJS), Now: now.UTC().Format(time.RFC3339), Simulated: c.Simulated()} //nolint:gosec // our own files
	w := r.active()
	w.mu.Lock()
	for _, route := range petra.Routes() {
		state, budget := w.routes[route], r.budgets[route].State(now)
		row := statusRoute{
			Route: route, Remaining: budget.Remaining, Limit: budget.Limit,
			Success: ago(now, state.success), LastError: state.err, ErrorAt: ago(now, state.errAt),
		}
		if !budget.Blocked.IsZero() {
			row.Blocked = "for " + age(budget.Blocked.Sub(now))
		}
		if state.failing != "" {
			page.problem("Requests for %s fail; the last good answer was %s. %s", route, row.Success.Text, state.err)
		}
		page.Routes = append(page.Routes, row)
	}
	w.mu.Unlock()
	w.store.status(&page, now)
	return page
}

func (p *statusPage) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func (s *store) status(page *statusPage, now time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	states, incidents := map[string]int{}, map[*status]int{}
	for _, t := range s.collected() {
		state := s.state(t, now)
		states[state]++
		page.Tenants = append(page.Tenants, s.statusTenant(t, state, now))
		page.Paused += index(t.Paused)
		if s.canPublish(t) && !t.stale(now, s.cfg.MaxStaleness) {
			page.addIncidents(t, incidents, now)
		}
	}
	page.Complete, page.Pending, page.Stale = states[stateComplete], states[statePending], states[stateStale]
	slices.SortStableFunc(page.Tenants, func(a, b statusTenant) int {
		return cmp.Or(b.severity-a.severity, strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(page.Open, func(a, b statusIncident) int {
		return cmp.Or(b.created.Compare(a.created), strings.Compare(a.ID, b.ID))
	})
	page.addTenantProblems()
	if n := s.unreadable(); n > 0 {
		page.problem("%d incidents in the API's last answers have no usable id or tenant: incidents may be missing here, and none is taken for withdrawn.", n)
	}
	if s.listUnreadable > 0 {
		page.problem("%d tenants in the API's list have no usable petraTenantId: tenants may be missing here, and none leaves.", s.listUnreadable)
	}
	for _, st := range s.statuses.ordered {
		page.Statuses = append(page.Statuses, statusStatus{st.label, st.meaning, incidents[st]})
		if st.meaning == config.Unknown {
			page.problem("The remediation status %s is in none of the configured lists, and is treated as open.", st.label)
		}
	}
}

// addIncidents adds a tenant's open incidents, and counts all by status.
func (p *statusPage) addIncidents(t *tenant, byStatus map[*status]int, now time.Time) {
	has := false
	for _, i := range t.incidents {
		if !i.present {
			continue
		}
		byStatus[i.status]++
		if !i.open() {
			continue
		}
		has = true
		p.Live += index(i.Live)
		if !i.listed {
			p.Unlisted++
			continue
		}
		p.Open = append(p.Open, statusIncident{
			Tenant: cmp.Or(labelValue(t.Name), t.ID), TenantID: t.ID, ID: i.ID, URL: i.url,
			Created: ago(now, i.created()), Occurred: ago(now, i.OccurredAt),
			Live: i.Live, Status: i.status.label, created: i.created(),
		})
	}
	p.OpenTenants += index(has)
}

// addTenantProblems says once what is wrong with how many tenants.
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

func (s *store) statusTenant(t *tenant, state string, now time.Time) statusTenant {
	row := statusTenant{
		Name: labelValue(t.Name), ID: t.ID, Paused: t.Paused,
		Up: "unknown", Read: ago(now, t.covered), FullRead: ago(now, t.whole),
	}
	down := t.up != nil && !*t.up
	if t.up != nil {
		row.Up = map[bool]string{true: "yes", false: "no"}[*t.up]
	}
	switch {
	case s.unknownID(t):
		row.Up = "no"
		row.Problem, row.severity = "configured, but not in the organization: check the ID", 6
	case state == stateStale:
		row.Problem, row.severity = "stale: not read for too long, nothing is published", 5
	case t.refused:
		row.Problem, row.severity = "the API refuses to give this tenant ("+t.err+")", 4
	case down:
		row.Problem, row.severity = "the last request failed", 3
		if t.err != "" {
			row.Problem += " (" + t.err + ")"
		}
	case state == statePending:
		row.Problem, row.severity = "pending: not yet read in full, no counts", 2
	case t.truncated:
		row.Problem, row.severity = "more incidents than the API gives (500): older ones are out of reach", 1
	}
	if state == stateComplete {
		open, live := 0, 0
		for _, i := range t.incidents {
			if i.open() {
				open++
				live += index(i.Live)
			}
		}
		row.Open, row.Live = fmt.Sprint(open), fmt.Sprint(live)
	}
	return row
}

// ago is how long something is past.
func ago(now, at time.Time) statusTime {
	if at.IsZero() {
		return statusTime{Text: "never"}
	}
	return statusTime{age(now.Sub(at)) + " ago", at.UTC().Format(time.RFC3339), at.Unix()}
}

// age is a duration for a person: no finer than it matters.
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
