package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// readWhole makes whole reads beside the refreshes, one at a time, until the
// process ends.
func (r *refresher) readWhole() {
	for {
		id, wait := r.nextWhole(clock())
		if id != "" {
			if err := r.wholeRead(id); err == nil {
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
		case <-r.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (r *refresher) wholeRead(id string) error {
	done, ok := r.share.Take()
	if !ok {
		return petra.ErrNoBudget
	}
	defer done()
	r.mu.Lock()
	r.turn++
	r.mu.Unlock()
	return r.read(r.world(), id)
}

// nextWhole is the tenant to read whole now, or else how long to wait, if
// nothing wakes the reader before.
func (r *refresher) nextWhole(now time.Time) (id string, wait time.Duration) {
	w := r.world()
	r.mu.Lock()
	turn, lastScrape, refused := r.turn, r.lastScrape, r.headOnly || r.hold
	r.mu.Unlock()
	if w.cfg.Plain() || refused || now.Sub(lastScrape) > idleAfter {
		return "", idleAfter
	}
	if wait := settleIn - now.Sub(r.started); wait > 0 && !r.settled {
		return "", wait
	}
	cold := w.store.cold()
	r.share.SetLimit(wholeReads(w.cfg.API.RequestsPerMinute, cold))
	for _, need := range []struct {
		budget *petra.Budget
		free   int
	}{{r.share, 1}, {r.budgets[petra.RouteIncidents], 1 + headReserve}} {
		if at, known := need.budget.FreeAt(now, need.free); !known {
			return "", idleAfter // the request in flight will wake us
		} else if at.After(now) {
			return "", at.Sub(now)
		}
	}
	return w.store.nextWhole(now, turn, cold), againAfter
}
