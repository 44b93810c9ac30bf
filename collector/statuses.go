package collector

import "strings"

// The meanings of a remediation status. A status in none of the configured
// lists is unknown, and treated as open.
const (
	meaningRemediated = "remediated"
	meaningClosed     = "closed"
	meaningOpen       = "open"
	meaningUnknown    = "unknown"
)

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
}

// statuses are the remediation statuses of the process: the configured ones
// and, in the order in which they are seen, others up to maxStatuses.
type statuses struct {
	ordered []*status
	byLabel map[string]*status
	others  map[string]*status // by meaning: those that share the label OTHER
	meaning map[string]string  // of the configured ones, by upper-case status
}

// configure takes over the lists of a configuration. What was seen before keeps
// its place as far as the configured ones leave one.
func (s *statuses) configure(cfg *Config) {
	seen := s.ordered
	*s = statuses{byLabel: map[string]*status{}, others: map[string]*status{}, meaning: map[string]string{}}
	for _, list := range []struct {
		meaning  string
		statuses []string
	}{
		{meaningRemediated, cfg.RemediatedStatuses},
		{meaningClosed, cfg.ClosedStatuses},
		{meaningOpen, cfg.OpenStatuses},
	} {
		for _, configured := range list.statuses {
			s.meaning[strings.ToUpper(configured)] = list.meaning
			s.get(configured)
		}
	}
	for _, earlier := range seen {
		s.get(earlier.label)
	}
}

// get returns the status that the API calls value; unseen reports whether it is
// the first time.
func (s *statuses) get(value string) (st *status, unseen bool) {
	label := labelValue(value)
	if label == "" {
		label = noStatus
	}
	if st, ok := s.byLabel[label]; ok {
		return st, false
	}
	meaning, configured := s.meaning[strings.ToUpper(label)]
	if !configured {
		meaning = meaningUnknown
	}
	if len(s.byLabel) < maxStatuses {
		st = &status{label: label, meaning: meaning}
		s.byLabel[label] = st
	} else if st = s.others[meaning]; st != nil {
		return st, false
	} else {
		st = &status{label: otherStatus, meaning: meaning}
		s.others[meaning] = st
	}
	s.ordered = append(s.ordered, st)
	return st, true
}
