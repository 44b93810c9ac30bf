package petra

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// BenchmarkDecode measures the decoding of a full answer, after decompression.
func BenchmarkDecode(b *testing.B) {
	now := time.Now()
	org := petratest.Random(1, petratest.RandomConfig{Start: now, Tenants: 100, Incidents: MaxIncidents + 100, Open: 20})
	request := httptest.NewRequest(http.MethodGet, "/v1/incidents?limit=500", nil)
	request.Header.Set("Authorization", "Bearer key")
	request.Header.Set("User-Agent", "bench")
	answer := httptest.NewRecorder()
	petratest.NewAPI(org, petratest.Options{}).ServeHTTP(answer, request)
	body := answer.Body.Bytes()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		incidents, err := decodeIncidents(body, now)
		if err != nil || len(incidents.Incidents) != MaxIncidents {
			b.Fatalf("status %d: %v", answer.Code, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/MaxIncidents, "us/incident")
}
