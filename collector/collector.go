package collector

import (
	"context"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector publishes what is known of the tenants and their incidents. It
// asks the API only when it is scraped, and for full reads soon after.
type Collector struct {
	refresher *refresher
	metrics   *exporterMetrics
}

// New returns a collector without a configuration. What it asks the API ends
// with ctx.
func New(ctx context.Context, logger log.Logger) *Collector {
	metrics := newExporterMetrics()
	return &Collector{
		metrics: metrics,
		refresher: &refresher{
			ctx:              ctx,
			logger:           logger,
			metrics:          metrics,
			budgets:          petra.NewBudgets(0),
			backgroundBudget: petra.NewBudget(0),
			changed:          make(chan struct{}, 1),
			started:          clock(),
			ready:            make(chan struct{}),
			routes:           map[petra.Route]routeHealth{},
		},
	}
}

// Budgets are the request budgets of the routes, for the client to spend from.
func (c *Collector) Budgets() petra.Budgets {
	return c.refresher.budgets
}

// ObserveRequest counts a request that the client has made.
func (c *Collector) ObserveRequest(r petra.Request) {
	c.metrics.observe(r)
}

// Configure takes over a configuration, the first or another, and the client
// that was made from it. What is known and counted stays, unless the API is
// another one.
func (c *Collector) Configure(cfg *config.Config, client Client) {
	r := c.refresher
	r.mu.Lock()
	r.budgets.SetAPI(cfg.API.URL.String())
	switch {
	case r.cfg == nil && r.state != nil:
		r.store = r.restore(cfg)
	case r.cfg == nil:
		r.store = newStore()
	case *r.cfg.API.URL != *cfg.API.URL:
		r.store = newStore()
		r.probeOnly, r.holdFullReads, r.up = false, false, nil
		r.lastRead, r.lastList = time.Time{}, time.Time{}
		r.routes = map[petra.Route]routeHealth{}
	}
	notes := r.store.configure(cfg)
	r.cfg, r.client = cfg, client
	r.budgets.SetLimit(cfg.API.RequestsPerMinute)
	r.mu.Unlock()
	r.logNotes(notes)
	for _, warning := range cfg.Warnings() {
		level.Warn(r.logger).Log("msg", "the configuration is likely a mistake", "warning", warning)
	}
	r.checkKeyFile(cfg)
	c.metrics.reloadSuccessful.Set(1)
	c.metrics.reloadSuccess.SetToCurrentTime()
	r.wakeBackground()
}

// ConfigureFailed notes that a new configuration was no good, so that the one
// before stays.
func (c *Collector) ConfigureFailed() {
	c.metrics.reloadSuccessful.Set(0)
}

// Simulated reports whether the data is made up.
func (c *Collector) Simulated() bool {
	c.refresher.mu.Lock()
	defer c.refresher.mu.Unlock()
	return c.refresher.cfg != nil && c.refresher.cfg.Simulated
}

// Run makes the first refresh, and full reads beside the scrapes, until the
// context of New ends and nothing is asked any more.
func (c *Collector) Run() {
	r := c.refresher
	r.asking.Go(r.saveLoop)
	r.refresh()
	r.backgroundReads()
	r.stop()
	r.saveFinal()
}

// Ready reports whether the first refresh has ended, well or badly.
func (c *Collector) Ready() bool {
	select {
	case <-c.refresher.ready:
		return true
	default:
		return false
	}
}

// Describe implements [prometheus.Collector]; it is complete.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d.Desc
	}
	for _, vec := range newHistogramVecs(false) {
		vec.Describe(ch)
	}
	for _, own := range c.metrics.collectors() {
		own.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]. It asks nothing of the API, and
// sends nothing while it holds a lock: the registry takes it when it can.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	now := clock()
	own, store := c.gather(now)
	own.send(ch)
	store.gather(now).send(ch)
	for _, metric := range c.metrics.collectors() {
		metric.Collect(ch)
	}
}

// gather returns what the refresher and the budgets say, and the store.
func (c *Collector) gather(now time.Time) (*rows, *store) {
	out := &rows{samples: map[desc][]row{}}
	r := c.refresher
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != nil && r.state.tried {
		out.add(stateSavedDesc, boolValue(r.state.err == nil))
		if !r.state.success.IsZero() {
			out.add(stateSuccessDesc, seconds(r.state.success))
		}
	}
	for _, route := range petra.Routes() {
		out.addRoute(string(route), r.routes[route], r.budgets[route].State(now))
	}
	if r.up != nil {
		out.add(upDesc, boolValue(*r.up))
	}
	return out, r.store
}

func (r *rows) addRoute(route string, state routeHealth, budget petra.BudgetState) {
	var success, blocked float64
	if !state.success.IsZero() {
		success = seconds(state.success)
	}
	if !budget.Blocked.IsZero() {
		blocked = seconds(budget.Blocked)
	}
	r.add(lastSuccessDesc, success, route)
	r.add(blockedUntilDesc, blocked, route)
	r.add(limitDesc, float64(budget.Limit), route)
	r.add(remainingDesc, float64(budget.Remaining), route)
}
