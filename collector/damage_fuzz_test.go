package collector_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var (
	incidentFields = []string{"id", "url", "createdAt", "occurredAt", "remediationStatus", "isLive", "dwellTimeMinutes", "tenant", "user", ""}
	tenantFields   = []string{"petraTenantId", "name", "microsoftTenantId", "isPaused", "onboardingDate", ""}
)

// FuzzDamage: whatever becomes of one field, or of the whole element where the
// field is empty, in one element or in all, on either route: no open incident
// ends and no tenant leaves.
func FuzzDamage(f *testing.F) {
	for field := range incidentFields {
		for i, value := range []string{"", "null", "17", `"x"`, `""`, `{}`, `[]`, "true", `"1970-01-01T00:00:00Z"`, `"2000-01-01T00:30:00Z"`, `{"petraTenantId":null}`, `{"petraTenantId":7}`} {
			if testing.Short() && (i+field)%4 != 0 {
				continue // under the race detector, all of them take minutes
			}
			f.Add(uint8(field), value, i%2 == 0, i%3 == 0, false)
			f.Add(uint8(field), value, i%2 == 1, i%3 == 1, true)
		}
	}
	f.Fuzz(func(t *testing.T, field uint8, value string, all, plain, list bool) {
		name := incidentFields[int(field)%len(incidentFields)]
		match := isIncidents
		if list {
			name, match = tenantFields[int(field)%len(tenantFields)], petratest.IsTenants
		}
		var damaged any
		if value != "" && json.Unmarshal([]byte(value), &damaged) != nil || saysSomethingElse(name, damaged) {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			yaml := ""
			if plain {
				yaml = "tenants: [{id: Aaaaa1}]"
			}
			api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
			e := newExporter(t, api, yaml)
			runScrapes(e, 30*time.Second)
			before := e.scrape()
			api.SetFault(petratest.Fault{Kind: petratest.Damaged, Match: match, Damage: func(n int, e map[string]any) any {
				switch {
				case !all && n > 0:
				case name == "" && value == "":
					return nil
				case name == "":
					return damaged
				case value == "":
					delete(e, name)
				default:
					e[name] = damaged
				}
				return e
			}})
			runScrapes(e, 4*time.Minute)
			after := e.scrape()
			for _, metric := range []string{"petra_open_incident_created_timestamp_seconds", "petra_open_incidents", "petra_tenant_up"} {
				for key := range before.named(metric) {
					if _, ok := after[key]; !ok {
						t.Errorf("%s has ended", key)
					}
				}
				if was, is := before.sum(metric), after.sum(metric); metric == "petra_open_incidents" && is < was {
					t.Errorf("%v are open, %v were", is, was)
				}
			}
		})
	})
}

// saysSomethingElse reports whether a field of that value is no damage but tells
// of another incident or tenant, or of another status.
func saysSomethingElse(field string, value any) bool {
	text, _ := value.(string)
	switch field {
	case "id":
		return text != "" && utf8.RuneCountInString(text) <= petra.MaxIDLength
	case "petraTenantId":
		return usable(text)
	case "remediationStatus":
		return strings.EqualFold(text, "REMEDIATED")
	case "tenant":
		object, _ := value.(map[string]any)
		for name, value := range object { // as encoding/json reads names
			if id, _ := value.(string); strings.EqualFold(name, "petraTenantId") && usable(id) {
				return true
			}
		}
	case "":
		object, _ := value.(map[string]any)
		return len(object) > 0
	}
	return false
}
