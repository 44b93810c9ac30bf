package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestLogReaderGone holds that the exporter goes on serving when nobody reads
// its log any more, as while journald restarts.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `exec "$0" "$@" 2>&3`, binary, "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle", "--petra.api-url="+url)
	cmd.ExtraFiles = []*os.File{writer}
	p := launchCommand(t, cmd, keyEnv)
	_ = writer.Close()
	for lines := bufio.NewScanner(reader); p.url == "" && lines.Scan(); {
		if m := address.FindStringSubmatch(listening.FindString(lines.Text())); m != nil {
			p.url = "http://" + m[1]
		}
	}
	_ = reader.Close()
	for range 2 { // each logs a line
		if a := p.do(http.MethodPost, "/-/reload"); a.err != nil || a.code != http.StatusOK {
			t.Fatalf("a reload: status %d, %v", a.code, a.err)
		}
	}
	p.wantLine("petra_up 1")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
}

// TestUnitRestarts holds that systemd starts the exporter again however it has
// ended, and however often.
func TestUnitRestarts(t *testing.T) {
	unit, err := os.ReadFile("deploy/systemd/petra_exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Restart=always", "StartLimitIntervalSec=0"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit does not say %s", line)
		}
	}
}

// TestMemoryLimit holds that the garbage collector is set for a small process,
// and that the environment has the last word.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	start(t, nil, "--demo").wantLine("go_gc_gogc_percent 50")
	start(t, []string{"GOMEMLIMIT=200MiB", "GOGC=75"}, "--demo").wantLine("go_gc_gomemlimit_bytes 2.097152e+08", "go_gc_gogc_percent 75")
}

// TestOpenMetricsFamilies holds that no two families have a name in common, as
// OpenMetrics counts them: each has the names of its samples and its own.
// Strict parsers, such as that of Prometheus' client for Python, refuse the
// whole scrape otherwise.
func TestOpenMetricsFamilies(t *testing.T) {
	t.Parallel()
	suffixes := map[string][]string{
		"counter":        {"_total", "_created"},
		"summary":        {"_count", "_sum", "_created"},
		"histogram":      {"_count", "_sum", "_bucket", "_created"},
		"gaugehistogram": {"_gcount", "_gsum", "_bucket"},
		"info":           {"_info"},
		"gauge":          nil,
		"stateset":       nil,
		"unknown":        nil,
	}
	_, url := newAPI(t)
	p := start(t, keyEnv, "--petra.api-url="+url)
	p.wantLine(`petra_tenants{state="complete"} 3`)
	a := p.get("/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	if !strings.HasSuffix(a.body, "# EOF\n") {
		t.Fatalf("no OpenMetrics: %v", a.header)
	}
	family := map[string]string{} // by the names of its samples
	for line := range strings.Lines(a.body) {
		words := strings.Fields(line)
		if len(words) != 4 || words[0] != "#" || words[1] != "TYPE" {
			continue
		}
		name := words[2]
		of, known := suffixes[words[3]]
		if !known {
			t.Errorf("no type of OpenMetrics: %s", line)
		}
		for _, suffix := range append([]string{""}, of...) {
			if other := family[name+suffix]; other != "" {
				t.Errorf("the families %s and %s both have %s", other, name, name+suffix)
			}
			family[name+suffix] = name
		}
	}
	for _, name := range []string{"petra_incident_dwell_time_seconds_bucket", "petra_api_requests_total", "go_memstats_alloc_bytes_total", "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes"} {
		if family[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
}
