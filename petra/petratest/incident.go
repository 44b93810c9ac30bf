package petratest

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// Tenant is one customer of the organization that the key belongs to.
type Tenant struct {
	ID          string // the petraTenantId, such as ZZk90t
	Name        string
	MicrosoftID string
	Paused      bool
	Onboarded   time.Time // zero: the API says null
}

// User is the person whose account an incident is about. Where UserPrincipalName
// is empty, a user is made up from the incident's ID.
type User struct {
	ID                 string
	UserPrincipalName  string
	Mail               string
	DisplayName        string
	Disabled           bool
	LastPasswordChange time.Time // zero: the API says null
}

// Incident is an incident's whole life. What the API says of it is a pure
// function of the time, so that a test can ask for the truth of any moment.
// The API speaks in milliseconds: Organization.Add cuts CreatedAt and OccurredAt to them.
type Incident struct {
	ID, TenantID          string
	URL                   string // default: the incident's page in the vendor's app
	CreatedAt, OccurredAt time.Time
	Visible               time.Time // when the API starts to list it; zero: CreatedAt

	OpenStatus   string    // the status until RemediatedAt; default ACTIVE
	FinalStatus  string    // the status from RemediatedAt on; default REMEDIATED
	RemediatedAt time.Time // from then on there is a dwell time; zero: never

	Live          bool
	LiveChangedAt time.Time // from then on Live is inverted; zero: never
	WithdrawnAt   time.Time // from then on the API no longer lists it; zero: never

	User User

	// Raw, if set, is served as it stands in place of the generated object; the
	// other fields only place it. It makes malformed and duplicate incidents.
	Raw json.RawMessage

	fixed *View // the same at all times, for the documented response
}

// View is what the API shows of an incident at one moment.
type View struct {
	ID, TenantID, URL     string
	CreatedAt, OccurredAt time.Time
	Status                string
	Live                  bool
	DwellMinutes          *float64 // nil: null
	Raw                   bool     // served from Incident.Raw, which may say otherwise
}

// At returns what the API shows of the incident at now, and whether it lists it.
func (in *Incident) At(now time.Time) (View, bool) {
	if !in.WithdrawnAt.IsZero() && !now.Before(in.WithdrawnAt) {
		return View{}, false
	}
	if in.fixed != nil {
		return *in.fixed, true
	}
	from := in.CreatedAt
	if !in.Visible.IsZero() {
		from = in.Visible
	}
	if now.Before(from) {
		return View{}, false
	}
	v := View{
		ID: in.ID, TenantID: in.TenantID,
		URL:       cmp.Or(in.URL, "https://app.petrasecurity.com/tenant/"+in.TenantID+"/incidents/"+in.ID),
		CreatedAt: in.CreatedAt, OccurredAt: in.OccurredAt,
		Status: cmp.Or(in.OpenStatus, "ACTIVE"),
		Live:   in.Live != happened(in.LiveChangedAt, now),
		Raw:    in.Raw != nil,
	}
	if happened(in.RemediatedAt, now) {
		v.Status = cmp.Or(in.FinalStatus, "REMEDIATED")
		dwell := in.RemediatedAt.Sub(in.OccurredAt).Minutes()
		v.DwellMinutes = &dwell
	}
	return v, true
}

// happened reports whether t is set and has come.
func happened(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// older orders incidents by creation. The ID breaks ties, so that the order
// does not hang on the order in which incidents were added.
func older(a, b *Incident) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
}
