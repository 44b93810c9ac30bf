package dashboards

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// dashboard is what Grafana asks Prometheus for, of a dashboard's JSON.
type dashboard struct {
	UID    string  `json:"uid"`
	Panels []panel `json:"panels"`
	Vars   struct {
		List []struct {
			Name, Type string
			Query      any
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Title, Type, Interval string
	MaxDataPoints         int
	Targets               []target
}

type target struct {
	Expr, RefID    string
	Instant, Range bool
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, uid := range []string{"petra-overview", "petra-tenant", "petra-exporter"} {
		content, err := os.ReadFile("../../dashboards/" + uid + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", uid, err)
		}
		all[uid] = d
	}
	return all
}

// view is what a user has chosen.
type view struct {
	job, instance, tenant, sla string
	span                       time.Duration
	at                         time.Time
	zone                       time.Duration // of the browser, east of UTC
}

// scrapeInterval is the Prometheus' of the tests.
const scrapeInterval = 5 * time.Second

// Grafana's steps, from its rangeutil.roundInterval: below the first, the second.
var rounded = []struct{ below, step time.Duration }{
	{12500 * time.Millisecond, 10 * time.Second},
	{17500 * time.Millisecond, 15 * time.Second},
	{25 * time.Second, 20 * time.Second},
	{45 * time.Second, 30 * time.Second},
	{90 * time.Second, time.Minute},
	{210 * time.Second, 2 * time.Minute},
	{450 * time.Second, 5 * time.Minute},
	{750 * time.Second, 10 * time.Minute},
	{1050 * time.Second, 15 * time.Minute},
	{25 * time.Minute, 20 * time.Minute},
	{45 * time.Minute, 30 * time.Minute},
	{90 * time.Minute, time.Hour},
	{150 * time.Minute, 2 * time.Hour},
	{270 * time.Minute, 3 * time.Hour},
	{9 * time.Hour, 6 * time.Hour},
	{day, 12 * time.Hour},
	{7 * day, day},
	{1 << 62, 7 * day},
}

// step is the time between two points that Grafana asks for.
func (v view) step(p panel) time.Duration {
	points := p.MaxDataPoints
	if points == 0 {
		points = 600 // pixels
	}
	wanted := v.span / time.Duration(points)
	i := slices.IndexFunc(rounded, func(r struct{ below, step time.Duration }) bool { return wanted < r.below })
	least := scrapeInterval
	if p.Interval != "" {
		least, _ = time.ParseDuration(p.Interval)
	}
	return max(rounded[i].step, least)
}

var variable = regexp.MustCompile(`\$\{?(\w+)\}?`)

// expand puts in what stands for variables, as Grafana does.
func (v view) expand(t *testing.T, expr string, step time.Duration) string {
	t.Helper()
	values := map[string]string{
		"job": v.job, "instance": v.instance, "tenant": v.tenant, "sla": v.sla,
		"__interval": seconds(step), "__interval_ms": fmt.Sprint(step.Milliseconds()),
		"__range_s":       fmt.Sprint(int(v.span.Seconds())),
		"__rate_interval": seconds(max(step+scrapeInterval, 4*scrapeInterval)),
	}
	return variable.ReplaceAllStringFunc(expr, func(s string) string {
		name := variable.FindStringSubmatch(s)[1]
		if value, ok := values[name]; ok {
			return value
		}
		if strings.Trim(name, "0123456789") != "" {
			t.Errorf("the variable %s is none of %v", s, slices.Sorted(maps.Keys(values)))
		}
		return s // of label_replace
	})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

// ask executes a panel's query as Grafana does: an instant one at the end of the
// time range, a range one from and to multiples of its step, in the browser's zone.
func (v view) ask(t *testing.T, prometheus *prometheusServer, p panel, q target) (result, error) {
	t.Helper()
	step := v.step(p)
	expr := v.expand(t, q.Expr, step)
	if q.Instant {
		return prometheus.query(t, expr, v.at)
	}
	points := v.points(p)
	return prometheus.queryRange(t, expr, points[0], points[len(points)-1], step)
}

// points are the moments for which Grafana asks, of a panel over time.
func (v view) points(p panel) (points []time.Time) {
	step := v.step(p)
	for at := aligned(v.at.Add(-v.span), step, v.zone); !at.After(v.at); at = at.Add(step) {
		points = append(points, at)
	}
	return points
}

// aligned is the last multiple of step before a moment, counted from 1970 in a zone.
func aligned(at time.Time, step, zone time.Duration) time.Time {
	since := time.Duration(at.UnixNano()) + zone
	return at.Add(-(since % step))
}
