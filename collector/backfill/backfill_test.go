package backfill_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/backfill"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// pastSamples are the samples of each series, by its line up to the value.
type pastSamples map[string]map[int64]float64

// parsePast reads the text, and holds the rules of OpenMetrics on its order.
func parsePast(t *testing.T, text string) pastSamples {
	t.Helper()
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 {
		t.Fatalf("no end in %d bytes", len(text))
	}
	all := pastSamples{}
	families := map[string]bool{}
	var family, metric string
	var at int64
	metrics := map[string]bool{}
	for line := range strings.Lines(strings.TrimSuffix(text, "# EOF\n")) {
		line = strings.TrimSuffix(line, "\n")
		if comment, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(comment, " ")
			if families[family] {
				t.Fatalf("%s is there twice", family)
			}
			families[family] = true
			continue
		}
		if comment, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if !strings.HasPrefix(comment, family+" ") {
				t.Fatalf("%s after the help of %s", line, family)
			}
			continue
		}
		fields := strings.Split(line, " ")
		if len(fields) != 3 || !strings.HasPrefix(line, family) {
			t.Fatalf("below %s: %s", family, line)
		}
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		time, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		_, labels, _ := strings.Cut(fields[0], "{")
		labels, _, _ = strings.Cut(labels, `,le="`)
		if now := family + "{" + strings.TrimSuffix(labels, "}"); now != metric {
			if metrics[now] {
				t.Fatalf("%s stands apart from its other samples: %s", now, line)
			}
			metric, at = now, 0
			metrics[now] = true
		}
		if time < at {
			t.Fatalf("earlier than the line before: %s", line)
		}
		at = time
		if all[fields[0]] == nil {
			all[fields[0]] = map[int64]float64{}
		}
		if _, twice := all[fields[0]][time]; twice {
			t.Fatalf("twice: %s", line)
		}
		all[fields[0]][time] = value
	}
	return all
}

// at is the value of the series then.
func (p pastSamples) at(series string, at time.Time) (float64, bool) {
	value, ok := p[series][at.Unix()]
	return value, ok
}

// story says how a series goes: each time with the value from then on until the
// next, NaN for none.
type story []struct {
	from  time.Time
	value float64
}

// want fails the test unless the series has a sample at each step with the
// value of the story.
func (p pastSamples) want(t *testing.T, series string, step time.Duration, end time.Time, s story) {
	t.Helper()
	if p[series] == nil {
		t.Errorf("no %s", series)
		return
	}
	n := 0
	for i, part := range s {
		until := end.Add(step)
		if i+1 < len(s) {
			until = s[i+1].from
		}
		for at := part.from; at.Before(until); at = at.Add(step) {
			got, ok := p.at(series, at)
			if ok {
				n++
			}
			if ok == math.IsNaN(part.value) || ok && got != part.value {
				t.Errorf("%s at %s: %v (there: %t), want %v", series, at, got, ok, part.value)
				return
			}
		}
	}
	if n != len(p[series]) {
		t.Errorf("%s: %d samples, want %d", series, len(p[series]), n)
	}
}

// pastOrg has incidents of every kind, around noon of the epoch's tenth day.
func pastOrg(now time.Time) *petratest.Organization {
	w := petratest.NewOrganization()
	for _, id := range []string{"A", "B", "Calm"} {
		w.SetTenant(petratest.Tenant{ID: id, Name: "Tenant " + id})
	}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	incident := func(tenant, id string, live bool, created, occurred, remediated time.Time, final string) {
		w.Add(petratest.Incident{ID: id, TenantID: tenant, Live: live, CreatedAt: created, OccurredAt: occurred, RemediatedAt: remediated, FinalStatus: final})
	}
	// On the hour, and a second after it.
	incident("A", "a1", true, ago(50*time.Hour), ago(50*time.Hour+2*time.Minute), ago(48*time.Hour), "")
	incident("A", "a2", true, ago(20*time.Hour-time.Second), ago(20*time.Hour), ago(19*time.Hour+30*time.Minute), "")
	incident("A", "a3", false, ago(10*time.Hour), ago(34*time.Hour), time.Time{}, "") // open
	incident("A", "a4", true, ago(9*time.Hour), ago(9*time.Hour), ago(7*time.Hour), "FALSE_POSITIVE")
	// Remediated, says the API, before it was raised.
	incident("B", "b1", true, ago(5*time.Hour), ago(8*time.Hour), ago(6*time.Hour), "")
	return w
}

var epochNoon = time.Date(2000, 1, 10, 12, 0, 0, 0, time.UTC).AddDate(26, 0, 0)

// TestBackfill holds what is written, sample by sample.
func TestBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		now := epochNoon
		at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
		time.Sleep(time.Minute)
		b := command{
			api:     petratest.NewAPI(pastOrg(now), petratest.Options{Keys: []string{testKey}}),
			yaml:    "closed_statuses: [FALSE_POSITIVE]",
			options: backfill.Options{Labels: []string{"job=petra", "instance=here:10984"}, Metrics: collector.HistoryMetrics()},
		}
		text := b.run(t)
		if b.err != nil {
			t.Fatal(b.err)
		}
		past := parsePast(t, text)
		for series := range past {
			if strings.Contains(series, "Calm") || !strings.HasSuffix(series, `,job="petra",instance="here:10984"}`) && !strings.Contains(series, `,job="petra",instance="here:10984",le="`) {
				t.Errorf("there is %s", series)
			}
		}
		want := func(series string, s ...any) {
			t.Helper()
			var told story
			for i := 0; i < len(s); i += 2 {
				told = append(told, struct {
					from  time.Time
					value float64
				}{at(s[i].(int)), float64(s[i+1].(int))})
			}
			name, labels, _ := strings.Cut(series, "{")
			labels, le, isBucket := strings.Cut(strings.TrimSuffix(labels, "}"), `,le=`)
			labels += `,job="petra",instance="here:10984"`
			if isBucket {
				labels += ",le=" + le
			}
			past.want(t, name+"{"+labels+"}", time.Hour, now, told)
		}
		want(`petra_incidents_raised_total{tenant_id="A"}`, -51, 0, -50, 1, -19, 2, -10, 3, -9, 4)
		want(`petra_incidents_raised_total{tenant_id="B"}`, -6, 0, -5, 1)
		want(`petra_open_incidents{live="true",tenant_id="A"}`, -51, 0, -50, 1, -48, 0, -9, 1, -7, 0)
		want(`petra_open_incidents{live="false",tenant_id="A"}`, -11, 0, -10, 1)
		if series := `petra_open_incidents{live="true",tenant_id="B",job="petra",instance="here:10984"}`; past[series] != nil {
			t.Errorf("%s though it was over when it was raised", series)
		}
		want(`petra_incidents{live="true",remediation_status="UNKNOWN",tenant_id="A"}`, -51, 0, -50, 1, -48, 0, -9, 1, -7, 0)
		want(`petra_incidents{live="true",remediation_status="REMEDIATED",tenant_id="A"}`, -49, 0, -48, 1, -19, 2)
		want(`petra_incidents{live="true",remediation_status="FALSE_POSITIVE",tenant_id="A"}`, -8, 0, -7, 1)
		want(`petra_incidents{live="false",remediation_status="UNKNOWN",tenant_id="A"}`, -11, 0, -10, 1)
		want(`petra_incident_dwell_time_seconds_count{live="true",tenant_id="B"}`, -6, 0, -5, 1)
		want(`petra_incident_dwell_time_seconds_sum{live="true",tenant_id="B"}`, -6, 0, -5, 7200)
		// The one that is zero is the lower bound of what lies in the next.
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="B",le="3600.0"}`, -6, 0, -5, 0)
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="B",le="14400.0"}`, -6, 0, -5, 1)
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="B",le="+Inf"}`, -6, 0, -5, 1)
		want(`petra_incident_detection_time_seconds_count{live="false",tenant_id="A"}`, -11, 0, -10, 1)
		want(`petra_incident_remediation_time_seconds_count{live="true",tenant_id="B"}`, -6, 0, -5, 1)
		want(`petra_incident_remediation_time_seconds_bucket{live="true",tenant_id="B",le="60.0"}`, -6, 0, -5, 1)
		for _, series := range []string{
			`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="B",job="petra",instance="here:10984",le="900.0"}`,
			`petra_incident_dwell_time_seconds_count{live="false",tenant_id="A",job="petra",instance="here:10984"}`,
		} {
			if past[series] != nil {
				t.Errorf("%s is written, and all zero", series)
			}
		}
		// Here the lower buckets begin later than those above.
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="A",le="14400.0"}`, -49, 0, -48, 1, -19, 2)
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="A",le="3600.0"}`, -49, 0, -19, 1)
		want(`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="A",le="900.0"}`, -20, 0)
		if n := len(b.api.Requests()); n != 2 {
			t.Errorf("%d requests, want the list and one organization read", n)
		}
		if info, err := os.Stat(b.options.Output); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if want := fmt.Sprintf("size=%q", fmt.Sprintf("%.1f MB", float64(len(text))/1e6)); b.log.lines(want) != 1 {
			t.Errorf("want %s in the log:\n%s", want, b.log)
		}
	})
}

// TestBackfillUnusableTimes: what has no usable time is counted where the next
// best one says, or from the beginning on: a burst where nothing happened is
// worse.
func TestBackfillUnusableTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		now := epochNoon
		w := petratest.NewOrganization()
		w.SetTenant(petratest.Tenant{ID: "A", Name: "A"})
		ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
		raw := func(n int, fields string) {
			w.Add(petratest.Incident{TenantID: "A", CreatedAt: ago(9), Raw: fmt.Appendf(nil, `{"id": "i%d", "isLive": true, "tenant": {"petraTenantId": "A"}, %s}`, n, fields)})
		}
		raw(1, `"remediationStatus": "REMEDIATED", "dwellTimeMinutes": 30`)
		raw(2, `"remediationStatus": "REMEDIATED", "dwellTimeMinutes": 90, "occurredAt": "`+ago(8).Format(time.RFC3339)+`"`)
		raw(3, `"remediationStatus": "REMEDIATED", "dwellTimeMinutes": 90, "createdAt": "`+ago(6).Format(time.RFC3339)+`"`)
		raw(4, `"remediationStatus": "REMEDIATED", "createdAt": "`+ago(5).Format(time.RFC3339)+`"`)
		raw(5, `"remediationStatus": "ACTIVE"`)
		// It is over, though its dwell would end after now.
		raw(6, `"remediationStatus": "REMEDIATED", "dwellTimeMinutes": 6000, "createdAt": "`+ago(4).Format(time.RFC3339)+`", "occurredAt": "`+ago(4).Format(time.RFC3339)+`"`)
		b := command{api: petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})}
		past := parsePast(t, b.run(t))
		at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
		past.want(t, `petra_incidents_raised_total{tenant_id="A"}`, time.Hour, now, story{{at(-9), 2}, {at(-8), 3}, {at(-6), 4}, {at(-5), 5}, {at(-4), 6}})
		past.want(t, `petra_open_incidents{live="true",tenant_id="A"}`, time.Hour, now, story{{at(-9), 1}, {at(-8), 2}, {at(-6), 1}, {at(-4), 2}, {at(0), 1}})
		past.want(t, `petra_incident_dwell_time_seconds_count{live="true",tenant_id="A"}`, time.Hour, now, story{{at(-9), 1}, {at(-6), 3}, {at(0), 4}})
	})
}

// TestBackfillQuiet: far from a change, a histogram has every third sample.
func TestBackfillQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		raised := epochNoon.AddDate(0, 0, -20)
		w := petratest.NewOrganization()
		w.SetTenant(petratest.Tenant{ID: "A", Name: "A"})
		w.Add(petratest.Incident{ID: "a", TenantID: "A", Live: true, CreatedAt: raised, OccurredAt: raised, RemediatedAt: raised.Add(time.Minute)})
		b := command{api: petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})}
		past := parsePast(t, b.run(t))
		if n := len(past[`petra_incidents_raised_total{tenant_id="A"}`]); n != 20*24+2 {
			t.Errorf("%d samples of a counter", n)
		}
		changed := raised.Add(time.Hour) // where the remediation is first seen
		var want []int64
		for at := changed.Add(-time.Hour); !at.After(epochNoon); at = at.Add(time.Hour) {
			if at.Sub(changed) < 24*time.Hour || epochNoon.Sub(at) < 24*time.Hour || at.Hour()%3 == 0 {
				want = append(want, at.Unix())
			}
		}
		for _, le := range []string{"60.0", "300.0", "+Inf"} {
			got := slices.Sorted(maps.Keys(past[`petra_incident_dwell_time_seconds_bucket{live="true",tenant_id="A",le="`+le+`"}`]))
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d samples, want %d:\n%d\n%d", le, len(got), len(want), got, want)
			}
		}
	})
}

// TestBackfillRange: the bounds, and what was raised before them.
func TestBackfillRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		at := func(hours int) time.Time { return epochNoon.Add(time.Duration(hours) * time.Hour) }
		for name, c := range map[string]struct {
			start, end, step string
			every            time.Duration
			until            time.Time
			want             story
		}{
			"start":         {at(-12).Format(time.RFC3339), "", "1h", time.Hour, at(0), story{{at(-12), 2}, {at(-10), 3}, {at(-9), 4}}},
			"between steps": {at(-12).Add(-time.Minute).Format(time.RFC3339), fmt.Sprint(at(-9).Add(time.Minute).Unix()), "1h", time.Hour, at(-9), story{{at(-12), 2}, {at(-10), 3}, {at(-9), 4}}},
			"end":           {"", fmt.Sprintf("%d.5", at(-9).Add(-time.Second).Unix()), "1h", time.Hour, at(-10), story{{at(-51), 0}, {at(-50), 1}, {at(-19), 2}, {at(-10), 3}}},
			"dates":         {at(-36).Format(time.DateOnly), at(-12).Format(time.DateOnly), "1h", time.Hour, at(-12), story{{at(-36), 1}, {at(-19), 2}}},
			"longer step":   {"", "", "12h", 12 * time.Hour, at(0), story{{at(-60), 0}, {at(-48), 1}, {at(-12), 2}, {at(0), 4}}},
			"one sample":    {at(-20).Format(time.RFC3339), at(-20).Add(time.Minute).Format(time.RFC3339), "1h", time.Hour, at(-20), story{{at(-20), 1}}},
			"shorter step":  {at(-20).Format(time.RFC3339), at(-19).Format(time.RFC3339), "15s", 15 * time.Second, at(-19), story{{at(-20), 1}, {at(-20).Add(15 * time.Second), 2}}},
		} {
			b := command{
				api: petratest.NewAPI(pastOrg(epochNoon), petratest.Options{Keys: []string{testKey}}), yaml: "tenants: [{id: A}]",
				options: backfill.Options{Start: c.start, End: c.end, Step: c.step, Metrics: []string{"raised"}},
			}
			past := parsePast(t, b.run(t))
			if b.err != nil || len(past) != 1 {
				t.Errorf("%s: %d series, %v", name, len(past), b.err)
			}
			past.want(t, `petra_incidents_raised_total{tenant_id="A"}`, c.every, c.until, c.want)
		}
	})
}

// TestBackfillNothing: the error says until when, and of what, there is nothing.
func TestBackfillNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		at := func(hours int) string { return epochNoon.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339) }
		for name, c := range map[string]struct {
			options backfill.Options
			want    string
		}{
			"before all":      {backfill.Options{End: "2025-01-01"}, "until 2025-01-01T00:00:00Z no incident counts in raised, open, dwell: "},
			"none remediated": {backfill.Options{Metrics: []string{"dwell"}, End: at(-49)}, "until " + at(-49) + " no incident counts in dwell: "},
			// The last sample is before the end.
			"after the last sample": {backfill.Options{Step: "1d", End: at(-50)}, "until 2026-01-08T00:00:00Z no incident counts in raised, open, dwell: "},
		} {
			b := command{api: petratest.NewAPI(pastOrg(epochNoon), petratest.Options{Keys: []string{testKey}}), options: c.options}
			if text := b.run(t); text != "" || b.err == nil || b.err.Error() != c.want+"there is nothing to write" {
				t.Errorf("%s: %v, want %s\n%s", name, b.err, c.want, text)
			}
		}
	})
}

// TestBackfillContinues: the last samples are what an exporter publishes at that
// moment, and each series has a name and labels that it publishes.
func TestBackfillContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(epochNoon)
		org := petratest.Random(7, petratest.RandomConfig{Start: epochNoon, Tenants: 10, Incidents: 200, Open: 9, FalsePositives: 0.1, History: 10 * 24 * time.Hour})
		api := petratest.NewAPI(org, petratest.Options{Keys: []string{testKey}})
		const yaml = "closed_statuses: [FALSE_POSITIVE]\nnative_histograms: true"
		scraped := scrape(t, api, yaml)
		b := command{api: api, yaml: yaml, options: backfill.Options{Metrics: collector.HistoryMetrics()}}
		compared := 0
		for series, past := range parsePast(t, b.run(t)) {
			last, ok := past[epochNoon.Unix()]
			if !ok {
				t.Errorf("%s ends before the end", series)
			}
			name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
			pairs := strings.Split(strings.ReplaceAll(strings.ReplaceAll(labels, `"`, ""), `.0`, ""), ",")
			slices.Sort(pairs)
			now, ok := scraped[name+"{"+strings.Join(pairs, ",")+"}"]
			if strings.Contains(series, `"UNKNOWN"`) {
				continue // what is open now has a status
			}
			compared++
			if !ok || now != last {
				t.Errorf("%s: at the end %v, scraped %v (there: %t)", series, last, now, ok)
			}
		}
		if compared < 300 {
			t.Errorf("only %d series", compared)
		}
	})
}

// TestBackfillMemory: it does not grow with the number of samples.
func TestBackfillMemory(t *testing.T) {
	allocated := func(step string) (bytes uint64, size int) {
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(epochNoon)
			org := petratest.Random(7, petratest.RandomConfig{Start: epochNoon, Tenants: 5, Incidents: 50, History: 30 * 24 * time.Hour})
			b := command{api: petratest.NewAPI(org, petratest.Options{Keys: []string{testKey}}), options: backfill.Options{Step: step, Output: filepath.Join(t.TempDir(), "history.om")}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.runOnly(t)
			runtime.ReadMemStats(&after)
			info, err := os.Stat(b.options.Output)
			if err != nil || b.err != nil {
				t.Fatal(err, b.err)
			}
			bytes, size = after.TotalAlloc-before.TotalAlloc, int(info.Size())
		})
		return bytes, size
	}
	few, small := allocated("1h")
	many, large := allocated("3m")
	t.Logf("%d bytes allocated for a file of %d, %d for one of %d", few, small, many, large)
	if large < 10*small || many > 2*few {
		t.Errorf("%d bytes allocated for a file of %d, %d for one of %d", few, small, many, large)
	}
}
