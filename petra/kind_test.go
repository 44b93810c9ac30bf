package petra_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// failingDial fails in another wording each time.
func failingDial(fail func(n int) error) config.DialContextFunc {
	n := 0
	return func(context.Context, string, string) (net.Conn, error) {
		n++
		return nil, fail(n)
	}
}

// overTLS asks a server whose TLS is set by edit, and trusts the certificate.
func overTLS(t *testing.T, certificate tls.Certificate, edit func(*tls.Config), settings config.TLSConfig) *testClient {
	t.Helper()
	server := httptest.NewUnstartedServer(good(`{"incidents": []}`))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	if edit != nil {
		edit(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return newClient(t, nil, withURL(t, server.URL), withHTTP(config.HTTPClientConfig{TLSConfig: settings}))
}

// selfSigned is a certificate for 127.0.0.1, with its PEM.
func selfSigned(t *testing.T, notAfter time.Time) (certificate tls.Certificate, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestKind: what an error is called depends on what failed, and not on its
// text. Where changes is set, the text is another one each time.
func TestKind(t *testing.T) {
	fresh, ca := selfSigned(t, time.Now().Add(time.Hour))
	expired, expiredCA := selfSigned(t, time.Now().Add(-time.Hour))
	faulty := func(f petratest.Fault) func(*testing.T) *testClient {
		return func(t *testing.T) *testClient {
			api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}, Limit: -1})
			api.SetFault(f)
			return newClient(t, newPipe(t, api), func(cfg *petra.ClientConfig) {
				if f.Size == 0 {
					cfg.Timeout = 100 * time.Millisecond
				}
			})
		}
	}
	dialing := func(dial config.DialContextFunc) func(*testing.T) *testClient {
		return func(t *testing.T) *testClient { return newClient(t, dial) }
	}
	numbered := func(answer func(w http.ResponseWriter, n int)) func(*testing.T) *testClient {
		return func(t *testing.T) *testClient {
			n := 0
			return newClient(t, served(t, func(w http.ResponseWriter, _ *http.Request) {
				n++
				answer(w, n)
			}))
		}
	}
	proxied := func(edit func(*testing.T, *proxy) config.ProxyConfig) func(*testing.T) *testClient {
		return func(t *testing.T) *testClient {
			settings := config.HTTPClientConfig{ProxyConfig: edit(t, newProxy(t, http.StatusProxyAuthRequired))}
			return newClient(t, nil, withURL(t, "https://petra.invalid"), withHTTP(settings))
		}
	}
	for name, c := range map[string]struct {
		client  func(*testing.T) *testClient
		want    string
		changes bool
	}{
		"DNS, by the local port": {dialing(failingDial(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: fmt.Sprintf("read udp 127.0.0.1:%d->127.0.0.53:53: connection refused", 40000+n), Name: "petra.test"}}
		})), "dns", true},
		"DNS, in time or not": {dialing(failingDial(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: fmt.Sprintf("attempt %d", n), Name: "petra.test", IsTimeout: n%2 == 0}}
		})), "dns", true},
		"dial, addresses in turn": {dialing(failingDial(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n)), Port: 443}, Err: syscall.ECONNREFUSED}
		})), "dial", true},
		"dial, for various reasons": {dialing(failingDial(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: []error{syscall.ECONNREFUSED, syscall.ETIMEDOUT, syscall.EHOSTUNREACH}[n%3]}
		})), "dial", true},
		"TLS, by the hour": {dialing(failingDial(func(n int) error {
			return &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: fmt.Sprintf("current time is hour %d", n)}}
		})), "tls", true},
		"TLS, expired": {func(t *testing.T) *testClient { return overTLS(t, expired, nil, config.TLSConfig{CA: expiredCA}) }, "tls", false},
		"TLS, unknown": {func(t *testing.T) *testClient { return overTLS(t, fresh, nil, config.TLSConfig{}) }, "tls", false},
		"TLS, another host": {func(t *testing.T) *testClient {
			return overTLS(t, fresh, nil, config.TLSConfig{CA: ca, ServerName: "petra.invalid"})
		}, "tls", false},
		"TLS, client certificate": {func(t *testing.T) *testClient {
			return overTLS(t, fresh, func(cfg *tls.Config) { cfg.ClientAuth = tls.RequireAnyClientCert }, config.TLSConfig{CA: ca})
		}, "tls", false},
		"TLS, version": {func(t *testing.T) *testClient {
			return overTLS(t, fresh, func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS12 }, config.TLSConfig{CA: ca, MinVersion: config.TLSVersion(tls.VersionTLS13)})
		}, "tls", false},
		"TLS, none there": {func(t *testing.T) *testClient {
			server := httptest.NewServer(good(`{}`))
			t.Cleanup(server.Close)
			return newClient(t, nil, withURL(t, strings.Replace(server.URL, "http:", "https:", 1)))
		}, "tls", false},
		"proxy refuses": {proxied(func(t *testing.T, p *proxy) config.ProxyConfig { return p.config(t, "") }), "proxy", false},
		"proxy is not there": {proxied(func(t *testing.T, p *proxy) config.ProxyConfig {
			cfg := p.config(t, "")
			p.Close()
			return cfg
		}), "proxy", false},
		"SOCKS proxy": {proxied(func(t *testing.T, p *proxy) config.ProxyConfig {
			cfg := p.config(t, "")
			cfg.ProxyURL.Scheme = "socks5"
			p.Close()
			return cfg
		}), "proxy", false},
		"timeout":           {faulty(petratest.Fault{Kind: petratest.Hang}), "timeout", false},
		"timeout of a body": {faulty(petratest.Fault{Kind: petratest.Slow}), "timeout", false},
		"no answer":         {faulty(petratest.Fault{Kind: petratest.Reset}), "connection", false},
		"half an answer":    {faulty(petratest.Fault{Kind: petratest.Cut}), "connection", false},
		"not HTTP":          {dialing(replying("SSH-2.0-OpenSSH_9.2\r\n", nil)), "connection", false},
		"a reset, by the port": {dialing(failingDial(func(n int) error {
			return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40000 + n}, Err: syscall.ECONNRESET}
		})), "connection", false},
		"redirect": {faulty(petratest.Fault{Kind: petratest.Redirect}), "redirect", false},
		"redirects": {numbered(func(w http.ResponseWriter, n int) {
			w.WriteHeader([]int{302, 303, 307}[n%3])
		}), "redirect", true},
		"portal": {faulty(petratest.Fault{Kind: petratest.HTML}), "undecodable", false},
		"bad JSON": {numbered(func(w http.ResponseWriter, n int) {
			_, _ = io.WriteString(w, `{"incidents": [`+strings.Repeat("0,", n)+"x")
		}), "undecodable", false},
		"bad gzip": {numbered(func(w http.ResponseWriter, n int) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, []string{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff", "this is no gzip at all"}[n%2])
		}), "undecodable", true},
		"too large": {faulty(petratest.Fault{Kind: petratest.GzipBomb, Size: 33 << 20}), "too_large", false},
		"status": {numbered(func(w http.ResponseWriter, n int) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprintf(w, "request %d", n)
		}), "status 502", true},
		"rate limit": {numbered(func(w http.ResponseWriter, n int) {
			w.WriteHeader(http.StatusTooManyRequests)
		}), "status 429", false},
		"key": {func(t *testing.T) *testClient { return newClient(t, nil, withKey(nil)) }, "key", false},
		"no budget": {func(t *testing.T) *testClient {
			c := newClient(t, nil)
			c.budgets[petra.RouteIncidents].SetLimit(0)
			return c
		}, "no_budget", false},
	} {
		t.Run(name, func(t *testing.T) {
			client := c.client(t)
			texts := map[string]bool{}
			for range 3 {
				if c.want == "status 429" {
					client.budgets[petra.RouteIncidents].SetAPI("another")
				}
				err := client.ask(t.Context(), petra.RouteIncidents)
				if got := petra.Kind(err); got != c.want {
					t.Errorf("%q is %q, want %q", err, got, c.want)
				}
				texts[fmt.Sprint(err)] = true
			}
			if c.changes && len(texts) < 2 {
				t.Errorf("the text does not change: %v", texts)
			}
		})
	}
	if got := petra.Kind(nil); got != "" {
		t.Errorf("no error is %q", got)
	}
	if got := petra.Kind(errors.Join(petra.ErrKey)); got != petra.KindKey {
		t.Errorf("a key that is joined is %q", got)
	}
}
