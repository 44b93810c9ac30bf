package backfill

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A histogram has many lines, and most of the time nothing changes. Further than
// quietSteps from a change it has one sample in quietEvery steps: increase()
// over a day with a change in it is the same as with all.
const (
	quietSteps = 24
	quietEvery = 3
)

// pastSeries are the metrics of one family and tenant.
type pastSeries []*pastMetric

// pastMetric is the past of a metric: one line or, of a histogram, several.
type pastMetric struct {
	id     string // its name and labels
	states []pastState
}

// pastState is what the lines said from a step on.
type pastState struct {
	from  int
	lines [][]byte // without a timestamp
}

// add takes over what a scrape had.
func (s *pastSeries) add(step int, family *dto.MetricFamily, metrics []prometheus.Metric, labels []*dto.LabelPair) error {
	for _, metric := range metrics {
		now, err := lines(family, metric, labels)
		if err != nil {
			return err
		}
		id := string(now[0][:bytes.LastIndexByte(now[0], ' ')])
		n := slices.IndexFunc(*s, func(m *pastMetric) bool { return m.id == id })
		if n < 0 {
			n = len(*s)
			*s = append(*s, &pastMetric{id: id})
		}
		m := (*s)[n]
		if last := len(m.states) - 1; last < 0 || !slices.EqualFunc(m.states[last].lines, now, bytes.Equal) {
			m.states = append(m.states, pastState{step, now})
		}
	}
	return nil
}

// write writes the metrics one after the other.
func (s *pastSeries) write(h *history, out *sampleWriter) {
	slices.SortFunc(*s, func(a, b *pastMetric) int { return cmp.Compare(a.id, b.id) })
	for _, m := range *s {
		starts := m.starts(h.steps)
		for n, state := range m.states {
			until := h.steps
			if n+1 < len(m.states) {
				until = m.states[n+1].from
			}
			for from := state.from; from < until; {
				to := until
				var begun [][]byte
				for i, line := range state.lines {
					if starts[i] <= from {
						begun = append(begun, line)
					} else {
						to = min(to, starts[i])
					}
				}
				every := 1
				switch quiet := state.from + quietSteps; {
				case len(state.lines) == 1:
				case from < quiet:
					to = min(to, quiet)
				case from < until-quietSteps:
					to, every = min(to, until-quietSteps), quietEvery
				}
				h.repeat(out, begun, from, to, every)
				from = to
			}
		}
	}
}

// repeat writes the lines at each of the steps, or at one of several.
func (h *history) repeat(out *sampleWriter, lines [][]byte, from, to, every int) {
	// Counted from 1970, so that all metrics have theirs at the same times.
	for h.time(from).Unix()/int64(h.step/time.Second)%int64(every) != 0 {
		from++
	}
	if from < to {
		out.repeat(lines, h.time(from), h.step*time.Duration(every), (to-from+every-1)/every)
	}
}

// starts are the steps at which the lines begin: one before they are no longer
// zero, so that the first change counts; never is a step that does not come. A
// bucket begins with the one above it: it is the lower bound of what lies there.
func (m *pastMetric) starts(never int) []int {
	starts := make([]int, len(m.states[0].lines))
	for i := range starts {
		starts[i] = never
		for _, state := range m.states {
			if !zero(state.lines[i]) {
				starts[i] = max(0, state.from-1)
				break
			}
		}
	}
	if len(starts) == 1 {
		return starts
	}
	buckets := len(starts) - 2 // the sum and the count follow, and begin with them
	all := starts[buckets-1]
	for i := range buckets - 1 {
		starts[i] = starts[i+1]
	}
	starts[buckets], starts[buckets+1] = all, all
	return starts
}

func zero(line []byte) bool {
	value := line[bytes.LastIndexByte(line, ' ')+1:]
	return string(value) == "0" || string(value) == "0.0"
}
