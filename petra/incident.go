package petra

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// MaxIncidents is the most incidents that the API puts into one answer.
const MaxIncidents = 500

// MaxIDLength is the longest incident or tenant ID that is used, in characters.
const MaxIDLength = 128

// maxDwell is the longest dwell time that is believed.
const maxDwell = 100 * 365 * 24 * time.Hour

// Incident is one incident as the API tells it.
type Incident struct {
	ID  string
	URL string
	// CreatedAt is when the incident was raised, OccurredAt when the compromise
	// happened. Either is zero where the API gave no usable time.
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

// RemediatedAt is when the compromise ended; ok is false where the API gave no
// usable time for it.
func (i *Incident) RemediatedAt() (at time.Time, ok bool) {
	if !i.HasDwell || i.OccurredAt.IsZero() {
		return time.Time{}, false
	}
	return i.OccurredAt.Add(i.Dwell), true
}

// Reason says why an incident, or a field of one, could not be used.
type Reason string

// The reasons. NoID, BadJSON and WrongTenant cost the whole incident, the
// others only the field.
const (
	NoID        Reason = "no_id"
	BadTime     Reason = "bad_time"
	BadDwell    Reason = "bad_dwell"
	WrongTenant Reason = "wrong_tenant"
	BadJSON     Reason = "bad_json"
)

// Reasons lists every [Reason].
func Reasons() []Reason {
	return []Reason{NoID, BadTime, BadDwell, WrongTenant, BadJSON}
}

// Rejection is one thing in an answer that could not be used.
type Rejection struct {
	Reason Reason
	// Key is the incident's ID or, where it has none, a digest of its content.
	Key string
}

// Incidents is the answer to an [IncidentsQuery].
type Incidents struct {
	Incidents []Incident // newest first, as the API orders them
	Rejected  []Rejection
	Received  int       // elements in the answer, unusable ones included
	Date      time.Time // the API's clock when it answered, else ours
}

// Full reports whether the answer holds as many incidents as the API gives at
// most, so that older ones may be missing.
func (a *Incidents) Full() bool {
	return a.Received >= MaxIncidents
}

// Oldest is the creation of the last incident in the answer that has a usable
// one: the answer misses nothing that was created after it. It is zero where
// none has.
func (a *Incidents) Oldest() time.Time {
	for _, i := range slices.Backward(a.Incidents) {
		if !i.CreatedAt.IsZero() {
			return i.CreatedAt
		}
	}
	return time.Time{}
}

type wireIncident struct {
	ID                string          `json:"id"`
	URL               string          `json:"url"`
	CreatedAt         string          `json:"createdAt"`
	OccurredAt        string          `json:"occurredAt"`
	RemediationStatus string          `json:"remediationStatus"`
	IsLive            bool            `json:"isLive"`
	DwellTimeMinutes  json.RawMessage `json:"dwellTimeMinutes"`
	Tenant            wireTenant      `json:"tenant"`
	User              struct {
		UserPrincipalName string `json:"userPrincipalName"`
	} `json:"user"`
}

// decodeIncidents reads an answer in one pass. What has the wrong type is left
// at its zero value, so that a bad incident never costs the others. date is the
// API's clock.
func decodeIncidents(body []byte, date time.Time) (*Incidents, error) {
	var wire struct {
		Incidents []wireIncident `json:"incidents"`
	}
	if err := unmarshal(body, &wire); err != nil {
		return nil, undecodable(err)
	}
	if wire.Incidents == nil {
		return nil, fmt.Errorf("%w: no list of incidents", ErrUndecodable)
	}
	// What has no ID is known by its content, which is rarely asked for.
	raw := sync.OnceValue(func() []json.RawMessage {
		var wire struct {
			Incidents []json.RawMessage `json:"incidents"`
		}
		_ = unmarshal(body, &wire) // it could be read above
		return wire.Incidents
	})
	answer := &Incidents{
		Incidents: make([]Incident, 0, len(wire.Incidents)),
		Received:  len(wire.Incidents),
		Date:      date,
	}
	reject := func(reason Reason, key string) {
		answer.Rejected = append(answer.Rejected, Rejection{reason, key})
	}
	for n, w := range wire.Incidents {
		switch {
		case (w.ID == "" || tooLong(w.ID)) && raw()[n][0] != '{':
			reject(BadJSON, digest(raw()[n]))
		case w.ID == "" || tooLong(w.ID):
			reject(NoID, digest(raw()[n]))
		case !usableTenantID(w.Tenant.PetraTenantID):
			reject(WrongTenant, w.ID)
		default:
			incident, reasons := w.incident(date)
			answer.Incidents = append(answer.Incidents, incident)
			for _, reason := range reasons {
				reject(reason, w.ID)
			}
		}
	}
	return answer, nil
}

func (w *wireIncident) incident(date time.Time) (Incident, []Reason) {
	var reasons []Reason
	i := Incident{
		ID:                w.ID,
		URL:               w.URL,
		RemediationStatus: w.RemediationStatus,
		Live:              w.IsLive,
		Tenant:            w.Tenant.tenant(date),
		UserPrincipalName: w.User.UserPrincipalName,
	}
	var createdOK, occurredOK, dwellOK bool
	i.CreatedAt, createdOK = usableTime(w.CreatedAt, date)
	i.OccurredAt, occurredOK = usableTime(w.OccurredAt, date)
	if !createdOK || !occurredOK {
		reasons = append(reasons, BadTime)
	}
	i.Dwell, i.HasDwell, dwellOK = usableDwell(w.DwellTimeMinutes)
	if !dwellOK {
		reasons = append(reasons, BadDwell)
	}
	return i, reasons
}

// usableTime reads a time that lies neither before 1970 nor more than 1 h
// after the API's clock.
func usableTime(text string, date time.Time) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Unix() < 0 || t.After(date.Add(time.Hour)) {
		return time.Time{}, false
	}
	return t, true
}

// usableDwell reads dwellTimeMinutes: null and absent mean not known yet, and
// a negative one (clocks differ) is zero.
func usableDwell(raw json.RawMessage) (dwell time.Duration, has, ok bool) {
	var minutes *float64
	if len(raw) == 0 {
		return 0, false, true
	}
	if err := json.Unmarshal(raw, &minutes); err != nil {
		return 0, false, false
	}
	switch {
	case minutes == nil:
		return 0, false, true
	case *minutes > maxDwell.Minutes():
		return 0, false, false
	}
	return time.Duration(math.Round(max(0, *minutes) * float64(time.Minute))), true, true
}

// decodeObject reads a JSON object into target and leaves a field of the wrong
// type at its zero value; it reports whether raw is an object.
func decodeObject(raw json.RawMessage, target any) bool {
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	return unmarshal(raw, target) == nil
}

// unmarshal leaves what has the wrong type at its zero value.
func unmarshal(raw []byte, target any) error {
	err := json.Unmarshal(raw, target)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
		return nil
	}
	return err
}

func tooLong(id string) bool {
	return len([]rune(id)) > MaxIDLength
}

// usableTenantID reports whether a tenant's ID can be asked for and stand in a
// label as it is: one that had to be changed there could become another's.
func usableTenantID(id string) bool {
	unfit := func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }
	return id != "" && !tooLong(id) && !strings.ContainsFunc(id, unfit)
}

func digest(raw json.RawMessage) string {
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// undecodable hides the value that encoding/json puts into a type error.
func undecodable(err error) error {
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
		return fmt.Errorf("%w: no object of the documented form", ErrUndecodable)
	}
	return fmt.Errorf("%w: %w", ErrUndecodable, err)
}
