package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// backgroundReads makes full reads between the scrapes, one at a time, until the
// process ends.
func (r *refresher) backgroundReads() {
	for {
		id, wait := r.nextFullRead(clock())
		if id != "" {
			if err := r.backgroundRead(id); err == nil {
				continue
			}
			// A request that was not made has spent nothing: without a
			// pause, the next try would follow at once.
			wait = time.Second
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-r.ctx.Done():
			timer.Stop()
			return
		case <-r.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (r *refresher) backgroundRead(id string) error {
	done, ok := r.backgroundBudget.Take()
	if !ok {
		return petra.ErrNoBudget
	}
	defer done()
	r.mu.Lock()
	r.round++
	r.mu.Unlock()
	return r.fetch(r.active(), id)
}

// nextFullRead returns the tenant to read in full now, or else how long to wait
// unless something wakes the reader earlier.
func (r *refresher) nextFullRead(now time.Time) (id string, wait time.Duration) {
	w := r.active()
	r.mu.Lock()
	round, lastScrape, refused := r.round, r.lastScrape, r.probeOnly || r.holdFullReads
	r.mu.Unlock()
	if w.cfg.Plain() || refused || now.Sub(lastScrape) > idleAfter {
		return "", idleAfter
	}
	if wait := startupDelay - now.Sub(r.started); wait > 0 && !r.restored {
		return "", wait
	}
	cold := w.store.cold()
	r.backgroundBudget.SetLimit(fullReadsPerMinute(w.cfg.API.RequestsPerMinute, cold))
	for _, need := range []struct {
		budget *petra.Budget
		free   int
	}{{r.backgroundBudget, 1}, {r.budgets[petra.RouteIncidents], 1 + orgReadReserve}} {
		if at, known := need.budget.FreeAt(now, need.free); !known {
			return "", idleAfter // the request in flight will wake us
		} else if at.After(now) {
			return "", at.Sub(now)
		}
	}
	return w.store.nextFullRead(now, round, cold), againAfter
}
