package backfill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit bounds each wait: whatever takes longer has failed.
const limit = 5 * time.Minute

// program is the path of a program that make backfill has built.
func program(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../..", path))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; run make backfill", err)
	}
	return path
}

// run runs a program to its end, and returns how long it took.
func run(t *testing.T, name string, args ...string) time.Duration {
	t.Helper()
	begun := time.Now()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PETRA_API_KEY="+key)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, out)
	}
	return time.Since(begun)
}

// server is a program that serves HTTP.
type server struct {
	url    string
	exited chan struct{}
	log    buffer
}

var address = regexp.MustCompile(`"?Listening on"? .*address=(127\.0\.0\.1:\d+)`)

// serve starts a program on a free port, and returns once it listens. It ends
// with the test.
func serve(t *testing.T, name string, args ...string) *server {
	t.Helper()
	s := &server{exited: make(chan struct{})}
	cmd := exec.Command(name, append(args, "--web.listen-address=127.0.0.1:0")...)
	cmd.Env = append(os.Environ(), "PETRA_API_KEY="+key)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-s.exited
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), s.log.String())
		}
	})
	eventually(t, filepath.Base(name)+" listens", func() bool {
		select {
		case <-s.exited:
			t.Fatalf("%s has ended", filepath.Base(name))
		default:
		}
		m := address.FindStringSubmatch(s.log.String())
		if m != nil {
			s.url = "http://" + m[1]
		}
		return m != nil
	})
	eventually(t, filepath.Base(name)+" is ready", func() bool {
		response, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	})
	return s
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s: not within %s", what, limit)
		}
	}
}

// get asks the HTTP API of Prometheus.
func (s *server) get(path string, parameters url.Values, data any) error {
	response, err := http.Get(s.url + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return json.Unmarshal(body, &struct{ Data any }{data})
}

// query returns the values of an instant query by one of the labels, which the
// result may lack.
func (s *server) query(t *testing.T, expr string, at time.Time, label string) map[string]float64 {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	unix := strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
	if err := s.get("query", url.Values{"query": {expr}, "time": {unix}}, &data); err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	values := map[string]float64{}
	for _, r := range data.Result {
		value, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if _, twice := values[r.Metric[label]]; err != nil || twice {
			t.Fatalf("%s: %v, %v", expr, data.Result, err)
		}
		values[r.Metric[label]] = value
	}
	return values
}

// buffer keeps what a process writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
