package petra

import (
	"sync"
	"time"
)

// BudgetWindow is how long a request counts against a [Budget] after its
// answer has ended.
const BudgetWindow = time.Minute

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
	if b.remaining(now) == 0 || now.Before(b.blocked) {
		return nil, false
	}
	b.inFlight++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.inFlight--
		b.ended = append(b.ended, time.Now())
	}, true
}

// Block closes the budget until the given time, as a 429 asks for. An earlier
// time than one already set changes nothing.
func (b *Budget) Block(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.blocked) {
		b.blocked = until
	}
}

// Unblock ends a wait: it was another API that asked for it.
func (b *Budget) Unblock() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked = time.Time{}
}

// BudgetState is what a [Budget] allows at one moment.
type BudgetState struct {
	Limit     int       // requests in any window
	Remaining int       // requests free now, apart from a block
	Blocked   time.Time // end of the wait that a 429 asked for; zero while open
}

// State says what the budget allows at now.
func (b *Budget) State(now time.Time) BudgetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BudgetState{Limit: b.limit, Remaining: b.remaining(now)}
	if now.Before(b.blocked) {
		s.Blocked = b.blocked
	}
	return s
}

// FreeAt says when n requests will be free if none is spent meanwhile. Where
// that waits for a request in flight to end, known is false.
func (b *Budget) FreeAt(n int) (at time.Time, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at = time.Now()
	if lacking := n - b.remaining(at); lacking > len(b.ended) {
		return time.Time{}, false
	} else if lacking > 0 {
		at = b.ended[lacking-1].Add(BudgetWindow + time.Nanosecond)
	}
	if b.blocked.After(at) {
		at = b.blocked
	}
	return at, true
}

// remaining forgets what no longer counts. The bound is exclusive: a request
// exactly a window after another may still share a window with it.
func (b *Budget) remaining(now time.Time) int {
	expired := 0
	for expired < len(b.ended) && now.Sub(b.ended[expired]) > BudgetWindow {
		expired++
	}
	b.ended = b.ended[expired:]
	return max(0, b.limit-b.inFlight-len(b.ended))
}
