package alertmanager

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// In every combination of what silences other alerts, while all else fires too:
// what is silent, and that the worst is told. No incident is ever silent.
func TestInhibition(t *testing.T) {
	const (
		noExporter, oneExporter  = "PetraExporterDown/critical", "PetraExporterDown/warning"
		unauthorized             = "PetraApiUnauthorized/critical"
		apiDownLong, apiDown     = "PetraApiDown/critical", "PetraApiDown/warning"
		staleOpen, stale, paused = "PetraTenantStale/critical", "PetraTenantStale/warning", "PetraTenantPaused/info"
		limited                  = "PetraApiRateLimited/warning"
	)
	causes := []string{noExporter, oneExporter, unauthorized, apiDownLong, apiDown}
	am, shapes := start(t, 1), shapes(t)
	for kind, a := range shapes {
		if !slices.Contains(causes, kind) {
			am.fire(a)
		}
	}
	// One that has no incident open.
	other := shapes[stale].of("tenant_id", "other")
	am.fire(other)
	key := func(a alert) string { return a.kind() + " " + a.Labels["tenant_id"] }
	for set := range 1 << len(causes) {
		fires := map[string]bool{}
		for i, kind := range causes {
			if fires[kind] = set>>i&1 == 1; fires[kind] {
				am.fire(shapes[kind])
			} else {
				am.resolve(shapes[kind])
			}
		}
		down := fires[noExporter] || fires[unauthorized] || fires[apiDown] || fires[apiDownLong]
		silent := map[string]bool{
			staleOpen: down, paused: down, limited: down,
			stale:        true, // the critical one tells it
			unauthorized: fires[noExporter],
			apiDownLong:  fires[noExporter] || fires[unauthorized],
			apiDown:      fires[noExporter] || fires[unauthorized] || fires[apiDownLong],
			oneExporter:  fires[noExporter],
		}
		want, told := map[string]bool{key(other): down}, 0
		for kind, a := range shapes {
			cause := slices.Contains(causes, kind)
			if !cause || fires[kind] {
				want[key(a)] = silent[kind]
			}
			if cause && fires[kind] && !silent[kind] {
				told++
			}
			if silent[kind] && a.Labels["incident_id"] != "" {
				t.Errorf("%s is silent", kind)
			}
		}
		if set > 0 && told == 0 {
			t.Errorf("of %v none is told", fires)
		}
		until(t, fmt.Sprintf("with %v, inhibited are %v", fires, want), func() bool { return maps.Equal(am.states(), want) })
	}
}

// tenants is the alert, of so many tenants.
func tenants(a alert, n int) (all []alert) {
	for i := range n {
		all = append(all, a.of("tenant_id", fmt.Sprint("tenant", i)))
	}
	return all
}

// An outage concerns all of 300 tenants, 100 with an incident open and 20 paused:
// it is told once or twice, and as often that it is over.
func TestOutage(t *testing.T) {
	shapes := shapes(t)
	open := tenants(shapes["PetraTenantStale/critical"], 100)
	follow := slices.Concat(open,
		tenants(shapes["PetraTenantStale/warning"], 300),
		tenants(shapes["PetraTenantPaused/info"], 20),
		[]alert{shapes["PetraApiRateLimited/warning"]},
	)
	for name, story := range map[string]struct {
		causes []string // one after the other, as the rules fire
		told   int
	}{
		"of the API":      {[]string{"PetraApiDown/warning", "PetraApiDown/critical"}, 2},
		"of the key":      {[]string{"PetraApiUnauthorized/critical", "PetraApiDown/warning", "PetraApiDown/critical"}, 1},
		"of the exporter": {[]string{"PetraExporterDown/critical"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			am := start(t, 300)
			cause, _, _ := strings.Cut(story.causes[0], "/")
			am.fire(shapes[story.causes[0]])
			am.told(cause, "", 1)
			am.fire(follow...)
			for _, kind := range story.causes[1:] {
				am.fire(shapes[kind])
			}
			// Twice, so that each group has had its turn.
			until(t, "all that follows is held back", func() bool { return am.inhibited() >= 2*len(follow) })
			until(t, "the outage is told", func() bool { return len(am.all()) >= story.told })
			am.resolve(follow...)
			for _, kind := range story.causes {
				am.resolve(shapes[kind])
			}
			until(t, "its end is told", func() bool { return len(am.all()) >= 2*story.told })
			for i, m := range am.all() {
				if want := map[bool]string{true: "firing", false: "resolved"}[i < story.told]; m.Status != want || m.Group["alertname"] != cause {
					t.Errorf("message %d tells %+v", i, m)
				}
			}
		})
	}
	// Nothing is down, but each tenant is refused by itself.
	t.Run("of each tenant", func(t *testing.T) {
		am := start(t, 300)
		am.fire(open...)
		am.told("PetraTenantStale", "", 100)
		am.fire(follow...)
		am.told("PetraTenantStale", "", 200) // the others
		am.told("PetraTenantPaused", "", 20)
		am.told("PetraApiRateLimited", "", 1)
	})
}

// A tenant's incidents are one message, and one that comes later is told. Each
// other tenant has its own.
func TestIncidents(t *testing.T) {
	am, shapes := start(t, 300), shapes(t)
	incident := func(kind, tenant, id string) alert { return shapes[kind].of("tenant_id", tenant).of("incident_id", id) }
	first, second, third := incident("PetraIncidentOpen/critical", "a", "1"), incident("PetraIncidentOpen/critical", "a", "2"), incident("PetraIncidentOpen/critical", "a", "3")
	am.fire(first, second, incident("PetraIncidentOpen/critical", "b", "4"), incident("PetraIncidentSlaBreached/critical", "a", "1"), shapes["PetraNewIncident/info"])
	am.told("PetraIncidentOpen", "a", 2)
	am.told("PetraIncidentOpen", "b", 1)
	am.told("PetraIncidentSlaBreached", "a", 1)
	am.told("PetraNewIncident", "", 1)
	am.fire(third)
	am.told("PetraIncidentOpen", "a", 3)
	am.resolve(shapes["PetraNewIncident/info"], first, second, third)
	am.told("PetraIncidentOpen", "a", 0)
	for _, m := range am.all() {
		want := "critical"
		if m.Group["alertname"] == "PetraNewIncident" {
			want = "info"
		}
		if m.Receiver != want {
			t.Errorf("%s goes to %s, want %s", m.Group["alertname"], m.Receiver, want)
		}
	}
}

// A broken SLA is told anew each day, an open incident several times a day.
func TestRepeated(t *testing.T) {
	am, shapes := start(t, 20_000), shapes(t)
	am.fire(shapes["PetraIncidentSlaBreached/critical"], shapes["PetraIncidentOpen/critical"])
	of := func(name string) int {
		return len(am.messages(func(m message) bool { return m.Group["alertname"] == name }))
	}
	until(t, "a broken SLA is told twice", func() bool { return of("PetraIncidentSlaBreached") >= 2 })
	if open, sla := of("PetraIncidentOpen"), of("PetraIncidentSlaBreached"); open <= sla {
		t.Errorf("the open incident was told %d times, the broken SLA %d times", open, sla)
	}
}
