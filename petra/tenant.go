package petra

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Tenant is one Microsoft 365 tenant of the organization.
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
	t, ok := parseTime(text)
	if !ok {
		day, err := time.Parse(time.DateOnly, text)
		t, ok = day, err == nil
	}
	if !ok || t.Unix() < 0 || t.After(date.Add(24*time.Hour)) {
		return time.Time{}
	}
	return t
}

// Tenants is the list of the organization's tenants.
type Tenants struct {
	Tenants []Tenant
	// Rejected has each element that could not be used: a tenant that is missing
	// from Tenants may be one of these.
	Rejected []Rejection
}

// decodeTenants reads the whole list. A list whose length differs from its
// totalTenants is an error: a missing tenant must not look removed. A tenant that
// is listed twice counts once. If no element can be used, it returns the list
// together with the error. date is the API's clock.
func decodeTenants(body []byte, date time.Time) (*Tenants, error) {
	var wire struct {
		TotalTenants *int     `json:"totalTenants"`
		Tenants      elements `json:"tenants"`
	}
	if err := json.Unmarshal(withoutMark(body), &wire); err != nil {
		return nil, undecodable(err)
	}
	switch n := len(wire.Tenants); {
	case wire.Tenants == nil:
		return nil, fmt.Errorf("%w: no list of tenants", ErrUndecodable)
	case n > maxListed:
		return nil, fmt.Errorf("%w: more than %d tenants", ErrUndecodable, maxListed)
	case wire.TotalTenants != nil && *wire.TotalTenants != n:
		return nil, fmt.Errorf("%w: %d tenants listed, but totalTenants is %d", ErrUndecodable, n, *wire.TotalTenants)
	}
	list := &Tenants{Tenants: make([]Tenant, 0, len(wire.Tenants))}
	seen := map[string]bool{}
	for _, raw := range wire.Tenants {
		var w wireTenant
		var reason Reason
		switch {
		case !decodeObject(raw, &w):
			reason = BadJSON
		case !usableTenantID(w.PetraTenantID):
			reason = NoID
		case seen[w.PetraTenantID]:
			reason = Duplicate
		default:
			seen[w.PetraTenantID] = true
			list.Tenants = append(list.Tenants, w.tenant(date))
			continue
		}
		list.Rejected = append(list.Rejected, Rejection{reason, digest(raw)})
	}
	if len(list.Rejected) > 0 && len(list.Tenants) == 0 {
		return list, fmt.Errorf("%w: none of %d tenants has a usable petraTenantId", ErrUndecodable, len(list.Rejected))
	}
	return list, nil
}
