package petra

import (
	"slices"
	"sync"
	"time"
)

// BudgetWindow is how long a request counts against a [Budget] after its
// answer has ended.
const BudgetWindow = time.Minute

// RequestsPerMinute is how many requests of each route the API allows in any
// [BudgetWindow].
const RequestsPerMinute = 10

// Budget allows at most a number of requests in any [BudgetWindow].
//
// A token bucket does not promise that: a full burst and a minute's refill are
// twice the limit. A Budget keeps the time at which each of the last requests
// ended, and counts a request as spent from its start until a window after its
// end: the API saw it somewhere between the two. All methods are safe for
// concurrent use.
type Budget struct {
	mu       sync.Mutex
	limit    int
	inFlight int
	ended    []time.Time // of the requests that still count, oldest first
	blocked  time.Time
}

// NewBudget returns a budget of limit requests in any window.
func NewBudget(limit int) *Budget {
	return &Budget{limit: limit}
}

// SetLimit changes the number of requests allowed; what was spent stays spent.
func (b *Budget) SetLimit(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = limit
}

// Take spends one request. The caller calls done when the answer has ended.
// Where none is free, or the route is blocked, ok is false and done is nil.
func (b *Budget) Take() (done func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.free(now) <= 0 || now.Before(b.blocked) {
		return nil, false
	}
	b.inFlight++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.inFlight--
		now := time.Now()
		b.ended = append(b.ended[len(b.ended)-b.counting(now):], now)
	}, true
}

// Block closes the budget until the given time, as the API asked. An earlier time
// than the current one changes nothing.
func (b *Budget) Block(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.blocked) {
		b.blocked = until
	}
}

// Unblock ends a wait, because another API asked for it.
func (b *Budget) Unblock() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked = time.Time{}
}

// Spent returns the ends of the requests that still count, those in flight as if
// they ended now, and the end of the wait that the API asked for.
func (b *Budget) Spent() (ended []time.Time, blocked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	ended = slices.Clone(b.ended[len(b.ended)-b.counting(now):])
	return append(ended, slices.Repeat([]time.Time{now}, b.inFlight)...), b.blocked
}

// Restore applies what [Budget.Spent] of another process returned. The times get a
// monotonic reading, so that setting the wall clock later changes nothing.
func (b *Budget) Restore(ended []time.Time, blocked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, at := range ended {
		b.ended = append(b.ended, now.Add(min(0, at.Sub(now)))) // in the past, though the clock may have been set back
	}
	if !blocked.IsZero() {
		blocked = now.Add(min(MaxWait, blocked.Sub(now)))
	}
	b.blocked = blocked
}

// BudgetState is what a [Budget] allows at one moment.
type BudgetState struct {
	Limit     int       // requests in any window
	Remaining int       // requests free now
	Blocked   time.Time // end of the wait that the API asked for; zero while open
}

// State returns what the budget allows at now.
func (b *Budget) State(now time.Time) BudgetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BudgetState{Limit: b.limit, Remaining: max(0, b.free(now))}
	if now.Before(b.blocked) {
		s.Remaining, s.Blocked = 0, b.blocked
	}
	return s
}

// FreeAt returns when n requests will be free if none is spent meanwhile: now, or
// later. If that depends on a request in flight, known is false.
func (b *Budget) FreeAt(now time.Time, n int) (at time.Time, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at = now
	counting := b.counting(at)
	if lacking := n - b.free(at); lacking > counting {
		return time.Time{}, false
	} else if lacking > 0 {
		at = b.ended[len(b.ended)-counting+lacking-1].Add(BudgetWindow + time.Nanosecond)
	}
	if b.blocked.After(at) {
		at = b.blocked
	}
	return at, true
}

// free is how many requests are free at now, below 0 where the limit has been
// lowered.
func (b *Budget) free(now time.Time) int {
	return b.limit - b.inFlight - b.counting(now)
}

// counting is how many of the requests that have ended still count, which are
// the last ones. The bound is exclusive: a request exactly a window after
// another may still share a window with it.
func (b *Budget) counting(now time.Time) int {
	for i, ended := range b.ended {
		if now.Sub(ended) <= BudgetWindow {
			return len(b.ended) - i
		}
	}
	return 0
}
