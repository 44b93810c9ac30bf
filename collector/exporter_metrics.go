package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

// The reasons why a refresh makes no request.
const (
	deferredTooSoon  = "too_soon"
	deferredNoBudget = "no_budget"
	deferredBlocked  = "blocked"
)

// exporterMetrics are the metrics of the exporter itself, updated as things
// happen.
type exporterMetrics struct {
	requests         *Requests
	deferred         *prometheus.CounterVec
	refreshDuration  prometheus.Histogram
	reloadSuccessful prometheus.Gauge
	reloadSuccess    prometheus.Gauge
}

func newExporterMetrics(requests *Requests) *exporterMetrics {
	m := &exporterMetrics{
		requests: requests,
		deferred: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "petra_refreshes_deferred_total",
			Help: "Scrapes answered from memory because no API request was allowed, by reason: too_soon after the last one (normal with two Prometheus servers), no_budget (no request free), blocked (waiting as the API asked: 429, or 503 with Retry-After).",
		}, []string{"reason"}),
		refreshDuration: prometheus.NewHistogram(native(prometheus.HistogramOpts{
			Name:    "petra_refresh_duration_seconds",
			Help:    "Duration of the refreshes that made a request for incidents.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30},
		})),
		reloadSuccessful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "petra_exporter_config_last_reload_successful",
			Help: "1 if the last load of the configuration succeeded, else 0.",
		}),
		reloadSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "petra_exporter_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded successfully.",
		}),
	}
	for _, reason := range []string{deferredTooSoon, deferredNoBudget, deferredBlocked} {
		m.deferred.WithLabelValues(reason)
	}
	return m
}

func (m *exporterMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.requests.total, m.requests.duration, m.deferred, m.refreshDuration,
		m.reloadSuccessful, m.reloadSuccess,
	}
}
