package inspect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// cutOrg has more incidents than the API gives at once: those of Old reach
// out of it, those of Quiet lie outside, New was onboarded within.
func cutOrg() *petratest.Organization {
	w := petratest.NewOrganization()
	w.SetTenant(petratest.Tenant{ID: "New", Name: "New", Onboarded: day(300)})
	w.SetTenant(petratest.Tenant{ID: "Old", Name: "Old", Onboarded: day(1)})
	w.SetTenant(petratest.Tenant{ID: "Quiet", Name: "Quiet"})
	w.Add(petratest.Incident{TenantID: "Quiet", CreatedAt: day(1), OccurredAt: day(1)})
	for i := range 600 {
		at := day(200).Add(time.Duration(i) * 5 * time.Hour)
		in := petratest.Incident{ID: fmt.Sprint(i), TenantID: "Old", CreatedAt: at, OccurredAt: at}
		if i%100 != 0 {
			in.RemediatedAt = at.Add(time.Minute)
		}
		w.Add(in)
	}
	w.Add(petratest.Incident{TenantID: "New", CreatedAt: day(301), OccurredAt: day(301)})
	return w
}

// hostileOrg has names and statuses that would do something to a terminal or
// to YAML, and IDs that YAML would read as something else.
func hostileOrg() *petratest.Organization {
	w := petratest.NewOrganization()
	for i, name := range []string{
		"\x1b[31mred\x1b[0m", "two\nlines", "a\u2028tenants: []", "\u202egnp.exe", "\u009b31mC1", "日本の会社", "émile, \"the\" <b>", "", strings.Repeat("long ", 100), "tab\there", "\U000e0041tag",
	} {
		ids := []string{"true", "1e3", "0x10", "~", "a:", "#x", "-", "'", `"`, "null", "2025-01-01"}
		w.SetTenant(petratest.Tenant{ID: ids[i], Name: name})
	}
	w.Add(
		petratest.Incident{TenantID: "true", CreatedAt: day(1), OccurredAt: day(1), OpenStatus: "\x1b]0;title\a"},
		petratest.Incident{TenantID: "true", CreatedAt: day(2), OccurredAt: day(2), OpenStatus: "two\nlines: 1"},
		petratest.Incident{TenantID: "true", CreatedAt: day(3), OccurredAt: day(3), OpenStatus: " "},
		petratest.Incident{TenantID: "1e3", CreatedAt: day(4), Raw: json.RawMessage(`{"id":"x","createdAt":"2025-01-04T00:00:00Z","occurredAt":"never","tenant":{"petraTenantId":"1e3"}}`)},
		petratest.Incident{TenantID: "1e3", CreatedAt: day(5), Raw: json.RawMessage(`{"id":"x","createdAt":"2025-01-05T00:00:00Z","occurredAt":"2025-01-05T00:00:00Z","tenant":{"petraTenantId":"1e3"}}`)},
	)
	return w
}

func removedOrg() *petratest.Organization {
	w := smallOrg()
	w.RemoveTenant("Bb2")
	return w
}

// TestTenants holds what is written in each format, at the cost of two requests,
// and that a configuration can be made of the YAML.
func TestTenants(t *testing.T) {
	for name, c := range map[string]struct {
		org  *petratest.Organization
		yaml string
	}{
		"documented": {petratest.Documented(), ""},
		"classified": {smallOrg(), "open_statuses: [in_progress]\nclosed_statuses: [x]\n"},
		"cut":        {cutOrg(), ""},
		"hostile":    {hostileOrg(), ""},
		"removed":    {removedOrg(), "since: 2025-01-15\n"},
		"empty":      {petratest.NewOrganization(), ""},
	} {
		for _, format := range inspect.Formats() {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				a := newAPI(t, c.org)
				var out bytes.Buffer
				if err := inspect.Tenants(t.Context(), &out, a.options(t, c.yaml), format); err != nil {
					t.Fatal(err)
				}
				golden(t, "tenants/"+name+"."+format, out.String())
				noSecret(t, out.String())
				requests := a.Requests()
				if len(requests) != 2 || !petratest.IsTenants(requests[0]) || !petratest.IsOrgRead(requests[1]) {
					t.Errorf("requests: %+v", requests)
				}
				switch format {
				case "json":
					checkJSON(t, out.Bytes(), c.org)
				case "yaml":
					checkYAML(t, out.String(), c.org)
				}
			})
		}
	}
}

// checkJSON holds that JSON has names as they are.
func checkJSON(t *testing.T, out []byte, org *petratest.Organization) {
	t.Helper()
	var got struct {
		Tenants []struct{ ID, Name string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range org.Tenants() {
		if got.Tenants[i].ID != want.ID || got.Tenants[i].Name != want.Name {
			t.Errorf("got %+v, want %+v", got.Tenants[i], want)
		}
	}
}

// checkYAML holds that what was written is a configuration of all tenants.
func checkYAML(t *testing.T, out string, org *petratest.Organization) {
	t.Helper()
	cfg, err := config.Load(writeFile(t, filepath.Join(t.TempDir(), "petra.yml"), out), config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, tenant := range org.Tenants() {
		want = append(want, tenant.ID)
	}
	if !slices.Equal(cfg.Tenants, want) {
		t.Errorf("got %q, want %q", cfg.Tenants, want)
	}
}

// TestTenantsFails holds that a failure is an error that says what failed, and
// that nothing is written then.
func TestTenantsFails(t *testing.T) {
	for _, kind := range []petratest.FaultKind{
		petratest.Status401, petratest.Status429, petratest.Status503, petratest.HTML, petratest.NullList, petratest.Redirect, petratest.Hang, petratest.EchoKey, petratest.Reset,
	} {
		for _, route := range []string{petratest.RouteTenants, petratest.RouteIncidents} {
			t.Run(string(kind)+" "+route, func(t *testing.T) {
				t.Parallel()
				a := newAPI(t, smallOrg())
				a.SetFault(petratest.Fault{Kind: kind, Match: func(r petratest.Request) bool { return r.Route == route }})
				var out bytes.Buffer
				err := inspect.Tenants(t.Context(), &out, a.options(t, timeout(kind)), "table")
				if err == nil || !strings.HasPrefix(err.Error(), "/v1/"+route+": ") || out.Len() > 0 {
					t.Fatalf("%v: %s", err, out.String())
				}
				noSecret(t, err.Error())
			})
		}
	}
	for name, c := range map[string]struct {
		yaml string
		edit func(*config.Overrides)
		want string
	}{
		"no key":        {"", func(o *config.Overrides) { o.APIKey = "" }, "no usable API key; name it with "},
		"broken key":    {"", func(o *config.Overrides) { o.APIKey = testKey + " x" }, "PETRA_API_KEY contains a space"},
		"configuration": {"wrong: 1", func(*config.Overrides) {}, "petra.yml:1: wrong: "},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, smallOrg())
			var out bytes.Buffer
			err := inspect.Tenants(t.Context(), &out, a.options(t, c.yaml, c.edit), "table")
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 || len(a.Requests()) > 0 {
				t.Fatalf("%v: %s", err, out.String())
			}
			noSecret(t, err.Error())
		})
	}
}
