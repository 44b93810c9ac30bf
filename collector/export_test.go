package collector

import "time"

// SetClock replaces the clock, and returns what puts it back.
func SetClock(now func() time.Time) (restore func()) {
	clock = now
	return func() { clock = time.Now }
}
