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

// Client is what the refresher needs of the API client. Tests replace its
// transport, never the client.
type Client interface {
	Incidents(context.Context, petra.IncidentsQuery) (*petra.Incidents, error)
	Tenants(context.Context) (*petra.Tenants, error)
}

// refresher makes the requests that the plan chooses, and writes the store.
type refresher struct {
	ctx              context.Context // ends with the process: a refresh outlives the scrape that began it
	logger           log.Logger
	metrics          *exporterMetrics
	budgets          map[petra.Route]*petra.Budget
	backgroundBudget *petra.Budget // of the incidents route, for full reads between the organization reads
	flight           singleflight.Group
	changed          chan struct{} // something changed that a full read may be due for
	started          time.Time
	restored         bool // a state file says what was spent before the start
	state            *stateFile
	ready            chan struct{} // closed once the first refresh has ended
	asking           sync.WaitGroup

	mu            sync.Mutex
	stopped       bool // no refresh may begin
	cfg           *config.Config
	client        Client
	store         *store
	lastScrape    time.Time
	lastRead      time.Time // start of the last organization read or, in plain mode, of the last reads
	lastList      time.Time
	probeOnly     bool // a 401 came, and no request for incidents has succeeded since
	holdFullReads bool // the last organization read was refused, or the API asked to wait: no full reads until an organization read succeeds
	routes        map[petra.Route]routeHealth
	up            *bool // whether the last refresh that made a request had a good answer
	round         int
	keyFile       keyFileSeen
}

// active is what one request works with; a reload replaces all of it at once.
type active struct {
	cfg    *config.Config
	client Client
	store  *store
}

func (r *refresher) active() active {
	r.mu.Lock()
	defer r.mu.Unlock()
	return active{r.cfg, r.client, r.store}
}

// refresh begins a refresh, or joins the current one, and returns a channel that
// is closed at its end. After stop there is nothing to wait for.
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
			r.wakeBackground()
			return nil, nil
		})
	})
	return ended
}

// stop waits until no request is in flight, and lets no refresh begin.
func (r *refresher) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.asking.Wait()
}

func (r *refresher) wakeBackground() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *refresher) refreshOnce() {
	start := clock()
	w := r.active()
	r.checkKeyFile(w.cfg)
	r.readList(w, start)
	r.mu.Lock()
	plain := w.cfg.Plain() && !r.probeOnly
	r.mu.Unlock()
	reason, reads := r.due(w, start, plain)
	if reason != "" {
		r.metrics.deferred.WithLabelValues(reason).Inc()
		return
	}
	asked, good := r.readAll(w, reads)
	switch {
	case r.ctx.Err() != nil:
		return // the shutdown ended the requests, which says nothing about the API
	case !asked:
		r.metrics.deferred.WithLabelValues(deferredNoBudget).Inc()
		return
	}
	r.mu.Lock()
	r.up = &good
	r.mu.Unlock()
	r.metrics.refreshDuration.Observe(time.Since(start).Seconds())
}

// due returns what this refresh is to read, with an empty ID for an organization
// read, or the reason why it is deferred.
func (r *refresher) due(w active, now time.Time, plain bool) (reason string, reads []string) {
	n := w.cfg.API.RequestsPerMinute
	reads, interval := []string{""}, time.Duration(0)
	if plain {
		reads = w.store.fullReadTargets()
		interval = plainInterval(n, len(reads))
	} else {
		interval = orgReadInterval(n, w.store.cold())
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
func (r *refresher) readAll(w active, reads []string) (asked, good bool) {
	errs := make([]error, len(reads))
	var all sync.WaitGroup
	for i, id := range reads {
		all.Go(func() { errs[i] = r.fetch(w, id) })
	}
	all.Wait()
	for _, err := range errs {
		asked = asked || !errors.Is(err, petra.ErrNoBudget)
		good = good || err == nil
	}
	return asked, good
}

// fetch reads one tenant in full or, if id is empty, makes an organization read.
func (r *refresher) fetch(w active, id string) error {
	start := clock()
	query := petra.IncidentsQuery{Since: w.cfg.Since}
	if id != "" {
		query.TenantID = w.store.attempt(id, start)
	}
	answer, err := w.client.Incidents(r.ctx, query)
	resp := response{of: id, since: w.cfg.Since, start: start, end: clock(), answer: answer}
	var notes []note
	if err == nil {
		notes, err = w.store.merge(resp)
	} else if answer != nil {
		w.store.unusable(resp)
	}
	r.logNotes(notes)
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
	r.probeOnly = false
	if id == "" {
		r.holdFullReads = false
	}
	return nil
}

// readList reads the list of tenants beside the incidents, at most once a minute;
// before them only if nothing else says which tenants to collect.
func (r *refresher) readList(w active, now time.Time) {
	r.mu.Lock()
	due := !r.probeOnly && (r.lastList.IsZero() || now.Sub(r.lastList) >= listEvery)
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

func (r *refresher) list(w active) error {
	tenants, err := w.client.Tenants(r.ctx)
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, petra.ErrNoBudget):
		return err
	}
	notes, err := w.store.mergeTenants(tenants, err)
	r.logNotes(notes)
	if err != nil {
		r.routeFailed(petra.RouteTenants, err, true)
		return err
	}
	r.succeeded(petra.RouteTenants, true)
	return nil
}
