package backfill

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// history is the past of all tenants, in steps of the same length.
type history struct {
	plan
	past  []collector.Past // by tenant
	steps int
}

func newHistory(past []collector.Past, p plan) *history {
	h := &history{plan: p, past: past}
	if h.start.IsZero() {
		first := p.end
		for _, tenant := range past {
			if at := tenant.Begin(); !at.IsZero() && at.Before(first) {
				first = at
			}
		}
		h.start = first.Add(-p.step)
	}
	h.start = p.sampleFrom(h.start)
	h.steps = int(h.end.Sub(h.start)/p.step) + 1
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

// write writes the samples, family by family, tenant by tenant.
func (h *history) write(out *sampleWriter) error {
	for _, name := range h.metrics {
		var headed *dto.MetricFamily
		for _, tenant := range h.past {
			var series pastSeries
			for step, metrics := range tenant.Replay(name, h.stepOf) {
				if step >= h.steps {
					break
				}
				if headed == nil {
					var err error
					if headed, err = describe(metrics); err != nil {
						return err
					}
					if err := out.head(headed); err != nil {
						return err
					}
				}
				if err := series.add(step, headed, metrics, h.labels); err != nil {
					return err
				}
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
