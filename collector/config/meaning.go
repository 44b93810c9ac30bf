package config

import (
	"cmp"
	"strings"
)

// The meanings of a remediation status, as the label meaning of
// petra_remediation_status_info has them. A status in none of the configured
// lists is unknown, and treated as open.
const (
	Remediated = "remediated"
	Closed     = "closed"
	Open       = "open"
	Unknown    = "unknown"
)

// NoStatus stands for a status that is empty or missing.
const NoStatus = "UNKNOWN"

// Meaning says which of the three lists has a remediation status of the API:
// remediated, closed or open; unknown where none has it. open reports whether
// an incident with it is open, as it is with an unknown one.
func (c *Config) Meaning(status string) (meaning string, open bool) {
	meaning, ok := c.Meanings()[strings.ToUpper(cmp.Or(status, NoStatus))]
	if !ok {
		meaning = Unknown
	}
	return meaning, IsOpen(meaning)
}

// Meanings are those of the configured statuses, by upper-case status.
func (c *Config) Meanings() map[string]string {
	all := map[string]string{}
	for meaning, statuses := range map[string][]string{
		Remediated: c.RemediatedStatuses, Closed: c.ClosedStatuses, Open: c.OpenStatuses,
	} {
		for _, status := range statuses {
			all[strings.ToUpper(status)] = meaning
		}
	}
	return all
}

// IsOpen reports whether an incident whose status has the meaning is open.
func IsOpen(meaning string) bool { return meaning == Open || meaning == Unknown }
