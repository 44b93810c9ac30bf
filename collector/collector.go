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

// Collector publishes the incidents of the tenants. It calls the API only when it
// is scraped and, for background reads, for a while after a scrape.
type Collector struct {
	refresher *refresher
	metrics   *exporterMetrics
}

// New returns a collector without a configuration. Its requests to the API end
// with ctx.
func New(ctx context.Context, logger log.Logger) *Collector {
	metrics := newExporterMetrics()
	budgets := map[petra.Route]*petra.Budget{}
	for _, route := range petra.Routes() {
		budgets[route] = petra.NewBudget(0)
	}
	return &Collector{
		metrics: metrics,
		refresher: &refresher{
			ctx:              ctx,
			logger:           logger,
			metrics:          metrics,
			budgets:          budgets,
			backgroundBudget: petra.NewBudget(0),
			changed:          make(chan struct{}, 1),
			started:          clock(),
			ready:            make(chan struct{}),
			routes:           map[petra.Route]routeHealth{},
		},
	}
}

// Budgets are the request budgets of the routes, for the client to spend from.
func (c *Collector) Budgets() map[petra.Route]*petra.Budget {
	return c.refresher.budgets
}

// ObserveRequest counts a request that the client has made.
func (c *Collector) ObserveRequest(r petra.Request) {
	c.metrics.observe(r)
}

// Configure applies a configuration, the first or a new one, and the client made
// from it. Data and counters stay unless the configuration names another API.
func (c *Collector) Configure(cfg *config.Config, client Client) {
	r := c.refresher
	r.mu.Lock()
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
		for _, budget := range r.budgets {
			budget.Unblock()
		}
	}
	notes := r.store.configure(cfg)
	r.cfg, r.client = cfg, client
	for _, budget := range r.budgets {
		budget.SetLimit(cfg.API.RequestsPerMinute)
	}
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

// ConfigureFailed records that a new configuration was invalid, so that the
// previous one stays in effect.
func (c *Collector) ConfigureFailed() {
	c.metrics.reloadSuccessful.Set(0)
}

// Simulated reports whether the data is made up.
func (c *Collector) Simulated() bool {
	c.refresher.mu.Lock()
	defer c.refresher.mu.Unlock()
	return c.refresher.cfg != nil && c.refresher.cfg.Simulated
}

// Run makes the first refresh, and background reads between the scrapes, until the
// context of New ends and no request is in flight.
func (c *Collector) Run() {
	r := c.refresher
	r.asking.Go(r.saveLoop)
	r.refresh()
	r.backgroundReads()
	r.stop()
	r.saveFinal()
}

// Refresh begins a refresh, or joins the one under way; the channel is closed at
// its end. The refresh outlives a caller that does not wait for it.
func (c *Collector) Refresh() <-chan struct{} { return c.refresher.refresh() }

// Ready reports whether the first refresh has ended, successfully or not.
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

// Collect implements [prometheus.Collector]. It sends no request to the API.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	now := clock()
	r := c.refresher
	r.mu.Lock()
	store, up := r.store, r.up
	if r.state != nil && r.state.tried {
		ch <- stateSavedDesc.sample(boolValue(r.state.err == nil))
		if !r.state.success.IsZero() {
			ch <- stateSuccessDesc.sample(seconds(r.state.success))
		}
	}
	for _, route := range petra.Routes() {
		collectRoute(ch, string(route), r.routes[route], r.budgets[route].State(now))
	}
	r.mu.Unlock()
	if up != nil {
		ch <- upDesc.sample(boolValue(*up))
	}
	store.collect(ch, now)
	for _, own := range c.metrics.collectors() {
		own.Collect(ch)
	}
}

func collectRoute(ch chan<- prometheus.Metric, route string, state routeHealth, budget petra.BudgetState) {
	var success, blocked float64
	if !state.success.IsZero() {
		success = seconds(state.success)
	}
	if !budget.Blocked.IsZero() {
		blocked = seconds(budget.Blocked)
	}
	ch <- lastSuccessDesc.sample(success, route)
	ch <- blockedUntilDesc.sample(blocked, route)
	ch <- limitDesc.sample(float64(budget.Limit), route)
	ch <- remainingDesc.sample(float64(budget.Remaining), route)
}
