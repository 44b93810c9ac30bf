// Package web serves the exporter's pages: the metrics, within the time that a
// scraper waits, and the status page. It puts the collector's data into words.
package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
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

// Handler serves all that the exporter serves. The source is registered in the
// registry. Links are relative, for a proxy that serves the pages elsewhere.
func Handler(source Source, registry *prometheus.Registry, o Options) (http.Handler, error) {
	prefix, err := o.Prefix()
	if err != nil {
		return nil, err
	}
	landing, err := landingPage(o.TelemetryPath, source.Overview(time.Now()).Simulated)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	if prefix != "" {
		mux.Handle("GET /{$}", http.RedirectHandler(prefix+"/", http.StatusFound))
	}
	if o.TelemetryPath == "/" {
		o.TelemetryPath = "/{$}"
	} else {
		mux.Handle("GET "+prefix+"/{$}", landing)
	}
	mux.Handle("GET "+prefix+o.TelemetryPath, ScrapeHandler(source, registry, o.ScrapeOptions))
	mux.Handle("GET "+prefix+"/status", statusHandler(source))
	mux.HandleFunc("GET "+prefix+"/-/healthy", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil, "healthy") })
	mux.HandleFunc("GET "+prefix+"/-/ready", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		if !source.Ready() {
			err = errors.New("not ready: the first refresh has not ended")
		}
		answer(w, err, "ready")
	})
	mux.HandleFunc("POST "+prefix+"/-/reload", func(w http.ResponseWriter, _ *http.Request) {
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

// landingPage links to the other pages.
func landingPage(telemetryPath string, simulated bool) (http.Handler, error) {
	description := "Prometheus exporter for Petra Security's incidents"
	if simulated {
		description += ". All data is simulated: this exporter runs with --demo."
	}
	const here = "./" // what its links begin with
	page, err := toolkit.NewLandingPage(toolkit.LandingConfig{
		Name:        "Petra exporter",
		Description: description,
		Version:     version.Info(),
		Profiling:   "false",
		RoutePrefix: here,
		Links: []toolkit.LandingLinks{
			{Address: telemetryPath, Text: "Metrics"},
			{Address: "/status", Text: "Status", Description: "tenants, what is wrong first, and the budget of requests"},
			{Address: "/-/healthy", Text: "Healthy", Description: "whether the process serves"},
			{Address: "/-/ready", Text: "Ready", Description: "whether the first refresh has ended"},
		},
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = here // anything else is not found
		page.ServeHTTP(w, r)
	}), nil
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
