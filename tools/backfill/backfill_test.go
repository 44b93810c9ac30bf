package backfill

import (
	"flag"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var (
	days     = flag.Int("days", 90, "the length of the history; the demo has one of 730")
	tenants  = flag.Int("tenants", 10, "how many the random organization has; none should have more than 500 of its three incidents a day")
	duration = flag.String("max-block-duration", "90d", "of promtool")
)

const (
	key  = "test-key"
	step = time.Hour
	day  = 24 * time.Hour
)

// still is the organization as it is at the hour, for ever: no change comes, and
// each is as far from a sample in each run.
func still(w *petratest.Organization, hour time.Time) *petratest.Organization {
	s := petratest.NewOrganization()
	for _, t := range w.Tenants() {
		s.SetTenant(t)
	}
	for _, v := range w.Incidents(hour) {
		w.Update(v.ID, func(in *petratest.Incident) {
			for _, at := range []*time.Time{&in.RemediatedAt, &in.LiveChangedAt, &in.WithdrawnAt} {
				if at.After(hour) {
					*at = time.Time{}
				}
			}
			s.Add(*in)
		})
	}
	return s
}

// over is when an incident was remediated and that was known.
func over(v petratest.View) time.Time {
	at := v.OccurredAt.Add(dwell(v))
	if at.Before(v.CreatedAt) {
		return v.CreatedAt
	}
	return at
}

func dwell(v petratest.View) time.Duration {
	return time.Duration(*v.DwellMinutes * float64(time.Minute))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// raised is how many incidents were raised after from, until to.
func raised(views []petratest.View, from, to time.Time) (n int) {
	for _, v := range views {
		if v.CreatedAt.After(from) && !v.CreatedAt.After(to) {
			n++
		}
	}
	return n
}

// dwells are the dwell times, in seconds and in order, of what was remediated
// after from, until to.
func dwells(views []petratest.View, from, to time.Time) (seconds []float64) {
	for _, v := range views {
		if v.Status == "REMEDIATED" && over(v).After(from) && !over(v).After(to) {
			seconds = append(seconds, dwell(v).Seconds())
		}
	}
	slices.Sort(seconds)
	return seconds
}

// bucket are the bounds of the bucket in which a share of the dwell times ends.
func bucket(seconds []float64, share float64) (lower, upper float64) {
	value := seconds[int(math.Ceil(share*float64(len(seconds))))-1]
	for _, bound := range []float64{60, 300, 900, 3600, 14400, 86400, 259200, 604800, 1209600, 2592000, 7776000, 15552000} {
		if value <= bound {
			return lower, bound
		}
		lower = bound
	}
	return lower, lower // the highest bound stands for all above it
}

// TestBackfillRandom writes all the history of a made-up organization.
func TestBackfillRandom(t *testing.T) {
	hour := time.Now().Truncate(time.Hour)
	hold(t, petratest.Random(3, petratest.RandomConfig{
		Start: hour, Tenants: *tenants, Incidents: 3 * *days, Open: 8, FalsePositives: 0.1,
		History: time.Duration(*days) * day,
	}), hour, time.Time{})
}

// TestBackfillDemo writes the last days of the demo's two years: its counters
// have counted before.
func TestBackfillDemo(t *testing.T) {
	hour := time.Now().Truncate(time.Hour)
	hold(t, petratest.Demo(hour), hour, hour.Add(-time.Duration(*days)*day))
}

// hold writes the history of the organization until the hour, from start or from the
// first incident on, and compares.
func hold(t *testing.T, w *petratest.Organization, hour, start time.Time) {
	exporter, promtool, prometheus := program(t, "petra_exporter"), program(t, ".cache/bin/promtool"), program(t, ".cache/bin/prometheus")
	w = still(w, hour)
	views := w.Incidents(hour)
	api, err := petratest.NewServer(petratest.NewAPI(w, petratest.Options{Keys: []string{key}, Limit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	dir := t.TempDir()
	config, history, data := filepath.Join(dir, "petra.yml"), filepath.Join(dir, "history.om"), filepath.Join(dir, "data")
	write(t, config, "closed_statuses: [FALSE_POSITIVE]\napi: {requests_per_minute: 600}\n")
	flags := []string{"--config.file=" + config, "--petra.api-url=" + api.URL}

	command := append(slices.Clone(flags), "backfill", "--output="+history, "--requests-per-minute=600")
	if !start.IsZero() {
		command = append(command, "--start="+fmt.Sprint(start.Unix()))
	}
	took := run(t, exporter, append(command,
		"--label=job=petra", "--label=instance=petra", "--metric=raised", "--metric=incidents", "--metric=open", "--metric=dwell", "--metric=detection", "--metric=remediation")...)
	info, err := os.Stat(history)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d incidents, the history of %d days, all metrics: %.1f MB in %s", len(views), *days, float64(info.Size())/1e6, took.Round(time.Millisecond))
	took = run(t, promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration="+*duration, history, data)
	t.Logf("promtool: %s", took.Round(time.Millisecond))

	// What happens between the end of the history and the first scrape.
	const fresh = "fresh"
	now := time.Now()
	of := views[0].TenantID
	w.Add(petratest.Incident{ID: fresh, TenantID: of, Live: true, CreatedAt: now, OccurredAt: now.Add(-time.Minute), RemediatedAt: now})

	live := serve(t, exporter, flags...)
	write(t, filepath.Join(dir, "prometheus.yml"), `
scrape_configs:
  - job_name: petra
    scrape_interval: 1s
    static_configs: [{targets: ["`+strings.TrimPrefix(live.url, "http://")+`"], labels: {instance: petra}}]
`)
	p := serve(t, prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=10y")
	eventually(t, "the exporter is scraped, and knows all", func() bool {
		return p.query(t, `min(count_over_time(petra_incidents_raised_total[4s])) >= 3 and on () petra_tenants{state="complete"} == `+strconv.Itoa(len(w.Tenants())), time.Now(), "")[""] >= 3
	})
	scraped := time.Now()

	t.Run("ten past dates", func(t *testing.T) {
		for n := range 10 {
			at := hour.Add(-time.Duration(n**days/12) * day)
			// Of the window, the first sample is what the others are compared with.
			// Prometheus then extrapolates over the step before it.
			first := later(at.Add(-30*day+step), start)
			want := float64(raised(views, first, at))
			got := p.query(t, "sum(increase(petra_incidents_raised_total[30d]))", at, "")[""]
			t.Logf("%s: in 30 days %v were raised, Prometheus says %.3f", at.Format(time.DateTime), want, got)
			if most := want * (1 + step.Hours()/at.Sub(first).Hours()); want == 0 || got < want-1e-6 || got > most+1e-6 {
				t.Errorf("%s: %v raised in 30 days, want %v", at, got, want)
			}
			// Between changes, a histogram has a sample in three hours.
			first = later(at.Add(-90*day), start)
			most, least := dwells(views, first, at), dwells(views, later(first, at.Add(-90*day+3*step)), at)
			// Those that begin in the window are not extrapolated, others by up to
			// three hours on either side: that moves a share p by p(1-p) of it at
			// most, which matters where a bound is reached by exactly 95 %.
			extrapolated := 6 / (at.Sub(first).Hours() - 6)
			moved := 0.95 * 0.05 * extrapolated
			lower, _ := bucket(least, 0.95-moved)
			_, upper := bucket(most, 0.95+moved)
			got = p.query(t, "histogram_quantile(0.95, sum by (le) (increase(petra_incident_dwell_time_seconds_bucket[90d])))", at, "")[""]
			t.Logf("%s: the 95th percentile of %d dwell times is above %v s and up to %v s, Prometheus says %.1f s", at.Format(time.DateTime), len(most), lower, upper, got)
			if got <= lower || got > upper {
				t.Errorf("%s: the 95th percentile is %v s, want one above %v and up to %v", at, got, lower, upper)
			}
			got = p.query(t, "sum(increase(petra_incident_dwell_time_seconds_count[90d]))", at, "")[""]
			if got < float64(len(least))-1e-6 || got > float64(len(most))*(1+extrapolated)+1e-6 {
				t.Errorf("%s: %v remediated in 90 days, want %d to %d", at, got, len(least), len(most))
			}
			want = 0
			for _, v := range views {
				closed := v.DwellMinutes != nil && !over(v).After(at)
				if !v.CreatedAt.After(at) && !closed {
					want++
				}
			}
			if got := p.query(t, "sum(petra_open_incidents)", at, "")[""]; got != want {
				t.Errorf("%s: %v open, want %v", at, got, want)
			}
		}
	})

	t.Run("the seam", func(t *testing.T) {
		counters := []string{"petra_incidents_raised_total"}
		for _, kind := range []string{"dwell", "detection", "remediation"} {
			for _, part := range []string{"bucket", "sum", "count"} {
				counters = append(counters, "petra_incident_"+kind+"_time_seconds_"+part)
			}
		}
		for _, name := range counters {
			if n, ok := p.query(t, "sum(resets("+name+"[2d]))", scraped, "")[""]; !ok || n != 0 {
				t.Errorf("%s: %v resets", name, n)
			}
		}
		for _, name := range []string{"petra_incidents_raised_total", "petra_incident_dwell_time_seconds_count", "petra_incident_detection_time_seconds_count", `petra_incident_dwell_time_seconds_bucket{le="300.0"}`} {
			grown := p.query(t, fmt.Sprintf("sum by (tenant_id) (%s) - sum by (tenant_id) (%s @ %d)", name, name, hour.Unix()), scraped, "tenant_id")
			for tenant, n := range grown {
				if want := map[bool]float64{true: 1}[tenant == of]; n != want {
					t.Errorf("%s of %s has grown by %v, want %v", name, tenant, n, want)
				}
			}
			if grown[of] != 1 {
				t.Errorf("%s has grown by %v", name, grown)
			}
		}
		// In the window are the fresh one and those since its first sample.
		first := scraped.Add(-day).Truncate(step).Add(step)
		want := float64(raised(views, first, scraped) + 1)
		if got := p.query(t, "sum(increase(petra_incidents_raised_total[1d]))", scraped, "")[""]; got < want-1e-6 || got > want*24/22 {
			t.Errorf("%v raised in a day, want %v", got, want)
		}
	})

	t.Run("names and labels", func(t *testing.T) {
		series := func(from, to time.Time) map[string]bool {
			var data []map[string]string
			query := url.Values{"match[]": {`{__name__=~"petra_incident.+|petra_open_incidents"}`}, "start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())}}
			if err := p.get("series", query, &data); err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, labels := range data {
				if labels["remediation_status"] != "UNKNOWN" { // what is open now has a status
					found[fmt.Sprint(labels)] = true
				}
			}
			return found
		}
		before, after := series(hour.Add(-time.Minute), hour), series(scraped.Add(-2*time.Second), scraped)
		for labels := range before {
			if !after[labels] {
				t.Errorf("%s does not continue", labels)
			}
		}
		t.Logf("%d series, continued in %d", len(before), len(after))
		if len(before) < 500 {
			t.Errorf("only %d series", len(before))
		}
	})
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
