package collector

import "time"

// What docs/reliability.md says of clients.
const (
	MaxConnections = maxConnections
	MaxWriting     = maxWriting
	MaxReading     = maxReading
)

// SetClock replaces the clock, and returns what puts it back.
func SetClock(now func() time.Time) (restore func()) {
	clock = now
	return func() { clock = time.Now }
}

// Refresh does what a scrape does before it is answered, for simulations in
// which an exposition each time would take too long.
func (c *Collector) Refresh() {
	<-c.refresher.refresh()
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
