package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var pictures = flag.String("pictures", "", "folder for pictures of the dashboards, in place of checks")

// drawn is a dashboard to draw in the browser; see View in perses/browser.ts.
type drawn struct {
	Name      string              `json:"name"`
	Dashboard string              `json:"dashboard"`
	Duration  string              `json:"duration"`
	Variables map[string]string   `json:"variables"`
	Empty     []string            `json:"empty,omitempty"`
	Texts     map[string][]string `json:"texts,omitempty"`
	Gone      map[string][]string `json:"gone,omitempty"`
	Choose    *choice             `json:"choose,omitempty"`
	Picture   string              `json:"picture,omitempty"`
}

type choice struct {
	Tenant  string              `json:"tenant"`
	Queries string              `json:"queries"`
	Texts   map[string][]string `json:"texts"`
	Gone    map[string][]string `json:"gone"`
}

// browser draws all three dashboards, each panel of them, and chooses a tenant.
func (s *scene) browser(t *testing.T, msp view) {
	vars := map[string]string{"job": "msp"}
	tenants := s.org.Tenants()
	w := truth{incidents: s.org.Incidents(msp.at), tenants: tenants, at: msp.at, span: msp.span}
	open := fmt.Sprintf("%d open", len(w.open()))
	one := map[string]string{"job": "msp", "tenant": tenants[0].ID}
	// The table is as long as it must be: what is shown of it are the first rows.
	rows := w.open()
	slices.SortFunc(rows, func(a, b petratest.View) int { return a.OccurredAt.Compare(b.OccurredAt) })
	var longest []string
	for _, in := range rows[:3] {
		longest = append(longest, in.ID, w.name(in.TenantID))
	}
	// Another tenant with something open: the table then has its incidents, no others.
	other := rows[slices.IndexFunc(rows, func(in petratest.View) bool { return in.TenantID != tenants[0].ID })].TenantID
	first, second := w.of(tenants[0].ID), w.of(other)
	if *pictures != "" {
		s.waitFor(t, `count_over_time(up{job="quiet"}[5m]) > 20`) // lines need a length
		s.draw(t, []drawn{
			{Name: "overview", Dashboard: "petra-overview", Duration: "29d", Variables: vars, Picture: "overview.png"},
			{Name: "tenant", Dashboard: "petra-tenant", Duration: "29d", Variables: one, Picture: "tenant.png"},
			{Name: "exporter", Dashboard: "petra-exporter", Duration: "15m", Variables: vars, Picture: "exporter.png"},
			{Name: "nothing open", Dashboard: "petra-overview", Duration: "29d", Variables: map[string]string{"job": "quiet"}, Picture: "nothing-open.png"},
		})
		return
	}
	s.draw(t, []drawn{
		{
			Name: "overview", Dashboard: "petra-overview", Duration: "6h", Variables: vars,
			Texts: map[string][]string{"State": {open}, "Open incidents": longest},
		},
		{
			Name: "tenant", Dashboard: "petra-tenant", Duration: "6h", Variables: one, Empty: []string{"Dwell time longer than the SLA"},
			Texts: map[string][]string{"Open incidents": ids(first.open()), "State": {fmt.Sprintf("%d open", len(first.open()))}},
			Gone:  map[string][]string{"Open incidents": ids(w.notOf(tenants[0].ID).open())},
			Choose: &choice{
				Tenant: w.name(other), Queries: fmt.Sprintf("tenant_id=~%q", other),
				Texts: map[string][]string{"Open incidents": ids(second.open()), "State": {fmt.Sprintf("%d open", len(second.open()))}},
				Gone:  map[string][]string{"Open incidents": ids(w.notOf(other).open())},
			},
		},
		{Name: "exporter", Dashboard: "petra-exporter", Duration: "1h", Variables: vars, Texts: map[string][]string{"Exporters": {"up"}, "Petra's API": {"answers"}}},
		{
			Name: "nothing open", Dashboard: "petra-overview", Duration: "1h", Variables: map[string]string{"job": "quiet"},
			Empty: []string{"Longest open", "Remediated within", "Open incidents", "Median and 95th percentile"},
			Texts: map[string][]string{"State": {"nothing open"}},
		},
	})
}

func ids(incidents []petratest.View) (ids []string) {
	for _, in := range incidents {
		ids = append(ids, in.ID)
	}
	return ids
}

// browserDead draws what a dead exporter looks like.
func (s *scene) browserDead(t *testing.T, dead view) {
	view := drawn{
		Name: "dead exporter", Dashboard: "petra-overview", Duration: "6h", Variables: map[string]string{"job": "msp"},
		Empty: []string{"Open now", "Past the SLA", "Longest open", "New in range", "Paused tenants", "Remediated within", "Open incidents", "Median and 95th percentile"},
		Texts: map[string][]string{"State": {fmt.Sprintf("unknown: %d tenants not read", *tenantCount)}},
	}
	if *pictures != "" {
		view.Picture = "dead-exporter.png"
	}
	s.draw(t, []drawn{view})
}

func (s *scene) draw(t *testing.T, views []drawn) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: apt install chromium", err)
	}
	for i := range views {
		if views[i].Picture != "" {
			if views[i].Picture, err = filepath.Abs(filepath.Join(*pictures, views[i].Picture)); err != nil {
				t.Fatal(err)
			}
		}
	}
	job, err := json.Marshal(map[string]any{"prometheus": s.prometheus.url, "chromium": chromium, "views": views})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("npm", "run", "--silent", "browser")
	node.Stdin = bytes.NewReader(job)
	out, err := node.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v; make dashboards installs what it needs", err)
	}
}
