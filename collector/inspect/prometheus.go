package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

const (
	// prometheusTimeout is for all questions to Prometheus together.
	prometheusTimeout = 30 * time.Second
	// slowScrape is the share of the timeout above which a scrape is too slow.
	slowScrape = 0.9
	// longestInterval is when Prometheus marks series as stale, and the exporter
	// stops its full reads.
	longestInterval = 5 * time.Minute
)

// CheckPrometheusURL returns an error where the text is no base of a
// Prometheus. The error does not repeat it: it may hold a password.
func CheckPrometheusURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--prometheus.url: must be a URL such as http://localhost:9090")
	}
	return nil
}

// prometheus checks what a Prometheus has of exporters.
func (d *doctor) prometheus(ctx context.Context, address string) {
	if address == "" {
		d.skip("--prometheus.url is not set", checkPrometheus)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, prometheusTimeout)
	defer cancel()
	client, err := api.NewClient(api.Config{Address: address})
	if err == nil {
		p := prometheus{v1.NewAPI(client)}
		err = d.targets(ctx, p)
	}
	if err != nil {
		d.wrong(checkPrometheus, printable(err.Error()), "is --prometheus.url the base of a Prometheus server, reachable from here?")
		d.skip("no answer from Prometheus", checkTarget, checkDuration, checkHistograms, checkExporter)
	}
}

// targets checks each target that looks like an exporter of ours. It returns an
// error before it has written a line, or none.
func (d *doctor) targets(ctx context.Context, p prometheus) error {
	current, err := p.query(ctx, `group by (job, instance) (petra_exporter_build_info)`)
	if err != nil {
		return err
	}
	all, err := p.api.Targets(ctx)
	if err != nil && len(current) == 0 {
		return fmt.Errorf("there is no petra_exporter_build_info, and the list of targets fails: %w", err)
	}
	published, err := p.query(ctx, `group by (job, instance) (last_over_time(petra_exporter_build_info[1d]))`)
	if err != nil {
		return err
	}
	known := map[[2]string]bool{}
	for _, sample := range published {
		known[[2]string{string(sample.Metric["job"]), string(sample.Metric["instance"])}] = true
	}
	ours := slices.DeleteFunc(all.Active, func(t v1.ActiveTarget) bool {
		u, err := url.Parse(t.ScrapeURL)
		likely := err == nil && likelyOurs(u.Port(), t.ScrapePool)
		return !likely && !known[[2]string{string(t.Labels["job"]), string(t.Labels["instance"])}]
	})
	d.ok(checkPrometheus, "it answers; it has %s", count(len(all.Active), "target"))
	for _, t := range ours {
		d.target(ctx, p, target{t})
	}
	switch {
	case len(ours) > 0:
	case len(current) > 0:
		d.untargeted(ctx, p, current)
	default:
		d.noTarget(all)
	}
	return nil
}

// untargeted checks exporters whose series come without a target here: by remote
// write, or from the servers behind this one.
func (d *doctor) untargeted(ctx context.Context, p prometheus, current model.Vector) {
	for _, sample := range current {
		t := target{v1.ActiveTarget{Labels: model.LabelSet(sample.Metric)}}
		d.ok(checkTarget, "%s: not scraped by this server, but it has the series: by remote write, or from a server or agent behind it", t)
		d.skip(fmt.Sprintf("%s: the server that scrapes it knows", t), checkDuration)
		d.checks(ctx, p, t, []check{{checkHistograms, d.histograms}, {checkExporter, d.published}})
	}
}

// likelyOurs is a guess, for a target that has never been scraped well.
func likelyOurs(port, job string) bool {
	return port == "10984" || strings.Contains(strings.ToLower(job), "petra")
}

func (d *doctor) noTarget(all v1.TargetsResult) {
	dropped := slices.ContainsFunc(all.Dropped, func(t v1.DroppedTarget) bool {
		address := t.DiscoveredLabels["__address__"]
		return likelyOurs(address[strings.LastIndex(address, ":")+1:], t.DiscoveredLabels["job"])
	})
	if dropped {
		d.wrong(checkTarget, "relabelling drops the one that looks like petra_exporter", "look at relabel_configs of its job")
	} else {
		d.wrong(checkTarget, "none looks like petra_exporter (port 10984, petra in the job's name), and there is no petra_exporter_build_info", "add it to scrape_configs as in the README, and reload Prometheus; with an operator, do the ServiceMonitor's labels match?")
	}
	d.skip("there is no target", checkDuration, checkHistograms, checkExporter)
}

// target is one exporter as a Prometheus sees it.
type target struct{ v1.ActiveTarget }

func (t target) String() string {
	if t.Labels["job"] == "" && t.Labels["instance"] == "" {
		return "without job and instance"
	}
	return printable(fmt.Sprintf("%s %s", t.Labels["job"], t.Labels["instance"]))
}

// selector selects the series of a metric that came from the target.
func (t target) selector(metric, more string) string {
	return fmt.Sprintf(`%s{job=%q,instance=%q%s}`, metric, t.Labels["job"], t.Labels["instance"], more)
}

// setting is a duration of the target's scrape configuration, 0 if an old
// Prometheus does not report it.
func (t target) setting(label string) time.Duration {
	value, _ := model.ParseDuration(t.DiscoveredLabels[label])
	return time.Duration(value)
}

func (d *doctor) target(ctx context.Context, p prometheus, t target) {
	interval := t.setting("__scrape_interval__")
	rest := []string{checkDuration, checkHistograms, checkExporter}
	switch {
	case t.Health == v1.HealthUnknown:
		d.wrong(checkTarget, fmt.Sprintf("%s: not scraped yet", t), fmt.Sprintf("wait for %s, and ask again", interval))
		d.skip(fmt.Sprintf("%s: not scraped yet", t), rest...)
		return
	case t.Health != v1.HealthGood:
		d.wrong(checkTarget, fmt.Sprintf("%s: %s", t, printable(t.LastError)), "does the exporter run, and can Prometheus reach "+printable(t.ScrapeURL)+", with its TLS and password? Is scrape_timeout long enough?")
		d.skip(fmt.Sprintf("%s: the last scrape failed", t), rest...)
		return
	case interval >= longestInterval:
		d.wrong(checkTarget, fmt.Sprintf("%s: scraped every %s only", t, interval), "set scrape_interval below 5m, ideally to 15s: after 5m Prometheus marks series as stale, and the exporter stops its background reads")
	case interval == 0:
		d.ok(checkTarget, "%s: scraped", t)
	default:
		d.ok(checkTarget, "%s: scraped every %s", t, interval)
	}
	d.checks(ctx, p, t, []check{{checkDuration, d.duration}, {checkHistograms, d.histograms}, {checkExporter, d.published}})
}

// check is one of a target.
type check struct {
	name string
	make func(context.Context, prometheus, target) error
}

func (d *doctor) checks(ctx context.Context, p prometheus, t target, checks []check) {
	for _, c := range checks {
		if err := c.make(ctx, p, t); err != nil {
			d.wrong(c.name, fmt.Sprintf("%s: the query failed: %s", t, printable(err.Error())), "look at Prometheus' log")
		}
	}
}

// duration checks that scrapes end in time.
func (d *doctor) duration(ctx context.Context, p prometheus, t target) error {
	longest, err := p.query(ctx, `max(max_over_time(`+t.selector("scrape_duration_seconds", "")+`[1h]))`)
	if err != nil {
		return err
	}
	took := t.LastScrapeDuration
	if len(longest) > 0 {
		took = max(took, float64(longest[0].Value))
	}
	timeout := t.setting("__scrape_timeout__")
	text := fmt.Sprintf("%s: at most %.2gs in the last hour", t, took)
	switch {
	case timeout == 0:
		d.skip(fmt.Sprintf("%s; this Prometheus does not report the timeout", text), checkDuration)
	case took > slowScrape*timeout.Seconds():
		d.wrong(checkDuration, fmt.Sprintf("%s, and the timeout is %s", text, timeout), "raise scrape_timeout, and scrape_interval with it; is the API slow (petra_api_request_duration_seconds)?")
	default:
		d.ok(checkDuration, "%s; the timeout is %s", text, timeout)
	}
	return nil
}

// histograms checks that Prometheus has the classic buckets. The exporter's own
// histogram of requests has both kinds, whatever the configuration.
func (d *doctor) histograms(ctx context.Context, p prometheus, t target) error {
	classic, err := p.query(ctx, t.selector("petra_api_request_duration_seconds_bucket", ""))
	if err != nil {
		return err
	}
	native, err := p.query(ctx, t.selector("petra_api_request_duration_seconds", ""))
	if err != nil {
		return err
	}
	switch {
	case len(classic) > 0 && len(native) > 0:
		d.ok(checkHistograms, "%s: classic and native", t)
	case len(classic) > 0:
		d.ok(checkHistograms, "%s: classic", t)
	case len(native) > 0:
		d.wrong(checkHistograms, fmt.Sprintf("%s: native only, the classic buckets are lost", t), "set always_scrape_classic_histograms: true in its scrape_configs")
	default:
		d.wrong(checkHistograms, fmt.Sprintf("%s: none", t), "does metric_relabel_configs drop petra_api_request_duration_seconds? In the first minute, ask again")
	}
	return nil
}

// published checks what the exporter says of itself, which may have another
// key, network or clock than this command.
func (d *doctor) published(ctx context.Context, p prometheus, t target) error {
	up, err := p.query(ctx, t.selector("petra_up", ""))
	if err != nil {
		return err
	}
	tenants, err := p.query(ctx, t.selector("petra_tenants", ""))
	if err != nil {
		return err
	}
	states := map[string]float64{}
	for _, sample := range tenants {
		states[string(sample.Metric["state"])] = float64(sample.Value)
	}
	status := "its page /status says why"
	switch {
	case len(up) == 0:
		d.wrong(checkExporter, fmt.Sprintf("%s: it has read nothing (no petra_up)", t), status)
	case up[0].Value != 1:
		d.wrong(checkExporter, fmt.Sprintf("%s: its last requests failed (petra_up 0)", t), status)
	case states["stale"] > 0:
		d.wrong(checkExporter, fmt.Sprintf("%s: %v tenants were not read for max_staleness", t, states["stale"]), status)
	case states["pending"] > 0:
		d.ok(checkExporter, "%s: %v tenants are read in full; the counts of %v follow", t, states["complete"], states["pending"])
	default:
		d.ok(checkExporter, "%s: all %v tenants are read", t, states["complete"])
	}
	return nil
}

// prometheus asks a Prometheus server.
type prometheus struct{ api v1.API }

func (p prometheus) query(ctx context.Context, query string) (model.Vector, error) {
	value, _, _, err := p.api.Query(ctx, query, time.Time{})
	if err != nil {
		return nil, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s is no vector", value.Type())
	}
	return vector, nil
}
