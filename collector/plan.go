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
	// startupDelay is how long a process makes no full reads in organization mode: it does
	// not know what was spent before its start.
	startupDelay = time.Minute
	// idleAfter is how long after the last scrape full reads go on.
	idleAfter = 5 * time.Minute
	// againAfter is how long after a try a tenant has its next turn among those
	// with something older that may change.
	againAfter = time.Minute
	// listEvery is how often the list of tenants is read.
	listEvery = time.Minute
)

// orgReadInterval is the least time between the starts of two organization reads, with n
// requests a minute: a little less than four scrapes a minute need at 10. While
// the plan is cold, every second scrape's share goes to full reads.
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

// fullReadsPerMinute is how many full reads there may be in any minute beside the
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

// nextFullRead is the tenant to read in full next, empty where none is due; round
// counts the full reads made. Two groups take turns: tenants with something
// older than the last organization read reached that may change soon, and the others. In
// each, the one that was tried the longest ago comes first, so that a tenant
// that always fails holds up nobody.
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

// mayChange reports whether the tenant has an incident out of the last organization read's
// reach that is open, or that one answer has lacked and a second has to.
func (s *store) mayChange(t *tenant) bool {
	for _, i := range t.incidents {
		reached := s.orgRead.reaches(i.CreatedAt)
		if i.present && !reached && i.unreachable.IsZero() && (i.open() || !i.missing.IsZero()) {
			return true
		}
	}
	return false
}

// fullReadTargets are the tenants that each refresh reads where it reads all: the
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

// listWanted reports whether the tenants have to be listed before incidents
// can be shared out: nothing else tells whom to collect.
func (s *store) listWanted() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.cfg.Tenants) == 0 && !s.list.tried
}
