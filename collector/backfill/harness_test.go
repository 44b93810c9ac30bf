package backfill_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/backfill"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const testKey = "test-key-9f8e7d6c"

// newCollector returns a collector that asks the API, with a configuration file
// of the given content.
func newCollector(ctx context.Context, t *testing.T, logger log.Logger, api *petratest.API, yaml string) *collector.Collector {
	t.Helper()
	file := filepath.Join(t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{APIURL: "http://127.0.0.1", APIKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
	pipe := petratest.NewPipe(api)
	t.Cleanup(pipe.Close)
	budgets, requests := petra.NewBudgets(0), collector.NewRequests(logger)
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: "test", Budgets: budgets, Observe: requests.Observe,
	}, commoncfg.WithDialContextFunc(pipe.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	c, err := collector.New(ctx, collector.Options{Logger: logger, Config: cfg, Client: client, Budgets: budgets, Requests: requests})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scrape runs an exporter, and returns what it publishes by name and labels,
// such as petra_open_incidents{live=true,tenant_id=A}.
func scrape(t *testing.T, api *petratest.API, yaml string) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := newCollector(ctx, t, log.NewNopLogger(), api, yaml)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	time.Sleep(2 * time.Second)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		extracted, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, family)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range extracted {
			all[strings.NewReplacer(", ", ",", `"`, "").Replace(sample.Metric.String())] = float64(sample.Value)
		}
	}
	return all
}

// logText keeps the log.
type logText struct{ strings.Builder }

// lines counts the lines of the log that have the text.
func (l *logText) lines(text string) (n int) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// sleepUntil lets virtual time pass.
func sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// command is one run against a simulated API, for a synctest bubble.
type command struct {
	api     *petratest.API
	yaml    string
	options backfill.Options // what is empty gets the flag's default, and Output a file
	ctx     context.Context  // default: the test's
	onLog   func(line string)

	log *logText
	err error
}

// runOnly does not look at what was written.
func (b *command) runOnly(t *testing.T) {
	t.Helper()
	o := &b.options
	if o.Output == "" {
		o.Output = filepath.Join(t.TempDir(), "history.om")
	}
	if o.Step == "" {
		o.Step = "1h"
	}
	if o.Metrics == nil {
		o.Metrics = []string{"raised", "open", "dwell"}
	}
	if o.RequestsPerMinute == 0 {
		o.RequestsPerMinute = 4
	}
	if b.ctx == nil {
		b.ctx = t.Context()
	}
	b.log = &logText{}
	logger := log.NewLogfmtLogger(io.MultiWriter(b.log, onLog(b.onLog)))
	b.err = backfill.Run(b.ctx, logger, newCollector(b.ctx, t, logger, b.api, b.yaml), *o)
}

// onLog is called with what is logged, if it is there.
type onLog func(line string)

func (f onLog) Write(p []byte) (int, error) {
	if f != nil {
		f(string(p))
	}
	return len(p), nil
}

// run returns what was written, nothing if there is no file.
func (b *command) run(t *testing.T) string {
	t.Helper()
	b.runOnly(t)
	o := &b.options
	content, err := os.ReadFile(o.Output)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(o.Output)); err == nil && len(entries) > 1 {
		t.Errorf("left behind: %v", entries)
	}
	return string(content)
}
