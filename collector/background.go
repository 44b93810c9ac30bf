package collector

import (
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// background makes full reads between the scrapes, one at a time. Only the
// goroutine of run uses its own fields.
type background struct {
	*refresher
	budget  *petra.Budget // of the incidents route, what the organization reads leave
	started time.Time
	clean   bool // a state file tells what was spent before the start
	round   int  // full reads made
}

// run makes full reads until the process ends.
func (b *background) run() {
	for {
		w := b.active()
		id, wait := b.next(w, clock())
		if id != "" {
			if err := b.read(w, id); err == nil {
				continue
			}
			// A request that was not made has spent nothing: without a
			// pause, the next try would follow at once.
			wait = time.Second
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-b.ctx.Done():
			timer.Stop()
			return
		case <-b.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (b *background) read(w active, id string) error {
	done, ok := b.budget.Take()
	if !ok {
		return petra.ErrNoBudget
	}
	defer done()
	b.round++
	return b.fetch(w, id)
}

// next returns the tenant to read in full now, or else how long to wait unless
// something wakes the reader earlier.
func (b *background) next(w active, now time.Time) (id string, wait time.Duration) {
	if w.cfg.Plain() || w.fullReadsHeld() || now.Sub(b.scraped()) > idleAfter {
		return "", idleAfter
	}
	if wait := startupDelay - now.Sub(b.started); wait > 0 && !b.clean {
		return "", wait
	}
	cold := w.store.cold()
	b.budget.SetLimit(fullReadsPerMinute(w.cfg.API.RequestsPerMinute, cold))
	for _, need := range []struct {
		budget *petra.Budget
		free   int
	}{{b.budget, 1}, {b.budgets[petra.RouteIncidents], 1 + orgReadReserve}} {
		if at, known := need.budget.FreeAt(now, need.free); !known {
			return "", idleAfter // the request in flight will wake us
		} else if at.After(now) {
			return "", at.Sub(now)
		}
	}
	return w.store.nextFullRead(now, b.round, cold), againAfter
}
