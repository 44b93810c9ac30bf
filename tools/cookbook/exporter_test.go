package cookbook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"path/filepath"
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
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// The moments of the story: the exporter starts, its first organization reads are in, each
// tenant is read in full, another program spends the key's requests, and at last
// the API has failed for a while.
var (
	start    = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	begun    = start.Add(30 * time.Second)
	known    = start.Add(5 * time.Minute)
	shared   = known.Add(time.Minute)
	failed   = shared.Add(7 * time.Minute)
	interval = 15 * time.Second
)

// ago is a time before the moment known.
func ago(d time.Duration) time.Time { return known.Add(-d) }

const day = 24 * time.Hour

func org() *petratest.Organization {
	w := petratest.NewOrganization()
	for _, t := range []petratest.Tenant{
		{ID: "Aa1111", Name: "Alpha"}, {ID: "Bb2222", Name: "Beta"}, {ID: "Cc3333", Name: "Gamma"}, {ID: "Dd4444", Name: "Delta"},
	} {
		w.SetTenant(t)
	}
	incident := func(tenant, id string, live bool, created time.Time, detection, dwell time.Duration) {
		in := petratest.Incident{ID: id, TenantID: tenant, Live: live, CreatedAt: created, OccurredAt: created.Add(-detection)}
		if dwell > 0 {
			in.RemediatedAt = in.OccurredAt.Add(dwell)
		}
		w.Add(in)
	}
	incident("Aa1111", "a1", true, ago(2*day), 2*time.Minute, 5*time.Minute)
	incident("Aa1111", "a2", true, ago(3*day), 2*time.Minute, 10*time.Minute)
	incident("Aa1111", "a3", true, ago(10*day), 2*time.Minute, 5*time.Hour)
	incident("Aa1111", "a4", false, ago(20*day), 40*day, 41*day)
	incident("Aa1111", "a5", true, ago(10*time.Minute), 5*time.Minute, 0)
	incident("Bb2222", "b1", false, ago(6*time.Hour), 5*day, 0)
	incident("Bb2222", "b2", true, ago(day), 2*time.Minute, 30*time.Minute)
	// More than the API gives, and all of it old.
	for i := range 600 {
		incident("Dd4444", fmt.Sprintf("d%d", i), true, ago(time.Duration(100+i)*day), 2*time.Minute, 30*time.Minute)
	}
	return w
}

// exposition is the answer to one scrape.
type exposition struct {
	at          time.Time
	contentType string
	body        []byte
}

// What Prometheus asks for, as it is set up.
const (
	openMetrics = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
	classicText = "text/plain;version=0.0.4"
	protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// expositions is what an exporter publishes in the course of the story, in each
// format at the same moments.
func expositions(t *testing.T, formats ...string) map[string][]exposition {
	scrapes := map[string][]exposition{}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		api := petratest.NewAPI(org(), petratest.Options{Latency: 100 * time.Millisecond})
		pipe := petratest.NewPipe(api)
		defer pipe.Close()
		ctx, cancel := context.WithCancel(t.Context())
		c := collector.New(ctx, log.NewNopLogger())
		cfg, err := config.Load("", config.Overrides{APIURL: "http://127.0.0.1", APIKey: "key"})
		if err != nil {
			t.Fatal(err)
		}
		cfg.API.HTTP.ProxyConfig, cfg.NativeHistograms = commoncfg.ProxyConfig{}, true
		client, err := petra.NewClient(petra.ClientConfig{
			URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
			Budgets: c.Budgets(), Observe: c.ObserveRequest,
		}, commoncfg.WithDialContextFunc(pipe.DialContext))
		if err != nil {
			t.Fatal(err)
		}
		c.Configure(cfg, client)
		registry := prometheus.NewRegistry()
		registry.MustRegister(c)
		handler := web.ScrapeHandler(c, registry, web.ScrapeOptions{Logger: log.NewNopLogger()})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.Run()
		}()
		defer func() {
			cancel()
			<-ended
		}()
		for at := start; !at.After(failed); at = at.Add(interval) {
			time.Sleep(time.Until(at))
			switch {
			case at.Equal(known.Add(interval)):
				api.Spend(petratest.RouteIncidents, 10)
			case at.Equal(shared.Add(interval)):
				api.SetFault(petratest.Fault{Kind: petratest.Status500})
			}
			scrape := func(format string) *httptest.ResponseRecorder {
				request := httptest.NewRequest("GET", "/metrics", nil)
				request.Header.Set("Accept", format)
				response := httptest.NewRecorder()
				handler.ServeHTTP(response, request)
				return response
			}
			scrape(formats[0]) // this one asks the API; what is known then is the same for all
			synctest.Wait()
			for _, format := range formats {
				response := scrape(format)
				scrapes[format] = append(scrapes[format], exposition{at, response.Header().Get("Content-Type"), response.Body.Bytes()})
			}
		}
	})
	return scrapes
}

// stored puts the scrapes into a database, as those of two exporters that
// publish the same.
func stored(t *testing.T, scrapes []exposition) *tsdb.DB {
	db, err := tsdb.Open(filepath.Join(t.TempDir(), "data"), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, scrape := range scrapes {
		appender := db.Appender(t.Context())
		for _, instance := range []string{"one:10984", "two:10984"} {
			if err := add(appender, scrape, instance); err != nil {
				t.Fatal(err)
			}
		}
		if err := appender.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func add(appender storage.Appender, scrape exposition, instance string) error {
	parser, err := textparse.New(scrape.body, scrape.contentType, labels.NewSymbolTable(), textparse.ParserOptions{KeepClassicOnClassicAndNativeHistograms: true})
	if err != nil {
		return err
	}
	for {
		entry, err := parser.Next()
		if entry == textparse.EntryInvalid {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if entry != textparse.EntrySeries && entry != textparse.EntryHistogram {
			continue
		}
		var series labels.Labels
		parser.Labels(&series)
		builder := labels.NewBuilder(series)
		builder.Set("job", "petra").Set("instance", instance)
		if entry == textparse.EntryHistogram {
			_, _, integers, floats := parser.Histogram()
			_, err = appender.AppendHistogram(0, builder.Labels(), scrape.at.UnixMilli(), integers, floats)
		} else {
			_, _, value := parser.Series()
			_, err = appender.Append(0, builder.Labels(), scrape.at.UnixMilli(), value)
		}
		if err != nil {
			return err
		}
	}
}
