package collector_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestDemo: it begins with nothing wrong and no warning. A few minutes later one
// unclassified status turns up, and nothing else goes wrong.
func TestDemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(petratest.Demo(time.Now()), petratest.Options{}), "open_statuses: [ACTIVE]")
		for begun := time.Now(); time.Since(begun) < 10*time.Minute; time.Sleep(15 * time.Second) {
			e.scrape().want(t, "petra_up", 1)
			page, problems := e.get("/status").Body.String(), 0
			if strings.Contains(page, "IN_REVIEW is in none of the configured lists") {
				problems++
			}
			if since := time.Since(begun); since < 3*time.Minute && problems > 0 || since > 5*time.Minute && problems == 0 {
				t.Errorf("after %s, %d problems:\n%s", since, problems, page)
			}
			if n := e.log.lines("level=warn") + e.log.lines("level=error"); n > problems {
				t.Fatalf("after %s, %d warnings for %d problems:\n%s", time.Since(begun), n, problems, e.log)
			}
			if nothing := strings.Contains(page, "Nothing: every tenant is read and fresh."); nothing != (problems == 0) {
				t.Errorf("after %s, %d problems:\n%s", time.Since(begun), problems, page)
			}
		}
	})
}

// TestDemoStatuses: the demo's open incidents are open for a reason, whatever
// the configuration says, unless it says it of their status itself.
func TestDemoStatuses(t *testing.T) {
	for yaml, want := range map[string]string{
		"":                            "open",
		"open_statuses: [ESCALATED]":  "open",
		"open_statuses: [active]":     "open",
		"closed_statuses: [Active]":   "closed",
		"remediated_statuses: [DONE]": "open",
	} {
		cfg, err := config.Load(writeConfig(t, yaml), config.Overrides{Demo: "http://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := cfg.Meaning("ACTIVE"); got != want || !cfg.Simulated {
			t.Errorf("%q: ACTIVE is %s, want %s; simulated: %t", yaml, got, want, cfg.Simulated)
		}
	}
	if loadConfig(t, "").Simulated {
		t.Error("simulated without --demo")
	}
}
