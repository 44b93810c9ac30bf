package collector

import (
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/prometheus/client_golang/prometheus"
)

// pastFamily is a metric whose history can be derived.
type pastFamily struct {
	name    string // as --metric has it
	metrics func(*rows) []prometheus.Metric
}

var pastFamilies = []pastFamily{
	{"raised", samplesOf(raisedDesc)},
	{"incidents", samplesOf(incidentsDesc)},
	{"open", samplesOf(openIncidentsDesc)},
	{"dwell", histogramsOf(dwell)},
	{"detection", histogramsOf(detection)},
	{"remediation", histogramsOf(remediation)},
}

// HistoryMetrics are the names of the metrics whose history can be derived.
func HistoryMetrics() (names []string) {
	for _, family := range pastFamilies {
		names = append(names, family.name)
	}
	return names
}

func samplesOf(d desc) func(*rows) []prometheus.Metric {
	return func(r *rows) (metrics []prometheus.Metric) {
		for _, s := range r.samples[d] {
			metrics = append(metrics, d.sample(s.value, s.labels...))
		}
		return metrics
	}
}

func histogramsOf(kind interval) func(*rows) []prometheus.Metric {
	return func(r *rows) (metrics []prometheus.Metric) {
		for _, byLive := range r.histograms[kind] {
			for _, h := range byLive {
				metrics = append(metrics, h.snapshot())
			}
		}
		return metrics
	}
}

// occasion is a change in an incident's past: from then on, answers contained it
// with that status.
type occasion struct {
	at       time.Time // zero: before everything known
	incident *incident
	status   *status
}

// pastOpen is the status of an incident before it was over: which value the API
// returned then is no longer known.
var pastOpen = &status{label: config.NoStatus, meaning: config.Unknown}

// past is what happened to the incident until begun. Where the API gives no
// usable time, the next best one is used; an incident without any time at which it
// was over never counts as open.
func (i *incident) past(begun time.Time) []occasion {
	raised := i.CreatedAt
	if raised.IsZero() {
		raised = i.OccurredAt
	}
	if i.open() {
		return []occasion{{raised, i, pastOpen}}
	}
	over, known := i.RemediatedAt()
	if over.After(begun) { // it is over now, so it was over by then
		over = begun
	}
	if !known || !over.After(raised) {
		return []occasion{{raised, i, i.status}}
	}
	return []occasion{{raised, i, pastOpen}, {over, i, i.status}}
}

// Past is what happened to the incidents of a tenant.
type Past struct {
	store     *store
	tenant    *tenant
	occasions []occasion // oldest first
}

// History is the past of each tenant that was read in full and has incidents, as
// far as answers to requests since begun show it.
func (c *Collector) History(begun time.Time) (all []Past) {
	s := c.refresher.active().store
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.collected() {
		if t.reads.readiness != complete || !s.canPublish(t) {
			continue
		}
		var occasions []occasion
		for _, i := range t.incidents {
			if i.present {
				occasions = append(occasions, i.past(begun)...)
			}
		}
		if len(occasions) == 0 {
			continue
		}
		sort.SliceStable(occasions, func(a, b int) bool { return occasions[a].at.Before(occasions[b].at) })
		all = append(all, Past{s, t, occasions})
	}
	return all
}

// Begin is the first time in the past, zero if there is none.
func (p Past) Begin() time.Time {
	for _, m := range p.occasions {
		if !m.at.IsZero() {
			return m.at
		}
	}
	return time.Time{}
}

// Replay merges the incidents into an empty store as past answers would have. It
// yields what a scrape would then have returned of one of the [HistoryMetrics]:
// first before all of them, at step 0, then at each step with a change. stepOf is
// the first step that shows what happened at a time.
func (p Past) Replay(metric string, stepOf func(time.Time) int) iter.Seq2[int, []prometheus.Metric] {
	family := pastFamilies[slices.IndexFunc(pastFamilies, func(f pastFamily) bool { return f.name == metric })]
	return func(yield func(int, []prometheus.Metric) bool) {
		p.store.mu.RLock()
		defer p.store.mu.RUnlock()
		was := &tenant{Tenant: p.tenant.Tenant, incidents: map[string]*incident{}, histograms: newHistogramVecs(false).of(p.tenant.ID)}
		for _, m := range p.occasions {
			was.hasHad(m.status) // so that it has a zero
		}
		occasions := p.occasions
		for step := 0; ; {
			out := &rows{samples: map[desc][]row{}}
			p.store.collectCounts(out, was)
			if !yield(step, family.metrics(out)) || len(occasions) == 0 {
				return
			}
			step = stepOf(occasions[0].at)
			for len(occasions) > 0 && stepOf(occasions[0].at) == step {
				m := occasions[0]
				was.upsert(sighting{m.incident.Incident, m.status}, m.at, true, false)
				occasions = occasions[1:]
			}
		}
	}
}
