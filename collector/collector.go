package collector

import (
	"context"
	"errors"
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
	refresher  *refresher
	background *background
	state      *stateFile // nil for none
	metrics    *exporterMetrics
}

// Options are what [New] makes a collector from.
type Options struct {
	Logger log.Logger
	// Config is what [config.Load] has returned.
	Config *config.Config
	// Client is made from Config. It spends from Budgets, and Requests observes
	// each of its requests.
	Client   Client
	Budgets  petra.Budgets
	Requests *Requests
	// StateFile keeps data and counters over a restart; empty means none.
	StateFile string
}

var errNotLoaded = errors.New("a configuration must come from config.Load")

// New returns a collector that starts from the content of the state file. Its
// requests to the API end with ctx. An error names the flag that is wrong.
func New(ctx context.Context, o Options) (*Collector, error) {
	if !o.Config.Loaded() {
		return nil, errNotLoaded
	}
	state, err := openStateFile(o.Logger, o.StateFile)
	if err != nil {
		return nil, err
	}
	metrics := newExporterMetrics(o.Requests)
	r := &refresher{
		ctx: ctx, logger: o.Logger, metrics: metrics, budgets: o.Budgets,
		changed: make(chan struct{}, 1), ready: make(chan struct{}),
	}
	c := &Collector{
		refresher: r, metrics: metrics, state: state,
		background: &background{refresher: r, budget: petra.NewBudget(0), started: clock()},
	}
	store, url := newStore(), o.Config.API.URL.String()
	o.Budgets.SetAPI(url)
	if state != nil {
		if saved := state.restore(url); saved != nil {
			store.load(saved)
			for route, budget := range o.Budgets {
				budget.Restore(saved.Spent[route], saved.Blocked[route])
			}
			c.background.clean = saved.Clean
		}
	}
	c.configure(o.Config, o.Client, func(active) *apiState { return newAPIState(store) })
	return c, nil
}

// Reconfigure applies another configuration from [config.Load], and the client made
// from it. Data and counters stay unless it names another API.
func (c *Collector) Reconfigure(cfg *config.Config, client Client) error {
	if !cfg.Loaded() {
		return errNotLoaded
	}
	c.configure(cfg, client, func(before active) *apiState {
		if *before.cfg.API.URL != *cfg.API.URL {
			return newAPIState(newStore())
		}
		return before.apiState
	})
	return nil
}

// configure replaces what requests work with; api returns the state to go on with.
func (c *Collector) configure(cfg *config.Config, client Client, api func(before active) *apiState) {
	r := c.refresher
	r.mu.Lock()
	w := active{cfg, client, api(r.current)}
	r.budgets.SetAPI(w.cfg.API.URL.String())
	r.budgets.SetLimit(w.cfg.API.RequestsPerMinute)
	notes := w.store.configure(w.cfg)
	r.current = w
	r.mu.Unlock()
	logNotes(r.logger, notes)
	for _, warning := range w.cfg.Warnings() {
		level.Warn(r.logger).Log("msg", "the configuration is likely a mistake", "warning", warning)
	}
	r.keyFile.check(r.logger, w.cfg)
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
	return c.refresher.active().cfg.Simulated
}

// Run makes the first refresh, and background reads between the scrapes, until the
// context of New ends and no request is in flight.
func (c *Collector) Run() {
	r := c.refresher
	if c.state != nil {
		r.asking.Go(func() { c.state.run(r.ctx, c.snapshot) })
	}
	r.refresh()
	c.background.run()
	r.stop()
	if c.state != nil {
		c.state.close(c.snapshot())
	}
}

// snapshot is what the state file is to have.
func (c *Collector) snapshot() *snapshotFile {
	saved := c.refresher.active().store.save()
	saved.Spent, saved.Blocked = map[petra.Route][]time.Time{}, map[petra.Route]time.Time{}
	for route, budget := range c.refresher.budgets {
		saved.Spent[route], saved.Blocked[route] = budget.Spent()
	}
	return saved
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

// Collect implements [prometheus.Collector]. It sends no request to the API, and no
// metric while it holds a lock, since the registry may be slow to take it.
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
	if c.state != nil {
		if saves := c.state.state(); saves.tried {
			out.add(stateSavedDesc, boolValue(saves.err == nil))
			if !saves.success.IsZero() {
				out.add(stateSuccessDesc, seconds(saves.success))
			}
		}
	}
	w := c.refresher.active()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, route := range petra.Routes() {
		out.addRoute(string(route), w.routes[route], c.refresher.budgets[route].State(now))
	}
	if w.up != nil {
		out.add(upDesc, boolValue(*w.up))
	}
	return out, w.store
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
