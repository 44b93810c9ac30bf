package alertmanager

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	for name, config := range map[string]string{"as shipped": read(t, configDir+"alertmanager.yml"), "with its examples": uncommented(t)} {
		t.Run(name, func(t *testing.T) {
			if out := amtool(t, "check-config", write(t, config)); !strings.Contains(out, " - 1 templates\n") {
				t.Errorf("amtool says\n%s", out)
			}
		})
	}
}

// The runbook's route for one tenant works where the configuration says that it
// goes.
func TestRouteOfOneTenant(t *testing.T) {
	_, example, found := strings.Cut(read(t, root+"docs/runbook.md"), "```yaml\nroute:\n  routes:\n")
	example, _, ends := strings.Cut(example, "```")
	const place = "    # A tenant of your own choice goes here: see \"Route one tenant elsewhere\" in\n    # docs/runbook.md.\n"
	config := read(t, configDir+"alertmanager.yml")
	if !found || !ends || !strings.Contains(config, place) {
		t.Fatal("there is no such example, or no place for it")
	}
	config = strings.Replace(config, place, example, 1) + "  - name: acme\n"
	for tenant, receiver := range map[string]string{"ZZk90t": "acme", "another": "critical"} {
		amtool(t, "config", "routes", "test", "--config.file="+write(t, config), "--verify.receivers="+receiver,
			"alertname=PetraIncidentOpen", "severity=critical", "incident_id=1", "tenant_id="+tenant)
	}
}

// Each alert of the shipped rules takes the route that is meant, and so does an
// alert of somebody else.
func TestRoutes(t *testing.T) {
	const (
		sla      = `{alertname="PetraIncidentSlaBreached"}  receiver: critical`
		incident = `{incident_id!="",severity="critical"}  receiver: critical`
		critical = `{severity="critical"}  receiver: critical`
		warning  = `{severity="warning"}  receiver: warning`
		info     = `{severity="info"}  receiver: info`
		rest     = `default-route  receiver: warning`
	)
	want := map[string]string{
		"PetraIncidentOpen/critical":         incident,
		"PetraIncidentSlaBreached/critical":  sla,
		"PetraOpenBacklog/warning":           warning,
		"PetraNewIncident/info":              info,
		"PetraIncidentsManyTenants/critical": critical,
		"PetraExporterDown/critical":         critical,
		"PetraExporterDown/warning":          warning,
		"PetraApiDown/warning":               warning,
		"PetraApiDown/critical":              critical,
		"PetraApiUnauthorized/critical":      critical,
		"PetraApiRateLimited/warning":        warning,
		"PetraTenantStale/warning":           warning,
		"PetraTenantStale/critical":          critical,
		"PetraTenantsVanished/warning":       warning,
		"PetraTenantPaused/info":             info,
		"PetraUnclassifiedStatus/info":       info,
		"PetraIncidentsTruncated/info":       info,
		"PetraOpenIncidentsUnlisted/warning": warning,
		"PetraIncidentsRejected/warning":     warning,
		"PetraIncidentsUnreadable/warning":   warning,
		"PetraTenantsUnreadable/warning":     warning,
		"PetraConfigReloadFailed/warning":    warning,
		"PetraStateSaveFailed/warning":       warning,
		"Watchdog/none":                      rest,
		"Watchdog/":                          rest,
	}
	alerts := shapes(t)
	for _, kind := range []string{"Watchdog/none", "Watchdog/"} {
		name, severity, _ := strings.Cut(kind, "/")
		alerts[kind] = alert{Labels: map[string]string{"alertname": name, "severity": severity}}
	}
	if got, want := slices.Sorted(maps.Keys(alerts)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Fatalf("alerts\n%v\nthis table\n%v", got, want)
	}
	for kind, a := range alerts {
		_, receiver, _ := strings.Cut(want[kind], "receiver: ")
		args := []string{"config", "routes", "test", "--config.file=" + configDir + "alertmanager.yml", "--verify.receivers=" + receiver, "--tree"}
		for name, value := range a.Labels {
			args = append(args, name+"="+value)
		}
		if out := amtool(t, args...); !strings.Contains(out, "── "+want[kind]+"\n") {
			t.Errorf("%s takes\n%s\nwant %s", kind, out, want[kind])
		}
	}
}
