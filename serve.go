package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

const listenAddress = ":10984"

func newServe(app *kingpin.Application, p *program, hangups <-chan os.Signal) command {
	server := app.Command("serve", "Serve the metrics (default command).")
	check := server.Flag("config.check", "Check the configuration, the flags and the files that they name, and exit.").Bool()
	stateFile := server.Flag("state.file", "File that keeps data and counters over a restart.").PlaceHolder("FILE").String()
	o := web.Options{Toolkit: kingpinflag.AddFlags(server, listenAddress)}
	server.Flag("web.external-url", "URL under which a reverse proxy serves the exporter, or the path of that URL.").PlaceHolder("URL").StringVar(&o.ExternalURL)
	server.Flag("web.route-prefix", "Prefix of all paths; by default the path of the external URL.").PlaceHolder("PATH").StringVar(&o.RoutePrefix)
	server.Flag("web.telemetry-path", "Path of the metrics, below the prefix.").Default("/metrics").StringVar(&o.TelemetryPath)
	server.Flag("web.enable-lifecycle", "Allow POST /-/reload to reload the configuration; SIGHUP always does.").BoolVar(&o.Lifecycle)
	server.Flag("web.max-requests", "Maximum concurrent scrapes, including those waiting for a refresh; excess scrapes get 503. 0: no limit.").Default("40").SetValue((*wholeNumber)(&o.MaxRequests))
	server.Flag("scrape.timeout-offset", "Time to subtract from the scraper's timeout.").Default("0.5s").DurationVar(&o.TimeoutOffset)
	return command{
		check: func() (done bool, err error) {
			if err = o.Validate(); err == nil && *check {
				err = p.check(*stateFile)
			}
			return *check, err
		},
		run: func(ctx context.Context) int {
			return p.ended("petra_exporter cannot run", p.serve(ctx, o, *stateFile, hangups))
		},
	}
}

// check validates the configuration and the files that it names as a start would,
// but needs no key and writes nothing.
func (p *program) check(stateFile string) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(os.Stderr, "petra_exporter: warning: %s\n", warning)
	}
	if _, err := newClient(cfg, collector.New(context.Background(), log.NewNopLogger())); err != nil {
		return err
	}
	if err := collector.CheckState(stateFile); err != nil {
		return err
	}
	fmt.Println(p.checked(cfg, stateFile))
	return nil
}

// checked says what was found good.
func (p *program) checked(cfg *config.Config, stateFile string) string {
	what, tenants, key, state := "The default configuration", "every tenant", "no API key", "no state file"
	if p.configFile != "" {
		what = p.configFile
	}
	switch n := len(cfg.Tenants); n {
	case 0:
	case 1:
		tenants = "1 tenant"
	default:
		tenants = fmt.Sprintf("%d tenants", n)
	}
	if cfg.API.Key != nil {
		key = "API key from " + cfg.API.Key.Description()
	}
	if stateFile != "" {
		state = "state file " + stateFile
	}
	return fmt.Sprintf("%s is valid: %s, %s, %s", what, tenants, key, state)
}

// serve collects and serves until ctx ends, and then answers the scrapes in
// flight.
func (p *program) serve(ctx context.Context, o web.Options, stateFile string, hangups <-chan os.Signal) error {
	level.Info(p.logger).Log("msg", "starting petra_exporter", "version", version.Info(), "build_context", version.BuildContext())
	limitMemory(p.logger)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what ends the server ends the tasks
	c := collector.New(ctx, p.logger)
	if err := c.OpenState(stateFile); err != nil {
		return err
	}
	if err := p.configure(ctx, c); err != nil {
		return err
	}
	o.Reload, o.Logger = p.reloader(ctx, c), p.logger
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, goCollector{collectors.NewGoCollector()}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("petra_exporter"))
	handler, err := web.Handler(c, registry, o)
	if err != nil {
		return err
	}
	server := web.NewServer(handler, serverLog(p.slogger.Handler()))
	if c.Simulated() {
		level.Info(p.logger).Log("msg", "demo: all data is simulated")
		server.BaseContext = announceDemo(p.logger, o)
	}
	tasks.Go(c.Run)
	tasks.Go(func() {
		for {
			select {
			case <-hangups:
				_ = o.Reload()
			case <-ctx.Done():
				return
			}
		}
	})
	tasks.Go(func() {
		<-ctx.Done()
		timeout, cancel := context.WithTimeout(context.Background(), 4*time.Second) // of the 5 s in which the process ends
		defer cancel()
		if err := server.Shutdown(timeout); err != nil {
			_ = server.Close()
		}
	})
	if err := toolkit.ListenAndServe(server, o.Toolkit, p.slogger); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	level.Info(p.logger).Log("msg", "stopping petra_exporter")
	return nil
}

// reloader returns a function that reloads the configuration, one call at a time.
func (p *program) reloader(ctx context.Context, c *collector.Collector) func() error {
	var one sync.Mutex
	return func() error {
		one.Lock()
		defer one.Unlock()
		if err := p.configure(ctx, c); err != nil {
			c.ConfigureFailed()
			level.Error(p.logger).Log("msg", "configuration not reloaded, the previous one stays in effect", "err", err)
			return err
		}
		level.Info(p.logger).Log("msg", "configuration reloaded")
		return nil
	}
}

// goCollector leaves out a gauge that OpenMetrics takes for one family with a
// counter, which strict parsers refuse: go_memstats_heap_alloc_bytes has the
// same value.
type goCollector struct{ prometheus.Collector }

func (c goCollector) Collect(ch chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() {
		defer close(all)
		c.Collector.Collect(all)
	}()
	for m := range all {
		if !strings.Contains(m.Desc().String(), `"go_memstats_alloc_bytes"`) {
			ch <- m
		}
	}
}
