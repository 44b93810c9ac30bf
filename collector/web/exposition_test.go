package web_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
)

// gathers counts how often the registry is gathered, each of which takes a
// second, and how many do so at once.
type gathers struct {
	prometheus.Gauge
	all, now, most atomic.Int32
}

func (g *gathers) Collect(ch chan<- prometheus.Metric) {
	g.all.Add(1)
	g.most.Store(max(g.most.Load(), g.now.Add(1)))
	time.Sleep(time.Second)
	g.now.Add(-1)
	g.Gauge.Collect(ch)
}

// TestScrapesShareExposition holds that scrapes of one moment share what is made
// for each format, and that one is made after the other: 40 at once took hundreds
// of megabytes.
func TestScrapesShareExposition(t *testing.T) {
	formats := []struct{ accept, encoding, contentType string }{
		{"", "", "text/plain"},
		{"", "gzip", "text/plain"},
		{"application/openmetrics-text;version=1.0.0", "gzip", "application/openmetrics-text"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "", "application/vnd.google.protobuf"},
	}
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(webOrg(t), petratest.Options{}), "")
		e.scrape()
		g := &gathers{Gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gathers", Help: "Gathers."})}
		e.registry.MustRegister(g)
		var scrapes sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 40)
		for i := range answers {
			f := formats[i%len(formats)]
			scrapes.Go(func() { answers[i] = e.get("/metrics", "Accept", f.accept, "Accept-Encoding", f.encoding) })
		}
		scrapes.Wait()
		// The very first one is made at once, without waiting for others.
		if n := int(g.all.Load()); n > len(formats)+1 {
			t.Errorf("%d expositions made for %d scrapes in %d formats", n, len(answers), len(formats))
		}
		if n := g.most.Load(); n != 1 {
			t.Errorf("%d expositions were made at once", n)
		}
		for i, answer := range answers {
			f := formats[i%len(formats)]
			if got := answer.Header(); answer.Code != http.StatusOK || !strings.HasPrefix(got.Get("Content-Type"), f.contentType) || got.Get("Content-Encoding") != f.encoding {
				t.Errorf("%+v: status %d, %v", f, answer.Code, got)
			}
		}
	})
}

// TestScrapeAfterGather holds that a scrape does not get an exposition that was
// begun before it came: it would lack what its refresh has brought.
func TestScrapeAfterGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, api := webAPI(t)
		e := newExporter(t, api, "")
		e.registry.MustRegister(slow{prometheus.NewGauge(prometheus.GaugeOpts{Name: "slow", Help: "Slow."}), 20 * time.Second})
		e.scrape()
		time.Sleep(45 * time.Second)
		var first sync.WaitGroup
		first.Go(func() { e.get("/metrics") })
		time.Sleep(15 * time.Second) // the least time between two organization reads is 14 s
		addIncident(w)
		e.scrape().want(t, `petra_incidents_raised_total{tenant_id="A"}`, 2)
		first.Wait()
	})
}

// TestSlowClients holds that an exposition is written for as long as its client
// reads, though the scrape would have timed out, and that one who does not is
// given up, which the log tells.
func TestSlowClients(t *testing.T) {
	const size = 4 << 20
	for name, c := range map[string]struct {
		part  int64
		every time.Duration
		ends  time.Duration // when it is given up, at the latest; 0: never
	}{
		"reads":              {64 << 10, 3 * time.Second, 0},
		"reads too slowly":   {1 << 10, 9 * time.Second, 11 * time.Second},
		"reads for too long": {64 << 10, 9 * time.Second, 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newExporter(t, petratest.NewAPI(webOrg(t), petratest.Options{}), "")
				large := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "large", Help: "Large."}, []string{"text"})
				large.WithLabelValues(strings.Repeat("x", size))
				e.registry.MustRegister(large)
				e.scrape()
				conn := newServer(e).dial("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
				var client sync.WaitGroup
				client.Go(func() {
					read, err := readSlowly(conn, c.part, c.every)
					if whole := err == nil && read > size; whole != (c.ends == 0) {
						t.Errorf("%d bytes read, then %v", read, err)
					}
				})
				time.Sleep(c.ends)
				synctest.Wait()
				if c.ends == 0 {
					client.Wait()
				}
				want := min(1, int(c.ends))
				if lines := strings.Count(e.log.String(), `msg="scrape aborted, the client reads too slowly"`); lines != want {
					t.Errorf("%d lines in the log, want %d:\n%s", lines, want, e.log)
				}
				client.Wait()
			})
		})
	}
}

// readSlowly reads an answer part by part.
func readSlowly(conn net.Conn, part int64, every time.Duration) (read int64, err error) {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // in memory
	for {
		n, err := io.CopyN(io.Discard, response.Body, part)
		read += n
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		time.Sleep(every)
	}
}
