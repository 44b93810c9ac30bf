package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// roundEvery is the least time between two rounds of scrapes.
const roundEvery = time.Second

// soak is the scrapers, and what they have seen.
type soak struct {
	url     string
	begun   time.Time
	clients []*http.Client
	random  []*rand.Rand

	mu       sync.Mutex
	scrapes  int
	slowest  time.Duration
	failures map[string]int
	levels   []level
	known    bool    // all tenants were told once
	requests float64 // that the exporter has made
	hurried  float64 // scrapes that it answered before their refresh had ended
}

// level is what the exporter says of itself.
type level struct {
	heap, goroutines, descriptors, resident float64
}

func newSoak(url string, seed uint64) *soak {
	s := &soak{url: url, begun: time.Now(), failures: map[string]int{}}
	for i := range scrapers {
		s.clients = append(s.clients, &http.Client{Timeout: scrapeTimeout, Transport: &http.Transport{}})
		s.random = append(s.random, rand.New(rand.NewPCG(seed, uint64(i)+2)))
	}
	return s
}

// round is all scrapers at once.
func (s *soak) round() {
	begun := time.Now()
	var all sync.WaitGroup
	for i := range s.clients {
		all.Go(func() {
			start := time.Now()
			err := s.scrape(i)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.scrapes++
			s.slowest = max(s.slowest, time.Since(start))
			if err != nil {
				s.failures[err.Error()]++
			}
		})
	}
	all.Wait()
	if err := s.measure(); err != nil {
		s.failures[err.Error()]++
	}
	time.Sleep(roundEvery - time.Since(begun))
}

var formats = []expfmt.FormatType{expfmt.TypeTextPlain, expfmt.TypeOpenMetrics, expfmt.TypeProtoDelim}

// scrape is one scrape; its error has the kind of what is wrong.
func (s *soak) scrape(i int) error {
	random, client := s.random[i], s.clients[i]
	format := expfmt.NewFormat(formats[random.IntN(len(formats))])
	request, err := http.NewRequest(http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", string(format))
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(scrapeTimeout.Seconds()))
	request.Close = random.IntN(10) == 0
	response, err := client.Do(request)
	if err != nil {
		return kind(err)
	}
	defer response.Body.Close()
	if random.IntN(50) == 0 {
		return nil // a scraper that goes away without reading
	}
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return kind(err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d: %.100s", response.StatusCode, body)
	case format.FormatType() == expfmt.TypeOpenMetrics && !bytes.HasSuffix(body, []byte("# EOF\n")):
		return errors.New("cut off")
	case !bytes.Contains(body, []byte("petra_tenants")):
		return errors.New("no petra_tenants")
	}
	return nil
}

// kind leaves out of an error what differs each time.
func kind(err error) error {
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// measure scrapes alone, between two rounds, and holds that known tenants stay
// known.
func (s *soak) measure() error {
	response, err := s.clients[0].Get(s.url + "/metrics")
	if err != nil {
		return kind(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return fmt.Errorf("unreadable: %w", err)
	}
	sum := func(name string) (sum float64) {
		for _, metric := range families[name].GetMetric() {
			sum += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
		return sum
	}
	s.requests, s.hurried = sum("petra_api_requests_total"), sum("petra_scrapes_deadline_exceeded_total")
	// The collector of garbage runs when the heap is twice what the last one left.
	s.levels = append(s.levels, level{sum("go_memstats_next_gc_bytes") / 2, sum("go_goroutines"), sum("process_open_fds"), sum("process_resident_memory_bytes")})
	n := sum("petra_tenants")
	if s.known && n != tenants {
		return fmt.Errorf("%v tenants", n)
	}
	s.known = s.known || n == tenants
	return nil
}

func (s *soak) report(w io.Writer) (err error) {
	fmt.Fprintf(w, "scrapes: %d in %s, the slowest %s\n", s.scrapes, time.Since(s.begun).Round(time.Second), s.slowest.Round(time.Millisecond))
	fmt.Fprintf(w, "requests of the API: %.0f; scrapes answered before their refresh had ended: %.0f\n", s.requests, s.hurried)
	fmt.Fprintln(w, "errors by kind:", len(s.failures))
	for _, failure := range slices.Sorted(maps.Keys(s.failures)) {
		fmt.Fprintf(w, "  %d: %s\n", s.failures[failure], failure)
		err = errors.New("not every scrape was answered")
	}
	if !s.known {
		err = errors.Join(err, errors.New("the tenants were never all known"))
	}
	return errors.Join(err, levelOff(w, s.levels, time.Since(s.begun)))
}

// A run of seconds may end with the largest answer of the API in memory, 32 MiB
// and the buffer that has grown for it: a quarter of it is too short for a later
// garbage collection.
const (
	shortRun       = 5 * time.Minute
	shortHeapSlack = 80 << 20
	heapSlack      = 4 << 20
)

// levelOff compares the second quarter of the run with the last one.
func levelOff(w io.Writer, levels []level, length time.Duration) error {
	quarter := len(levels) / 4
	if quarter == 0 {
		return fmt.Errorf("only %d scrapes with figures", len(levels))
	}
	early, late := levels[quarter:2*quarter], levels[len(levels)-quarter:]
	slack := float64(heapSlack)
	if length < shortRun {
		slack = shortHeapSlack
	}
	var errs []error
	for _, m := range []struct {
		name  string
		of    func(level) float64
		share func([]float64) float64
		slack float64 // what it may rise by, beside a tenth
		unit  float64
	}{
		// The least is what is kept; the rest are answers and scrapes in flight.
		{"heap, MiB", func(l level) float64 { return l.heap }, slices.Min[[]float64], slack, 1 << 20},
		{"goroutines", func(l level) float64 { return l.goroutines }, median, 10, 1},
		{"descriptors", func(l level) float64 { return l.descriptors }, median, 10, 1},
	} {
		pick := func(levels []level) float64 {
			values := make([]float64, 0, len(levels))
			for _, l := range levels {
				values = append(values, m.of(l))
			}
			return m.share(values)
		}
		before, after := pick(early), pick(late)
		fmt.Fprintf(w, "%s: %.1f in the second quarter, %.1f in the last\n", m.name, before/m.unit, after/m.unit)
		if after > 1.1*before+m.slack {
			errs = append(errs, fmt.Errorf("%s do not level off", strings.Split(m.name, ",")[0]))
		}
	}
	first, last := levels[0], levels[len(levels)-1]
	fmt.Fprintf(w, "first and last scrape: heap %.1f and %.1f MiB, resident %.1f and %.1f MiB, goroutines %.0f and %.0f, descriptors %.0f and %.0f\n",
		first.heap/(1<<20), last.heap/(1<<20), first.resident/(1<<20), last.resident/(1<<20), first.goroutines, last.goroutines, first.descriptors, last.descriptors)
	return errors.Join(errs...)
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}
