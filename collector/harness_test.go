package collector_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// exporter is a whole exporter against a simulated API in memory, for a
// synctest bubble: all of it but the process and the sockets.
type exporter struct {
	t         *testing.T
	api       *petratest.API
	pipe      *petratest.Pipe
	collector *collector.Collector
	registry  *prometheus.Registry
	handler   http.Handler
	log       *logBuffer
	dialFails atomic.Pointer[func() error] // if set, each connection fails so
	budgets   petra.Budgets
	requests  *collector.Requests
	stop      func() // ends the exporter, not the API; called at the test's end too
}

const testKey = "test-key-9f8e7d6c"

// newExporter starts an exporter against api with a configuration file of the
// given content. In a bubble, time starts in the year 2000.
func newExporter(t *testing.T, api *petratest.API, yaml string) *exporter {
	t.Helper()
	return newExporterWithState(t, api, yaml, "")
}

// newCollector returns a collector that asks nothing.
func newCollector(t *testing.T, o collector.Options) (*collector.Collector, error) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.Config == nil {
		o.Config = loadConfig(t, "")
	}
	o.Budgets, o.Requests = petra.NewBudgets(0), collector.NewRequests(o.Logger)
	return collector.New(t.Context(), o)
}

// openState is the error of a start with a state file.
func openState(t *testing.T, path string) error {
	t.Helper()
	_, err := newCollector(t, collector.Options{StateFile: path})
	return err
}

// newExporterWithState starts an exporter with a state file, if one is named.
func newExporterWithState(t *testing.T, api *petratest.API, yaml, stateFile string) *exporter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := &exporter{t: t, api: api, pipe: petratest.NewPipe(api), log: &logBuffer{}, budgets: petra.NewBudgets(0)}
	logger := level.NewFilter(log.NewLogfmtLogger(e.log), level.AllowInfo())
	e.requests = collector.NewRequests(logger)
	cfg, client, err := e.load(writeConfig(t, yaml), "http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	e.collector, err = collector.New(ctx, collector.Options{
		Logger: logger, Config: cfg, Client: client, Budgets: e.budgets, Requests: e.requests, StateFile: stateFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	e.registry = prometheus.NewPedanticRegistry()
	e.registry.MustRegister(e.collector)
	e.handler, err = web.Handler(e.collector, e.registry, web.Options{
		TelemetryPath: "/metrics", Lifecycle: true, Reload: func() error { return e.configure(yaml) },
		ScrapeOptions: web.ScrapeOptions{TimeoutOffset: 500 * time.Millisecond, MaxRequests: 40, Logger: log.NewLogfmtLogger(e.log)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.collector.Run()
	}()
	e.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(func() {
		e.stop()
		e.pipe.Close()
	})
	return e
}

// configure configures the exporter, also while it runs.
func (e *exporter) configure(yaml string) error {
	e.t.Helper()
	return e.configureFrom(writeConfig(e.t, yaml))
}

func (e *exporter) configureFrom(file string) error {
	e.t.Helper()
	cfg, client, err := e.load(file, "http://127.0.0.1")
	if err != nil {
		return err
	}
	return e.collector.Reconfigure(cfg, client)
}

// load loads a configuration file, and makes a client from it.
func (e *exporter) load(file, url string) (*config.Config, *petra.Client, error) {
	e.t.Helper()
	cfg := loadFrom(e.t, file, url)
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: "test", Budgets: e.budgets, Observe: e.requests.Observe,
	}, commoncfg.WithDialContextFunc(e.dial))
	return cfg, client, err
}

func (e *exporter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if fail := e.dialFails.Load(); fail != nil {
		return nil, (*fail)()
	}
	return e.pipe.DialContext(ctx, network, address)
}

func loadConfig(t *testing.T, yaml string) *config.Config {
	t.Helper()
	return loadFrom(t, writeConfig(t, yaml), "http://127.0.0.1")
}

func writeConfig(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func loadFrom(t *testing.T, file, url string) *config.Config {
	t.Helper()
	cfg, err := config.Load(file, config.Overrides{APIURL: url, APIKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
	return cfg
}

// get asks the exporter for a page.
func (e *exporter) get(path string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response := httptest.NewRecorder()
	e.handler.ServeHTTP(response, request)
	return response
}

// scrape asks for the metrics and returns every sample, histograms as
// NAME_bucket, NAME_sum and NAME_count, by its name and labels as in the text
// format, such as petra_open_incidents{tenant_id="a",live="true"} with the labels
// in the order of their names.
func (e *exporter) scrape() samples {
	e.t.Helper()
	response := e.get("/metrics")
	if response.Code != http.StatusOK {
		e.t.Fatalf("scrape: status %d: %s", response.Code, response.Body)
	}
	return parse(e.t, response.Body.String())
}

// status is what /status shows.
func (e *exporter) status() string {
	e.t.Helper()
	response := e.get("/status")
	if response.Code != http.StatusOK {
		e.t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}

type samples map[string]float64

// parse reads an exposition in the text format.
func parse(t *testing.T, text string) samples {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := samples{}
	for _, family := range families {
		extracted, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, family)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range extracted {
			all[sample.Metric.String()] = float64(sample.Value)
		}
	}
	return all
}

// named returns the samples of one metric.
func (s samples) named(name string) samples {
	found := samples{}
	for key, value := range s {
		if key == name || strings.HasPrefix(key, name+"{") {
			found[key] = value
		}
	}
	return found
}

// value returns the only sample whose name and labels are as told, and whether
// there is one.
func (s samples) value(key string) (float64, bool) {
	v, ok := s[strings.ReplaceAll(key, ",", ", ")]
	return v, ok
}

// want fails the test unless the sample is there with that value.
func (s samples) want(t *testing.T, key string, want float64) {
	t.Helper()
	if got, ok := s.value(key); !ok || got != want {
		t.Errorf("%s: got %v (there: %t), want %v", key, got, ok, want)
	}
}

// wantNone fails the test if there is a sample of that name, or with that name and
// these labels.
func (s samples) wantNone(t *testing.T, key string) {
	t.Helper()
	found := s.named(key)
	if value, ok := s.value(key); ok {
		found[key] = value
	}
	if len(found) > 0 {
		t.Errorf("want no %s, got %v", key, found)
	}
}

// family returns a metric as the registry has it, nil where it has no sample.
func (e *exporter) family(name string) *dto.MetricFamily {
	e.t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family
		}
	}
	return nil
}

// logBuffer keeps the log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// lines counts the lines of the log that have the text.
func (b *logBuffer) lines(text string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// sleepUntil lets virtual time pass.
func sleepUntil(at time.Time) {
	time.Sleep(time.Until(at))
}
