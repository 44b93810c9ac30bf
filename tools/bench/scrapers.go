package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/sync/errgroup"
)

const (
	scrapedTenants = 1000
	scrapeRounds   = 10
	// What the process may take at most, in MiB, with one scraper and with many:
	// more than was measured, since memory differs from run to run.
	mostAlone = 100
	mostMany  = 200
)

var scraperColumns = []string{"scrapers", "form", "slowest scrape ms", "peak RSS MiB"}

// measureScrapers measures the peak memory of a process that knows all tenants
// while one scraper and while many scrape it at once, in each form. It returns
// an error where that is too much.
func measureScrapers(binary, dir string, scrapers int) (rows []row, err error) {
	org := petratest.Random(1, petratest.RandomConfig{
		Start: time.Now(), Tenants: scrapedTenants, Incidents: incidentsPerTenant * scrapedTenants, Open: scrapedTenants / 50, FalsePositives: 0.05,
	})
	api, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
	if err != nil {
		return nil, err
	}
	defer api.Close()
	listed, config := filepath.Join(dir, "listed.yml"), filepath.Join(dir, "petra.yml")
	if err := errors.Join(writeConfig(listed, org.Tenants()), writeConfig(config, nil)); err != nil {
		return nil, err
	}
	args := []string{"--petra.api-url=" + api.URL, "--state.file=" + filepath.Join(dir, "state"), "--web.max-requests=0"}
	// Reading all tenants takes memory too: another process does that.
	if _, _, err := scrapeAtOnce(binary, 1, "text", append(args, "--config.file="+listed)); err != nil {
		return nil, err
	}
	var tooMuch error
	for _, form := range []string{"text", "text, gzip", "protobuf", "protobuf, gzip", "all of them"} {
		for _, n := range []int{1, scrapers} {
			r, peak, err := scrapeAtOnce(binary, n, form, append(args, "--config.file="+config))
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
			if most := map[bool]float64{true: mostAlone, false: mostMany}[n == 1]; peak > most*(1<<20) {
				tooMuch = errors.Join(tooMuch, fmt.Errorf("%d scrapers of %s take %s MiB, more than %.0f", n, form, mebibytes(peak), most))
			}
		}
	}
	return rows, tooMuch
}

// scrapeAtOnce runs the exporter until all tenants are complete, and then under
// a number of scrapers.
func scrapeAtOnce(binary string, scrapers int, form string, args []string) (_ row, peak float64, err error) {
	p, err := start(binary, args...)
	if err != nil {
		return nil, 0, err
	}
	defer p.stop()
	if err := until(completeWithin, func() error {
		body, _, err := get(p.url + "/metrics")
		if err != nil {
			return err
		}
		return complete(body, scrapedTenants)
	}); err != nil {
		return nil, 0, err
	}
	forms := []string{form}
	if form == "all of them" {
		forms = []string{"text", "text, gzip", "protobuf", "protobuf, gzip"}
	}
	slowest := make([]time.Duration, scrapers)
	for range scrapeRounds {
		var all errgroup.Group
		for i := range scrapers {
			all.Go(func() error {
				begun := time.Now()
				err := scrape(p.url+"/metrics", forms[i%len(forms)])
				slowest[i] = max(slowest[i], time.Since(begun))
				return err
			})
		}
		if err := all.Wait(); err != nil {
			return nil, 0, err
		}
	}
	_, peak, err = p.usage()
	if err != nil {
		return nil, 0, err
	}
	return row{
		"scrapers": strconv.Itoa(scrapers), "form": form, "peak RSS MiB": mebibytes(peak),
		"slowest scrape ms": strconv.FormatInt(slices.Max(slowest).Milliseconds(), 10),
	}, peak, nil
}

// scrape asks for the metrics in a form, and reads them to their end.
func scrape(url, form string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	encoding := "identity"
	if strings.HasSuffix(form, ", gzip") {
		encoding = "gzip"
	}
	request.Header.Set("Accept-Encoding", encoding)
	if strings.HasPrefix(form, "protobuf") {
		request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	}
	response, err := client.Do(request) //nolint:gosec // a process of ours on loopback
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}
