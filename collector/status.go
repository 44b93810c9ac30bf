package collector

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

//go:embed status.html
var statusHTML string

var statusTemplate = template.Must(template.New("status").Parse(statusHTML))

// statusPage is what /status shows a person.
type statusPage struct {
	Now          string
	States       string
	Routes       []statusRoute
	Unclassified []string
	Tenants      []statusTenant
}

type statusRoute struct {
	Route              petra.Route
	Remaining, Limit   int
	Blocked, Success   string
	LastError, ErrorAt string
}

type statusTenant struct {
	Name, ID   string
	Problem    string // empty where nothing is wrong
	Up         string
	Open, Live string // empty where not known
	Read       string
	WholeRead  string
	severity   int
}

// StatusHandler serves a page on what is known, what is wrong first. It asks
// nothing of the API.
func (c *Collector) StatusHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var page bytes.Buffer
		if err := statusTemplate.Execute(&page, c.status(time.Now())); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = page.WriteTo(w)
	})
}

func (c *Collector) status(now time.Time) statusPage {
	r := c.refresher
	page := statusPage{Now: now.UTC().Format(time.RFC3339)}
	r.mu.Lock()
	store := r.store
	for _, route := range petra.Routes() {
		state, budget := r.routes[route], r.budgets[route].State(now)
		row := statusRoute{
			Route: route, Remaining: budget.Remaining, Limit: budget.Limit,
			Success: ago(now, state.success), LastError: state.err, ErrorAt: ago(now, state.errAt),
		}
		if !budget.Blocked.IsZero() {
			row.Blocked = "for " + budget.Blocked.Sub(now).Round(time.Second).String()
		}
		page.Routes = append(page.Routes, row)
	}
	r.mu.Unlock()
	store.status(&page, now)
	return page
}

func (s *store) status(page *statusPage, now time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	states := map[string]int{}
	for _, t := range s.members() {
		states[s.state(t, now)]++
		page.Tenants = append(page.Tenants, s.statusTenant(t, now))
	}
	slices.SortStableFunc(page.Tenants, func(a, b statusTenant) int {
		return cmp.Or(b.severity-a.severity, strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	page.States = fmt.Sprintf("%d complete, %d pending, %d stale", states[stateComplete], states[statePending], states[stateStale])
	for _, st := range s.statuses.ordered {
		if st.meaning == meaningUnknown {
			page.Unclassified = append(page.Unclassified, st.label)
		}
	}
}

func (s *store) statusTenant(t *tenant, now time.Time) statusTenant {
	row := statusTenant{
		Name: labelValue(t.Name), ID: t.ID,
		Up: "unknown", Read: ago(now, t.covered), WholeRead: ago(now, t.whole),
	}
	state := s.state(t, now)
	down := t.up != nil && !*t.up
	if t.up != nil {
		row.Up = map[bool]string{true: "yes", false: "no"}[*t.up]
	}
	switch {
	case s.mistyped(t):
		row.Up = "no"
		row.Problem, row.severity = "configured, but not in the organisation: check the ID", 5
	case state == stateStale:
		row.Problem, row.severity = "stale: not read for too long, nothing is published", 4
	case t.denied:
		row.Problem, row.severity = "the API refuses to give this tenant ("+t.err+")", 3
	case down:
		row.Problem, row.severity = "the last request failed", 2
	case state == statePending:
		row.Problem, row.severity = "pending: not yet read whole, no counts", 1
	case t.truncated:
		row.Problem = "more incidents than the API gives (500): older ones are out of reach"
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

// ago is how long something is past, for a person.
func ago(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return now.Sub(at).Round(time.Second).String() + " ago"
}
