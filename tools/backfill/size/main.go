// Command size measures what petra_exporter backfill writes for an organization
// of made-up tenants, how long it takes, and the memory that it takes. The API
// has no request limit here: the real one is what takes time.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	tenants := flag.Int("tenants", 1000, "tenants")
	incidents := flag.Int("incidents", 5000, "incidents in all")
	days := flag.Int("days", 365, "length of the history")
	exporter := flag.String("exporter", "../../petra_exporter", "the built exporter; flags of backfill follow")
	keep := flag.String("keep", "", "keep the file under this name")
	flag.Parse()

	org := petratest.Random(1, petratest.RandomConfig{
		Start: time.Now(), Tenants: *tenants, Incidents: *incidents, Open: *incidents / 500, History: time.Duration(*days) * 24 * time.Hour,
	})
	api, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
	if err != nil {
		return err
	}
	defer api.Close()
	dir, err := os.MkdirTemp("", "size")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	output := filepath.Join(dir, "history.om")
	if *keep != "" {
		output = *keep
	}
	args := []string{"backfill", "--petra.api-url=" + api.URL, "--output=" + output, "--label=job=petra", "--label=instance=localhost:10984", "--requests-per-minute=100000"}
	cmd := exec.Command(*exporter, append(args, flag.Args()...)...) //nolint:gosec // whoever runs this names the program
	cmd.Env = append(os.Environ(), "PETRA_API_KEY=any")
	cmd.Stderr = os.Stderr
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	took := time.Since(begun)
	file, err := os.Open(output)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	series := map[string]bool{}
	samples := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, _, found := strings.Cut(lines.Text(), " "); found && name != "#" {
			series[name] = true
			samples++
		}
	}
	memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	fmt.Printf("%d tenants, %d incidents in %d days: %.2f GB, %d series, %d samples, in %.0f s with %d MB of memory\n",
		*tenants, *incidents, *days, float64(info.Size())/1e9, len(series), samples, took.Seconds(), memory>>10)
	return nil
}
