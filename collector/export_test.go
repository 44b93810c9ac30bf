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
