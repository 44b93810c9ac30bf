package collector

import (
	"time"
)

// The plan decides what to request next, from the store, the budget and the clock.
// docs/design.md has its rules and their reasons.
const (
	// orgReadReserve is how many requests of a route's budget full reads leave
	// free, so that a scrape always finds one for its organization read.
	orgReadReserve = 1
	// startupDelay is how long a process in organization mode makes no full
	// reads: it does not know which requests were made before its start.
	startupDelay = time.Minute
	// idleAfter is how long full reads continue after the last scrape.
	idleAfter = 5 * time.Minute
	// againAfter is how long after an attempt a tenant waits for its next turn
	// among those with something older that may change.
	againAfter = time.Minute
	// listEvery is how often the list of tenants is read.
	listEvery = time.Minute
)

// clock is time.Now. A test lets its wall clock jump, which must not change the
// plan.
var clock = time.Now

// orgReadInterval is the least time between the starts of two organization reads
// at n requests a minute: a little less than four scrapes a minute need at 10.
// While the plan is cold, the requests of every second scrape go to full reads.
func orgReadInterval(n int, cold bool) time.Duration {
	interval := 140 * time.Second / time.Duration(n)
	if cold {
		return max(interval, 28*time.Second)
	}
	return interval
}

// plainInterval is the least time between two refreshes that read each of a
// few tenants in full.
func plainInterval(n, tenants int) time.Duration {
	return 70 * time.Second * time.Duration(tenants) / time.Duration(n)
}

// fullReadsPerMinute is the maximum number of full reads in any minute between the
// organization reads.
func fullReadsPerMinute(n int, cold bool) int {
	warm := n - (n+1)/2
	if cold {
		return max(warm, n-3)
	}
	return warm
}

// cold reports whether a full read of some tenant was never tried.
func (s *store) cold() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.tenants {
		if t.attempted.IsZero() && s.collects(t) && !s.unknownID(t) {
			return true
		}
	}
	return false
}

// nextFullRead returns the tenant to read in full next, empty if none is due;
// round counts the full reads made. Two groups take turns: tenants with something
// that may change soon and is older than the last organization read reached, and
// all others. In each group the tenant with the oldest attempt comes first, so that
// one that always fails holds up nobody.
func (s *store) nextFullRead(now time.Time, round int, cold bool) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.orgReadWhole {
		return ""
	}
	var mayChange, other *tenant
	for _, t := range s.collected() {
		switch {
		case !s.orgReadFrom.IsZero() && t.Onboarded.After(s.orgReadFrom):
			// The last organization read has read it in full.
		case s.mayChange(t):
			if now.Sub(t.attempted) >= againAfter && (mayChange == nil || t.attempted.Before(mayChange.attempted)) {
				mayChange = t
			}
		case other == nil || t.attempted.Before(other.attempted):
			other = t
		}
	}
	mayChangeFirst := round%2 == 0
	if cold {
		mayChangeFirst = round%4 == 3
	}
	switch {
	case mayChange != nil && (mayChangeFirst || other == nil):
		return mayChange.ID
	case other != nil:
		return other.ID
	}
	return ""
}

// mayChange reports whether the tenant has an incident beyond the reach of the last
// organization read that is open, or missing from one answer so far.
func (s *store) mayChange(t *tenant) bool {
	for _, i := range t.incidents {
		reached := !s.orgReadFrom.IsZero() && i.CreatedAt.After(s.orgReadFrom)
		if i.present && !reached && i.unreachable.IsZero() && (i.open() || !i.missing.IsZero()) {
			return true
		}
	}
	return false
}

// attempt records that a full read of the tenant begins, and returns the ID to
// send: the configured spelling until the tenant is resolved.
func (s *store) attempt(id string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[id]
	if t == nil {
		return id
	}
	t.attempted = now
	if t.petraIDKnown || t.configuredID == "" {
		return t.ID
	}
	return t.configuredID
}

// fullReadTargets are the tenants that each refresh reads in plain mode: the
// configured ones.
func (s *store) fullReadTargets() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for _, t := range s.collected() {
		ids = append(ids, t.ID)
	}
	return ids
}

// listWanted reports whether the list of tenants has to be read before incidents
// can be assigned: nothing else says which tenants to collect.
func (s *store) listWanted() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.cfg.Tenants) == 0 && !s.listTried
}
