package statuspage

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var binary string // of the exporter

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "statuspage")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "petra_exporter")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v\n%s", err, out))
		}
		return m.Run()
	}())
}

// exporter runs the exporter against a simulated API, until the test ends.
type exporter struct {
	t   *testing.T
	url string
}

func newExporter(t *testing.T, api *petratest.API, config string) *exporter {
	t.Helper()
	server, err := petratest.NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "--petra.api-url="+server.URL, "--config.file="+file, "--web.listen-address="+address) //nolint:gosec // built above
	cmd.Env = append(os.Environ(), "PETRA_API_KEY=key")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the exporter's log:\n%s", log.Bytes())
		}
	})
	return &exporter{t, "http://" + address}
}

// until scrapes until the exposition has a line.
func (e *exporter) until(line string) {
	e.t.Helper()
	var last string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(e.url + "/metrics")
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(response.Body)
		if response.Body.Close(); err == nil && strings.Contains(string(body), "\n"+line+"\n") {
			return
		}
		last = string(body)
	}
	e.t.Fatalf("never %s; the last exposition:\n%s", line, last)
}
