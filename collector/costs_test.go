package collector_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// costs are what docs/performance.md measured with a number of tenants.
type costs struct{ series, text, gzip, peak float64 }

// measuredCosts reads both tables of docs/performance.md.
func measuredCosts(t *testing.T) map[string]costs {
	t.Helper()
	const header = "| what | tenants | form | of | time ms | CPU ms | exporter's CPU / this | allocations | allocated MiB | bytes | series | peak RSS MiB | heap MiB | note |"
	document := readFile(t, "docs/performance.md")
	if !strings.Contains(document, header) {
		t.Fatalf("docs/performance.md has no table %q", header)
	}
	all := map[string]costs{}
	for line := range strings.Lines(document) {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 16 || cells[4] != "exporter" {
			continue
		}
		of := all[cells[2]]
		switch cells[1] + ", " + cells[3] + ", " + cells[14] {
		case "scrape from memory, text, ":
			of.text, of.series = number(t, cells[10]), number(t, cells[11])
		case "scrape from memory, text, gzip, ":
			of.gzip = number(t, cells[10])
		case "process, text, gzip, with state file":
			of.peak = number(t, cells[12])
		}
		all[cells[2]] = of
	}
	return all
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestCosts holds that what a tenant costs is said elsewhere as docs/performance.md
// measured it, rounded: memory differs from run to run.
func TestCosts(t *testing.T) {
	measured := measuredCosts(t)
	near := func(where, said string, unit, want, tolerance float64) {
		t.Helper()
		if got := number(t, said) * unit; want == 0 || math.Abs(got-want) > tolerance*want {
			t.Errorf("%s says %s, that is %g; measured is %g", where, said, got, want)
		}
	}
	value := func(cell string) string {
		text, _, _ := strings.Cut(cell, " ")
		return text
	}
	units := map[string]float64{"kB": 1e3, "MB": 1e6}
	size := func(cell string, want float64) {
		t.Helper()
		near("docs/install.md", value(cell), units[strings.TrimPrefix(cell, value(cell)+" ")], want, 0.05)
	}
	for _, row := range tableOf(t, "docs/install.md", "| tenants | series | text | text with gzip | peak memory |") {
		of := measured[strings.ReplaceAll(row[0], ",", "")]
		near("docs/install.md", row[1], 1, of.series, 0.05)
		size(row[2], of.text)
		size(row[3], of.gzip)
		near("docs/install.md", value(row[4]), 1, of.peak, 0.2)
	}
	many, few := measured["1000"], measured["100"]
	for _, file := range []string{"README.md", "docs/install.md"} {
		said := regexp.MustCompile(`(\d+) series and about ([\d.]+) kB of a scrape, ([\d.]+) kB with gzip`).FindStringSubmatch(readFile(t, file))
		if said == nil {
			t.Errorf("%s does not say what a tenant costs", file)
			continue
		}
		near(file, said[1], 1, (many.series-few.series)/900, 0.05)
		near(file, said[2], 1e3, (many.text-few.text)/900, 0.05)
		near(file, said[3], 1e3, (many.gzip-few.gzip)/900, 0.05)
	}
	const chart = "deploy/helm/petra-exporter/README.md"
	for tenants, peak := range map[string]float64{"1,000": many.peak, "10,000": measured["10000"].peak} {
		said := regexp.MustCompile(`\| up to ` + tenants + ` \| (\d+)Mi`).FindStringSubmatch(readFile(t, chart))
		if said == nil {
			t.Fatalf("%s does not say what memory %s tenants need", chart, tenants)
		}
		if limit := number(t, said[1]); peak == 0 || limit < peak || limit > 4*peak {
			t.Errorf("%s: a limit of %v MiB for %s tenants, measured are %v MiB", chart, limit, tenants, peak)
		}
	}
}
