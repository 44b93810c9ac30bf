package petra_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

func TestTenantsOfTheAPI(t *testing.T) {
	org := petratest.NewOrganization()
	onboarded := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	org.SetTenant(petratest.Tenant{ID: "ZZk90t", Name: "Zeta", MicrosoftID: "A1B2C3D4-5E6F-7890-ABCD-EF1234567890", Onboarded: onboarded})
	org.SetTenant(petratest.Tenant{ID: "b", Name: "Beta", Paused: true})
	api := petratest.NewAPI(org, petratest.Options{Keys: []string{testKey}})
	got, err := newClient(t, newPipe(t, api)).Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []petra.Tenant{
		{ID: "b", Name: "Beta", Paused: true},
		{ID: "ZZk90t", Name: "Zeta", MicrosoftID: "a1b2c3d4-5e6f-7890-abcd-ef1234567890", Onboarded: onboarded},
	}
	if !slices.Equal(got.Tenants, want) || len(got.Rejected) > 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r := api.Requests()[0]; r.Route != petratest.RouteTenants || r.Limit != "" || r.TenantID != "" || r.StartDate != "" {
		t.Errorf("sent %+v, want no parameters", r)
	}
}

func TestTenantLists(t *testing.T) {
	const a, b = `{"petraTenantId": "a", "name": "A"}`, `{"petraTenantId": "b", "name": "B"}`
	for _, test := range []struct {
		name, body string
		want       string // the IDs; "error" where the list cannot be trusted
		rejected   string // the reasons
	}{
		{"whole", `{"totalTenants": 2, "tenants": [` + a + `, ` + b + `]}`, "a b", ""},
		{"empty", `{"totalTenants": 0, "tenants": []}`, "", ""},
		{"no total", `{"tenants": [` + a + `]}`, "a", ""},
		{"total null", `{"totalTenants": null, "tenants": [` + a + `]}`, "a", ""},
		{"total above", `{"totalTenants": 3, "tenants": [` + a + `, ` + b + `]}`, "error", ""},
		{"total below", `{"totalTenants": 1, "tenants": [` + a + `, ` + b + `]}`, "error", ""},
		{"total of an empty list", `{"totalTenants": 1, "tenants": []}`, "error", ""},
		{"total 0 of one", `{"totalTenants": 0, "tenants": [` + a + `]}`, "error", ""},
		{"total negative", `{"totalTenants": -1, "tenants": [` + a + `]}`, "error", ""},
		{"total a string", `{"totalTenants": "1", "tenants": [` + a + `]}`, "error", ""},
		{"total half", `{"totalTenants": 1.5, "tenants": [` + a + `]}`, "error", ""},
		{"list null", `{"totalTenants": 0, "tenants": null}`, "error", ""},
		{"list missing", `{"totalTenants": 0}`, "error", ""},
		{"list an object", `{"totalTenants": 1, "tenants": ` + a + `}`, "error", ""},
		{"a duplicate counts once", `{"totalTenants": 3, "tenants": [` + a + `, ` + b + `, ` + a + `]}`, "a b", "duplicate"},
		{"IDs differ by case", `{"totalTenants": 2, "tenants": [` + a + `, {"petraTenantId": "A"}]}`, "a A", ""},
		{"null element", `{"totalTenants": 2, "tenants": [null, ` + b + `]}`, "b", "bad_json"},
		{"other elements", `{"totalTenants": 5, "tenants": [5, "a", [], true, ` + b + `]}`, "b", "bad_json bad_json bad_json bad_json"},
		{"no ID", `{"totalTenants": 2, "tenants": [{"name": "A"}, ` + b + `]}`, "b", "no_id"},
		{"bad IDs", `{"totalTenants": 5, "tenants": [{"petraTenantId": 5}, {"petraTenantId": ""}, {"petraTenantId": null}, {"petraTenantId": "x\u0000"}, ` + b + `]}`, "b", "no_id no_id no_id no_id"},
		{"too long", `{"totalTenants": 2, "tenants": [{"petraTenantId": "` + strings.Repeat("x", 129) + `"}, ` + b + `]}`, "b", "no_id"},
		{"none usable", `{"totalTenants": 2, "tenants": [{"petraTenantId": null}, 5]}`, "error", "no_id bad_json"},
		{"long", `{"totalTenants": 1, "tenants": [{"petraTenantId": "` + strings.Repeat("x", 128) + `"}]}`, strings.Repeat("x", 128), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenants, err := newClient(t, served(t, good(test.body))).Tenants(t.Context())
			if test.want == "error" {
				wantKind(t, err, petra.ErrUndecodable)
			} else if err != nil {
				t.Fatal(err)
			}
			var ids, rejected []string
			if tenants != nil {
				for _, tenant := range tenants.Tenants {
					ids = append(ids, tenant.ID)
				}
				for _, rejection := range tenants.Rejected {
					rejected = append(rejected, string(rejection.Reason))
				}
			}
			if got := strings.Join(ids, " "); got != strings.TrimPrefix(test.want, "error") {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := strings.Join(rejected, " "); got != test.rejected {
				t.Errorf("rejected %q, want %q", got, test.rejected)
			}
		})
	}
}

func TestTenantFields(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		field, value string
		want         func(*petra.Tenant)
	}{
		{"onboardingDate", ``, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `null`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `""`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `"soon"`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `1735787045`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `"1969-12-31T23:59:59Z"`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `"0001-01-01T00:00:00Z"`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `"2999-01-02T03:04:05Z"`, func(t *petra.Tenant) { t.Onboarded = time.Time{} }},
		{"onboardingDate", `"2025-01-02"`, func(t *petra.Tenant) { t.Onboarded = at.Truncate(24 * time.Hour) }},
		{"onboardingDate", `"2025-01-02T03:04:05.678Z"`, func(t *petra.Tenant) { t.Onboarded = at.Add(678 * time.Millisecond) }},
		{"onboardingDate", `"2025-01-02T04:04:05+01:00"`, func(*petra.Tenant) {}},
		{"name", ``, func(t *petra.Tenant) { t.Name = "" }},
		{"name", `null`, func(t *petra.Tenant) { t.Name = "" }},
		{"name", `{}`, func(t *petra.Tenant) { t.Name = "" }},
		{"microsoftTenantId", ``, func(t *petra.Tenant) { t.MicrosoftID = "" }},
		{"microsoftTenantId", `null`, func(t *petra.Tenant) { t.MicrosoftID = "" }},
		{"microsoftTenantId", `5`, func(t *petra.Tenant) { t.MicrosoftID = "" }},
		{"microsoftTenantId", `"ABCdef-1"`, func(t *petra.Tenant) { t.MicrosoftID = "abcdef-1" }},
		{"isPaused", ``, func(t *petra.Tenant) { t.Paused = false }},
		{"isPaused", `null`, func(t *petra.Tenant) { t.Paused = false }},
		{"isPaused", `"true"`, func(t *petra.Tenant) { t.Paused = false }},
		{"isPaused", `1`, func(t *petra.Tenant) { t.Paused = false }},
		{"somethingNew", `[{}]`, func(*petra.Tenant) {}},
	} {
		t.Run(test.field+"="+test.value, func(t *testing.T) {
			fields := map[string]string{
				"petraTenantId": `"a"`, "name": `"Acme"`, "microsoftTenantId": `"A1B2"`, "isPaused": `true`,
				"onboardingDate": `"2025-01-02T03:04:05Z"`,
			}
			fields[test.field] = test.value
			got, err := newClient(t, served(t, good(`{"totalTenants": 1, "tenants": [`+object(fields)+`]}`))).Tenants(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := petra.Tenant{ID: "a", Name: "Acme", MicrosoftID: "a1b2", Paused: true, Onboarded: at}
			test.want(&want)
			for i := range got.Tenants {
				got.Tenants[i].Onboarded = got.Tenants[i].Onboarded.UTC()
			}
			if !slices.Equal(got.Tenants, []petra.Tenant{want}) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
