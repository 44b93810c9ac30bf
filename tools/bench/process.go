package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/procfs"
)

// process is a program that serves HTTP on loopback.
type process struct {
	cmd *exec.Cmd
	log bytes.Buffer
	url string // without a slash at its end
}

// start runs a program with these arguments and one that has it listen on a
// free port. It never returns nil.
func start(binary string, args ...string) (*process, error) {
	p := &process{}
	address, err := freeAddress()
	if err != nil {
		return p, err
	}
	p.url = "http://" + address
	p.cmd = exec.Command(binary, append(args, "--web.listen-address="+address)...) //nolint:gosec // what the caller asks for
	p.cmd.Env = append(os.Environ(), "PETRA_API_KEY="+apiKey)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	return p, p.cmd.Start()
}

// stop ends the program and returns what it logged.
func (p *process) stop() []byte {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	kill.Stop()
	return p.log.Bytes()
}

// usage is what the program has used so far.
func (p *process) usage() (cpu time.Duration, peakRSS float64, err error) {
	proc, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0, 0, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, 0, err
	}
	return time.Duration(stat.CPUTime() * float64(time.Second)), float64(status.VmHWM), nil
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

var client = &http.Client{Timeout: 10 * time.Minute}

// get asks as Prometheus does, for text with gzip.
func get(url string) (body []byte, status int, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := client.Do(request) //nolint:gosec // a process of ours on loopback
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	reader := io.Reader(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" {
		if reader, err = gzip.NewReader(reader); err != nil {
			return nil, 0, err
		}
	}
	body, err = io.ReadAll(reader)
	return body, response.StatusCode, err
}

// until repeats a check until it holds.
func until(within time.Duration, check func() error) error {
	for end := time.Now().Add(within); ; time.Sleep(time.Second) {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %s: %w", within, err)
		}
	}
}

// writeConfig writes a configuration of the exporter that allows it to read
// tenants quickly, and, if it lists them, all of them at its first refresh.
func writeConfig(file string, list []petratest.Tenant) error {
	var b strings.Builder
	b.WriteString("api: {requests_per_minute: 100000, timeout: 5m}\ntenants:\n")
	for _, t := range list {
		fmt.Fprintf(&b, "- id: %q\n", t.ID)
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}
