package web

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections a server keeps. Prometheus needs one.
const maxConnections = 500

// NewServer returns a server that clients can neither exhaust nor block: each
// phase of a connection has its timeout, and of too many connections the oldest
// are closed, idle ones first.
func NewServer(handler http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second, // no request here has a body
		WriteTimeout:      5 * time.Minute,  // waiting for a refresh included; scrapes have less
		IdleTimeout:       5 * time.Minute,  // longer than scrapes are apart
		MaxHeaderBytes:    64 << 10,
		ConnState:         (&connections{open: map[net.Conn]connection{}}).changed,
		ErrorLog:          errorLog,
	}
}

// connections are the open ones of a server.
type connections struct {
	mu   sync.Mutex
	open map[net.Conn]connection
}

type connection struct {
	busy  bool
	since time.Time
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.open, conn)
		return
	}
	c.open[conn] = connection{busy: state == http.StateActive, since: time.Now()}
	if len(c.open) > maxConnections {
		c.closeOne()
	}
}

// closeOne closes the connection that has been idle the longest or, if all are
// busy, that has been busy the longest.
func (c *connections) closeOne() {
	var oldest net.Conn
	for conn, this := range c.open {
		if that := c.open[oldest]; oldest == nil || that.busy && !this.busy || that.busy == this.busy && this.since.Before(that.since) {
			oldest = conn
		}
	}
	delete(c.open, oldest)
	if encrypted, ok := oldest.(*tls.Conn); ok {
		oldest = encrypted.NetConn() // without TLS's closing message, which could block
	}
	_ = oldest.Close()
}
