package petratest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves an API on a free port of the loopback address.
type Server struct {
	URL string // without a slash at its end
	s   *server
}

// NewServer starts a server. Close ends it.
func NewServer(a *API) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &Server{URL: "http://" + l.Addr().String(), s: serve(a, l)}, nil
}

// Close ends the server, its connections and the requests on them, and returns
// once all of them have ended.
func (s *Server) Close() { s.s.close() }

// Pipe serves an API over HTTP/1.1 on connections in memory. In a testing/synctest
// bubble it must be made and closed inside; everything then runs on virtual time.
type Pipe struct {
	URL   string // any host will do: DialContext does not look at it
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	s     *server
}

// NewPipe starts a server without a socket. Close ends it.
func NewPipe(a *API) *Pipe {
	p := &Pipe{URL: "http://petra.test", conns: make(chan net.Conn), done: make(chan struct{})}
	p.s = serve(a, pipeListener{p})
	return p
}

// DialContext connects to the server, whatever the network and address. It is
// made for http.Transport.DialContext.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the server, its connections and the requests on them, and returns
// once all of them have ended.
func (p *Pipe) Close() { p.s.close() }

type pipeListener struct{ p *Pipe }

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.p.conns:
		return c, nil
	case <-l.p.done:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	l.p.once.Do(func() { close(l.p.done) })
	return nil
}

func (l pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// server is what Server and Pipe share.
type server struct {
	http  *http.Server
	serve sync.WaitGroup // the accept loop
	conns sync.WaitGroup
}

func serve(h http.Handler, l net.Listener) *server {
	s := &server{}
	s.http = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// Clients that go away in the middle are part of the play.
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.conns.Done()
			}
		},
	}
	s.serve.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = s.http.Close()
		}
	})
	return s
}

func (s *server) close() {
	_ = s.http.Close()
	s.serve.Wait()
	// Again, for a connection that was accepted at that very moment.
	_ = s.http.Close()
	s.conns.Wait()
}
