package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// The checks, in the order in which they are made. Each has one line, those of
// Prometheus one for each of its targets.
const (
	checkConfig     = "configuration"
	checkKey        = "key"
	checkProxy      = "proxy"
	checkDNS        = "DNS"
	checkConnection = "connection"
	checkTLS        = "TLS"
	checkClock      = "clock"
	checkAccepted   = "key accepted"
	checkTenants    = "/v1/tenants"
	checkIncidents  = "/v1/incidents"
	checkLimit      = "limit"
	checkConfigured = "tenants"
	checkStatuses   = "statuses"
	checkPrometheus = "Prometheus"
	checkTarget     = "target"
	checkDuration   = "scrape time"
	checkHistograms = "histograms"
	checkExporter   = "exporter"
)

// Doctor finds out why metrics are missing, writes a line for each check, and
// reports whether nothing is wrong. It makes at most one request of each of the
// API's routes, without retries. prometheusURL is the base of a Prometheus server
// whose targets are checked too; empty means none.
func Doctor(ctx context.Context, w io.Writer, o Options, prometheusURL string) bool {
	d := &doctor{w: w}
	d.exporter(ctx, o)
	d.prometheus(ctx, prometheusURL)
	fmt.Fprintf(w, "%d wrong, %d skipped, %d ok. ", d.wrongs, d.skips, d.oks)
	if d.asked {
		fmt.Fprintln(w, "This used one request per API endpoint from the key's limit of 10 per minute.")
	} else {
		fmt.Fprintln(w, "Nothing was asked of the API.")
	}
	return d.wrongs == 0
}

type doctor struct {
	w                  io.Writer
	oks, wrongs, skips int
	asked              bool // something, of the API
}

func (d *doctor) line(state, check, text string) {
	fmt.Fprintf(d.w, "%-8s%-15s%s\n", state, check, text)
}

func (d *doctor) ok(check, format string, args ...any) {
	d.oks++
	d.line("ok", check, fmt.Sprintf(format, args...))
}

// wrong writes a failed check, and what to do about it.
func (d *doctor) wrong(check, problem, remedy string) {
	d.wrongs++
	d.line("wrong", check, problem+": "+remedy)
}

// skip writes why checks could not be made: they are not ok.
func (d *doctor) skip(reason string, checks ...string) {
	for _, check := range checks {
		d.skips++
		d.line("skipped", check, reason)
	}
}

// exporter makes the checks of what an exporter with these options meets.
func (d *doctor) exporter(ctx context.Context, o Options) {
	var asked requests
	cfg, err := o.Load()
	var client *petra.Client
	if err == nil {
		if client, err = o.newClient(cfg, asked.observe); err != nil {
			err = fmt.Errorf("api.tls_config: %w", err)
		}
	}
	if err != nil {
		d.wrong(checkConfig, printable(err.Error()), "correct it there; the README has all keys and flags")
		d.skip("there is no valid configuration", checkKey, checkProxy, checkDNS, checkConnection, checkTLS, checkClock,
			checkAccepted, checkTenants, checkIncidents, checkLimit, checkConfigured, checkStatuses)
		return
	}
	d.ok(checkConfig, "%s", about(o, cfg))
	if !d.key(ctx, cfg, client) {
		d.skip("without a key no request is made", checkProxy, checkDNS, checkConnection, checkTLS,
			checkClock, checkAccepted, checkTenants, checkIncidents, checkLimit, checkConfigured, checkStatuses)
		return
	}
	proxy := d.proxy(cfg)
	var way trace
	tenants, err := client.Tenants(way.watch(ctx))
	if !d.way(cfg, proxy, &way, err) {
		d.skip("the API was not reached", checkClock, checkAccepted, checkTenants, checkIncidents, checkLimit, checkConfigured, checkStatuses)
		return
	}
	incidents, incidentsErr := client.Incidents(ctx, petra.IncidentsQuery{Since: cfg.Since})
	if err != nil { // an unusable answer may stand beside an error
		tenants = nil
	}
	if incidentsErr != nil {
		incidents = nil
	}
	d.asked = true
	d.clock(asked.made)
	d.accepted(asked.made)
	for _, r := range asked.made {
		d.route(r, asked.made, tenants, incidents)
	}
	d.limit(cfg, asked.made)
	d.data(cfg, tenants, incidents)
}

// requests are those that a client has made, in order.
type requests struct {
	mu   sync.Mutex
	made []request
}

type request struct {
	petra.Request
	end time.Time // on our clock
}

func (r *requests) observe(made petra.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, request{made, time.Now()})
}

func about(o Options, cfg *config.Config) string {
	text := "defaults (no config file); "
	if o.ConfigFile != "" {
		text = printable(o.ConfigFile) + "; "
	}
	if len(cfg.Tenants) == 0 {
		return text + "every tenant"
	}
	return text + count(len(cfg.Tenants), "tenant")
}

// key checks what can be seen of the key without the API.
func (d *doctor) key(ctx context.Context, cfg *config.Config, client *petra.Client) bool {
	err := client.CheckKey(ctx)
	switch {
	case err != nil && cfg.API.Key == nil:
		d.wrong(checkKey, err.Error(), nameTheKey)
	case err != nil:
		d.wrong(checkKey, printable(err.Error()), fmt.Sprintf("it must hold the key alone, in one line, and be readable by this user (uid %d); or %s", os.Getuid(), nameTheKey))
	default:
		place := printable(cfg.API.Key.Description())
		if key, err := cfg.API.Key.Fetch(ctx); err == nil && strings.HasPrefix(key, usageKey) {
			d.wrong(checkKey, place+" holds a multi-MSP key ("+usageKey+"...), which the API accepts for /v1/usage-xlsx only", "use an API key of one organization: it begins with petra_, but not with "+usageKey)
			return false
		}
		d.ok(checkKey, "from %s", place)
	}
	return err == nil
}

// usageKey is how the keys begin that export the usage of several MSPs.
const usageKey = "petra_var_"

// clock compares ours with the API's, whose Date has whole seconds. Where an
// answer was slow, that leaves room; what lies beyond is surely wrong.
func (d *doctor) clock(made []request) {
	for _, r := range made {
		if r.Date.IsZero() {
			continue
		}
		begin := r.end.Add(-r.Duration)
		off, which := begin.Sub(r.Date.Add(time.Second)), "ahead of"
		if behind := r.Date.Sub(r.end); behind > off {
			off, which = behind, "behind"
		}
		if off > maxClockOff {
			d.wrong(checkClock, fmt.Sprintf("this machine's is %s %s the API's", off.Round(time.Second), which), "set it, and keep it by NTP (timedatectl set-ntp true)")
		} else {
			d.ok(checkClock, "in sync with the API")
		}
		return
	}
	d.skip("no answer had the API's time", checkClock)
}

// maxClockOff is more than ages of open incidents, in minutes, should be wrong.
const maxClockOff = 30 * time.Second

// accepted says whether the API took the key.
func (d *doctor) accepted(made []request) {
	var good, refused bool
	for _, r := range made {
		good = good || r.Err == nil
		refused = refused || errors.Is(r.Err, petra.ErrUnauthorized)
	}
	switch {
	case good:
		d.ok(checkAccepted, "yes")
	case refused:
		d.wrong(checkAccepted, "the API refuses the key (401)", "is it complete and not deleted? Otherwise create a new one")
	default:
		d.skip("no answer shows whether it is", checkAccepted)
	}
}

// data checks what the answers say against the configuration.
func (d *doctor) data(cfg *config.Config, tenants *petra.Tenants, incidents *petra.Incidents) {
	if tenants == nil {
		d.skip("there is no list of tenants", checkConfigured)
		tenants = &petra.Tenants{}
	} else {
		d.configured(cfg, tenants.Tenants)
	}
	if incidents == nil {
		d.skip("there are no incidents to check", checkStatuses)
		return
	}
	s := newSurvey(cfg, tenants, incidents)
	var unknown []string
	for _, st := range s.unknown() {
		unknown = append(unknown, fmt.Sprintf("%s (%s)", status(st), count(st.Incidents, "incident")))
	}
	if len(unknown) > 0 {
		d.wrong(checkStatuses, "in no list, and so counted as open: "+list(unknown), "put each into "+theLists)
	} else {
		d.ok(checkStatuses, "every status seen is in a list of the configuration")
	}
}

// configured checks that the key sees the configured tenants.
func (d *doctor) configured(cfg *config.Config, tenants []petra.Tenant) {
	switch missing := cfg.Missing(tenants); {
	case len(cfg.Tenants) == 0:
		d.ok(checkConfigured, "none configured: all %d are collected", len(tenants))
	case len(missing) > 0:
		d.wrong(checkConfigured, "the key does not see "+list(hinted(missing, tenants)), "correct or remove it; the command tenants lists all")
	default:
		d.ok(checkConfigured, "the key sees every configured tenant")
	}
}

// hinted adds which tenant may be meant: capitals count, and some write the name.
func hinted(missing []string, tenants []petra.Tenant) (texts []string) {
	for _, id := range missing {
		like := slices.IndexFunc(tenants, func(t petra.Tenant) bool { return strings.EqualFold(t.ID, id) || strings.EqualFold(t.Name, id) })
		if like >= 0 {
			id = fmt.Sprintf("%s (is it %s?)", id, tenants[like].ID)
		}
		texts = append(texts, id)
	}
	return texts
}
