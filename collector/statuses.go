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
	label := labelValue(value)
	if label == "" {
		label = noStatus
	}
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
