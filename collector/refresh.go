package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"golang.org/x/sync/singleflight"
)

// Client is what the refresher asks of the API; tests put a client with another
// transport there, never another client.
type Client interface {
	Incidents(context.Context, petra.IncidentsQuery) (*petra.Incidents, error)
	Tenants(context.Context) (*petra.Tenants, error)
}

// refresher asks the API, as the plan says, and writes the store.
type refresher struct {
	ctx     context.Context // ends with the process: a refresh outlives the scrape that began it
	logger  log.Logger
	metrics *exporterMetrics
	budgets map[petra.Route]*petra.Budget
	share   *petra.Budget // of the incidents route: the whole reads beside the heads
	flight  singleflight.Group
	wake    chan struct{} // something changed that a whole read may be due for
	started time.Time
	settled bool // a state file tells what was spent before the start
	state   *stateFile
	ready   chan struct{} // closed once the first refresh has ended
	asking  sync.WaitGroup

	mu         sync.Mutex
	stopped    bool // no refresh may begin
	cfg        *config.Config
	client     Client
	store      *store
	lastScrape time.Time
	lastRead   time.Time // start of the last head or, in plain mode, of the last reads
	lastList   time.Time
	headOnly   bool // a 401 came, and no request for incidents has succeeded since
	hold       bool // the last head was refused, or the API asked to wait: no whole reads until a head succeeds
	routes     map[petra.Route]routeState
	up         *bool // whether the last refresh that made a request had a good answer
	turn       int
	keyFile    keyFileSeen
}

// world is what one request works with: a reload swaps it as a whole.
type world struct {
	cfg    *config.Config
	client Client
	store  *store
}

func (r *refresher) world() world {
	r.mu.Lock()
	defer r.mu.Unlock()
	return world{r.cfg, r.client, r.store}
}

// refresh begins a refresh, or joins the one under way, and returns what is
// closed at its end. Once the refresher has stopped there is none to wait for.
func (r *refresher) refresh() <-chan struct{} {
	ended := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		close(ended)
		return ended
	}
	r.lastScrape = clock()
	r.asking.Go(func() {
		defer close(ended)
		_, _, _ = r.flight.Do("", func() (any, error) {
			r.refreshOnce()
			select {
			case <-r.ready:
			default:
				close(r.ready)
			}
			r.wakeUp()
			return nil, nil
		})
	})
	return ended
}

// stop waits until nothing is asked any more, and lets no refresh begin.
func (r *refresher) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.asking.Wait()
}

func (r *refresher) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *refresher) refreshOnce() {
	start := clock()
	w := r.world()
	r.checkKeyFile(w.cfg)
	r.readList(w, start)
	r.mu.Lock()
	plain := w.cfg.Plain() && !r.headOnly
	r.mu.Unlock()
	reason, reads := r.due(w, start, plain)
	if reason != "" {
		r.metrics.deferred.WithLabelValues(reason).Inc()
		return
	}
	asked, good := r.readAll(w, reads)
	switch {
	case r.ctx.Err() != nil:
		return // the shutdown has ended the requests, which says nothing of the API
	case !asked:
		r.metrics.deferred.WithLabelValues(deferredNoBudget).Inc()
		return
	}
	r.mu.Lock()
	r.up = &good
	r.mu.Unlock()
	r.metrics.refreshDuration.Observe(time.Since(start).Seconds())
}

// due says what this refresh is to read, an empty ID meaning a head, or why it
// is put off.
func (r *refresher) due(w world, now time.Time, plain bool) (reason string, reads []string) {
	n := w.cfg.API.RequestsPerMinute
	reads, interval := []string{""}, time.Duration(0)
	if plain {
		reads = w.store.wholeTargets()
		interval = plainInterval(n, len(reads))
	} else {
		interval = headInterval(n, w.store.cold())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.budgets[petra.RouteIncidents].State(now)
	switch {
	case !state.Blocked.IsZero():
		return deferredBlocked, nil
	case !r.lastRead.IsZero() && now.Sub(r.lastRead) < interval:
		return deferredTooSoon, nil
	case state.Remaining < len(reads):
		return deferredNoBudget, nil
	}
	r.lastRead = now
	return "", reads
}

// readAll makes the reads of a refresh at the same time.
func (r *refresher) readAll(w world, reads []string) (asked, good bool) {
	errs := make([]error, len(reads))
	var all sync.WaitGroup
	for i, id := range reads {
		all.Go(func() { errs[i] = r.read(w, id) })
	}
	all.Wait()
	for _, err := range errs {
		asked = asked || !errors.Is(err, petra.ErrNoBudget)
		good = good || err == nil
	}
	return asked, good
}

// read reads one tenant whole or, where id is empty, a head.
func (r *refresher) read(w world, id string) error {
	start := clock()
	query := petra.IncidentsQuery{Since: w.cfg.Since}
	if id != "" {
		query.TenantID = w.store.attempt(id, start)
	}
	answer, err := w.client.Incidents(r.ctx, query)
	reading := reading{of: id, since: w.cfg.Since, start: start, end: clock(), answer: answer}
	var notes []note
	if err == nil {
		notes, err = w.store.apply(reading)
	} else if answer != nil {
		w.store.unusable(reading)
	}
	r.tell(notes)
	switch {
	case r.ctx.Err() != nil:
		level.Debug(r.logger).Log("msg", "request ended by the shutdown", "tenant_id", id)
		return r.ctx.Err()
	case errors.Is(err, petra.ErrNoBudget):
		return err
	case err != nil:
		r.failed(w, id, err)
		return err
	}
	r.succeeded(petra.RouteIncidents, id == "" || w.cfg.Plain())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headOnly = false
	if id == "" {
		r.hold = false
	}
	return nil
}

// readList reads the list of tenants beside the incidents, at most once a
// minute; only where nothing else tells whom to collect, before them.
func (r *refresher) readList(w world, now time.Time) {
	r.mu.Lock()
	due := !r.headOnly && (r.lastList.IsZero() || now.Sub(r.lastList) >= listEvery)
	if due {
		r.lastList = now
	}
	r.mu.Unlock()
	if !due {
		return
	}
	wanted := w.store.listWanted()
	done := make(chan struct{})
	r.asking.Go(func() {
		defer close(done)
		_ = r.list(w)
	})
	if wanted {
		<-done
	}
}

func (r *refresher) list(w world) error {
	tenants, err := w.client.Tenants(r.ctx)
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, petra.ErrNoBudget):
		return err
	}
	notes, err := w.store.applyTenants(tenants, err)
	r.tell(notes)
	if err != nil {
		r.routeFailed(petra.RouteTenants, err, true)
		return err
	}
	r.succeeded(petra.RouteTenants, true)
	return nil
}
