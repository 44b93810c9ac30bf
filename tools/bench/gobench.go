package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// runBenchmarks runs the benchmarks of the module in root, and returns what
// they measured as rows.
func runBenchmarks(root, tenants, benchtime string) ([]row, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-benchtime", benchtime, "-timeout", "0", "./petra", "./collector") //nolint:gosec // what the caller asks for
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PETRA_BENCH_TENANTS="+tenants)
	cmd.Stderr = os.Stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	return readBenchmarks(&out)
}

func readBenchmarks(r io.Reader) ([]row, error) {
	var rows []row
	reader := benchfmt.NewReader(r, "go test")
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		base, parts := result.Name.Parts()
		switch string(base) {
		case "Decode":
			rows = append(rows, decodeRow(result))
		case "Scrape":
			rows = append(rows, scrapeRows(result, parts)...)
		case "ScrapeWithRequest":
			rows = append(rows, row{
				"what": "scrape, 1 request", "tenants": "100", "form": "text", "of": "exporter", "time ms": number(value(result, "added-ms")),
				"note": fmt.Sprintf("added to the API's 200 ms; least %s ms", number(value(result, "least-added-ms"))),
			})
		default:
			return nil, fmt.Errorf("no row is known for benchmark %s", result.Name.Full())
		}
	}
	return rows, reader.Err()
}

func decodeRow(result *benchfmt.Result) row {
	return row{
		"what": "decode of 500 incidents", "of": "exporter", "time ms": number(value(result, "sec/op") * 1000),
		"allocations": number(value(result, "allocs/op")), "allocated MiB": mebibytes(value(result, "B/op")),
		"note": fmt.Sprintf("%s MB/s, %s µs an incident", number(value(result, "B/s")/1e6), number(value(result, "us/incident"))),
	}
}

func scrapeRows(result *benchfmt.Result, parts [][]byte) []row {
	labels := map[string]string{}
	for _, part := range parts {
		name, text, _ := strings.Cut(strings.TrimPrefix(string(part), "/"), "=")
		labels[name] = text
	}
	form := labels["format"]
	if encoding := labels["encoding"]; encoding != "identity" {
		form += ", " + encoding
	}
	var rows []row
	for _, of := range []struct{ key, name string }{{"exporter", "exporter"}, {"const", "const metrics"}, {"bytes", "same bytes"}} {
		r := row{
			"what": "scrape from memory", "tenants": labels["tenants"], "form": form, "of": of.name,
			"time ms": number(value(result, of.key+"-ms")), "CPU ms": number(value(result, of.key+"-cpu-ms")),
			"allocations": number(value(result, of.key+"-allocs")), "allocated MiB": mebibytes(value(result, of.key+"-B")),
		}
		if of.key == "exporter" {
			r["bytes"], r["series"] = fmt.Sprintf("%.0f", value(result, "bytes")), fmt.Sprintf("%.0f", value(result, "series"))
		} else {
			r["exporter's CPU / this"] = number(value(result, "cpu-x/"+of.key))
		}
		rows = append(rows, r)
	}
	return rows
}

// value finds a measurement under the unit that the benchmark gave it or the
// one that benchfmt made of it; NaN shows in the table that there is none.
func value(result *benchfmt.Result, unit string) float64 {
	for _, v := range result.Values {
		if v.OrigUnit == unit {
			return v.OrigValue
		}
		if v.Unit == unit {
			return v.Value
		}
	}
	return math.NaN()
}
