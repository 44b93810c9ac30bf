package petra

import (
	"time"
)

// MaxIncidents is the maximum number of incidents in one answer of the API.
const MaxIncidents = 500

// MaxIDLength is the longest incident or tenant ID that is used, in characters.
const MaxIDLength = 128

// maxDwell is the longest dwell time that is believed.
const maxDwell = 100 * 365 * 24 * time.Hour

// Incident is one incident as the API returns it.
type Incident struct {
	ID  string
	URL string
	// CreatedAt is when the incident was raised, OccurredAt when the compromise
	// happened. Either is zero if the API gave no usable time.
	CreatedAt, OccurredAt time.Time
	// RemediationStatus is of an open set: only REMEDIATED is documented.
	RemediationStatus string
	Live              bool
	// Dwell is the time from the compromise to its remediation
	// (dwellTimeMinutes), never negative; it means nothing unless HasDwell.
	Dwell    time.Duration
	HasDwell bool
	// Tenant has its IDs and name; the rest only [Client.Tenants] tells.
	Tenant Tenant
	// UserPrincipalName is personal data.
	UserPrincipalName string
}

// RemediatedAt is when the compromise ended; ok is false if the API gave no usable
// time for it.
func (i *Incident) RemediatedAt() (at time.Time, ok bool) {
	if !i.HasDwell || i.OccurredAt.IsZero() {
		return time.Time{}, false
	}
	return i.OccurredAt.Add(i.Dwell), true
}

// Reason says why an element of an answer, or a field of one, could not be used.
type Reason string

// The reasons. BadTime and BadDwell cost only the field, the others the whole
// element.
const (
	NoID        Reason = "no_id"
	BadTime     Reason = "bad_time"
	BadDwell    Reason = "bad_dwell"
	WrongTenant Reason = "wrong_tenant"
	BadJSON     Reason = "bad_json"
	Duplicate   Reason = "duplicate"
)

// Reasons lists every [Reason] that an answer of the route can have.
func Reasons(route Route) []Reason {
	if route == RouteTenants {
		return []Reason{NoID, BadJSON, Duplicate}
	}
	return []Reason{NoID, BadTime, BadDwell, WrongTenant, BadJSON}
}

// Rejection is one element or field of an answer that could not be used.
type Rejection struct {
	Reason Reason
	// Key is the incident's ID or, if it has none and for tenants, a digest of
	// the element.
	Key string
}

// Incidents is the answer to an [IncidentsQuery].
type Incidents struct {
	Incidents []Incident // in the order of the answer: newest first, as documented
	Rejected  []Rejection
	Received  int       // elements in the answer, unusable ones included
	Date      time.Time // the API's clock when it answered, else ours
}

// Unassigned returns the elements that belong to no incident and tenant: they have
// no usable ID or tenant, or are not objects. An incident that seems to be missing
// from the answer may be one of these.
func (a *Incidents) Unassigned() (elements []Rejection) {
	for _, r := range a.Rejected {
		if r.Reason == NoID || r.Reason == WrongTenant || r.Reason == BadJSON {
			elements = append(elements, r)
		}
	}
	return elements
}

// Truncated reports whether the answer has as many incidents as the API gives at
// most, so that older ones may be missing.
func (a *Incidents) Truncated() bool {
	return a.Received >= MaxIncidents
}

// Oldest returns the earlier creation time of the first and the last incident that
// have a usable one: the answer misses nothing that was created after it, whichever
// end of the list is the old one. One wrong time in between, however early, does
// not count. It is zero if no incident has a usable time.
func (a *Incidents) Oldest() (oldest time.Time) {
	first, last := time.Time{}, time.Time{}
	for _, i := range a.Incidents {
		if i.CreatedAt.IsZero() {
			continue
		}
		if first.IsZero() {
			first = i.CreatedAt
		}
		last = i.CreatedAt
	}
	if first.Before(last) {
		return first
	}
	return last
}

// NewestFirst reports whether the answer is in the documented order.
func (a *Incidents) NewestFirst() bool {
	last := time.Time{}
	for _, i := range a.Incidents {
		switch {
		case i.CreatedAt.IsZero():
		case !last.IsZero() && i.CreatedAt.After(last):
			return false
		default:
			last = i.CreatedAt
		}
	}
	return true
}
