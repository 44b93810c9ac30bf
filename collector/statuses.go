package collector

import (
	"cmp"
	"slices"
	"strings"
)

// The meanings of a remediation status, as the label meaning of
// petra_remediation_status_info has them. A status in none of the configured
// lists is unknown, and treated as open.
const (
	meaningRemediated = "remediated"
	meaningClosed     = "closed"
	meaningOpen       = "open"
	meaningUnknown    = "unknown"
)

// Meaning says which of the three lists has a remediation status of the API:
// remediated, closed or open; unknown where none has it. open reports whether
// an incident with it is open, as it is with an unknown one.
func (c *Config) Meaning(status string) (meaning string, open bool) {
	meaning, ok := c.meanings()[strings.ToUpper(statusLabel(status))]
	if !ok {
		meaning = meaningUnknown
	}
	return meaning, isOpen(meaning)
}

// meanings are those of the configured statuses, by upper-case status.
func (c *Config) meanings() map[string]string {
	all := map[string]string{}
	for meaning, statuses := range map[string][]string{
		meaningRemediated: c.RemediatedStatuses, meaningClosed: c.ClosedStatuses, meaningOpen: c.OpenStatuses,
	} {
		for _, status := range statuses {
			all[strings.ToUpper(status)] = meaning
		}
	}
	return all
}

func isOpen(meaning string) bool { return meaning == meaningOpen || meaning == meaningUnknown }

// otherStatus stands for the statuses beyond the first maxStatuses, noStatus
// for a status that is empty or missing.
const (
	otherStatus = "OTHER"
	noStatus    = "UNKNOWN"
)

// status is one remediation status that is published.
type status struct {
	label   string
	meaning string
	seen    bool // an incident had it
}

// statuses are the remediation statuses of the process: the configured ones
// and, in the order in which they are seen, others up to maxStatuses.
type statuses struct {
	ordered []*status
	byLabel map[string]*status // all but those that share the label OTHER
	others  map[string]*status // those, by meaning
	meaning map[string]string  // of the configured ones, by upper-case status
}

// configure takes over the lists of a configuration. What was seen before keeps
// its place as far as the configured ones leave one.
func (s *statuses) configure(cfg *Config) {
	before := s.ordered
	*s = statuses{byLabel: map[string]*status{}, others: map[string]*status{}, meaning: cfg.meanings()}
	for _, configured := range slices.Concat(cfg.RemediatedStatuses, cfg.ClosedStatuses, cfg.OpenStatuses) {
		s.get(configured)
	}
	for _, st := range before {
		if st.seen && st.label != otherStatus {
			s.see(st.label)
		}
	}
}

// see returns the status of an incident, which the API calls value; unseen
// reports whether it is the first to have it.
func (s *statuses) see(value string) (st *status, unseen bool) {
	st = s.get(value)
	unseen = !st.seen
	st.seen = true
	return st, unseen
}

func (s *statuses) get(value string) *status {
	label := statusLabel(value)
	if st, ok := s.byLabel[label]; ok {
		return st
	}
	meaning, configured := s.meaning[strings.ToUpper(label)]
	if !configured {
		meaning = meaningUnknown
	}
	st := &status{label: label, meaning: meaning}
	if len(s.byLabel) < maxStatuses && label != otherStatus {
		s.byLabel[label] = st
	} else if other, ok := s.others[meaning]; ok {
		return other
	} else {
		st.label = otherStatus
		s.others[meaning] = st
	}
	s.ordered = append(s.ordered, st)
	return st
}

func statusLabel(value string) string { return cmp.Or(labelValue(value), noStatus) }
