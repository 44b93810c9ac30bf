// Bench prints what petra_exporter costs, as one table: the module's benchmarks,
// and the memory of the running binary. With -json-exporter it prints instead
// what the binary and json_exporter cost for the same incidents, and with
// -scrapers what memory many scrapers take.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const apiKey = "bench"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	root := flag.String("root", "../..", "folder of the module")
	binary := flag.String("exporter", "../../petra_exporter", "the exporter")
	tenants := flag.String("tenants", "10,100,1000", "numbers of tenants")
	listed := flag.Bool("listed", false, "list the tenants in the configuration, so that the process reads all at once")
	benchtime := flag.String("benchtime", "10x", "for go test")
	peer := flag.String("json-exporter", "", "json_exporter to compare with, and nothing else")
	scrapers := flag.Int("scrapers", 0, "measure the memory under so many scrapers at once, and nothing else")
	rounds := flag.Int("rounds", 200, "refreshes to compare")
	flag.Parse()
	dir, err := os.MkdirTemp("", "petra-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	fmt.Printf("%s, %s, %d CPUs, load %s\n\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), load())
	if *peer != "" {
		rows, err := compare(*binary, *peer, dir, *rounds)
		if err != nil {
			return err
		}
		return printTable(os.Stdout, peerColumns, rows)
	}
	if *scrapers > 0 {
		rows, err := measureScrapers(*binary, dir, *scrapers)
		return errors.Join(printTable(os.Stdout, scraperColumns, rows), err)
	}
	var sizes []int
	for text := range strings.SplitSeq(*tenants, ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-tenants: %w", err)
		}
		sizes = append(sizes, size)
	}
	rows, err := runBenchmarks(*root, *tenants, *benchtime)
	if err != nil {
		return err
	}
	more, err := measureMemory(*binary, dir, sizes, *listed)
	if err != nil {
		return err
	}
	return printTable(os.Stdout, columns, append(rows, more...))
}

// load is the load of the last minute, five and fifteen.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 3 {
		return strings.Join(fields[:3], " ")
	}
	return "unknown"
}
