package petratest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// The wire types are this package's own, so that the simulator and the client
// under test cannot share a mistake.
type wireIncident struct {
	ID                string     `json:"id"`
	URL               string     `json:"url"`
	CreatedAt         string     `json:"createdAt"`
	OccurredAt        string     `json:"occurredAt"`
	RemediationStatus string     `json:"remediationStatus"`
	IsLive            bool       `json:"isLive"`
	DwellTimeMinutes  *float64   `json:"dwellTimeMinutes"`
	Tenant            wireTenant `json:"tenant"`
	User              wireUser   `json:"user"`
}

type wireTenant struct {
	PetraTenantID     string `json:"petraTenantId"`
	Name              string `json:"name"`
	MicrosoftTenantID string `json:"microsoftTenantId"`
}

type wireUser struct {
	ID                         string  `json:"id"`
	UserPrincipalName          string  `json:"userPrincipalName"`
	Mail                       string  `json:"mail"`
	DisplayName                string  `json:"displayName"`
	AccountEnabled             bool    `json:"accountEnabled"`
	LastPasswordChangeDateTime *string `json:"lastPasswordChangeDateTime"`
}

type wireListedTenant struct {
	wireTenant
	IsPaused       bool    `json:"isPaused"`
	OnboardingDate *string `json:"onboardingDate"`
}

// renderIncidents joins the objects by hand: a raw one goes out byte by byte,
// which an encoder would compact or refuse.
func renderIncidents(list []listed) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"incidents":[`)
	for i := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		object, err := renderIncident(&list[i])
		if err != nil {
			return nil, err
		}
		b.Write(object)
	}
	b.WriteString(`]}`)
	return b.Bytes(), nil
}

func renderIncident(l *listed) ([]byte, error) {
	if l.Incident.Raw != nil {
		return l.Incident.Raw, nil
	}
	user := l.User
	if user.UserPrincipalName == "" {
		user = makeUser(l.Incident.ID, l.tenant)
	}
	v := &l.View
	return json.Marshal(wireIncident{
		ID: v.ID, URL: v.URL,
		CreatedAt: millis(v.CreatedAt), OccurredAt: millis(v.OccurredAt),
		RemediationStatus: v.Status, IsLive: v.Live, DwellTimeMinutes: v.DwellMinutes,
		Tenant: wireTenant{PetraTenantID: v.TenantID, Name: l.tenant.Name, MicrosoftTenantID: l.tenant.MicrosoftID},
		User: wireUser{
			ID: user.ID, UserPrincipalName: user.UserPrincipalName, Mail: user.Mail, DisplayName: user.DisplayName,
			AccountEnabled: !user.Disabled, LastPasswordChangeDateTime: optionalMillis(user.LastPasswordChange),
		},
	})
}

func renderTenants(tenants []Tenant) ([]byte, error) {
	list := make([]wireListedTenant, 0, len(tenants))
	for _, t := range tenants {
		list = append(list, wireListedTenant{
			wireTenant: wireTenant{PetraTenantID: t.ID, Name: t.Name, MicrosoftTenantID: t.MicrosoftID},
			IsPaused:   t.Paused, OnboardingDate: optionalMillis(t.Onboarded),
		})
	}
	return json.Marshal(struct {
		TotalTenants int                `json:"totalTenants"`
		Tenants      []wireListedTenant `json:"tenants"`
	}{len(list), list})
}

func millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func optionalMillis(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := millis(t)
	return &s
}

// makeUser makes up the same user for the same incident each time. Its domain
// is below .example, so that no address is a real one.
func makeUser(incidentID string, t Tenant) User {
	h := fnv.New64a()
	_, _ = h.Write([]byte(incidentID))
	n := h.Sum64()
	given := givenNames[n%uint64(len(givenNames))]
	family := familyNames[n>>16%uint64(len(familyNames))]
	domain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(t.Name))
	address := strings.ToLower(given+"."+family) + "@" + domain + ".example"
	return User{
		ID:                fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(n>>32), uint16(n>>16), n&0xfff, n>>12&0xfff, n>>16), //nolint:gosec // the halves of a hash
		UserPrincipalName: address, Mail: address, DisplayName: given + " " + family,
	}
}
