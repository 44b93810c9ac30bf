package prometheus

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a program that serves, and what it has logged.
type server struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *server) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

var listensOn = regexp.MustCompile(`"Listening on" .*address=(127\.0\.0\.1:\d+)`)

// serve starts a program on a free port and returns its address.
func serve(t *testing.T, program string, args ...string) string {
	t.Helper()
	s := &server{}
	cmd := exec.Command(program, append(args, "--web.listen-address=127.0.0.1:0")...)
	cmd.Stdout, cmd.Stderr = s, s
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s logged:\n%s", program, s)
		}
	})
	var address string
	within(t, program+" listens", func() bool {
		if m := listensOn.FindStringSubmatch(s.String()); m != nil {
			address = m[1]
		}
		return address != ""
	})
	return address
}

// within waits until something holds, for three minutes at most.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

// TestDoctor asks the real Prometheus, which scrapes the real exporter in
// different ways, what the exporter's doctor makes of it.
func TestDoctor(t *testing.T) {
	prometheus, err := filepath.Abs(root + ".cache/bin/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(prometheus); err != nil {
		t.Fatalf("make .cache/bin/prometheus first: %v", err)
	}
	dir := t.TempDir()
	exporter := filepath.Join(dir, "petra_exporter")
	build := exec.Command("go", "build", "-o", exporter, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := serve(t, exporter, "--demo")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "up_and_well 1")
	}))
	t.Cleanup(other.Close)
	silent := httptest.NewServer(nil)
	silent.Close()

	var jobs strings.Builder
	job := func(name, address, more string) {
		fmt.Fprintf(&jobs, "  - job_name: %s\n    static_configs: [{targets: ['%s']}]\n%s", name, strings.TrimPrefix(address, "http://"), more)
	}
	job("petra-classic", address, "")
	job("petra-both", address, "    scrape_native_histograms: true\n    always_scrape_classic_histograms: true\n")
	job("petra-native", address, "    scrape_native_histograms: true\n")
	job("security", address, "") // nothing but what it publishes tells whose it is
	job("petra-down", silent.URL, "")
	job("other", other.URL, "")
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"+jobs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://" + serve(t, prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"))

	var out []byte
	within(t, "each target is scraped", func() bool {
		out, err = exec.Command(exporter, "doctor", "--demo", "--prometheus.url="+url).Output()
		return strings.Count(string(out), "ok      target  ") == 4 && strings.Count(string(out), "wrong   target  ") == 1 &&
			strings.Count(string(out), "ok      exporter") == 4 && !strings.Contains(string(out), "not scraped yet")
	})
	if err == nil {
		t.Error("the exit status is 0")
	}
	for _, want := range []string{
		`ok      Prometheus     it answers; it has 6 targets`,
		`wrong   target         petra-down [0-9.:]+: .*connection refused: does the exporter run, .*`,
		`skipped scrape time    petra-down [0-9.:]+: the last scrape failed`,
		`ok      target         security [0-9.:]+: scraped every 1s`,
		`ok      scrape time    petra-classic [0-9.:]+: at most [0-9.e-]+s in the last hour; the timeout is 1s`,
		`ok      histograms     petra-classic [0-9.:]+: classic`,
		`ok      histograms     petra-both [0-9.:]+: classic and native`,
		`wrong   histograms     petra-native [0-9.:]+: native only, the classic buckets are lost: set always_scrape_classic_histograms: true .*`,
		`ok      exporter       petra-native [0-9.:]+: all 8 tenants are read`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).Match(out) {
			t.Errorf("want %s", want)
		}
	}
	if strings.Contains(string(out), " other ") {
		t.Error("a target of another program is told")
	}
	if t.Failed() {
		t.Logf("it says:\n%s", out)
	}
}
