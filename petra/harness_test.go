package petra_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// testKey has no eight characters that stand in a text by chance.
const testKey = "pk_9f8e7d6c5b4a39281706f5e4d3c2b1a0"

const testTimeout = 30 * time.Second

// testClient is a client with all that a test asks about it.
type testClient struct {
	*petra.Client
	budgets petra.Budgets

	mu       sync.Mutex
	observed []petra.Request
}

// newClient returns a client with a budget of ten for each route. Its
// connections come from dial or, where that is nil, from the network.
func newClient(t *testing.T, dial config.DialContextFunc, edits ...func(*petra.ClientConfig)) *testClient {
	t.Helper()
	c := &testClient{budgets: petra.NewBudgets(10)}
	cfg := petra.ClientConfig{
		URL: mustURL(t, "http://petra.test"), Key: config.NewInlineSecret(testKey), Timeout: testTimeout,
		Version: "1.2.3", Budgets: c.budgets,
		Observe: func(r petra.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.observed = append(c.observed, r)
		},
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	var opts []config.HTTPClientOption
	if dial != nil {
		opts = append(opts, config.WithDialContextFunc(dial))
	}
	client, err := petra.NewClient(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	c.Client = client
	return c
}

// newPipe serves a simulated API on virtual time.
func newPipe(t *testing.T, api *petratest.API) config.DialContextFunc {
	t.Helper()
	pipe := petratest.NewPipe(api)
	t.Cleanup(pipe.Close)
	return pipe.DialContext
}

func withURL(t *testing.T, text string) func(*petra.ClientConfig) {
	t.Helper()
	u := mustURL(t, text)
	return func(cfg *petra.ClientConfig) { cfg.URL = u }
}

func withKey(key config.SecretReader) func(*petra.ClientConfig) {
	return func(cfg *petra.ClientConfig) { cfg.Key = key }
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ask makes a request of either route.
func (c *testClient) ask(ctx context.Context, route petra.Route) error {
	if route == petra.RouteTenants {
		_, err := c.Tenants(ctx)
		return err
	}
	_, err := c.Incidents(ctx, petra.IncidentsQuery{})
	return err
}

// requests returns what Observe was told.
func (c *testClient) requests() []petra.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.observed)
}

// spent is how many requests of a route count now.
func (c *testClient) spent(route petra.Route) int {
	ended, _ := c.budgets[route].Spent()
	return len(ended)
}

// served puts a handler on connections in memory, which run on virtual time in
// a bubble.
func served(t *testing.T, handler http.HandlerFunc) config.DialContextFunc {
	t.Helper()
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	var running sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			handler(w, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// replying answers each request with the bytes of reply and closes the
// connection, unless hold is set: then that is left to the client, or to hold.
func replying(reply string, hold <-chan struct{}) config.DialContextFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close() //nolint:errcheck // in memory
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				return
			}
			_, _ = io.WriteString(theirs, reply)
			if hold != nil {
				<-hold
			}
		}()
		return ours, nil
	}
}

// answering answers each request with the same status, headers and body.
func answering(status int, header http.Header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// sentinels are the errors that a caller tells apart.
var sentinels = []error{
	petra.ErrUnauthorized, petra.ErrForbidden, petra.ErrNotFound, petra.ErrRateLimited, petra.ErrRedirect,
	petra.ErrUndecodable, petra.ErrTooLarge, petra.ErrNoBudget, petra.ErrKey,
	context.DeadlineExceeded, context.Canceled,
}

// wantKind fails the test unless err is of that one of the sentinels, and of no
// other; nil stands for none of them.
func wantKind(t *testing.T, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %v", want)
	}
	for _, sentinel := range sentinels {
		if got := errors.Is(err, sentinel); got != (sentinel == want) { //nolint:errorlint // identity is meant
			t.Errorf("errors.Is(%q, %q) is %t", err, sentinel, got)
		}
	}
}

// wantNoKey fails the test if the error shows eight characters or more of the key.
func wantNoKey(t *testing.T, err error, key string) {
	t.Helper()
	if err == nil {
		return
	}
	texts := []string{err.Error()}
	if status, ok := errors.AsType[*petra.StatusError](err); ok {
		texts = append(texts, status.Body)
	}
	for _, text := range texts {
		if part := partOf(text, key); part != "" {
			t.Errorf("a part of the key, %q, is in %.300q", part, text)
			return
		}
	}
}

// partOf returns the longest part of key, of eight characters or more, that text
// holds.
func partOf(text, key string) string {
	for n := len(key); n >= 8; n-- {
		for i := 0; i+n <= len(key); i++ {
			if strings.Contains(text, key[i:i+n]) {
				return key[i : i+n]
			}
		}
	}
	return ""
}
