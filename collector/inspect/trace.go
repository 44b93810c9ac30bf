package inspect

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
)

// trace is how far a request came on its way to the API or to a proxy. What has
// begun and not ended was cut off by a timeout.
type trace struct {
	mu         sync.Mutex
	host       string // that was looked up; empty where the address is a number
	addresses  []net.IPAddr
	dialed     string // the address that was tried last or, once there is one, the connection's
	connected  bool
	handshakes []handshake // with a proxy over TLS, its own first
}

type handshake struct {
	done  bool
	err   error
	state tls.ConnectionState
}

// watch returns a context for one request. Hooks may be called even after the
// request has ended.
func (t *trace) watch(ctx context.Context) context.Context {
	locked := func(change func()) {
		t.mu.Lock()
		defer t.mu.Unlock()
		change()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) { locked(func() { t.host = i.Host }) },
		DNSDone:  func(i httptrace.DNSDoneInfo) { locked(func() { t.addresses = i.Addrs }) },
		ConnectStart: func(_, address string) {
			locked(func() {
				if !t.connected {
					t.dialed = address
				}
			})
		},
		ConnectDone: func(_, address string, err error) {
			locked(func() {
				if err == nil && !t.connected {
					t.connected, t.dialed = true, address
				}
			})
		},
		TLSHandshakeStart: func() { locked(func() { t.handshakes = append(t.handshakes, handshake{}) }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			locked(func() { t.handshakes[len(t.handshakes)-1] = handshake{true, err, state} })
		},
	})
}
