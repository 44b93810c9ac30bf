package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// patience bounds each wait: whatever takes longer has failed.
	patience = 3 * time.Minute
	// reserve is what is left of the test's time to end the processes in.
	reserve = 20 * time.Second
	// pause is between two looks.
	pause = 50 * time.Millisecond
)

// process is a program that runs beside the test.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string        // the file that it writes to
	addr  string        // where it listens
	ended chan struct{} // closed when it has ended
}

var listening = regexp.MustCompile(`(?m)msg="Listening on".* address=(\S+)`)

// start starts a program and waits until it listens. It ends with the test, and
// its log stays.
func start(t *testing.T, name, binary string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.ArtifactDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{name: name, cmd: exec.CommandContext(t.Context(), binary, args...), log: log.Name(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = []string{} // no proxy, no key
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v; make e2e builds it", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	until(t, name+" listens", func() error {
		content, err := os.ReadFile(p.log)
		if err != nil {
			return fatal{err}
		}
		if found := listening.FindSubmatch(content); found != nil {
			p.addr = string(found[1])
			return nil
		}
		return p.lives()
	})
	return p
}

// lives is an error either way: that the process runs, or that it has ended.
func (p *process) lives() error {
	select {
	case <-p.ended:
		return fatal{fmt.Errorf("%s has ended: %s", p.name, p.cmd.ProcessState)}
	default:
		return fmt.Errorf("%s runs", p.name)
	}
}

// kill ends the process without a word of warning.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// fatal is an error that waiting does not mend.
type fatal struct{ error }

// until waits for a check to hold.
func until(t *testing.T, what string, check func() error) {
	t.Helper()
	begun := time.Now()
	end := begun.Add(patience)
	if deadline, ok := t.Deadline(); ok && deadline.Add(-reserve).Before(end) {
		end = deadline.Add(-reserve)
	}
	for {
		err := check()
		if err == nil {
			t.Logf("%5.1f s: %s", time.Since(begun).Seconds(), what)
			return
		}
		if _, hopeless := err.(fatal); hopeless || time.Now().After(end) { //nolint:errorlint // it is never wrapped
			t.Fatalf("not within %.0f s: %s: %v", time.Since(begun).Seconds(), what, err)
		}
		time.Sleep(pause)
	}
}

// door is an address that stays, whoever is behind it: like a service's.
type door struct {
	listener net.Listener
	mu       sync.Mutex
	behind   string
}

func newDoor(t *testing.T) *door {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	d := &door{listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.lead(conn)
		}
	}()
	return d
}

func (d *door) addr() string { return d.listener.Addr().String() }

func (d *door) to(addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.behind = addr
}

func (d *door) lead(outer net.Conn) {
	defer outer.Close()
	d.mu.Lock()
	behind := d.behind
	d.mu.Unlock()
	inner, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer inner.Close()
	go func() {
		_, _ = io.Copy(inner, outer)
		_ = inner.Close()
	}()
	_, _ = io.Copy(outer, inner)
}

// counters are the sums of a server's own metrics, by name.
func counters(t *testing.T, addr string) map[string]float64 {
	response, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			sums[name] += metric.GetCounter().GetValue()
		}
	}
	return sums
}
