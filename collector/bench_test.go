package collector_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	commoncfg "github.com/prometheus/common/config"
)

// The forms in which Prometheus asks for metrics.
var expositions = []struct {
	format, accept, encoding string
}{
	{"text", "text/plain;version=0.0.4", "identity"},
	{"text", "text/plain;version=0.0.4", "gzip"},
	{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "identity"},
	{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "gzip"},
}

// BenchmarkScrape measures a scrape that is answered from memory: through the
// handler that the process serves, every tenant complete, the refresh deferred
// as too soon. In turn with it, so that ratios hold on a noisy machine, it
// measures two limits: as many plain const metrics and const histograms of
// client_golang with the same names, labels and values, made in Collect and
// served by promhttp, and a handler that writes the same bytes.
func BenchmarkScrape(b *testing.B) {
	for _, tenants := range benchSizes(b) {
		e := newBenchExporter(b, tenants, 3)
		text := record(b, e.handler, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		plain := promhttp.HandlerFor(plainRegistry(b, e.registry), promhttp.HandlerOpts{})
		for _, x := range expositions {
			b.Run(fmt.Sprintf("tenants=%d/format=%s/encoding=%s", tenants, x.format, x.encoding), func(b *testing.B) {
				request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				request.Header.Set("Accept", x.accept)
				request.Header.Set("Accept-Encoding", x.encoding)
				same := record(b, e.handler, request)
				contenders := []*contender{
					{name: "exporter", handler: e.handler},
					{name: "const", handler: plain},
					{name: "bytes", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(same) })},
				}
				for b.Loop() {
					for _, c := range contenders {
						for asked := -1; asked != len(e.api.Requests()); { // again, if the API was asked meanwhile
							asked = len(e.api.Requests())
							c.measure(request)
						}
					}
				}
				b.ReportMetric(0, "ns/op") // of all three: it says nothing
				b.ReportMetric(float64(len(same)), "bytes")
				b.ReportMetric(float64(samplesIn(text)), "series")
				for _, c := range contenders {
					b.ReportMetric(median(c.wall), c.name+"-ms")
					b.ReportMetric(median(c.cpu), c.name+"-cpu-ms")
					b.ReportMetric(median(c.allocs), c.name+"-allocs")
					b.ReportMetric(median(c.allocated), c.name+"-B")
					b.ReportMetric(median(ratios(contenders[0].cpu, c.cpu)), "cpu-x/"+c.name)
				}
			})
		}
	}
}

// BenchmarkScrapeWithRequest measures what the exporter adds to the latency of
// the API, 200 ms, where a scrape makes one request: the time of the scrape
// less that of a bare client, which asks the same in turn and only reads the
// answer, so that the simulator's own work is not counted.
func BenchmarkScrapeWithRequest(b *testing.B) {
	e := newBenchExporter(b, 100, 100_000)
	e.api.SetLatency(200 * time.Millisecond)
	scrape := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	client := &http.Client{Transport: &http.Transport{DialContext: e.pipe.DialContext}}
	bare := func() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://127.0.0.1/v1/incidents?limit=500", nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+testKey)
		request.Header.Set("Accept-Encoding", "gzip") // set here, the answer is not decompressed
		response, err := client.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("status %d, %d bytes, %v", response.StatusCode, n, err)
		}
	}
	var added []float64
	for b.Loop() {
		time.Sleep(2 * time.Millisecond) // the least time between two organization reads is 1.4 ms
		asked, start := len(e.api.Requests()), time.Now()
		e.handler.ServeHTTP(&sink{header: http.Header{}}, scrape)
		scraped := time.Since(start)
		if len(e.api.Requests()) != asked+1 {
			b.Fatalf("the scrape made %d requests, not one", len(e.api.Requests())-asked)
		}
		start = time.Now()
		bare()
		added = append(added, (scraped-time.Since(start)).Seconds()*1000)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Min(added), "least-added-ms")
	b.ReportMetric(median(added), "added-ms")
}

func record(b *testing.B, h http.Handler, r *http.Request) []byte {
	b.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// contender is a handler with what was measured of it.
type contender struct {
	name                         string
	handler                      http.Handler
	wall, cpu, allocs, allocated []float64
}

func (c *contender) measure(r *http.Request) {
	var before, after runtime.MemStats
	runtime.GC() // nobody pays for another's garbage
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	c.handler.ServeHTTP(&sink{header: http.Header{}}, r)
	c.wall = append(c.wall, time.Since(start).Seconds()*1000)
	c.cpu = append(c.cpu, (cpuTime()-cpu).Seconds()*1000)
	runtime.ReadMemStats(&after)
	c.allocs = append(c.allocs, float64(after.Mallocs-before.Mallocs))
	c.allocated = append(c.allocated, float64(after.TotalAlloc-before.TotalAlloc))
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ratios(a, b []float64) []float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, a[i]/b[i])
	}
	return all
}

// sink is a client that takes all at once.
type sink struct {
	header http.Header
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// benchSizes are the numbers of tenants to measure, PETRA_BENCH_TENANTS or 100.
func benchSizes(b *testing.B) []int {
	b.Helper()
	list := os.Getenv("PETRA_BENCH_TENANTS")
	if list == "" {
		list = "100"
	}
	var sizes []int
	for text := range strings.SplitSeq(list, ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			b.Fatalf("PETRA_BENCH_TENANTS: %v", err)
		}
		sizes = append(sizes, size)
	}
	return sizes
}

// benchExporter is an exporter that knows all there is, in real time.
type benchExporter struct {
	api      *petratest.API
	pipe     *petratest.Pipe
	registry *prometheus.Registry
	handler  http.Handler
}

// newBenchExporter returns an exporter that has read every tenant whole, with
// three incidents of each in two years, 2 % of the tenants with an open one.
// Every tenant is read at the first refresh, as a high limit and a configured
// list allow; then perMinute is the limit: with 3, the next refresh is 46 s away.
func newBenchExporter(b *testing.B, tenants, perMinute int) *benchExporter {
	b.Helper()
	org := petratest.Random(1, petratest.RandomConfig{
		Start: time.Now(), Tenants: tenants, Incidents: 3 * tenants, Open: max(1, tenants/50), FalsePositives: 0.05,
	})
	e := &benchExporter{api: petratest.NewAPI(org, petratest.Options{Limit: -1})}
	e.pipe = petratest.NewPipe(e.api)
	ctx, cancel := context.WithCancel(b.Context())
	c := collector.New(ctx, log.NewNopLogger())
	configure := func(yaml string) {
		file := filepath.Join(b.TempDir(), "petra.yml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			b.Fatal(err)
		}
		cfg, err := config.Load(file, config.Overrides{APIURL: "http://127.0.0.1", APIKey: testKey})
		if err != nil {
			b.Fatal(err)
		}
		cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
		client, err := petra.NewClient(petra.ClientConfig{
			URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
			Version: "bench", Budgets: c.Budgets(), Observe: c.ObserveRequest,
		}, commoncfg.WithDialContextFunc(e.pipe.DialContext))
		if err != nil {
			b.Fatal(err)
		}
		c.Configure(cfg, client)
	}
	var all strings.Builder
	fmt.Fprintf(&all, "api: {requests_per_minute: %d, timeout: 5m}\ntenants:\n", 5*tenants)
	for _, t := range org.Tenants() {
		fmt.Fprintf(&all, "- id: %q\n", t.ID)
	}
	configure(all.String())
	e.registry = prometheus.NewRegistry()
	e.registry.MustRegister(c)
	handler, err := web.Handler(c, e.registry, web.Options{TelemetryPath: "/metrics"})
	if err != nil {
		b.Fatal(err)
	}
	e.handler = handler
	<-c.Refresh()
	configure(fmt.Sprintf("api: {requests_per_minute: %d}", perMinute))
	text := string(record(b, e.handler, httptest.NewRequest(http.MethodGet, "/metrics", nil)))
	if want := fmt.Sprintf("petra_tenants{state=\"complete\"} %d\n", tenants); !strings.Contains(text, want) {
		b.Fatalf("there is no %s", want)
	}
	b.Cleanup(func() {
		cancel()
		e.pipe.Close()
	})
	return e
}

// plainRegistry has the same metrics as another registry, as const metrics that
// are made anew for each scrape.
func plainRegistry(b *testing.B, of *prometheus.Registry) *prometheus.Registry {
	b.Helper()
	families, err := of.Gather()
	if err != nil {
		b.Fatal(err)
	}
	var p plain
	for _, family := range families {
		var desc *prometheus.Desc
		for _, m := range family.GetMetric() {
			var names, values []string
			for _, label := range m.GetLabel() {
				names, values = append(names, label.GetName()), append(values, label.GetValue())
			}
			if desc == nil {
				desc = prometheus.NewDesc(family.GetName(), family.GetHelp(), names, nil)
			}
			buckets := map[float64]uint64{}
			for _, bucket := range m.GetHistogram().GetBucket() {
				buckets[bucket.GetUpperBound()] = bucket.GetCumulativeCount()
			}
			p = append(p, plainMetric{desc, family.GetType(), values, m, buckets})
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(p)
	return registry
}

type plain []plainMetric

type plainMetric struct {
	desc    *prometheus.Desc
	kind    dto.MetricType
	labels  []string
	metric  *dto.Metric
	buckets map[float64]uint64
}

func (p plain) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range p {
		ch <- m.desc
	}
}

func (p plain) Collect(ch chan<- prometheus.Metric) {
	for _, m := range p {
		switch m.kind {
		case dto.MetricType_HISTOGRAM:
			h := m.metric.GetHistogram()
			ch <- prometheus.MustNewConstHistogram(m.desc, h.GetSampleCount(), h.GetSampleSum(), m.buckets, m.labels...)
		case dto.MetricType_COUNTER:
			ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, m.metric.GetCounter().GetValue(), m.labels...)
		default:
			ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.metric.GetGauge().GetValue(), m.labels...)
		}
	}
}

// samplesIn counts the lines of a text exposition that are samples.
func samplesIn(text []byte) int {
	n := 0
	for line := range bytes.Lines(text) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}
