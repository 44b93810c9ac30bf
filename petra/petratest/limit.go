package petratest

import (
	"slices"
	"time"
)

// window is the span in which the API counts requests.
const window = time.Minute

// limiter keeps the arrival times of the accepted requests of each route and
// key. A request that it refuses does not count.
type limiter struct {
	limit int // negative: none
	spent map[[2]string][]time.Time
}

// take admits a request at now, or returns how long it takes until the next one
// is admitted.
func (l *limiter) take(route, key string, now time.Time) (wait time.Duration) {
	if l.limit < 0 {
		return 0
	}
	id := [2]string{route, key}
	l.spent[id] = slices.DeleteFunc(l.spent[id], func(t time.Time) bool { return now.Sub(t) >= window })
	if n := len(l.spent[id]); n >= l.limit {
		return window - now.Sub(l.spent[id][n-l.limit])
	}
	l.spent[id] = append(l.spent[id], now)
	return 0
}

// retryAfter rounds up: a client that waits so long is never refused again.
func retryAfter(wait time.Duration) int {
	return int((wait + time.Second - 1) / time.Second)
}
