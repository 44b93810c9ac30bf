package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// exporter is a running binary.
type exporter struct {
	*exec.Cmd
	url   string
	log   logBuffer
	ended chan error
}

var listening = regexp.MustCompile(`msg="Listening on".* address=(\S+)`)

// launch starts the binary and waits until it listens.
func launch(binary string, args ...string) (*exporter, error) {
	e := &exporter{Cmd: exec.Command(binary, args...), ended: make(chan error, 1)}
	e.Stderr = &e.log
	if err := e.Start(); err != nil {
		return nil, err
	}
	go func() { e.ended <- e.Wait() }()
	for range 1000 {
		select {
		case err := <-e.ended:
			return nil, fmt.Errorf("it has ended: %w\n%s", err, &e.log)
		case <-time.After(10 * time.Millisecond):
		}
		if m := listening.FindSubmatch(e.log.bytes()); m != nil {
			e.url = "http://" + string(m[1])
			return e, nil
		}
	}
	_ = e.Process.Kill()
	return nil, fmt.Errorf("it does not listen:\n%s", &e.log)
}

// stop ends it in order.
func (e *exporter) stop() error {
	if err := e.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("it has ended before: %w\n%s", err, &e.log)
	}
	var err error
	select {
	case err = <-e.ended:
	case <-time.After(stopWithin):
		_ = e.Process.Kill()
		err = fmt.Errorf("it still runs %s after SIGTERM", stopWithin)
	}
	if err == nil && bytes.Contains(e.log.bytes(), []byte("goroutine ")) {
		err = fmt.Errorf("it has panicked:\n%s", &e.log)
	}
	return err
}

// logBuffer keeps what the exporter logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text.Bytes())
}

// String is the last that was logged.
func (b *logBuffer) String() string {
	text := b.bytes()
	return string(text[max(0, len(text)-10_000):])
}
