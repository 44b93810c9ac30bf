package collector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestWarnings: more requests than the API allows are accepted, with one warning
// at the start and at each reload.
func TestWarnings(t *testing.T) {
	for yaml, want := range map[string]int{
		"api: {requests_per_minute: 100}": 1,
		"api: {requests_per_minute: 11}":  1,
		"api: {requests_per_minute: 10}":  0,
		"api: {requests_per_minute: 3}":   0,
		"":                                0,
	} {
		synctest.Test(t, func(t *testing.T) {
			api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Limit: -1})
			e := newExporter(t, api, yaml)
			runScrapes(e, 2*time.Minute)
			if n := e.log.lines("level=warn msg=\"the configuration is likely a mistake\" warning=\"api.requests_per_minute: "); n != want {
				t.Errorf("%q: %d warnings, want %d:\n%s", yaml, n, want, e.log)
			}
			if err := e.configure(yaml); err != nil {
				t.Fatal(err)
			}
			if n := e.log.lines("api.requests_per_minute"); n != 2*want {
				t.Errorf("%q: %d warnings after a reload, want %d", yaml, n, 2*want)
			}
		})
	}
}
