package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
)

// serve collects and serves until ctx ends, and then answers the scrapes in
// flight.
func serve(ctx context.Context, o collector.WebOptions, load func() (*collector.Config, error), stateFile string, hangups <-chan os.Signal, logger log.Logger, slogger *slog.Logger) error {
	level.Info(logger).Log("msg", "starting petra_exporter", "version", version.Info(), "build_context", version.BuildContext())
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what ends the server ends the tasks
	c := collector.New(ctx, logger)
	if err := c.OpenState(stateFile); err != nil {
		return err
	}
	if err := configure(ctx, c, load); err != nil {
		return err
	}
	o.Reload = reloader(ctx, c, load, hangups, logger)
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("petra_exporter"))
	handler, err := c.Handler(registry, o)
	if err != nil {
		return err
	}
	server := collector.NewServer(handler, slog.NewLogLogger(slogger.Handler(), slog.LevelWarn))
	if c.Simulated() {
		level.Info(logger).Log("msg", "demo: all data is simulated")
		server.BaseContext = announceDemo(logger, o.TelemetryPath)
	}
	tasks.Go(c.Run)
	tasks.Go(func() {
		<-ctx.Done()
		timeout, cancel := context.WithTimeout(context.Background(), 4*time.Second) // of the 5 s in which the process ends
		defer cancel()
		if err := server.Shutdown(timeout); err != nil {
			_ = server.Close()
		}
	})
	if err := web.ListenAndServe(server, o.Toolkit, slogger); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	level.Info(logger).Log("msg", "stopping petra_exporter")
	return nil
}

// configure reads the configuration and, where it is good, hands it to the
// collector with a client made from it.
func configure(ctx context.Context, c *collector.Collector, load func() (*collector.Config, error)) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	client, err := newClient(cfg, c)
	if err != nil {
		return err
	}
	if err := client.CheckKey(ctx); err != nil {
		return fmt.Errorf("%w; name it with --petra.api-key-file, api.authorization.credentials_file or PETRA_API_KEY", err)
	}
	c.Configure(cfg, client)
	return nil
}

func newClient(cfg *collector.Config, c *collector.Collector) (*petra.Client, error) {
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: version.Version, Budgets: c.Budgets(), Observe: c.ObserveRequest,
	})
	if err != nil {
		return nil, fmt.Errorf("api.tls_config: %w", err)
	}
	return client, nil
}

// check does what a start does with the configuration and the files that it
// names, but needs no key and writes nothing.
func check(load func() (*collector.Config, error), stateFile string) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	if _, err := newClient(cfg, collector.New(context.Background(), log.NewNopLogger())); err != nil {
		return err
	}
	return collector.CheckState(stateFile)
}

// reloader returns what configures anew, and does so at each SIGHUP too.
func reloader(ctx context.Context, c *collector.Collector, load func() (*collector.Config, error), hangups <-chan os.Signal, logger log.Logger) func() error {
	var one sync.Mutex
	reload := func() error {
		one.Lock()
		defer one.Unlock()
		if err := configure(ctx, c, load); err != nil {
			c.ConfigureFailed()
			level.Error(logger).Log("msg", "configuration not reloaded, the old one stays", "err", err)
			return err
		}
		level.Info(logger).Log("msg", "configuration reloaded")
		return nil
	}
	go func() {
		for range hangups {
			_ = reload()
		}
	}()
	return reload
}
