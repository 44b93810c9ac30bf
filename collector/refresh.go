package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
	"golang.org/x/sync/singleflight"
)

// refresher makes the refreshes that scrapes ask for.
//
// Locks are taken in the order refresher, apiState, store, budget. While it
// serves, none is held over a request, a log line or the sending of a metric.
type refresher struct {
	ctx      context.Context // ends with the process: a refresh outlives the scrape that began it
	logger   log.Logger
	metrics  *exporterMetrics
	budgets  petra.Budgets
	keyFile  keyFileWatch
	progress progress // of the refreshes, which come one after the other
	flight   singleflight.Group
	changed  chan struct{} // something changed that a full read may be due for
	ready    chan struct{} // closed once the first refresh has ended
	asking   sync.WaitGroup

	mu         sync.Mutex
	stopped    bool // no refresh may begin
	lastScrape time.Time
	current    active
}

func (r *refresher) active() active {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
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

// scraped is when the last scrape came.
func (r *refresher) scraped() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastScrape
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
	defer func() { r.progress.log(r.logger, w, clock()) }()
	r.keyFile.check(r.logger, w.cfg)
	r.readList(w, start)
	reason, reads := r.due(w, start)
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
	w.refreshed(good)
	r.metrics.refreshDuration.Observe(time.Since(start).Seconds())
}

// due returns what this refresh is to read, with an empty ID for an organization
// read, or the reason why it is deferred.
func (r *refresher) due(w active, now time.Time) (reason string, reads []string) {
	n := w.cfg.API.RequestsPerMinute
	reads, interval := []string{""}, time.Duration(0)
	if w.cfg.Plain() && !w.probing() {
		reads = w.store.fullReadTargets()
		interval = plainInterval(n, len(reads))
	} else {
		interval = orgReadInterval(n, w.store.cold())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	state := r.budgets[petra.RouteIncidents].State(now)
	switch {
	case !state.Blocked.IsZero():
		return deferredBlocked, nil
	case !w.lastRead.IsZero() && now.Sub(w.lastRead) < interval:
		return deferredTooSoon, nil
	case state.Remaining < len(reads):
		return deferredNoBudget, nil
	}
	w.lastRead = now
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
	logNotes(r.logger, notes)
	switch {
	case r.ctx.Err() != nil:
		level.Debug(r.logger).Log("msg", "request ended by the shutdown", "tenant_id", id)
		return r.ctx.Err()
	case errors.Is(err, petra.ErrNoBudget):
		return err
	case err != nil:
		w.failed(r.logger, id, err)
		return err
	}
	w.routeSucceeded(r.logger, petra.RouteIncidents, id == "" || w.cfg.Plain())
	w.answered(id)
	return nil
}

// readList reads the list of tenants beside the incidents, at most once a minute;
// before them only if nothing else says which tenants to collect.
func (r *refresher) readList(w active, now time.Time) {
	if !w.listDue(now) {
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
	logNotes(r.logger, notes)
	if err != nil {
		w.routeFailed(r.logger, petra.RouteTenants, err, true)
		return err
	}
	w.routeSucceeded(r.logger, petra.RouteTenants, true)
	return nil
}
