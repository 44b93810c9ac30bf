package collector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestLateAnswerOfAnotherAPI: what an API answers after a reload to another one
// says nothing of that one, and closes none of its routes.
func TestLateAnswerOfAnotherAPI(t *testing.T) {
	for name, kind := range map[string]petratest.FaultKind{"good": "", "401": petratest.Status401, "429": petratest.Status429, "500": petratest.Status500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Latency: 5 * time.Second})
				if kind != "" {
					api.SetFault(petratest.Fault{Kind: kind})
				}
				e := newExporter(t, api, "") // which asks at once
				time.Sleep(time.Second)
				cfg, client, err := e.load(writeConfig(t, ""), "http://127.0.0.1:81")
				if err != nil {
					t.Fatal(err)
				}
				if err := e.collector.Reconfigure(cfg, client); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				if len(api.Requests()) == 0 {
					t.Fatal("the old API was asked nothing")
				}
				for _, name := range []string{"petra_up", "petra_tenant_info"} {
					if family := e.family(name); family != nil {
						t.Errorf("of the new API, nothing is known, but there is %v", family)
					}
				}
				for _, name := range []string{"petra_api_last_success_timestamp_seconds", "petra_api_blocked_until_timestamp_seconds"} {
					family := e.family(name)
					for _, m := range family.GetMetric() {
						if m.GetGauge().GetValue() != 0 {
							t.Errorf("%s: %v", name, m)
						}
					}
					if len(family.GetMetric()) != 2 {
						t.Errorf("%s: %v", name, family)
					}
				}
				api.ClearFault()
				api.SetLatency(time.Second)
				e.scrape().want(t, "petra_up", 1)
			})
		})
	}
}

// TestConfigurationNotLoaded: a collector takes no configuration that nobody has
// checked.
func TestConfigurationNotLoaded(t *testing.T) {
	if _, err := newCollector(t, collector.Options{Config: &config.Config{}}); err == nil {
		t.Error("New takes it")
	}
	c, err := newCollector(t, collector.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []*config.Config{nil, {}} {
		if err := c.Reconfigure(cfg, nil); err == nil {
			t.Errorf("Reconfigure takes %v", cfg)
		}
	}
}
