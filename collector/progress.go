package collector

import (
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// progressEvery is the least time between two lines about progress: a little
// less than a minute, so that a scrape a minute finds each due.
const progressEvery = 55 * time.Second

// progress tells the log how many tenants are read in full, while some are not.
type progress struct {
	last     time.Time // time of the last line; zero while nothing is pending
	complete int       // then
}

// log is called at the end of each refresh, by one at a time. Where no tenant
// was read since the last line, it adds none: what keeps them is logged already.
func (p *progress) log(logger log.Logger, w active, now time.Time) {
	n := fullReadsPerMinute(w.cfg.API.RequestsPerMinute, w.store.cold())
	if w.cfg.Plain() || n < 1 || now.Sub(p.last) < progressEvery {
		return
	}
	complete, pending := w.store.fullReadProgress()
	switch {
	case pending > 0 && (p.last.IsZero() || complete != p.complete):
		p.last, p.complete = now, complete
		level.Info(logger).Log("msg", "tenants are pending", "complete", complete, "tenants", complete+pending,
			"requests_per_minute", n, "left", (time.Duration(pending) * time.Minute / time.Duration(n)).Round(time.Second))
	case pending == 0 && !p.last.IsZero():
		*p = progress{}
		level.Info(logger).Log("msg", "no tenant is pending any more", "complete", complete)
	}
}

// fullReadProgress counts the tenants that are read in full, and those that
// full reads will reach.
func (s *store) fullReadProgress() (read, pending int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.collected() {
		switch {
		case t.reads.readiness == complete:
			read++
		case !t.refused && !s.unknownID(t):
			pending++
		}
	}
	return read, pending
}
