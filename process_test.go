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
// ended.
func TestUnitRestarts(t *testing.T) {
	unit, err := os.ReadFile("deploy/systemd/petra_exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(unit), "\nRestart=always\n") {
		t.Error("the unit does not say Restart=always")
	}
}

// TestMemoryLimit holds that the garbage collector is set for a small process,
// and that the environment has the last word.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	start(t, nil, "--demo").wantLine("go_gc_gogc_percent 50")
	start(t, []string{"GOMEMLIMIT=200MiB", "GOGC=75"}, "--demo").wantLine("go_gc_gomemlimit_bytes 2.097152e+08", "go_gc_gogc_percent 75")
}
