package collector

import (
	"time"
)

// The plan is what to ask next: a pure function of what is known, the budget
// and the clock. docs/design.md has its rules with their reasons.
const (
	// headReserve is how many requests of a route's budget whole reads leave
	// free, so that a scrape always finds one for its head.
	headReserve = 1
	// settleIn is how long a process makes no whole reads in head mode: it does
	// not know what was spent before its start.
	settleIn = time.Minute
	// idleAfter is how long after the last scrape whole reads go on.
	idleAfter = 5 * time.Minute
	// againAfter is how long after a try a tenant has its next turn among those
	// with something older that may change.
	againAfter = time.Minute
	// listEvery is how often the list of tenants is read.
	listEvery = time.Minute
)

// clock is time.Now: a test lets its wall clock jump, which must change nothing
// of the plan.
var clock = time.Now

// headInterval is the least time between the starts of two heads, with n
// requests a minute: a little less than four scrapes a minute need at 10. While
// the plan is cold, every second scrape's share goes to whole reads.
func headInterval(n int, cold bool) time.Duration {
	interval := 140 * time.Second / time.Duration(n)
	if cold {
		return max(interval, 28*time.Second)
	}
	return interval
}

// plainInterval is the least time between two refreshes that read each of a
// few tenants whole.
func plainInterval(n, tenants int) time.Duration {
	return 70 * time.Second * time.Duration(tenants) / time.Duration(n)
}

// wholeReads is how many whole reads there may be in any minute beside the
// heads.
func wholeReads(n int, cold bool) int {
	warm := n - (n+1)/2
	if cold {
		return max(warm, n-3)
	}
	return warm
}

// cold reports whether a whole read of some tenant was never tried.
func (s *store) cold() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.tenants {
		if t.attempted.IsZero() && s.member(t) && !s.mistyped(t) {
			return true
		}
	}
	return false
}

// nextWhole is the tenant to read whole next, empty where none is due; turn
// counts the whole reads made. Two groups take turns: tenants with something
// older than the last head reached that may change soon, and the others. In
// each, the one that was tried the longest ago comes first, so that a tenant
// that always fails holds up nobody.
func (s *store) nextWhole(now time.Time, turn int, cold bool) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.headWhole {
		return ""
	}
	var unsettled, other *tenant
	for _, t := range s.members() {
		switch {
		case !s.headFrom.IsZero() && t.Onboarded.After(s.headFrom):
			// The last head has read it whole.
		case s.unsettled(t):
			if now.Sub(t.attempted) >= againAfter && (unsettled == nil || t.attempted.Before(unsettled.attempted)) {
				unsettled = t
			}
		case other == nil || t.attempted.Before(other.attempted):
			other = t
		}
	}
	unsettledFirst := turn%2 == 0
	if cold {
		unsettledFirst = turn%4 == 3
	}
	switch {
	case unsettled != nil && (unsettledFirst || other == nil):
		return unsettled.ID
	case other != nil:
		return other.ID
	}
	return ""
}

// unsettled reports whether the tenant has an incident out of the last head's
// reach that is open, or that one answer has lacked and a second has to.
func (s *store) unsettled(t *tenant) bool {
	for _, i := range t.incidents {
		reached := !s.headFrom.IsZero() && i.CreatedAt.After(s.headFrom)
		if i.present && !reached && i.unreachable.IsZero() && (i.open() || !i.missing.IsZero()) {
			return true
		}
	}
	return false
}

// attempt notes that a whole read of the tenant begins, and returns the ID to
// send: the configured spelling until the tenant is resolved.
func (s *store) attempt(id string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[id]
	if t == nil {
		return id
	}
	t.attempted = now
	if t.resolved || t.spelling == "" {
		return t.ID
	}
	return t.spelling
}

// wholeTargets are the tenants that each refresh reads where it reads all: the
// configured ones.
func (s *store) wholeTargets() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for _, t := range s.members() {
		ids = append(ids, t.ID)
	}
	return ids
}

// listWanted reports whether the tenants have to be listed before incidents
// can be shared out: nothing else tells whom to collect.
func (s *store) listWanted() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.cfg.Tenants) == 0 && !s.listTried
}
