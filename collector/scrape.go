package collector

import (
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// defaultScrapeTimeout applies if a scraper does not send its timeout.
const defaultScrapeTimeout = 10 * time.Second

// ScrapeOptions are how scrapes are served.
type ScrapeOptions struct {
	// TimeoutOffset is subtracted from the scraper's timeout, to leave time
	// between the end of the answer and its arrival.
	TimeoutOffset time.Duration
	// MaxRequests is the maximum number of concurrent scrapes, including those
	// waiting for a refresh; excess scrapes get 503. 0 means no limit.
	MaxRequests int
}

// ScrapeHandler serves the registry, in which the collector is registered, once
// the refresh has ended, or earlier if the scraper would otherwise time out.
func (c *Collector) ScrapeHandler(registry *prometheus.Registry, o ScrapeOptions) http.Handler {
	all := &expositions{making: make(chan struct{}, 1), handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// One series that cannot be published must not cost the others.
		ErrorHandling: promhttp.ContinueOnError,
		Registry:      registry,
	})}
	// A large exposition takes time to encode: assume as long as the last one.
	var making atomic.Int64
	exposition := promhttp.InstrumentMetricHandler(registry, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answer := all.of(r)
		making.Store(int64(time.Since(start)))
		answer.send(w, r, scrapeTimeout(r.Header), c.refresher.logger)
	}))
	var inFlight atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := inFlight.Add(1); o.MaxRequests > 0 && n > int64(o.MaxRequests) {
			inFlight.Add(-1)
			http.Error(w, "too many scrapes at once (--web.max-requests)", http.StatusServiceUnavailable)
			return
		}
		defer inFlight.Add(-1)
		timeout := scrapeTimeout(r.Header)
		reserve := o.TimeoutOffset + min(time.Duration(making.Load()), timeout/2)
		if c.wait(r, timeout-reserve) {
			exposition.ServeHTTP(w, r)
		}
	})
}

// wait waits for a refresh, at most until the deadline; it returns false if the
// scraper is gone.
func (c *Collector) wait(r *http.Request, deadline time.Duration) bool {
	done := c.refresher.refresh()
	timer := time.NewTimer(max(0, deadline))
	defer timer.Stop()
	select {
	case <-done:
	case <-r.Context().Done():
		return false
	case <-timer.C:
		select {
		case <-done:
		default:
			c.metrics.deadlineExceeded.Inc()
		}
	}
	return true
}

// scrapeTimeout is how long the scraper waits for the whole answer.
func scrapeTimeout(h http.Header) time.Duration {
	s, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(s > 0) || s > math.MaxInt32 {
		return defaultScrapeTimeout
	}
	return time.Duration(s * float64(time.Second))
}
