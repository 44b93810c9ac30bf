// Smoke starts the petra_exporter named on its command line in demo mode and
// looks at it as Prometheus and an operator would: it becomes ready, what it
// exposes is well formed and alive, and SIGTERM ends it with exit status 0.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// What is slower has failed; a busy machine has not.
const (
	readyWithin = 2 * time.Minute
	aliveWithin = 3 * time.Minute
	stopWithin  = 20 * time.Second
	minTenants  = 5
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: smoke PETRA_EXPORTER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

func run(binary string) (err error) {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	e, err := start(binary, "--demo", "--web.listen-address="+addr)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe exporter's log:\n%s", err, e.kill())
		}
	}()

	if err := e.until("ready", readyWithin, func() error {
		_, err := get("http://" + addr + "/-/ready")
		return err
	}); err != nil {
		return err
	}
	if err := e.until("metrics of a live demo", aliveWithin, func() error {
		return checkMetrics("http://" + addr + "/metrics")
	}); err != nil {
		return err
	}
	return e.terminate()
}

// freeAddress finds a port that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// checkMetrics reads an exposition, whole: it parses, promlint has nothing to
// say, the API was reached, and the open incidents of the tenants are known.
func checkMetrics(url string) error {
	body, err := get(url)
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil {
		return fmt.Errorf("promlint: %w", err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("promlint: %v", problems)
	}

	up := families["petra_up"].GetMetric()
	if len(up) != 1 || up[0].GetGauge().GetValue() != 1 {
		return fmt.Errorf("petra_up is not 1: %v", up)
	}
	if n := tenants(families["petra_open_incidents"]); n < minTenants {
		return fmt.Errorf("petra_open_incidents has %d tenants, want at least %d", n, minTenants)
	}
	return nil
}

func tenants(family *dto.MetricFamily) int {
	ids := map[string]bool{}
	for _, metric := range family.GetMetric() {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "tenant_id" {
				ids[label.GetValue()] = true
			}
		}
	}
	return len(ids)
}

var client = &http.Client{Timeout: 15 * time.Second}

func get(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return body, nil
}

// exporter is a running process; err and log may be read once ended is closed.
type exporter struct {
	process *os.Process
	log     bytes.Buffer
	err     error
	ended   chan struct{}
}

func start(binary string, args ...string) (*exporter, error) {
	e := &exporter{ended: make(chan struct{})}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &e.log, &e.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e.process = cmd.Process
	go func() {
		e.err = cmd.Wait()
		close(e.ended)
	}()
	return e, nil
}

// until repeats a check until it holds, the exporter ends or the time is up.
func (e *exporter) until(what string, within time.Duration, check func() error) error {
	begun := time.Now()
	for {
		err := check()
		if err == nil {
			fmt.Printf("smoke: %s after %.1f s\n", what, time.Since(begun).Seconds())
			return nil
		}
		if time.Since(begun) > within {
			return fmt.Errorf("no %s within %s: %w", what, within, err)
		}
		select {
		case <-e.ended:
			return fmt.Errorf("the exporter ended by itself: %w", errors.Join(e.err, err))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (e *exporter) terminate() error {
	begun := time.Now()
	if err := e.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-e.ended:
	case <-time.After(stopWithin):
		return fmt.Errorf("still running %s after SIGTERM", stopWithin)
	}
	if e.err != nil {
		return fmt.Errorf("after SIGTERM: %w", e.err)
	}
	fmt.Printf("smoke: stopped in %.1f s\n", time.Since(begun).Seconds())
	return nil
}

// kill ends the exporter, whatever its state, and returns what it logged.
func (e *exporter) kill() []byte {
	_ = e.process.Kill()
	<-e.ended
	return e.log.Bytes()
}
