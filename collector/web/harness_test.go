package web_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
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

const testKey = "test-key-9f8e7d6c"

// exporter serves a collector that asks a simulated API in memory, for a
// synctest bubble.
type exporter struct {
	t         *testing.T
	pipe      *petratest.Pipe
	collector *collector.Collector
	registry  *prometheus.Registry
	handler   http.Handler
	log       *logBuffer
	stop      func() // called at the test's end too
}

// newExporter starts an exporter with a configuration file of the given content.
func newExporter(t *testing.T, api *petratest.API, yaml string) *exporter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := &exporter{t: t, pipe: petratest.NewPipe(api), log: &logBuffer{}}
	e.collector = collector.New(ctx, log.NewLogfmtLogger(e.log))
	if err := e.configure(yaml); err != nil {
		t.Fatal(err)
	}
	e.serveWith(web.Options{
		Lifecycle: true, Reload: func() error { return e.configure(yaml) },
		ScrapeOptions: web.ScrapeOptions{TimeoutOffset: 500 * time.Millisecond, MaxRequests: 40},
	})
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
	file := filepath.Join(e.t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load(file, config.Overrides{APIURL: "http://127.0.0.1", APIKey: testKey})
	if err != nil {
		return err
	}
	cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: "test", Budgets: e.collector.Budgets(), Observe: e.collector.ObserveRequest,
	}, commoncfg.WithDialContextFunc(e.pipe.DialContext))
	if err != nil {
		return err
	}
	e.collector.Configure(cfg, client)
	return nil
}

// serveWith makes the exporter serve with other options.
func (e *exporter) serveWith(o web.Options) {
	e.t.Helper()
	if o.TelemetryPath == "" {
		o.TelemetryPath = "/metrics"
	}
	o.Logger = log.NewLogfmtLogger(e.log)
	e.registry = prometheus.NewPedanticRegistry()
	e.registry.MustRegister(e.collector)
	handler, err := web.Handler(e.collector, e.registry, o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.handler = handler
}

// send makes any request.
func (e *exporter) send(method, path string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response := httptest.NewRecorder()
	e.handler.ServeHTTP(response, request)
	return response
}

// get asks the exporter for a page.
func (e *exporter) get(path string, header ...string) *httptest.ResponseRecorder {
	return e.send(http.MethodGet, path, header...)
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

// samples are values by name and labels, as in the text format.
type samples map[string]float64

// scrape asks for the metrics.
func (e *exporter) scrape() samples {
	e.t.Helper()
	response := e.get("/metrics")
	if response.Code != http.StatusOK {
		e.t.Fatalf("scrape: status %d: %s", response.Code, response.Body)
	}
	return parse(e.t, response.Body.String())
}

// known returns the metrics without asking for a refresh.
func (e *exporter) known() samples {
	e.t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	return samplesOf(e.t, families...)
}

// parse reads an exposition in the text format.
func parse(t *testing.T, text string) samples {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []*dto.MetricFamily
	for _, family := range families {
		all = append(all, family)
	}
	return samplesOf(t, all...)
}

func samplesOf(t *testing.T, families ...*dto.MetricFamily) samples {
	t.Helper()
	extracted, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, families...)
	if err != nil {
		t.Fatal(err)
	}
	all := samples{}
	for _, sample := range extracted {
		all[sample.Metric.String()] = float64(sample.Value)
	}
	return all
}

// want fails the test unless the sample is there with that value.
func (s samples) want(t *testing.T, key string, want float64) {
	t.Helper()
	if got, ok := s[strings.ReplaceAll(key, ",", ", ")]; !ok || got != want {
		t.Errorf("%s: got %v (there: %t), want %v", key, got, ok, want)
	}
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
