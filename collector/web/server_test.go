package web_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// server serves an exporter on connections in memory that hold nothing: who
// does not read keeps the other side waiting at once.
type server struct {
	t     *testing.T
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newServer(e *exporter) *server {
	s := &server{t: e.t, conns: make(chan net.Conn), done: make(chan struct{})}
	h := web.NewServer(e.handler, log.New(io.Discard, "", 0))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(s)
	}()
	s.close = sync.OnceFunc(func() { close(s.done) })
	e.t.Cleanup(func() {
		_ = h.Close()
		<-ended
	})
	return s
}

func (s *server) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *server) Close() error {
	s.close()
	return nil
}

func (s *server) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// dial connects and sends a text, if there is one.
func (s *server) dial(text string) net.Conn {
	s.t.Helper()
	ours, theirs := net.Pipe()
	s.t.Cleanup(func() { _ = ours.Close() })
	s.conns <- theirs
	if text != "" {
		if _, err := io.WriteString(ours, text); err != nil {
			s.t.Fatal(err)
		}
	}
	return ours
}

// get makes a request on a connection of its own and returns the status.
func (s *server) get(path string) int {
	s.t.Helper()
	conn := s.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	defer conn.Close() //nolint:errcheck // in memory
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // in memory
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode
}

// whole reports whether an answer can be read to its end.
func whole(conn net.Conn) bool {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // in memory
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil
}

// TestServerPhases holds that a client can take its time in no phase of a
// connection, and for how long it can.
func TestServerPhases(t *testing.T) {
	for name, c := range map[string]struct {
		sends string
		reads bool
		most  time.Duration
	}{
		"nothing":         {"", true, 10 * time.Second},
		"half a header":   {"GET /metrics HTTP/1.1\r\nHost: x\r\n", true, 10 * time.Second},
		"no body":         {"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", true, 10 * time.Second},
		"unread":          {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", false, 11 * time.Second},
		"unread, patient": {"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 86400\r\n\r\n", false, 31 * time.Second},
		"unread status":   {"GET /status HTTP/1.1\r\nHost: x\r\n\r\n", false, 5*time.Minute + time.Second},
		"idle":            {"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", true, 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newExporter(t, petratest.NewAPI(webOrg(t), petratest.Options{}), "")
				s := newServer(e)
				e.scrape()
				conn := s.dial(c.sends)
				if c.reads {
					start := time.Now()
					_, _ = io.Copy(io.Discard, conn) // until the server closes it
					if held := time.Since(start); held > c.most {
						t.Errorf("the connection is held for %s, want at most %s", held, c.most)
					}
					return
				}
				time.Sleep(c.most)
				synctest.Wait()
				if whole(conn) {
					t.Errorf("after %s the whole answer is still there", c.most)
				}
			})
		})
	}
}

// TestUnreadScrapes: scrapers that do not read give their places back.
func TestUnreadScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExporter(t, petratest.NewAPI(webOrg(t), petratest.Options{}), "")
		s := newServer(e)
		for range 40 {
			s.dial("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 600\r\n\r\n")
		}
		synctest.Wait()
		if code := s.get("/metrics"); code != http.StatusServiceUnavailable {
			t.Errorf("all places are taken: status %d", code)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if code := s.get("/metrics"); code != http.StatusOK {
			t.Errorf("30 s later: status %d", code)
		}
	})
}

// TestManyConnections: of too many connections the oldest are closed, and those
// first that ask nothing, so that a scraper always gets one.
func TestManyConnections(t *testing.T) {
	for name, sends := range map[string]string{
		"that ask nothing": "",
		"slow headers":     "GET /metrics HTTP/1.1\r\nX-Slow: ",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newExporter(t, petratest.NewAPI(webOrg(t), petratest.Options{}), "")
				s := newServer(e)
				var all []net.Conn
				for range 2000 {
					all = append(all, s.dial(sends))
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				if code := s.get("/metrics"); code != http.StatusOK {
					t.Errorf("a good scraper: status %d", code)
				}
				open := 0
				for i, conn := range all {
					_ = conn.SetReadDeadline(time.Now())
					if _, err := conn.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // in memory
						open++
						if i < 1500 {
							t.Fatal(fmt.Sprint("connection ", i, " is open, newer ones are closed: ", err))
						}
					}
				}
				if open == 0 || open > 500 {
					t.Errorf("%d connections are open", open)
				}
			})
		})
	}
}

// TestReliabilityClients holds that docs/reliability.md, to which SECURITY.md refers,
// has the bounds of the server.
func TestReliabilityClients(t *testing.T) {
	server := web.NewServer(nil, nil)
	if server.ReadHeaderTimeout != server.ReadTimeout {
		t.Error("header and body have different times, and the same row")
	}
	duration := func(d time.Duration) string {
		if d >= time.Minute {
			return fmt.Sprintf("%g min", d.Minutes())
		}
		return fmt.Sprintf("%g s", d.Seconds())
	}
	want := map[string]string{
		"TLS handshake, request header, request body":    duration(server.ReadTimeout),
		"size of the header":                             fmt.Sprintf("%d KiB", server.MaxHeaderBytes>>10),
		"writing an exposition":                          "for each 64 KiB the scraper's timeout, " + duration(web.MaxWriting) + " at most; for all " + duration(web.MaxReading),
		"anything else, the wait for a refresh included": duration(server.WriteTimeout),
		"idle between two requests":                      duration(server.IdleTimeout),
		"connections":                                    fmt.Sprintf("%d; of more, the oldest is closed, idle ones first", web.MaxConnections),
		"scrapes at once":                                "`--web.max-requests`; more get 503",
	}
	_, table, _ := strings.Cut(readFile(t, "docs/reliability.md"), "\n| phase | bound |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	for phase, bound := range want {
		if row := fmt.Sprintf("| %s | %s |", phase, bound); !slices.Contains(rows, row) {
			t.Errorf("docs/reliability.md lacks %s", row)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("docs/reliability.md has %d rows, want %d", len(rows), len(want))
	}
	if !strings.Contains(readFile(t, "SECURITY.md"), "(docs/reliability.md#clients)") {
		t.Error("SECURITY.md does not say where the bounds are")
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
