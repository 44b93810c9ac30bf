package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A client that connects and leaves is no warning, be it a probe, a load balancer or
// one that never says a word; one that says something wrong is.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	file := tempFile(t, "web.yml", webConfig)
	certificate(t, filepath.Dir(file))
	p := start(t, keyEnv, "--petra.api-url="+url, "--web.config.file="+file)
	address := strings.TrimPrefix(p.url, "http://")
	for _, leave := range []func(*net.TCPConn) error{
		(*net.TCPConn).CloseWrite,
		func(c *net.TCPConn) error { return c.SetLinger(0) }, // closes with a reset
	} {
		for range 6 {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if err := leave(connection.(*net.TCPConn)); err != nil {
				t.Error(err)
			}
			_ = connection.Close()
		}
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{MinVersion: tls.VersionTLS13}); err == nil {
		t.Error("the certificate is trusted")
	}
	handshakes := func(level string) int {
		return len(regexp.MustCompile(`(?m)^level=`+level+` .*TLS handshake error`).FindAllString(p.log.String(), -1))
	}
	p.eventually("all are logged", func() bool { return handshakes("debug") == 12 && handshakes("warn") == 1 })
}

func TestServerLog(t *testing.T) {
	const from = "http: TLS handshake error from 10.0.0.1:123: "
	for message, want := range map[string]slog.Level{
		from + "EOF": slog.LevelDebug,
		from + "read tcp 10.0.0.2:10984->10.0.0.1:123: read: connection reset by peer": slog.LevelDebug,
		from + "read tcp 10.0.0.2:10984->10.0.0.1:123: i/o timeout":                    slog.LevelDebug,
		from + "client sent an HTTP request to an HTTPS server":                        slog.LevelWarn,
		from + "remote error: tls: bad certificate":                                    slog.LevelWarn,
		"http: Accept error: EOF":                                                      slog.LevelWarn,
		"http: panic serving 10.0.0.1:123: unexpected EOF":                             slog.LevelWarn,
	} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
			handler := &levels{Handler: slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})}
			serverLog(handler).Print(message)
			if logged := len(handler.seen) == 1 && handler.seen[0] == want; logged != (want >= level) {
				t.Errorf("%s: at %s, logged as %v, want %s", message, level, handler.seen, want)
			}
		}
	}
}

// levels keeps those of the records that it handles.
type levels struct {
	slog.Handler
	seen []slog.Level
}

func (l *levels) Handle(_ context.Context, record slog.Record) error {
	l.seen = append(l.seen, record.Level)
	return nil
}
