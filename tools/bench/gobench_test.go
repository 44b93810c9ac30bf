package main

import (
	"strings"
	"testing"
)

func TestReadBenchmarks(t *testing.T) {
	rows, err := readBenchmarks(strings.NewReader(`goos: linux
pkg: github.com/petra-exporter/petra_exporter/petra
BenchmarkDecode-2 	 10	 5000000 ns/op	  68.00 MB/s	 10.00 us/incident	 1048576 B/op	 12018 allocs/op
BenchmarkScrape/tenants=10/format=text/encoding=gzip-2 	 10	 0 ns/op	 8615 bytes	 0.01 bytes-cpu-ms	 0.02 bytes-ms	 4 bytes-allocs	 0 bytes-B	 2 const-cpu-ms	 2.5 const-ms	 6254 const-allocs	 1048576 const-B	 1.25 cpu-x/const	 343 cpu-x/bytes	 2.5 exporter-cpu-ms	 3 exporter-ms	 6033 exporter-allocs	 2097152 exporter-B	 1121 series
BenchmarkScrapeWithRequest-2 	 10	 0 ns/op	 4.5 added-ms	 3.5 least-added-ms
PASS
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Fatalf("%d rows: %v", len(rows), rows)
	}
	for _, want := range []struct {
		row          int
		column, text string
	}{
		{0, "time ms", "5.00"},
		{0, "allocated MiB", "1.00"},
		{0, "note", "68.0 MB/s, 10.0 µs an incident"},
		{1, "form", "text, gzip"},
		{1, "CPU ms", "2.50"},
		{1, "bytes", "8615"},
		{1, "series", "1121"},
		{1, "allocated MiB", "2.00"},
		{2, "of", "const metrics"},
		{2, "exporter's CPU / this", "1.25"},
		{3, "exporter's CPU / this", "343"},
		{4, "time ms", "4.50"},
	} {
		if got := rows[want.row][want.column]; got != want.text {
			t.Errorf("row %d, %s: %q, want %q", want.row, want.column, got, want.text)
		}
	}
}
