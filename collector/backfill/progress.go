package backfill

import (
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// progressEvery is how often the log reports progress.
const progressEvery = time.Minute

// progress logs the progress of a long task.
type progress struct {
	logger log.Logger
	what   string
	told   time.Time // when progress was last logged; a task of less than a minute logs none
}

// at reports how much is done, and how long the rest will take.
func (p *progress) at(done, total int64, left time.Duration) {
	left = left.Round(time.Second)
	if time.Since(p.told) >= progressEvery && (left >= progressEvery || !p.told.IsZero()) {
		p.told = time.Now()
		level.Info(p.logger).Log("msg", p.what, "done", done, "of", total, "left", left)
	}
}
