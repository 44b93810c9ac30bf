package collector

// Refresh does what a scrape does before it is answered, for simulations in
// which an exposition each time would take too long.
func (c *Collector) Refresh() {
	<-c.refresher.refresh()
}
