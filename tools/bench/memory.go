package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"golang.org/x/sync/errgroup"
)

const (
	incidentsPerTenant = 3
	lastScrapes        = 10
	completeWithin     = 30 * time.Minute
)

// measureMemory runs the exporter at each size, with and without a state file,
// all at once, until every tenant was read in full and some scrapes more. Tenants
// that are listed in the configuration are all read at the first refresh.
func measureMemory(binary, dir string, sizes []int, listed bool) ([]row, error) {
	rows := make([]row, 2*len(sizes))
	var group errgroup.Group
	for i, size := range sizes {
		org := petratest.Random(1, petratest.RandomConfig{
			Start: time.Now(), Tenants: size, Incidents: incidentsPerTenant * size, Open: max(1, size/50), FalsePositives: 0.05,
		})
		config := filepath.Join(dir, fmt.Sprintf("petra-%d.yml", size))
		var list []petratest.Tenant
		if listed {
			list = org.Tenants()
		}
		if err := writeConfig(config, list); err != nil {
			return nil, err
		}
		api, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
		if err != nil {
			return nil, err
		}
		defer api.Close()
		for j, state := range []string{"", filepath.Join(dir, fmt.Sprintf("state-%d", size))} {
			group.Go(func() (err error) {
				rows[2*i+j], err = measureProcess(binary, size, "--config.file="+config, "--petra.api-url="+api.URL, "--state.file="+state)
				return err
			})
		}
	}
	return rows, group.Wait()
}

func measureProcess(binary string, tenants int, args ...string) (_ row, err error) {
	p, err := start(binary, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if log := p.stop(); err != nil {
			err = fmt.Errorf("%d tenants: %w\nthe exporter's log:\n%s", tenants, err, log)
		}
	}()
	if err := until(completeWithin, func() error {
		body, _, err := get(p.url + "/metrics")
		if err != nil {
			return err
		}
		return complete(body, tenants)
	}); err != nil {
		return nil, err
	}
	note, saved, readAt := "without state file", 0.0, float64(time.Now().Unix())
	var body []byte
	for range lastScrapes {
		if body, _, err = get(p.url + "/metrics"); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
	}
	if args[len(args)-1] != "--state.file=" {
		note = "with state file"
		// The state that is written last holds everything.
		if err := until(2*time.Minute, func() (err error) {
			if body, _, err = get(p.url + "/metrics"); err != nil {
				return err
			}
			if saved, err = sample(body, "petra_state_last_save_success_timestamp_seconds"); err == nil && saved <= readAt {
				err = errors.New("no state was written")
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	_, peak, err := p.usage()
	if err != nil {
		return nil, err
	}
	heap, err := sample(body, "go_memstats_heap_inuse_bytes")
	if err != nil {
		return nil, err
	}
	return row{
		"what": "process", "tenants": strconv.Itoa(tenants), "form": "text, gzip", "of": "exporter", "series": strconv.Itoa(samplesIn(body)),
		"peak RSS MiB": mebibytes(peak), "heap MiB": mebibytes(heap), "note": note,
	}, nil
}

func complete(body []byte, tenants int) error {
	n, err := sample(body, `petra_tenants{state="complete"}`)
	if err == nil && n != float64(tenants) {
		err = fmt.Errorf("%.0f of %d tenants are complete", n, tenants)
	}
	return err
}

// sample is a sample's value in a text exposition.
func sample(body []byte, name string) (float64, error) {
	match := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(name) + " (.+)$").FindSubmatch(body)
	if match == nil {
		return 0, fmt.Errorf("there is no %s", name)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

func samplesIn(body []byte) int {
	n := 0
	for line := range bytes.Lines(body) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}
