package petratest

import (
	_ "embed"
	"encoding/json"
	"time"
)

//go:embed testdata/documented-response.json
var documentedResponse []byte

// Documented returns the organization of the vendor's documented response: one tenant
// and its four incidents, whose objects are served byte by byte. It is the same
// at all times, also before those incidents happened.
func Documented() *Organization {
	w := NewOrganization()
	var response struct {
		Incidents []json.RawMessage `json:"incidents"`
	}
	// The file is part of the package, and a test reads it in full from the API:
	// there is no error here that a caller could meet.
	_ = json.Unmarshal(documentedResponse, &response)
	for _, raw := range response.Incidents {
		var in wireIncident
		_ = json.Unmarshal(raw, &in)
		created, _ := time.Parse(time.RFC3339, in.CreatedAt)
		occurred, _ := time.Parse(time.RFC3339, in.OccurredAt)
		view := View{
			ID: in.ID, TenantID: in.Tenant.PetraTenantID, URL: in.URL, CreatedAt: created, OccurredAt: occurred,
			Status: in.RemediationStatus, Live: in.IsLive, DwellMinutes: in.DwellTimeMinutes, Raw: true,
		}
		w.SetTenant(Tenant{ID: in.Tenant.PetraTenantID, Name: in.Tenant.Name, MicrosoftID: in.Tenant.MicrosoftTenantID})
		w.Add(Incident{
			ID: in.ID, TenantID: in.Tenant.PetraTenantID, CreatedAt: created, OccurredAt: occurred, Raw: raw, fixed: &view,
		})
	}
	return w
}
