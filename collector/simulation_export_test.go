package collector

import "time"

// Await does what a scrape does before it is answered, that long at most.
func (c *Collector) Await(deadline time.Duration) {
	select {
	case <-c.Refresh():
	case <-time.After(deadline):
	}
}

// KnownTenant is what the store has of a tenant, for simulations.
type KnownTenant struct {
	ID, State      string
	Stale          bool
	Covered, Whole time.Time
	Raised         int
}

// KnownIncident is what the store has of an incident.
type KnownIncident struct {
	ID, Status                     string
	CreatedAt                      time.Time
	Present, Missing, Listed, Live bool
	HasDwell                       bool
	Dwell                          time.Duration
}

func (i *incident) forTest() KnownIncident {
	return KnownIncident{
		ID: i.ID, Status: i.status.label, CreatedAt: i.CreatedAt,
		Present: i.present, Missing: !i.missing.IsZero(), Listed: i.listed, Live: i.Live,
		HasDwell: i.HasDwell, Dwell: i.Dwell,
	}
}

// Each walks through what is published of tenants, and all that is known of
// their incidents.
func (c *Collector) Each(tenant func(KnownTenant), incident func(KnownIncident)) {
	s, now := c.refresher.active().store, time.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.tenants {
		if !s.collects(t) || !s.canPublish(t) {
			continue
		}
		tenant(KnownTenant{
			ID: t.ID, State: s.state(t, now), Stale: t.stale(now, s.cfg.MaxStaleness),
			Covered: t.reads.last, Whole: t.reads.lastFull, Raised: len(t.incidents),
		})
		for _, i := range t.incidents {
			incident(i.forTest())
		}
	}
}

// Known is what is known of one incident.
func (c *Collector) Known(tenantID, id string) (KnownIncident, bool) {
	s := c.refresher.active().store
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tenants[tenantID]
	if t == nil || t.incidents[id] == nil {
		return KnownIncident{}, false
	}
	return t.incidents[id].forTest(), true
}

// Reach is how far back the last good organization read reached; whole: to the beginning.
func (c *Collector) Reach() (from time.Time, whole bool) {
	s := c.refresher.active().store
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.orgRead.from, s.orgRead.all
}
