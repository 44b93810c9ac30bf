package collector

import (
	"github.com/petra-exporter/petra_exporter/collector/config"
)

// configure takes over a new configuration and keeps what is known and counted.
func (s *store) configure(cfg *config.Config) []note {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.cfg
	s.cfg = cfg
	s.statuses.configure(cfg)
	rebuild := s.vecs[dwell] == nil || old.NativeHistograms != cfg.NativeHistograms
	if rebuild {
		s.vecs = newHistogramVecs(cfg.NativeHistograms)
	}
	movedBack := old != nil && cfg.Since.Before(old.Since)
	for _, t := range s.tenants {
		t.configuredID = ""
		if movedBack {
			t.reads.widen(old.Since)
		}
		if rebuild {
			s.rebuildHistograms(t)
		}
		s.reconfigureTenant(t)
	}
	notes := s.configureTenants()
	s.listOpen()
	return notes
}

// rebuildHistograms makes a tenant's histograms from what they contain.
func (s *store) rebuildHistograms(t *tenant) {
	t.histograms = s.vecs.of(t.ID)
	for _, i := range t.incidents {
		for kind, o := range i.counted {
			if o.done {
				t.histograms.of(interval(kind), o.live).observe(o.duration, "")
			}
		}
	}
}

// reconfigureTenant brings a tenant's incidents under the new configuration.
func (s *store) reconfigureTenant(t *tenant) {
	had := t.statuses
	t.statuses = nil
	for _, st := range had {
		if st.label != otherStatus {
			t.hasHad(s.statuses.get(st.label))
		}
	}
	for _, i := range t.incidents {
		i.status, _ = s.statuses.see(i.RemediationStatus)
		t.hasHad(i.status)
		if !s.cfg.OpenIncidentUser {
			i.UserPrincipalName = ""
		}
		if s.tooOld(i.CreatedAt) {
			i.present = false
		}
		if i.present {
			t.count(i, false)
		}
	}
}
