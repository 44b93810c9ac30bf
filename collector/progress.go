package collector

import (
	"fmt"
	"io"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/schollz/progressbar/v3"
)

// progressEvery is how often the log tells of progress.
const progressEvery = time.Minute

// progress tells how far a long task is: by a bar on a terminal, else in the
// log.
type progress struct {
	logger log.Logger
	bar    *progressbar.ProgressBar // nil without a terminal
	what   string
	total  int64
	told   time.Time // when the log last did; of what is done within a minute, it does not
}

func newProgress(logger log.Logger, terminal io.Writer, what string, total int64) *progress {
	p := &progress{logger: logger, what: what, total: total}
	if terminal != nil {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(terminal), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	}
	return p
}

// at tells how much is done, and how long the rest will take.
func (p *progress) at(done int64, left time.Duration) {
	left = left.Round(time.Second)
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%s, %s left", p.what, left))
		_ = p.bar.Set64(done)
	} else if time.Since(p.told) >= progressEvery && (left >= progressEvery || !p.told.IsZero()) {
		p.told = time.Now()
		level.Info(p.logger).Log("msg", p.what, "done", done, "of", p.total, "left", left)
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
