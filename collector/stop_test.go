package collector_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestScrapesDuringStop holds that scrapes may come at any moment of a stop:
// what they ask for is waited for, before the state is saved for the last time,
// or not begun.
func TestScrapesDuringStop(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			e := newExporter(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{}), "")
			e.scrape()
			time.Sleep(2 * time.Minute) // a scrape is to ask for the incidents and the list
			var scrapes sync.WaitGroup
			stopping, cancel := context.WithCancel(t.Context())
			for range 4 {
				scrapes.Go(func() {
					for stopping.Err() == nil {
						<-e.collector.Refresh()
					}
				})
			}
			e.stop()
			cancel()
			scrapes.Wait()
			const deferred = `petra_refreshes_deferred_total{reason="too_soon"}`
			before, _ := e.scrape().value(deferred)
			e.scrape().want(t, deferred, before)
		})
	}
}
