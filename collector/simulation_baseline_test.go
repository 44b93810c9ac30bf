package collector_test

import (
	"sync"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// baseline is the same client with another plan: one request per tenant in
// turn, as fast as the budget allows; scrapes show what was read last.
type baseline struct {
	incidents sync.Map // by tenant: by ID
	asking    sync.WaitGroup
}

func newBaseline(t *testing.T, api *petratest.API) *baseline {
	b, pipe, cfg := &baseline{}, petratest.NewPipe(api), loadConfig(t, "")
	budgets := petra.NewBudgets(10)
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, Key: cfg.API.Key, Timeout: cfg.API.Timeout, Version: "test",
		Budgets: budgets,
	}, config.WithDialContextFunc(pipe.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pipe.Close)
	t.Cleanup(b.asking.Wait)
	b.asking.Go(func() {
		for t.Context().Err() == nil {
			tenants := &petra.Tenants{}
			if list, err := client.Tenants(t.Context()); err == nil {
				tenants = list
			}
			for i := 0; i < len(tenants.Tenants) && t.Context().Err() == nil; i++ {
				at, _ := budgets[petra.RouteIncidents].FreeAt(time.Now(), 1)
				sleepUntil(at)
				if answer, err := client.Incidents(t.Context(), petra.IncidentsQuery{TenantID: tenants.Tenants[i].ID}); err == nil {
					known := map[string]petra.Incident{}
					for _, incident := range answer.Incidents {
						known[incident.ID] = incident
					}
					b.incidents.Store(tenants.Tenants[i].ID, known)
				}
			}
		}
	})
	return b
}

func (b *baseline) ask() {}

func (b *baseline) known(tenant, id string) (collector.KnownIncident, bool) {
	known, _ := b.incidents.Load(tenant)
	incidents, _ := known.(map[string]petra.Incident)
	i, ok := incidents[id]
	return collector.KnownIncident{ID: i.ID, Status: i.RemediationStatus, Present: ok, Live: i.Live, HasDwell: i.HasDwell, Dwell: i.Dwell}, ok
}
