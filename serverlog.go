package main

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// serverLog is for what net/http reports: warnings, but for clients that connect and
// leave without a word, as TCP probes and load balancers do. With TLS, each of them is
// a failed handshake; they are for debugging.
func serverLog(handler slog.Handler) *log.Logger {
	return slog.NewLogLogger(silentClients{handler}, slog.LevelWarn)
}

type silentClients struct{ slog.Handler }

func (s silentClients) Handle(ctx context.Context, record slog.Record) error {
	if strings.HasPrefix(record.Message, "http: TLS handshake error from ") {
		for _, end := range []string{": EOF", ": connection reset by peer", ": i/o timeout"} {
			if strings.HasSuffix(record.Message, end) {
				record.Level = slog.LevelDebug
			}
		}
	}
	if !s.Enabled(ctx, record.Level) {
		return nil
	}
	return s.Handler.Handle(ctx, record)
}

// placeless leaves out where in its code a library has logged.
type placeless struct{ slog.Handler }

func (p placeless) Handle(ctx context.Context, record slog.Record) error {
	record.PC = 0
	return p.Handler.Handle(ctx, record)
}

func (p placeless) WithAttrs(attrs []slog.Attr) slog.Handler {
	return placeless{p.Handler.WithAttrs(attrs)}
}

func (p placeless) WithGroup(name string) slog.Handler {
	return placeless{p.Handler.WithGroup(name)}
}
