package collector

import "time"

// SetClock replaces the clock, and returns what puts it back.
func SetClock(now func() time.Time) (restore func()) {
	clock = now
	return func() { clock = time.Now }
}

// Locked reports whether anybody holds a lock of the collector's.
func (c *Collector) Locked() bool {
	r := c.refresher
	if !r.mu.TryLock() {
		return true
	}
	defer r.mu.Unlock()
	w := r.current
	if !w.mu.TryLock() {
		return true
	}
	defer w.mu.Unlock()
	if !w.store.mu.TryLock() {
		return true
	}
	w.store.mu.Unlock()
	return false
}
