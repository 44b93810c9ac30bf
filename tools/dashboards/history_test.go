package dashboards

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// recorded is a span of the past in which Prometheus scraped.
type recorded struct {
	from, to time.Time
	every    time.Duration
	// cold starts the exporter anew, and it knows nothing.
	cold bool
}

// record makes an exporter live through the past, in virtual time, and stores what
// its scrapes gave. What it knew at the end is in the state file, from which the
// exporters of the present go on: its API has the address of theirs.
func record(t *testing.T, w *petratest.Organization, apiURL, data, state string, target labels.Labels, past []recorded) {
	t.Helper()
	options := tsdb.DefaultOptions()
	options.RetentionDuration = 0 // a backfilled history stays
	db, err := tsdb.Open(data, nil, nil, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(past[0].from.Add(-time.Minute)))
		pipe := petratest.NewPipe(petratest.NewAPI(w, petratest.Options{Latency: 200 * time.Millisecond}))
		defer pipe.Close()
		scrape, stop := live(t, pipe, apiURL, "")
		for _, span := range past {
			time.Sleep(time.Until(span.from))
			if span.cold {
				stop()
				scrape, stop = live(t, pipe, apiURL, state)
			}
			for at := span.from; at.Before(span.to); at = at.Add(span.every) {
				time.Sleep(time.Until(at))
				text, contentType := scrape()
				appender := db.Appender(context.Background())
				if err := add(appender, at, text, contentType, target); err != nil {
					t.Fatal(err)
				}
				if err := appender.Commit(); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop()
	})
}

// live is an exporter of a synctest bubble.
func live(t *testing.T, pipe *petratest.Pipe, apiURL, state string) (scrape func() ([]byte, string), stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	c := collector.New(ctx, log.NewNopLogger())
	if err := c.OpenState(state); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load("", config.Overrides{APIURL: apiURL, APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Budgets: c.Budgets(), Observe: c.ObserveRequest,
	}, commoncfg.WithDialContextFunc(pipe.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	c.Configure(cfg, client)
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, versioncollector.NewCollector("petra_exporter"))
	handler := web.ScrapeHandler(c, registry, web.ScrapeOptions{Logger: log.NewNopLogger()})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run()
	}()
	scrape = func() ([]byte, string) {
		request := httptest.NewRequest("GET", "/metrics", nil)
		request.Header.Set("Accept", "text/plain;version=0.0.4")
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		return response.Body.Bytes(), response.Header().Get("Content-Type")
	}
	return scrape, func() {
		cancel()
		<-ended
	}
}

func add(appender storage.Appender, at time.Time, text []byte, contentType string, target labels.Labels) error {
	parser, err := textparse.New(text, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		parser.Labels(&series)
		builder := labels.NewBuilder(series)
		target.Range(func(l labels.Label) { builder.Set(l.Name, l.Value) })
		_, _, value := parser.Series()
		if _, err := appender.Append(0, builder.Labels(), at.UnixMilli(), value); err != nil {
			return err
		}
	}
}
