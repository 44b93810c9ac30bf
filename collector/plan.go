package collector

import (
	"time"
)

// The plan is what to request next. It follows from what is known, the budget and
// the clock, and changes none of them. docs/design.md has its rules and their
// reasons.
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
		if t.reads.lastAttempt.IsZero() && s.collects(t) && !s.unknownID(t) {
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
	if s.orgRead.all {
		return ""
	}
	var mayChange, other *tenant
	for _, t := range s.collected() {
		switch {
		case s.orgRead.reaches(t.Onboarded):
			// The last organization read has read it in full.
		case s.mayChange(t):
			if now.Sub(t.reads.lastAttempt) >= againAfter && (mayChange == nil || t.reads.lastAttempt.Before(mayChange.reads.lastAttempt)) {
				mayChange = t
			}
		case other == nil || t.reads.lastAttempt.Before(other.reads.lastAttempt):
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
		reached := s.orgRead.reaches(i.CreatedAt)
		if i.present && !reached && i.unreachable.IsZero() && (i.open() || !i.missing.IsZero()) {
			return true
		}
	}
	return false
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
	return len(s.cfg.Tenants) == 0 && !s.list.tried
}
