package collector

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// pastFamily is a metric whose past can be told.
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

// BackfillMetrics are the names of the metrics whose past can be told.
func BackfillMetrics() (names []string) {
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

func histogramsOf(kind durationKind) func(*rows) []prometheus.Metric {
	return func(r *rows) (metrics []prometheus.Metric) {
		for _, byLive := range r.histograms[kind] {
			for _, h := range byLive {
				metrics = append(metrics, h.snapshot())
			}
		}
		return metrics
	}
}

// moment is a change in an incident's past: from then on, an answer told it
// with that status.
type moment struct {
	at       time.Time // zero: before all that is known
	incident *incident
	status   *status
}

// pastOpen is the status of an incident before it was over: what the API then
// said, nobody knows any more.
var pastOpen = &status{label: config.NoStatus, meaning: config.Unknown}

// past is what happened to the incident until begun. Where the API gives no
// usable time, the next best one stands for it; an incident of which nothing
// tells when it was over never counts as open.
func (i *incident) past(begun time.Time) []moment {
	raised := i.CreatedAt
	if raised.IsZero() {
		raised = i.OccurredAt
	}
	if i.open() {
		return []moment{{raised, i, pastOpen}}
	}
	over, known := i.RemediatedAt()
	if over.After(begun) { // it is over, so it was by then
		over = begun
	}
	if !known || !over.After(raised) {
		return []moment{{raised, i, i.status}}
	}
	return []moment{{raised, i, pastOpen}, {over, i, i.status}}
}

// history is the past of all tenants, in steps of the same length.
type history struct {
	backfillPlan
	store   *store
	tenants []*tenant
	past    map[*tenant][]moment // oldest first
	steps   int
}

// newHistory looks at what is known since begun.
func newHistory(s *store, plan backfillPlan, begun time.Time) *history {
	h := &history{backfillPlan: plan, store: s, past: map[*tenant][]moment{}}
	first := plan.end
	for _, t := range s.members() {
		if !t.complete || !s.publishable(t) {
			continue
		}
		h.tenants = append(h.tenants, t)
		for _, i := range t.incidents {
			if !i.present {
				continue
			}
			moments := i.past(begun)
			h.past[t] = append(h.past[t], moments...)
			if at := moments[0].at; !at.IsZero() && at.Before(first) {
				first = at
			}
		}
		sort.SliceStable(h.past[t], func(a, b int) bool { return h.past[t][a].at.Before(h.past[t][b].at) })
	}
	if h.start.IsZero() {
		h.start = first.Add(-plan.step)
	}
	h.start = plan.sampleFrom(h.start)
	h.steps = int(h.end.Sub(h.start)/plan.step) + 1
	return h
}

func (h *history) time(step int) time.Time {
	return h.start.Add(time.Duration(step) * h.step)
}

// stepOf is the first step that shows what happened at that time.
func (h *history) stepOf(at time.Time) int {
	if !at.After(h.start) {
		return 0
	}
	return int((at.Sub(h.start) + h.step - 1) / h.step)
}

// replay tells a tenant's incidents to an empty store as past answers did, and
// calls scraped with what a scrape then had: first before all, at step 0, then
// at each step with a change.
func (h *history) replay(t *tenant, scraped func(step int, out *rows) error) error {
	was := &tenant{Tenant: t.Tenant, incidents: map[string]*incident{}, durations: newDurationVecs(false).of(t.ID)}
	moments := h.past[t]
	for _, m := range moments {
		was.hasHad(m.status) // so that it has a zero
	}
	for step := 0; ; {
		out := &rows{samples: map[desc][]row{}}
		h.store.collectCounts(out, was)
		if err := scraped(step, out); err != nil || len(moments) == 0 {
			return err
		}
		step = h.stepOf(moments[0].at)
		if step >= h.steps {
			return nil
		}
		for len(moments) > 0 && h.stepOf(moments[0].at) == step {
			m := moments[0]
			was.tell(m.incident.Incident, m.status, m.at, true, false)
			moments = moments[1:]
		}
	}
}

// write writes the samples, family by family, tenant by tenant.
func (h *history) write(out *sampleWriter) error {
	h.store.mu.RLock()
	defer h.store.mu.RUnlock()
	for _, family := range h.families {
		var headed *dto.MetricFamily
		for _, t := range h.tenants {
			if len(h.past[t]) == 0 {
				continue
			}
			var series pastSeries
			err := h.replay(t, func(step int, scrape *rows) (err error) {
				metrics := family.metrics(scrape)
				if headed == nil {
					if headed, err = describe(metrics); err != nil {
						return err
					}
					if err := out.head(headed); err != nil {
						return err
					}
				}
				return series.add(step, headed, metrics, h.labels)
			})
			if err != nil {
				return err
			}
			if series.write(h, out); out.err != nil {
				return out.err
			}
		}
	}
	return out.end()
}

// describe returns the family of the metrics, without metrics.
func describe(metrics []prometheus.Metric) (*dto.MetricFamily, error) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collected(metrics))
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	if len(families) != 1 {
		return nil, fmt.Errorf("%d families in one", len(families))
	}
	return &dto.MetricFamily{Name: families[0].Name, Help: families[0].Help, Type: families[0].Type}, nil
}

// collected is a collector of metrics that are there already.
type collected []prometheus.Metric

func (c collected) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c {
		ch <- m.Desc()
	}
}

func (c collected) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c {
		ch <- m
	}
}

// lines are the lines of a metric as a scrape has them.
func lines(family *dto.MetricFamily, metric prometheus.Metric, labels []*dto.LabelPair) ([][]byte, error) {
	var m dto.Metric
	if err := metric.Write(&m); err != nil {
		return nil, err
	}
	m.Label = append(slices.Clone(m.Label), labels...)
	var text bytes.Buffer
	if _, err := expfmt.MetricFamilyToOpenMetrics(&text, &dto.MetricFamily{Name: family.Name, Type: family.Type, Metric: []*dto.Metric{&m}}); err != nil {
		return nil, err
	}
	// The first line is the type, the last one empty.
	all := bytes.Split(text.Bytes(), []byte("\n"))
	return all[1 : len(all)-1], nil
}
