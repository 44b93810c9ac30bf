package dashboards

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDashboards executes what the dashboards ask, on a real Prometheus that scrapes
// real exporters.
func TestDashboards(t *testing.T) {
	s := newScene(t)
	all := dashboards(t)
	at := time.Now()
	msp := view{job: "msp", instance: ".+", tenant: ".+", sla: "14400", span: 29 * day, at: at}
	busiest := s.org.Tenants()[0].ID

	t.Run("every query", func(t *testing.T) {
		one, demo := msp, msp
		one.tenant, demo.job = busiest, "demo"
		// What needs a history of steps or of 7 days cannot have it yet; the demo has
		// no state file.
		young := []string{"Dwell time of what was remediated", "Share remediated in time, over 7 days each", "New incidents in the long run", "State file"}
		for _, test := range []struct {
			name  string
			view  view
			empty []string
		}{
			{"msp", msp, nil},
			{"msp, one tenant", one, nil},
			{"demo", demo, young},
		} {
			t.Run(test.name, func(t *testing.T) { s.everyQuery(t, all, test.view, test.empty) })
		}
	})
	t.Run("variables", func(t *testing.T) { s.variables(t, all, msp) })
	t.Run("numbers", func(t *testing.T) { s.numbers(t, all, msp, busiest) })
	t.Run("no incident at all", func(t *testing.T) {
		quiet := msp
		quiet.job = "quiet"
		s.everyQuery(t, all, quiet, []string{
			"Longest open", "Open incidents", "Median and 95th percentile", "Remediated within", "Most incidents", "Worst dwell",
			"Remediated in SLA", "Dwell time longer than the SLA", "Recent incidents",
			"Dwell time of what was remediated", "Share remediated in time, over 7 days each", "New incidents in the long run", "State file",
		})
		s.state(t, all, quiet, 0, "nothing open")
		s.want(t, all, quiet, "petra-overview", "New in range", 0, values{"": 0})
	})
	t.Run("browser", func(t *testing.T) { s.browser(t, msp) })
	t.Run("dead exporter", func(t *testing.T) {
		for _, e := range s.exporters {
			e.stop()
		}
		s.waitFor(t, `count(up{job="msp"} == 0) == 4`)
		dead := msp
		dead.at = time.Now()
		s.state(t, all, dead, 2, fmt.Sprintf("unknown: %d tenants not read", *tenantCount))
		// Another exporter that is calm does not hide it, nor does it when the hour is over.
		both := dead
		both.job, both.tenant = "msp|quiet", "Qq1234"
		s.state(t, all, both, 2, "unknown: 1 jobs without an exporter")
		nobody := dead
		nobody.job = "nobody"
		s.state(t, all, nobody, 2, "unknown: no tenant is read")
		s.want(t, all, dead, "petra-exporter", "Exporters", 0, values{s.addrs[0]: 0, s.addrs[1]: 0})
		overTime := find(t, all, "petra-overview", "Open incidents over time")
		open, err := s.prometheus.query(t, dead.expand(t, overTime.Targets[0].Expr, 0), dead.at)
		if err != nil || len(open) > 0 {
			t.Errorf("over time, the end is no gap: %v, %v", open, err)
		}
		s.everyQuery(t, all, dead, []string{"*"})
		s.browserDead(t, dead)
	})
	t.Run("cold restart", func(t *testing.T) {
		// One of them, without its state file: the newest 500 incidents are known, and a
		// tenant is known where it has none that is older.
		startExporter(t, s.addrs[0], "--petra.api-url="+s.apiURL)
		s.waitFor(t, `count(petra_open_incident_created_timestamp_seconds{job="msp"}) > 0 and on () sum(petra_tenants{job="msp",state="pending",replica="a"}) > 0`)
		cold := msp
		cold.at = time.Now()
		newest := s.org.Incidents(cold.at)[:500]
		open, unread := len(truth{incidents: newest}.open()), 0
		for _, tn := range s.org.Tenants() {
			if tn.Onboarded.IsZero() || !tn.Onboarded.After(newest[499].CreatedAt) {
				unread++ // the others have nothing older
			}
		}
		s.state(t, all, cold, 2, fmt.Sprintf("%d open, unknown: %d tenants not read", open, unread))
		s.want(t, all, cold, "petra-overview", "Open now", 0, values{"": float64(open)})
		s.everyQuery(t, all, cold, []string{"*"})
	})
}

// everyQuery executes the queries of all panels, in the view's time range and in two
// shorter ones. One that gives nothing in any of them must be of a panel that may be
// empty: a Prometheus that has just begun has no point on a long step.
func (s *scene) everyQuery(t *testing.T, all map[string]dashboard, v view, empty []string) {
	t.Helper()
	hours, minutes := v, v
	hours.span, minutes.span = 6*time.Hour, 15*time.Minute
	views := []view{v, hours, minutes}
	asked := 0
	var isEmpty []string
	for _, uid := range slices.Sorted(maps.Keys(all)) {
		for _, p := range all[uid].Panels {
			for _, q := range p.Targets {
				series := 0
				for _, v := range views {
					got, err := v.ask(t, s.prometheus, p, q)
					if err != nil {
						t.Errorf("%s, %s, query %s: %v", uid, p.Title, q.RefID, err)
					}
					asked++
					series += len(got)
				}
				if series == 0 {
					isEmpty = append(isEmpty, p.Title)
					if !slices.Contains(empty, p.Title) && !slices.Contains(empty, "*") {
						t.Errorf("%s, %s: query %s gives nothing: %s", uid, p.Title, q.RefID, views[0].expand(t, q.Expr, views[0].step(p)))
					}
				}
			}
		}
	}
	for _, title := range empty {
		if title != "*" && !slices.Contains(isEmpty, title) {
			t.Errorf("%s was expected to be empty, and is not", title)
		}
	}
	if asked == 0 {
		t.Error("nothing was asked")
	}
	t.Logf("%d queries asked", asked)
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	queryResult = regexp.MustCompile(`(?s)^query_result\((.+)\)$`)
)

func (s *scene) variables(t *testing.T, all map[string]dashboard, v view) {
	names := map[string]string{}
	for _, tenant := range s.org.Tenants() {
		names[tenant.ID] = tenant.Name
	}
	for uid, d := range all {
		for _, variable := range d.Vars.List {
			if variable.Type != "query" {
				continue
			}
			text := variable.Query.(map[string]any)["query"].(string)
			got := map[string]string{} // by value
			if m := labelValues.FindStringSubmatch(text); m != nil {
				found, err := s.prometheus.query(t, v.expand(t, m[1], 0), v.at)
				if err != nil {
					t.Errorf("%s: %v", text, err)
				}
				for _, series := range found {
					got[series.Metric[m[2]]] = series.Metric[m[2]]
				}
			} else {
				found, err := s.prometheus.query(t, v.expand(t, queryResult.FindStringSubmatch(text)[1], 0), v.at)
				if err != nil {
					t.Errorf("%s: %v", text, err)
				}
				for _, series := range found {
					if old, ok := got[series.Metric["tenant_id"]]; ok {
						t.Errorf("%s is to be chosen twice, as %q too", series.Metric["tenant"], old)
					}
					got[series.Metric["tenant_id"]] = series.Metric["tenant"]
				}
			}
			want := map[string]map[string]string{
				"job": {"msp": "msp", "demo": "demo", "quiet": "quiet"}, "instance": {s.addrs[0]: s.addrs[0], s.addrs[1]: s.addrs[1]}, "tenant": names,
			}[variable.Name]
			if !maps.Equal(got, want) {
				t.Errorf("%s: %s offers %v, want %v", uid, variable.Name, got, want)
			}
		}
	}
}

// values are what a query must give, by what names a series in its panel.
type values map[string]float64

func (s *scene) numbers(t *testing.T, all map[string]dashboard, msp view, tenant string) {
	w := truth{incidents: s.org.Incidents(msp.at), tenants: s.org.Tenants(), at: msp.at, span: msp.span}
	if len(w.open()) < 5 || len(w.raised()) < 20 || len(w.remediated()) < 20 {
		t.Fatalf("too little happens in this world: %d open, %d raised, %d remediated", len(w.open()), len(w.raised()), len(w.remediated()))
	}
	overSLA := func(w truth) (n float64) {
		for _, in := range w.open() {
			if msp.at.Sub(in.CreatedAt) > 4*time.Hour {
				n++
			}
		}
		return n
	}
	openAges, openDwells := values{}, values{}
	for _, in := range w.open() {
		openAges[in.ID] = msp.at.Sub(in.CreatedAt).Seconds()
		openDwells[in.ID] = msp.at.Sub(in.OccurredAt).Seconds()
	}
	steps := values{}
	step := msp.step(panel{MaxDataPoints: 120})
	for at := msp.at.Add(-msp.span).Truncate(step); !at.After(msp.at); at = at.Add(step) {
		steps[strconv.FormatInt(at.Unix(), 10)] = 0
		for _, in := range w.incidents {
			if !in.CreatedAt.Before(at) && in.CreatedAt.Before(at.Add(step)) {
				steps[strconv.FormatInt(at.Unix(), 10)]++
			}
		}
	}
	one := msp
	one.tenant = tenant
	mine := w.of(tenant)
	late := values{}
	for _, in := range mine.remediated() {
		if dwell(in) > 4*time.Hour {
			late[in.ID] = dwell(in).Seconds()
		}
	}
	statuses := values{}
	for _, in := range mine.incidents {
		statuses[in.Status]++
	}
	var paused, pausedTenants float64
	for _, tn := range w.tenants {
		if !tn.Paused {
			continue
		}
		pausedTenants++
		if tn.ID == tenant {
			paused = 1
		}
	}
	for _, test := range []struct {
		view  view
		uid   string
		panel string
		query int
		want  values
	}{
		{msp, "petra-overview", "State", 0, values{fmt.Sprintf("%d open", len(w.open())): 1}},
		{msp, "petra-overview", "Open now", 0, values{"": float64(len(w.open()))}},
		{msp, "petra-overview", "Past the SLA", 0, values{"": overSLA(w)}},
		{msp, "petra-overview", "Longest open", 0, values{"": w.sinceCompromise()}},
		{msp, "petra-overview", "New in range", 0, values{"": float64(len(w.raised()))}},
		{msp, "petra-overview", "Paused tenants", 0, values{"": pausedTenants}},
		{msp, "petra-overview", "Remediated within", 0, values{"": w.within(time.Hour)}},
		{msp, "petra-overview", "Remediated within", 1, values{"": w.within(4 * time.Hour)}},
		{msp, "petra-overview", "Remediated within", 2, values{"": w.within(day)}},
		{msp, "petra-overview", "Median and 95th percentile", 0, quantiles(0.5, w.durations())},
		{msp, "petra-overview", "Median and 95th percentile", 1, quantiles(0.95, w.durations())},
		{msp, "petra-overview", "Median and 95th percentile", 2, shares(4*time.Hour, w.durations())},
		{msp, "petra-overview", "Open incidents", 0, openAges},
		{msp, "petra-overview", "Open incidents", 1, openDwells},
		{msp, "petra-overview", "New incidents", 0, steps},
		{msp, "petra-overview", "Most incidents", 0, w.most(w.raisedByTenant())},
		{msp, "petra-overview", "Worst dwell", 0, w.most(w.worstDwell())},
		{one, "petra-tenant", "New in range", 0, values{"": float64(len(mine.raised()))}},
		{one, "petra-tenant", "Past the SLA", 0, values{"": overSLA(mine)}},
		{one, "petra-tenant", "Remediated in SLA", 0, values{"": mine.within(4 * time.Hour)}},
		{one, "petra-tenant", "Median and 95th percentile", 0, quantiles(0.5, mine.durations())},
		{one, "petra-tenant", "Dwell time longer than the SLA", 0, late},
		{one, "petra-tenant", "Incidents by status", 0, statuses},
		{one, "petra-tenant", "Monitoring", 0, values{"": paused}},
		{msp, "petra-exporter", "Exporters", 0, values{s.addrs[0]: 1, s.addrs[1]: 1}},
		{msp, "petra-exporter", "Petra's API", 0, values{"": 1}},
		{msp, "petra-exporter", "Tenants not read", 0, values{"": 0}},
		{msp, "petra-exporter", "Read in full", 0, values{"": 1}},
		{msp, "petra-exporter", "Unreadable", 0, values{"": 0}},
		{msp, "petra-exporter", "Out of reach", 3, values{"": 1}}, // ACTIVE is in no list
	} {
		t.Run(fmt.Sprintf("%s, %s, %d", test.uid, test.panel, test.query), func(t *testing.T) {
			s.want(t, all, test.view, test.uid, test.panel, test.query, test.want)
		})
	}
	t.Run("table of open incidents", func(t *testing.T) { s.openTable(t, all, msp, w) })
	t.Run("over time", func(t *testing.T) { s.overTime(t, all, msp, w) })
}

func find(t *testing.T, all map[string]dashboard, uid, title string) panel {
	t.Helper()
	i := slices.IndexFunc(all[uid].Panels, func(p panel) bool { return p.Title == title })
	if i < 0 {
		t.Fatalf("%s has no panel %q", uid, title)
	}
	return all[uid].Panels[i]
}

func (s *scene) ask(t *testing.T, all map[string]dashboard, v view, uid, title string, query int) result {
	t.Helper()
	p := find(t, all, uid, title)
	got, err := v.ask(t, s.prometheus, p, p.Targets[query])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// want compares a panel's numbers. Each stands under what tells its series apart:
// a name, an incident, an interval; the points of a line under their time.
func (s *scene) want(t *testing.T, all map[string]dashboard, v view, uid, title string, query int, want values) {
	t.Helper()
	got := values{}
	for _, series := range s.ask(t, all, v, uid, title, query) {
		m := series.Metric
		name := m["state"] + m["tenant"] + m["instance"]
		switch {
		case m["incident_id"] != "":
			name = m["incident_id"]
		case m["measure"] != "":
			name = m["measure"] + ", live " + m["live"]
		case m["remediation_status"] != "":
			name = m["remediation_status"]
		}
		for _, sample := range append(series.Values, series.Value) {
			if sample.value == "" {
				continue
			}
			key := name
			if len(series.Values) > 0 {
				key = strconv.FormatInt(int64(sample.at), 10)
			}
			if _, twice := got[key]; twice {
				t.Errorf("%q stands there twice", key)
			}
			got[key], _ = strconv.ParseFloat(sample.value, 64)
		}
	}
	if strings.HasPrefix(title, "Most") || strings.HasPrefix(title, "Worst") {
		// Names with equal values may take each other's place.
		if !slices.EqualFunc(slices.Sorted(maps.Values(got)), slices.Sorted(maps.Values(want)), near) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		return
	}
	if !maps.EqualFunc(got, want, near) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*math.Abs(want)+0.01 }

func (s *scene) state(t *testing.T, all map[string]dashboard, v view, value float64, text string) {
	t.Helper()
	s.want(t, all, v, "petra-overview", "State", 0, values{text: value})
	s.want(t, all, v, "petra-tenant", "State", 0, values{text: value})
}

// openTable looks at the text columns, and at what Grafana joins rows by.
func (s *scene) openTable(t *testing.T, all map[string]dashboard, v view, w truth) {
	rows := map[string]map[string]string{}
	for _, series := range s.ask(t, all, v, "petra-overview", "Open incidents", 0) {
		rows[series.Metric["incident_id"]] = series.Metric
	}
	for _, in := range w.open() {
		want := map[string]string{
			"incident_id": in.ID, "tenant_id": in.TenantID, "tenant": w.name(in.TenantID), "remediation_status": in.Status, "url": in.URL,
			"live": map[bool]string{true: "yes", false: "no"}[in.Live],
		}
		if !maps.Equal(rows[in.ID], want) {
			t.Errorf("got  %v\nwant %v", rows[in.ID], want)
		}
	}
	for _, series := range s.ask(t, all, v, "petra-overview", "Open incidents", 1) {
		if len(series.Metric) != 2 || rows[series.Metric["incident_id"]]["tenant_id"] != series.Metric["tenant_id"] {
			t.Errorf("no row of the first query joins %v", series.Metric)
		}
	}
}

// overTime looks at the panels over time where Prometheus scraped at a full three
// hours, and three hours (of the trend, seven days) before. The exporter was started
// anew, cold, before the last of them: that must add nothing.
func (s *scene) overTime(t *testing.T, all map[string]dashboard, v view, w truth) {
	last := mark(s.began)
	v.at, v.span = last, 6*time.Hour
	s.wantHeatmap(t, all, v, w, 3, always)
	s.wantRaised(t, all, v, w, 3, always)
	s.wantTrend(t, all, v, w, 1, last.Equal)
	v.span = 9 * time.Hour
	got := s.line(t, all, v, "petra-overview", "Open incidents over time", 0, "")
	for at := last.Add(-v.span); !at.After(last); at = at.Add(3 * time.Hour) {
		if want := w.openAt(at); want == 0 || got[at.Unix()] != want {
			t.Errorf("%v open at %v, want %v", got[at.Unix()], at, want)
		}
		// Nobody scraped then; what was known an hour ago is not known any more.
		if value, ok := got[at.Add(-30*time.Minute).Unix()]; ok && at.Before(last) {
			t.Errorf("%v open at %v, when nobody scraped", value, at.Add(-30*time.Minute))
		}
		if value, ok := got[at.Add(40*time.Minute).Unix()]; ok && at.Before(last) {
			t.Errorf("%v open at %v, when nobody scraped", value, at.Add(40*time.Minute))
		}
	}
}
