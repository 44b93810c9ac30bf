package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

const (
	peerTenants   = 10
	peerIncidents = 499 // one answer holds them all, and is not full
	limitTenants  = 30
	limitScrapes  = 4
	limitInterval = 15 * time.Second
	atLimitColumn = "scrapes that succeed within a minute, 30 tenants, real limit"
)

var peerColumns = []string{"of", "requests", "incidents decoded", "CPU s", "CPU µs an incident", "peak RSS MiB", atLimitColumn}

// peerConfig has json_exporter say of each incident what it can: times are
// strings, and stay labels.
const peerConfig = `
modules:
  petra:
    headers:
      Authorization: Bearer ` + apiKey + `
    metrics:
    - name: petra_incident
      type: object
      help: An incident.
      path: '{ .incidents[*] }'
      labels:
        tenant_id: '{ .tenant.petraTenantId }'
        incident_id: '{ .id }'
        status: '{ .remediationStatus }'
        url: '{ .url }'
        created: '{ .createdAt }'
        occurred: '{ .occurredAt }'
      values:
        live: '{ .isLive }'
        dwell_minutes: '{ .dwellTimeMinutes }'
`

// compare measures the exporter and json_exporter on the same incidents: first
// without a limit, then as many scrapes as Prometheus makes in a minute at the
// real limit.
func compare(binary, peer, dir string, rounds int) ([]row, error) {
	config := filepath.Join(dir, "petra.yml")
	if err := writeConfig(config, nil); err != nil {
		return nil, err
	}
	peerFile := filepath.Join(dir, "json_exporter.yml")
	if err := os.WriteFile(peerFile, []byte(peerConfig), 0o600); err != nil {
		return nil, err
	}
	ours := func(args ...string) starter {
		return func(api string, _ *petratest.Organization) (*process, []string, error) {
			p, err := start(binary, append(args, "--petra.api-url="+api)...)
			return p, []string{p.url + "/metrics"}, err
		}
	}
	theirs := func(api string, org *petratest.Organization) (*process, []string, error) {
		p, err := start(peer, "--config.file="+peerFile)
		return p, probes(p, api, org), err
	}
	org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: peerTenants, Incidents: peerIncidents, Open: 5})
	limited := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: limitTenants, Incidents: incidentsPerTenant * limitTenants, Open: 1})
	var rows []row
	for _, of := range []struct {
		name          string
		fast, limited starter
	}{
		{"petra_exporter", ours("--config.file=" + config), ours()},
		{"json_exporter", theirs, theirs},
	} {
		r, err := measureCost(of.name, org, rounds, of.fast)
		if err != nil {
			return nil, err
		}
		if r[atLimitColumn], err = atLimit(limited, of.limited); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// starter starts a program against an API, and returns what to ask it.
type starter func(api string, org *petratest.Organization) (*process, []string, error)

func probes(p *process, api string, org *petratest.Organization) []string {
	var urls []string
	for _, t := range org.Tenants() {
		target := api + "/v1/incidents?" + url.Values{"tenantId": {t.ID}, "limit": {"500"}}.Encode()
		urls = append(urls, p.url+"/probe?"+url.Values{"module": {"petra"}, "target": {target}}.Encode())
	}
	return urls
}

// measureCost asks each URL once to warm up, and then rounds times.
func measureCost(name string, org *petratest.Organization, rounds int, begin starter) (_ row, err error) {
	api := petratest.NewAPI(org, petratest.Options{Limit: -1})
	server, err := petratest.NewServer(api)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	p, urls, err := begin(server.URL, org)
	if err != nil {
		return nil, err
	}
	defer func() {
		if log := p.stop(); err != nil {
			err = fmt.Errorf("%s: %w\nits log:\n%s", name, err, log)
		}
	}()
	ask := func() error {
		for _, u := range urls {
			body, status, err := get(u)
			if err != nil {
				return err
			}
			if status != http.StatusOK {
				return fmt.Errorf("GET %s: status %d: %s", u, status, body)
			}
		}
		return nil
	}
	if err := until(10*time.Second, ask); err != nil {
		return nil, err
	}
	before, _, err := p.usage()
	if err != nil {
		return nil, err
	}
	skip := len(api.Requests())
	for range rounds {
		time.Sleep(3 * time.Millisecond) // the least time between two requests of the exporter is 1.4 ms
		if err := ask(); err != nil {
			return nil, err
		}
	}
	cpu, peak, err := p.usage()
	if err != nil {
		return nil, err
	}
	cpu -= before
	requests, incidents := 0, 0
	for _, r := range api.Requests()[skip:] {
		requests++
		incidents += held(org, r)
	}
	return row{
		"of": name, "requests": strconv.Itoa(requests), "incidents decoded": strconv.Itoa(incidents), "CPU s": number(cpu.Seconds()),
		"CPU µs an incident": number(cpu.Seconds() * 1e6 / float64(max(1, incidents))), "peak RSS MiB": mebibytes(peak),
	}, nil
}

// held is how many incidents a request's answer holds.
func held(org *petratest.Organization, r petratest.Request) int {
	n := 0
	for _, in := range org.Incidents(r.Time) {
		if petratest.IsOrgRead(r) || r.Route == petratest.RouteIncidents && r.TenantID == in.TenantID {
			n++
		}
	}
	return n
}

// atLimit tells how many of the scrapes of a minute got an answer with data.
func atLimit(org *petratest.Organization, begin starter) (_ string, err error) {
	api := petratest.NewAPI(org, petratest.Options{})
	server, err := petratest.NewServer(api)
	if err != nil {
		return "", err
	}
	defer server.Close()
	p, urls, err := begin(server.URL, org)
	if err != nil {
		return "", err
	}
	defer p.stop()
	if err := until(10*time.Second, func() error { _, _, err := get(p.url + "/"); return err }); err != nil {
		return "", err
	}
	good, all := 0, 0
	for i := range limitScrapes {
		if i > 0 {
			time.Sleep(limitInterval)
		}
		for _, u := range urls {
			body, status, err := get(u)
			if err != nil {
				return "", err
			}
			all++
			up, err := sample(body, "petra_up") // which json_exporter does not have
			if status == http.StatusOK && (err != nil || up == 1) {
				good++
			}
		}
	}
	refused := 0
	for _, r := range api.Requests() {
		if r.Status == 429 {
			refused++
		}
	}
	return fmt.Sprintf("%d of %d (%d requests, %d refused)", good, all, len(api.Requests()), refused), nil
}
