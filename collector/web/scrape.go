package web

import (
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
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
	Logger      log.Logger
}

// ScrapeHandler serves the registry, in which the source is registered, once the
// refresh has ended, or earlier if the scraper would otherwise time out.
func ScrapeHandler(source Source, registry *prometheus.Registry, o ScrapeOptions) http.Handler {
	late := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "petra_scrapes_deadline_exceeded_total",
		Help: "Scrapes answered with older data because their refresh had not ended in time.",
	})
	registry.MustRegister(late)
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
		answer.send(w, r, scrapeTimeout(r.Header), o.Logger)
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
		done := source.Refresh()
		timer := time.NewTimer(max(0, timeout-reserve))
		defer timer.Stop()
		select {
		case <-done:
		case <-r.Context().Done():
			return // the scraper is gone
		case <-timer.C:
			select {
			case <-done:
			default:
				late.Inc()
			}
		}
		exposition.ServeHTTP(w, r)
	})
}

// scrapeTimeout is how long the scraper waits for the whole answer.
func scrapeTimeout(h http.Header) time.Duration {
	s, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(s > 0) || s > math.MaxInt32 {
		return defaultScrapeTimeout
	}
	return time.Duration(s * float64(time.Second))
}
