package dashboards

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that serves HTTP on loopback.
type process struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	addr string
	stop func()
}

// start runs a program, which the test's end ends.
func start(t *testing.T, addr string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), addr: addr}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Env = append(os.Environ(), "PETRA_API_KEY=key-of-"+addr)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), tail(p.log.String()))
		}
	})
	t.Cleanup(p.stop)
	return p
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// buildExporter builds the exporter of this repository, once for all tests.
var buildExporter = sync.OnceValues(func() (string, error) {
	binary, err := filepath.Abs("../../.cache/dashboards/petra_exporter")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

func startExporter(t *testing.T, addr string, args ...string) *process {
	t.Helper()
	binary, err := buildExporter()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, addr, binary, append(args, "--web.listen-address="+addr, "--log.level=warn")...)
}

type prometheusServer struct {
	*process
	url string
}

// startPrometheus runs the Prometheus of .cache/bin on stored data.
func startPrometheus(t *testing.T, data, config string) *prometheusServer {
	t.Helper()
	binary, err := filepath.Abs("../../.cache/bin/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: make .cache/bin/prometheus builds it", err)
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	p := start(t, addr, binary, "--config.file="+file, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=90d",
		"--web.listen-address="+addr, "--log.level=warn")
	s := &prometheusServer{p, "http://" + addr}
	waitFor(t, "Prometheus", func() error {
		response, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
	return s
}

// waitFor asks until there is no error, for two minutes at most.
func waitFor(t *testing.T, what string, ready func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-again.C:
		}
	}
}

// result is a vector or a matrix; a vector's series have one value.
type result []struct {
	Metric map[string]string
	Value  sample
	Values []sample
}

type sample struct {
	at    float64
	value string
}

func (s *sample) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&s.at, &s.value}) }

func (p *prometheusServer) query(t *testing.T, expr string, at time.Time) (result, error) {
	return p.api(t, "query", url.Values{"query": {expr}, "time": {timestamp(at)}})
}

func (p *prometheusServer) queryRange(t *testing.T, expr string, from, to time.Time, step time.Duration) (result, error) {
	return p.api(t, "query_range", url.Values{"query": {expr}, "start": {timestamp(from)}, "end": {timestamp(to)}, "step": {seconds(step)}})
}

func timestamp(at time.Time) string { return fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000) }

// api asks Prometheus; a warning is an error too.
func (p *prometheusServer) api(t *testing.T, path string, form url.Values) (result, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/v1/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Warnings      []string
		Data          struct{ Result result }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 {
		return nil, fmt.Errorf("%s %v: %s", answer.Error, answer.Warnings, form.Get("query"))
	}
	return answer.Data.Result, nil
}
