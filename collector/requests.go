package collector

import (
	"strconv"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/client_golang/prometheus"
)

// Requests counts the requests to the API.
type Requests struct {
	logger   log.Logger
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewRequests returns what counts requests, for a client and the collector that
// asks through it.
func NewRequests(logger log.Logger) *Requests {
	r := &Requests{
		logger: logger,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "petra_api_requests_total",
			Help: "Requests to the API by HTTP status, or error if there was no answer.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(native(prometheus.HistogramOpts{
			Name:    "petra_api_request_duration_seconds",
			Help:    "Time from the start of a request to the end of its answer.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30},
		}), []string{"route"}),
	}
	for _, route := range petra.Routes() {
		r.duration.WithLabelValues(string(route))
		for _, code := range []string{"200", "401", "403", "429", "error"} {
			r.total.WithLabelValues(string(route), code)
		}
	}
	return r
}

// Observe counts a request that a client has made.
func (r *Requests) Observe(request petra.Request) {
	route, code := string(request.Route), "error"
	if request.Code != 0 {
		code = strconv.Itoa(request.Code)
	}
	r.total.WithLabelValues(route, code).Inc()
	r.duration.WithLabelValues(route).Observe(request.Duration.Seconds())
	line := []any{"msg", "request made", "route", route, "tenant_id", request.TenantID, "code", code, "duration", request.Duration}
	switch {
	case request.Err != nil:
		line = append(line, "err", request.Err)
	case request.Route == petra.RouteIncidents:
		line = append(line, "incidents", request.Received, "truncated", request.Truncated)
	default:
		line = append(line, "tenants", request.Received)
	}
	level.Debug(r.logger).Log(line...)
}

// native adds native buckets to a histogram of the exporter itself.
func native(opts prometheus.HistogramOpts) prometheus.HistogramOpts {
	opts.NativeHistogramBucketFactor = 1.1
	opts.NativeHistogramMaxBucketNumber = 100
	return opts
}
