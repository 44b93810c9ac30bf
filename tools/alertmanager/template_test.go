package alertmanager

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// What a person reads, for alerts as the shipped rules make them.
func TestTemplate(t *testing.T) {
	shapes := shapes(t)
	start := time.Date(2026, 11, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600))
	firing := func(a alert) alert {
		a.Status, a.StartsAt = "firing", start
		return a
	}
	resolved := func(a alert) alert {
		a.Status, a.StartsAt, a.EndsAt = "resolved", start, start.Add(26*time.Minute)
		return a
	}
	incident := shapes["PetraIncidentOpen/critical"]
	withoutURL := incident
	withoutURL.Annotations = map[string]string{
		"summary":     "Zenith Ltd.: incident open for 40m 0s",
		"description": "Zenith Ltd. (ZZk90t): incident i1 was raised 40m 0s ago and is open. Live: no. Status: CONTAINED.",
		"runbook_url": incident.Annotations["runbook_url"],
	}
	var stale, over []alert
	for i := range 300 {
		a := shapes["PetraTenantStale/warning"].of("tenant_id", fmt.Sprint(i))
		a.Annotations = map[string]string{
			"summary":     fmt.Sprintf("Tenant %d: not read for 15 minutes", i),
			"description": fmt.Sprintf("Tenant %d was not read for 15 minutes: a new incident of it is not seen. The last read was 16m 0s ago.", i),
			"runbook_url": a.Annotations["runbook_url"],
		}
		stale, over = append(stale, firing(a)), append(over, resolved(a))
	}
	for name, alerts := range map[string][]alert{
		"incident":             {firing(incident)},
		"incident-without-url": {firing(withoutURL)},
		"incidents":            {firing(incident), firing(withoutURL.of("incident_id", "i2")), resolved(incident.of("incident_id", "i3"))},
		"incident-resolved":    {resolved(incident)},
		"sla":                  {firing(shapes["PetraIncidentSlaBreached/critical"])},
		"many-tenants":         {firing(shapes["PetraIncidentsManyTenants/critical"])},
		"api-down":             {firing(shapes["PetraApiDown/warning"])},
		"stale":                stale,
		"stale-resolved":       over,
	} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(map[string]any{
				"receiver": "critical", "status": alerts[0].Status, "alerts": alerts, "externalURL": "https://alertmanager.example.com",
				"commonLabels": common(alerts, func(a alert) map[string]string { return a.Labels }), "commonAnnotations": common(alerts, func(a alert) map[string]string { return a.Annotations }),
			})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "data.json")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, part := range []string{"title", "url", "severity", "text"} {
				fmt.Fprintf(&got, "-- %s --\n%s\n", part, amtool(t, "template", "render", "--template.glob="+configDir+"petra.tmpl", "--template.data="+file,
					fmt.Sprintf("--template.text={{ template \"petra.%s\" . }}", part)))
			}
			golden := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := read(t, golden); got.String() != want {
				t.Errorf("reads\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// common is what all alerts have, as Alertmanager hands it to a template.
func common(alerts []alert, part func(alert) map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range part(alerts[0]) {
		same := true
		for _, a := range alerts {
			same = same && part(a)[name] == value
		}
		if same {
			all[name] = value
		}
	}
	return all
}
