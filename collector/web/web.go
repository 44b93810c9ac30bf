// Package web serves the exporter's pages: the metrics, within the time that a
// scraper waits, and the status page. It puts the collector's data into words.
package web

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// Source is what the pages need of [*collector.Collector]: they can neither
// configure nor run it.
type Source interface {
	Refresh() <-chan struct{}
	Ready() bool
	Overview(now time.Time) collector.Overview
}

// Options are what the exporter serves beside the metrics, and how.
type Options struct {
	ScrapeOptions
	// Toolkit is where to listen, with which certificates and passwords.
	Toolkit *toolkit.FlagConfig
	// TelemetryPath is the path of the metrics.
	TelemetryPath string
	// Lifecycle allows POST /-/reload.
	Lifecycle bool
	// Reload reads the configuration again.
	Reload func() error
}

var (
	telemetryPath = regexp.MustCompile(`^(/|(/[A-Za-z0-9._~-]+)+)$`)
	reservedPath  = regexp.MustCompile(`^/(status$|-/)`)
)

// Validate returns an error that names the flag of a bad option.
func (o Options) Validate() error {
	if !telemetryPath.MatchString(o.TelemetryPath) || path.Clean(o.TelemetryPath) != o.TelemetryPath || reservedPath.MatchString(o.TelemetryPath) {
		return fmt.Errorf("--web.telemetry-path: %q must be a path such as /metrics, and neither /status nor below /-/", o.TelemetryPath)
	}
	if o.MaxRequests < 0 {
		return fmt.Errorf("--web.max-requests: %d is negative; 0 means no limit", o.MaxRequests)
	}
	if o.TimeoutOffset < 0 {
		return fmt.Errorf("--scrape.timeout-offset: %s is negative", o.TimeoutOffset)
	}
	if o.Toolkit != nil && o.Toolkit.WebConfigFile != nil {
		err := config.CheckFile(*o.Toolkit.WebConfigFile)
		if err == nil {
			err = toolkit.Validate(*o.Toolkit.WebConfigFile)
		}
		if err != nil {
			return fmt.Errorf("--web.config.file: %w", err)
		}
	}
	return nil
}

// Handler serves all that the exporter serves. The source is registered in the
// registry.
func Handler(source Source, registry *prometheus.Registry, o Options) (http.Handler, error) {
	description := "Prometheus exporter for Petra Security's incidents"
	if source.Overview(time.Now()).Simulated {
		description += ". All data is simulated: this exporter runs with --demo."
	}
	landing, err := toolkit.NewLandingPage(toolkit.LandingConfig{
		Name:        "Petra exporter",
		Description: description,
		Version:     version.Info(),
		Profiling:   "false",
		Links: []toolkit.LandingLinks{
			{Address: o.TelemetryPath, Text: "Metrics"},
			{Address: "/status", Text: "Status", Description: "tenants, what is wrong first, and the budget of requests"},
			{Address: "/-/healthy", Text: "Healthy", Description: "whether the process serves"},
			{Address: "/-/ready", Text: "Ready", Description: "whether the first refresh has ended"},
		},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	if o.TelemetryPath == "/" {
		o.TelemetryPath = "/{$}"
	} else {
		mux.Handle("GET /{$}", landing)
	}
	mux.Handle("GET "+o.TelemetryPath, ScrapeHandler(source, registry, o.ScrapeOptions))
	mux.Handle("GET /status", statusHandler(source))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		if !source.Ready() {
			err = errors.New("not ready: the first refresh has not ended")
		}
		answer(w, err, "ready")
	})
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, _ *http.Request) {
		if !o.Lifecycle {
			http.Error(w, "reloading by HTTP is not enabled (--web.enable-lifecycle)", http.StatusForbidden)
			return
		}
		if err := o.Reload(); err != nil {
			http.Error(w, "not reloaded, the old configuration stays: "+err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, nil, "reloaded")
	})
	return mux, nil
}

// answer writes the text, or the error with status 503.
func answer(w http.ResponseWriter, err error, text string) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, text)
}
