package petra

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

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

// MaxElements is how many elements of an answer are decoded: four times the
// maximum that the API sends. The rest counts as one element that could not be
// assigned.
const MaxElements = 4 * MaxIncidents

// decodeIncidents reads an answer. A field of the wrong type keeps its zero value,
// so that a bad incident never costs the others. If no element can be assigned, it
// returns the answer together with the error. date is the API's clock.
func decodeIncidents(body []byte, date time.Time) (*Incidents, error) {
	var wire struct {
		Incidents elements `json:"incidents"`
	}
	if err := unmarshal(withoutMark(body), &wire); err != nil {
		return nil, undecodable(err)
	}
	if wire.Incidents == nil {
		return nil, fmt.Errorf("%w: no list of incidents", ErrUndecodable)
	}
	answer := &Incidents{
		Incidents: make([]Incident, 0, min(len(wire.Incidents), MaxElements)),
		Received:  len(wire.Incidents),
		Date:      date,
	}
	reject := func(reason Reason, key string) {
		answer.Rejected = append(answer.Rejected, Rejection{reason, key})
	}
	for n, raw := range wire.Incidents {
		if n == MaxElements {
			reject(BadJSON, fmt.Sprintf("more than %d elements", MaxElements))
			break
		}
		var w wireIncident
		isObject := decodeObject(raw, &w)
		switch {
		case !isObject:
			reject(BadJSON, digest(raw))
		case w.ID == "" || tooLong(w.ID):
			reject(NoID, digest(raw))
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
	if len(wire.Incidents) > 0 && len(answer.Incidents) == 0 {
		return answer, fmt.Errorf("%w: none of %d incidents has a usable id and tenant", ErrUndecodable, answer.Received)
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

// usableTime reads a time after the beginning of 1970, which is what null becomes
// in some languages, and at most 1 h after the API's clock.
func usableTime(text string, date time.Time) (time.Time, bool) {
	t, ok := parseTime(text)
	if !ok || t.Unix() <= 0 || t.After(date.Add(time.Hour)) {
		return time.Time{}, false
	}
	return t, true
}

// timeLayouts are the forms of ISO 8601 that APIs write; without a zone, UTC is meant.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05"}

// parseTime reads a time in one of the timeLayouts, in lower case too. A leap
// second, which Go does not know, is the second after it.
func parseTime(text string) (time.Time, bool) {
	text = strings.ToUpper(text)
	leap := time.Duration(0)
	if seconds := len("2006-01-02T15:04:"); len(text) >= seconds+2 && text[seconds:seconds+2] == "60" {
		text, leap = text[:seconds]+"59"+text[seconds+2:], time.Second
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Add(leap), true
		}
	}
	return time.Time{}, false
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

// withoutMark skips a byte order mark, which JSON forbids and some servers send.
func withoutMark(body []byte) []byte {
	return bytes.TrimPrefix(body, []byte("\ufeff"))
}

// unmarshal leaves what has the wrong type at its zero value.
func unmarshal(raw []byte, target any) error {
	err := json.Unmarshal(raw, target)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
		return nil
	}
	return err
}

// elements are those of a JSON list; nil where there is no list.
type elements []json.RawMessage

// maxListed is how many elements of a list are looked at.
const maxListed = 100_000

// UnmarshalJSON implements [json.Unmarshaler]. It keeps one element more than
// maxListed, for callers to see that there are too many: an answer of the
// largest size could hold 16 million, and each would cost more than its bytes.
func (e *elements) UnmarshalJSON(raw []byte) error {
	*e = nil
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return err
	}
	*e = elements{}
	for decoder.More() && len(*e) <= maxListed {
		var element json.RawMessage
		if err := decoder.Decode(&element); err != nil {
			return err
		}
		*e = append(*e, element)
	}
	return nil
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
		return fmt.Errorf("%w: not an object of the documented form", ErrUndecodable)
	}
	return fmt.Errorf("%w: %w", ErrUndecodable, err)
}
