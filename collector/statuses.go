package collector

import (
	"cmp"
	"slices"
	"strings"

	"github.com/petra-exporter/petra_exporter/collector/config"
)

// otherStatus stands for the statuses beyond the first [config.MaxStatuses].
const otherStatus = "OTHER"

// status is one remediation status that is published.
type status struct {
	label   string
	meaning string
	seen    bool // an incident had it
}

// statuses are the remediation statuses of the process: the configured ones and,
// in the order of their appearance, others up to config.MaxStatuses.
type statuses struct {
	ordered []*status
	byLabel map[string]*status // all but those that share the label OTHER
	others  map[string]*status // those, by meaning
	meaning map[string]string  // of the configured ones, by upper-case status
}

// configure applies the lists of a configuration. Statuses seen before keep their
// place if the configured ones leave one.
func (s *statuses) configure(cfg *config.Config) {
	before := s.ordered
	*s = statuses{byLabel: map[string]*status{}, others: map[string]*status{}, meaning: cfg.Meanings()}
	for _, configured := range slices.Concat(cfg.RemediatedStatuses, cfg.ClosedStatuses, cfg.OpenStatuses) {
		s.get(configured)
	}
	for _, st := range before {
		if st.seen && st.label != otherStatus {
			s.see(st.label)
		}
	}
}

// see returns the status with that value in the API; unseen reports whether the
// incident is the first to have it.
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
		meaning = config.Unknown
	}
	st := &status{label: label, meaning: meaning}
	if len(s.byLabel) < config.MaxStatuses && label != otherStatus {
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

func statusLabel(value string) string { return cmp.Or(labelValue(value), config.NoStatus) }
