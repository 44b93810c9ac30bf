package petra

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Tenant is one Microsoft 365 tenant of the organisation.
type Tenant struct {
	ID          string // the API's petraTenantId
	Name        string
	MicrosoftID string // a UUID, in lower case
	Paused      bool   // its monitoring is paused
	// Onboarded is zero where the API does not give it.
	Onboarded time.Time
}

type wireTenant struct {
	PetraTenantID     string `json:"petraTenantId"`
	Name              string `json:"name"`
	MicrosoftTenantID string `json:"microsoftTenantId"`
	IsPaused          bool   `json:"isPaused"`
	OnboardingDate    string `json:"onboardingDate"`
}

func (w *wireTenant) tenant(date time.Time) Tenant {
	return Tenant{
		ID:          w.PetraTenantID,
		Name:        w.Name,
		MicrosoftID: strings.ToLower(w.MicrosoftTenantID),
		Paused:      w.IsPaused,
		Onboarded:   onboarded(w.OnboardingDate, date),
	}
}

// onboarded reads onboardingDate, whose exact form is not documented. One that
// lies more than a day after the API's clock is not believed: the tenant would
// count as newer than all of its incidents.
func onboarded(text string, date time.Time) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Unix() >= 0 && !t.After(date.Add(24*time.Hour)) {
			return t
		}
	}
	return time.Time{}
}

// decodeTenants reads the whole list. One whose length is not what it says of
// itself is an error: a tenant that is cut off must not look removed. A tenant
// that is listed twice counts once. date is the API's clock.
func decodeTenants(body []byte, date time.Time) ([]Tenant, error) {
	var wire struct {
		TotalTenants *int               `json:"totalTenants"`
		Tenants      *[]json.RawMessage `json:"tenants"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, undecodable(err)
	}
	if wire.Tenants == nil {
		return nil, fmt.Errorf("%w: no list of tenants", ErrUndecodable)
	}
	if n := len(*wire.Tenants); wire.TotalTenants != nil && *wire.TotalTenants != n {
		return nil, fmt.Errorf("%w: %d tenants listed, but totalTenants is %d", ErrUndecodable, n, *wire.TotalTenants)
	}
	tenants := make([]Tenant, 0, len(*wire.Tenants))
	seen := map[string]bool{}
	for _, raw := range *wire.Tenants {
		var w wireTenant
		if !decodeObject(raw, &w) || !usableTenantID(w.PetraTenantID) || seen[w.PetraTenantID] {
			continue
		}
		seen[w.PetraTenantID] = true
		tenants = append(tenants, w.tenant(date))
	}
	return tenants, nil
}
