package collector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
)

// TestSlowRegistry: a registry that takes its time over a metric holds up no
// refresh: no lock is held while one is sent.
func TestSlowRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{}), "")
		e.scrape()
		synctest.Wait()
		metrics := make(chan prometheus.Metric)
		go func() {
			defer close(metrics)
			e.collector.Collect(metrics)
		}()
		n, held := 0, 0
		for {
			synctest.Wait() // until the next is offered
			if e.collector.Locked() {
				held++
			}
			if _, ok := <-metrics; !ok {
				break
			}
			n++
		}
		if n < 100 || held > 0 {
			t.Errorf("of %d metrics, %d were sent with a lock held", n, held)
		}
	})
}
