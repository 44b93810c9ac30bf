package dashboards

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/prometheus/model/labels"
)

// zones are where browsers stand: points lie on full steps there, samples of a
// backfilled history on full hours of UTC.
var zones = map[string]time.Duration{"UTC": 0, "UTC+1": time.Hour, "UTC-5": -5 * time.Hour, "UTC+5:30": 5*time.Hour + 30*time.Minute}

// TestBackfilled looks at a history that was backfilled only. It has a sample an
// hour, where nothing happens one in three hours, and a tenant's begins an hour
// before its first incident: each panel must show all of it, wherever the browser is.
func TestBackfilled(t *testing.T) {
	hour := time.Now().Truncate(time.Hour)
	org := petratest.Random(5, petratest.RandomConfig{Start: hour, Tenants: 60, Incidents: 450, Open: 8, History: 60 * day})
	freeze(org, hour, hour)
	w := truth{incidents: org.Incidents(hour), tenants: org.Tenants(), at: hour}
	s := &scene{prometheus: startPrometheus(t, backfilled(t, org), "")}
	all := dashboards(t)
	// The tenant whose first incident came last.
	first := map[string]time.Time{}
	for _, in := range w.incidents {
		if at, ok := first[in.TenantID]; !ok || in.CreatedAt.Before(at) {
			first[in.TenantID] = in.CreatedAt
		}
	}
	young := slices.MaxFunc(slices.Collect(maps.Keys(first)), func(a, b string) int { return first[a].Compare(first[b]) })
	for _, variable := range all["petra-overview"].Vars.List {
		if text, _ := variable.Query.(map[string]any); variable.Name == "job" || variable.Name == "instance" {
			query := labelValues.FindStringSubmatch(text["query"].(string))
			got, err := s.prometheus.query(t, view{job: "msp"}.expand(t, query[1], 0), hour)
			if err != nil || len(got) == 0 || got[0].Metric[query[2]] != "msp" {
				t.Errorf("%s offers %v, %v", variable.Name, got, err)
			}
		}
	}
	for name, zone := range zones {
		t.Run(name, func(t *testing.T) {
			v := view{job: "msp", instance: ".+", tenant: ".+", sla: "14400", span: 30 * day, at: hour, zone: zone}
			s.wantHeatmap(t, all, v, w, 61, always)
			s.wantTrend(t, all, v, w, 241, always)
			s.wantOpen(t, all, v, w, 721, always)
			s.wantRaised(t, all, v, w, 61, always)
			v.span = 7 * day
			s.wantHeatmap(t, all, v, w, 57, always)
			s.wantTrend(t, all, v, w, 57, always)
			v.tenant, v.span = young, hour.Sub(first[young])+day
			s.wantRaised(t, all, v, w.of(young), 0, always)
		})
	}
}

// TestSeam looks at a backfilled history that goes on in what was scraped: no panel
// has a gap, a burst or a value of before where the one ends and the other begins.
func TestSeam(t *testing.T) {
	now := time.Now()
	last := mark(now)
	newOrg := func() *petratest.Organization {
		w := petratest.Random(6, petratest.RandomConfig{Start: now, Tenants: 60, Incidents: 450, Open: 8, History: 60 * day})
		add := func(tenant string, ago time.Duration) {
			created := last.Add(-ago)
			w.SetTenant(petratest.Tenant{ID: tenant, Name: "Tenant " + tenant, Onboarded: last.Add(-90 * day)})
			w.Add(petratest.Incident{ID: fmt.Sprint(tenant, ago), TenantID: tenant, CreatedAt: created, OccurredAt: created, RemediatedAt: created.Add(4 * time.Minute)})
		}
		add("first", 90*time.Minute) // known, and without an incident, when scrapes begin
		for n := range 5 {
			add("refused", time.Duration(20+n)*day) // it is not backfilled: see below
		}
		settle(w, now)
		freeze(w, now, last.Add(-30*time.Minute))
		return w
	}
	org := newOrg()
	flags := []string{fmt.Sprintf("--end=%d", last.Add(-5*time.Hour).Unix())}
	for _, tenant := range org.Tenants() {
		if tenant.ID != "refused" {
			flags = append(flags, "--petra.tenant="+tenant.ID)
		}
	}
	data := backfilled(t, org, flags...)
	record(t, newOrg(), "http://localhost", data, "", labels.FromStrings("job", "msp", "instance", "msp"), []recorded{
		around(last.Add(-3*time.Hour), 90*time.Minute),
		around(last, 10*time.Minute),
	})
	s := &scene{prometheus: startPrometheus(t, data, "")}
	all := dashboards(t)
	// Where the one ends and the other begins, a tenant that was not in the first may
	// have been left out: only what comes later counts.
	w := truth{incidents: org.Incidents(now), tenants: org.Tenants(), at: now, seam: last.Add(-5 * time.Hour)}
	v := view{job: "msp", instance: ".+", tenant: ".+", sla: "14400", span: 24 * time.Hour, at: last}
	s.wantHeatmap(t, all, v, w, 9, always)
	s.wantRaised(t, all, v, w, 9, always)
	s.wantTrend(t, all, v, w, 9, always)
	v.span = 9 * time.Hour
	begun := last.Add(-4*time.Hour - 30*time.Minute)
	got := s.line(t, all, v, "petra-overview", "Open incidents over time", 0, "")
	for at := last.Add(-v.span); at.Before(begun); at = at.Add(time.Minute) {
		if want := w.openAt(at.Truncate(time.Hour)); got[at.Unix()] != want {
			t.Errorf("%v open at %v, want %v", got[at.Unix()], at, want)
		}
	}
	for _, at := range []time.Time{last.Add(-3 * time.Hour), last} {
		if want := w.openAt(at); got[at.Unix()] != want {
			t.Errorf("%v open at %v, want %v", got[at.Unix()], at, want)
		}
	}
	for at := last.Add(-2*time.Hour - 45*time.Minute); at.Before(last.Add(-15 * time.Minute)); at = at.Add(time.Minute) {
		if value, ok := got[at.Unix()]; ok {
			t.Errorf("%v open at %v, when nobody scraped", value, at)
		}
	}
}

// backfilled is the folder of a Prometheus that has the organization's history in blocks.
func backfilled(t *testing.T, org *petratest.Organization, flags ...string) string {
	t.Helper()
	api, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	exporter, err := buildExporter()
	if err != nil {
		t.Fatal(err)
	}
	promtool, err := filepath.Abs("../../.cache/bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	data, history := t.TempDir(), filepath.Join(t.TempDir(), "history.om")
	for _, command := range []*exec.Cmd{
		exec.Command(exporter, append([]string{"backfill", "--petra.api-url=" + api.URL, "--output=" + history, "--label=job=msp", "--label=instance=msp"}, flags...)...),
		exec.Command(promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=90d", history, data),
	} {
		command.Env = append(os.Environ(), "PETRA_API_KEY=key")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	return data
}

// counted are the incidents of tenants that are known in both ends of a span. All are,
// but where it begins in a backfilled history and ends after it: there, a tenant is
// known from an hour before its first incident.
func (w truth) counted(from, to time.Time) (counted []petratest.View) {
	seen := map[string]bool{}
	for _, in := range w.incidents {
		seen[in.TenantID] = seen[in.TenantID] || !in.CreatedAt.After(from.Add(time.Hour))
	}
	for _, in := range w.incidents {
		if seen[in.TenantID] || from.After(w.seam) || !to.After(w.seam) {
			counted = append(counted, in)
		}
	}
	return counted
}

// over is how many of the incidents were over in (from, to], of those that pass.
func (w truth) over(from, to time.Time, pass func(petratest.View) bool) (n float64) {
	for _, in := range w.counted(from, to) {
		if in.DwellMinutes == nil || !pass(in) {
			continue
		}
		at := in.OccurredAt.Add(dwell(in))
		if at.Before(in.CreatedAt) {
			at = in.CreatedAt // what it is known from
		}
		if at.After(from) && !at.After(to) {
			n++
		}
	}
	return n
}

func upTo(limit time.Duration) func(petratest.View) bool {
	return func(in petratest.View) bool { return dwell(in) <= limit }
}

func always(time.Time) bool { return true }

func anyDwell(petratest.View) bool { return true }

// mark is the last full three hours of UTC: what Prometheus knew then is what the
// panels that count the past look at.
func mark(at time.Time) time.Time { return aligned(at, 3*time.Hour, 0) }

// line is what a query of a panel gives, by time; of buckets, those of one.
func (s *scene) line(t *testing.T, all map[string]dashboard, v view, uid, title string, query int, le string) map[int64]float64 {
	t.Helper()
	got := map[int64]float64{}
	for _, series := range s.ask(t, all, v, uid, title, query) {
		if series.Metric["le"] != le {
			continue
		}
		for _, sample := range series.Values {
			if _, twice := got[int64(sample.at)]; twice {
				t.Errorf("%s has two values at %v", title, sample.at)
			}
			got[int64(sample.at)], _ = strconv.ParseFloat(sample.value, 64)
		}
	}
	return got
}

// wantLine holds that a line has the value that is true at each point, and none
// where nothing can be known. count is how many values there must be;
// with 0, none may stand for 0.
func wantLine(t *testing.T, name string, got map[int64]float64, points []time.Time, count int, known func(time.Time) bool, want func(time.Time) float64) {
	t.Helper()
	if count > 0 && len(got) != count {
		t.Errorf("%s: %d of %d points have a value, want %d", name, len(got), len(points), count)
	}
	wrong, total, truth := 0, 0., 0.
	for _, at := range points {
		value, ok := got[at.Unix()]
		is := -1.
		if known(at) {
			is = want(at)
		}
		if ok != (is >= 0) && (count > 0 || is != 0) || ok && !near(value, is) {
			if wrong++; wrong <= 3 {
				t.Errorf("%s at %v: got %v (%t), want %v", name, at, value, ok, is)
			}
		}
		total, truth = total+value, truth+max(0, is)
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d points are wrong", name, wrong, len(points))
	}
	if truth == 0 {
		t.Errorf("%s: the truth is 0 everywhere", name)
	}
	t.Logf("%s: %d values, together %.6g, in truth %.6g", name, len(got), total, truth)
}

var dwellBuckets = map[string]time.Duration{"300.0": 5 * time.Minute, "3600.0": time.Hour, "86400.0": day, "+Inf": 1 << 62}

func (s *scene) wantHeatmap(t *testing.T, all map[string]dashboard, v view, w truth, count int, known func(time.Time) bool) {
	t.Helper()
	const title = "Dwell time of what was remediated"
	p := find(t, all, "petra-overview", title)
	for le, limit := range dwellBuckets {
		wantLine(t, title+", "+le, s.line(t, all, v, "petra-overview", title, 0, le), v.points(p), count, known, func(at time.Time) float64 {
			return w.over(mark(at.Add(-v.step(p))), mark(at), upTo(limit))
		})
	}
}

func (s *scene) wantTrend(t *testing.T, all map[string]dashboard, v view, w truth, count int, known func(time.Time) bool) {
	t.Helper()
	const title = "Share remediated in time, over 7 days each"
	p := find(t, all, "petra-overview", title)
	for query, limit := range []time.Duration{time.Hour, 4 * time.Hour, day} {
		wantLine(t, title+", "+limit.String(), s.line(t, all, v, "petra-overview", title, query, ""), v.points(p), count, known, func(at time.Time) float64 {
			from, to := mark(at).Add(-7*day), mark(at)
			return w.over(from, to, upTo(limit)) / w.over(from, to, anyDwell)
		})
	}
}

func (s *scene) wantOpen(t *testing.T, all map[string]dashboard, v view, w truth, count int, known func(time.Time) bool) {
	t.Helper()
	const title = "Open incidents over time"
	p := find(t, all, "petra-tenant", title)
	wantLine(t, title, s.line(t, all, v, "petra-tenant", title, 0, ""), v.points(p), count, known, func(at time.Time) float64 {
		return w.openAt(at.Truncate(time.Hour))
	})
}

func (s *scene) wantRaised(t *testing.T, all map[string]dashboard, v view, w truth, count int, known func(time.Time) bool) {
	t.Helper()
	const title = "New incidents in the long run"
	p := find(t, all, "petra-tenant", title)
	wantLine(t, title, s.line(t, all, v, "petra-tenant", title, 0, ""), v.points(p), count, known, func(at time.Time) float64 {
		return w.raisedIn(mark(at.Add(-v.step(p))), mark(at))
	})
}

func (w truth) raisedIn(from, to time.Time) (n float64) {
	for _, in := range w.counted(from, to) {
		if in.CreatedAt.After(from) && !in.CreatedAt.After(to) {
			n++
		}
	}
	return n
}

// openAt is how many were open.
func (w truth) openAt(at time.Time) (n float64) {
	for _, in := range w.incidents {
		if !in.CreatedAt.After(at) && (in.DwellMinutes == nil || in.OccurredAt.Add(dwell(in)).After(at)) {
			n++
		}
	}
	return n
}
