package collector

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// interval is one of the time intervals measured for an incident.
type interval int

const (
	dwell interval = iota
	detection
	remediation
	intervals
)

// histogramOpts name the histograms. Their classic bounds, in seconds, are the
// usual limits of an SLA.
var histogramOpts = [intervals]prometheus.HistogramOpts{
	dwell: {
		Name: "petra_incident_dwell_time_seconds",
		Help: "Time from the compromise to its remediation, as the API states it (dwellTimeMinutes); remediated incidents only. Absent before the tenant's first full read.",
	},
	detection: {
		Name: "petra_incident_detection_time_seconds",
		Help: "Time from the compromise to the raising of the incident (createdAt - occurredAt); all incidents. Absent before the tenant's first full read.",
	},
	remediation: {
		Name: "petra_incident_remediation_time_seconds",
		Help: "Time from the raising of the incident to its remediation (occurredAt + dwell time - createdAt); remediated incidents only. Absent before the tenant's first full read.",
	},
}

var histogramBuckets = []float64{60, 300, 900, 3600, 14400, 86400, 259200, 604800, 1209600, 2592000, 7776000, 15552000}

// histogramVecs are the histograms of all tenants.
type histogramVecs [intervals]*prometheus.HistogramVec

func newHistogramVecs(native bool) histogramVecs {
	var vecs histogramVecs
	for kind, opts := range histogramOpts {
		opts.Buckets = histogramBuckets
		if native {
			opts.NativeHistogramBucketFactor = 1.1
			opts.NativeHistogramMaxBucketNumber = 100
			// A histogram never resets: NativeHistogramMinResetDuration is 0.
		}
		vecs[kind] = prometheus.NewHistogramVec(opts, []string{"tenant_id", "live"})
	}
	return vecs
}

// of returns the tenant's histograms, empty ones if it is new.
func (v histogramVecs) of(tenantID string) histograms {
	var d histograms
	for kind, vec := range v {
		for _, live := range []bool{false, true} {
			d[kind][index(live)] = &histogram{Histogram: vec.WithLabelValues(tenantID, strconv.FormatBool(live)).(prometheus.Histogram)}
		}
	}
	return d
}

// histograms are the histograms of one tenant, separate for live incidents.
type histograms [intervals][2]*histogram

func (d *histograms) of(kind interval, live bool) *histogram {
	return d[kind][index(live)]
}

func index(live bool) int {
	if live {
		return 1
	}
	return 0
}

// histogram is a histogram with an exact sum. A sum of floating-point numbers
// depends on their order: added up in another order after a restart, it could be
// lower in its last digit, which Prometheus takes for a counter reset.
type histogram struct {
	prometheus.Histogram
	sum time.Duration
}

// observe counts a duration. A non-empty id becomes the exemplar's.
func (h *histogram) observe(d time.Duration, id string) {
	h.sum += d
	// An exemplar has at most 128 characters, including its label's name.
	if name := "incident_id"; id != "" && len(name)+len([]rune(id)) <= prometheus.ExemplarMaxRunes {
		h.Histogram.(prometheus.ExemplarObserver).ObserveWithExemplar(d.Seconds(), prometheus.Labels{name: id})
		return
	}
	h.Observe(d.Seconds())
}

// snapshot is the histogram as it is now.
func (h *histogram) snapshot() prometheus.Metric {
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		return prometheus.NewInvalidMetric(h.Desc(), err)
	}
	sum := h.sum.Seconds()
	m.Histogram.SampleSum = &sum
	// With a created timestamp, Prometheus could insert a zero at the start of the
	// process and show all history as a burst.
	m.Histogram.CreatedTimestamp = nil
	return &snapshot{h.Desc(), m.Label, m.Histogram}
}

// snapshot is a histogram that no longer changes.
type snapshot struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	histogram *dto.Histogram
}

func (s *snapshot) Desc() *prometheus.Desc { return s.desc }

func (s *snapshot) Write(out *dto.Metric) error {
	out.Label, out.Histogram = s.labels, s.histogram
	return nil
}
