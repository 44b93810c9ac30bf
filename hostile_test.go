package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dial connects to the exporter and sends a text.
func (p *process) dial(text string) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("the exporter reads no more: %v", err)
	}
	return conn
}

// status is that of the answer on a connection, 0 where it is closed without.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(limit))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection is held for %s", limit)
	}
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestHostileScrapers holds on real sockets that those who ask for too much, or
// for nothing, or slowly, keep no good scraper from its answer.
func TestHostileScrapers(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	file := tempFile(t, "petra.yml", often)
	p := start(t, keyEnv, "--config.file="+file, "--petra.api-url="+url)
	good := func(what string) {
		t.Helper()
		if a := p.do(http.MethodGet, "/metrics"); a.err != nil || a.code != http.StatusOK || !hasLine(a.body, `petra_open_incidents{live="false",tenant_id="A"} 1`) {
			t.Errorf("%s: a good scraper gets %d, %v", what, a.code, a.err)
		}
	}
	good("at first")
	const head = "GET /metrics HTTP/1.1\r\nHost: x\r\n"
	slow := p.dial(head)
	var unread []net.Conn
	for range 200 {
		unread = append(unread, p.dial(head+"\r\n"))
	}
	// While 200 are served at once, there may be a 503.
	p.eventually("a good scraper is answered", func() bool { return p.do(http.MethodGet, "/metrics").code == http.StatusOK })
	good("unread answers")
	for range 3000 {
		p.dial("")
	}
	good("idle connections")
	if n := descriptors(t, p); n > 600 {
		t.Errorf("%d descriptors", n)
	}
	for _, conn := range unread {
		_ = conn.Close()
	}
	for name, c := range map[string]struct {
		text  string
		codes []int // 0: closed without an answer
	}{
		"huge header":        {head + "X-Huge: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{http.StatusRequestHeaderFieldsTooLarge, 0}},
		"thousands of them":  {head + strings.Repeat("X-Many: x\r\n", 50_000) + "\r\n", []int{http.StatusRequestHeaderFieldsTooLarge, 0}},
		"huge path":          {"GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{http.StatusRequestHeaderFieldsTooLarge, http.StatusRequestURITooLong, 0}},
		"unknown method":     {"STEAL /metrics HTTP/1.1\r\nHost: x\r\n\r\n", []int{http.StatusMethodNotAllowed}},
		"POST":               {"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", []int{http.StatusMethodNotAllowed}},
		"TRACE":              {"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", []int{http.StatusMethodNotAllowed}},
		"CONNECT":            {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", []int{http.StatusNotFound, http.StatusMethodNotAllowed}},
		"unknown path":       {"GET /debug/pprof/ HTTP/1.1\r\nHost: x\r\n\r\n", []int{http.StatusNotFound}},
		"above the root":     {"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusNotFound}},
		"another's URL":      {"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", []int{http.StatusOK}}, // the landing page: it is no proxy
		"no HTTP":            {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", []int{http.StatusBadRequest}},
		"HTTP of the future": {"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n", []int{http.StatusHTTPVersionNotSupported}},
		"two lengths":        {"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", []int{http.StatusBadRequest}},
		"reload":             {"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", []int{http.StatusForbidden}},
	} {
		got := status(t, p.dial(c.text))
		found := false
		for _, code := range c.codes {
			found = found || got == code
		}
		if !found {
			t.Errorf("%s: status %d, want one of %d", name, got, c.codes)
		}
	}
	good("odd requests")
	if code := status(t, slow); code != 0 && code != http.StatusRequestTimeout {
		t.Errorf("slow headers: status %d", code)
	}
}

// descriptors are those of the process, as it tells them.
func descriptors(t *testing.T, p *process) (n int) {
	t.Helper()
	for line := range strings.Lines(p.scrape()) {
		if text, ok := strings.CutPrefix(line, "process_open_fds "); ok {
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no process_open_fds")
	return 0
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

// newAuthority returns an authority, signed by itself.
func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.pem = a.sign(a.cert, a.key)
	return a
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) string {
	a.t.Helper()
	public, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}))
}

// issue returns a certificate for loopback and its key.
func (a *authority) issue(usage x509.ExtKeyUsage, until time.Time) (cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	cert = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, private)
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// TestClientCertificates holds that with TLS only those get an answer who have
// a certificate of the right authority, and a password.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	later := time.Now().Add(time.Hour)
	cert, key := ours.issue(x509.ExtKeyUsageServerAuth, later)
	file := tempFile(t, "web.yml", strings.Replace(webConfig, "key_file: key.pem", "key_file: key.pem, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, min_version: TLS13", 1))
	for name, content := range map[string]string{"cert.pem": cert, "key.pem": key, "ca.pem": ours.pem} {
		writeFile(t, filepath.Join(filepath.Dir(file), name), content)
	}
	p := start(t, keyEnv, "--petra.api-url="+url, "--web.config.file="+file)
	address := strings.Replace(p.url, "http://", "https://", 1)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(ours.pem))

	get := func(cert, key, user, password string) (int, error) {
		t.Helper()
		config := &tls.Config{RootCAs: trusted}
		if cert != "" {
			pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			// Sent whatever authorities the server names.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequest(http.MethodGet, address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := (&http.Client{Transport: transport, Timeout: limit}).Do(request)
		if err != nil {
			return 0, err
		}
		_ = response.Body.Close()
		return response.StatusCode, nil
	}
	good, goodKey := ours.issue(x509.ExtKeyUsageClientAuth, later)
	for name, c := range map[string]struct {
		user, password string
		code           int
	}{
		"good":              {"scraper", "scraper-password", http.StatusOK},
		"wrong password":    {"scraper", "scraper-passwort", http.StatusUnauthorized},
		"wrong user":        {"admin", "scraper-password", http.StatusUnauthorized},
		"no password":       {"", "", http.StatusUnauthorized},
		"password in place": {"scraper", "$2a$04$wj3H7rGdaPGdbDRB.JYAQuvCx6rcmMR3RAOKOp11l3BSegspgY5d2", http.StatusUnauthorized},
	} {
		if code, err := get(good, goodKey, c.user, c.password); err != nil || code != c.code {
			t.Errorf("%s: status %d, want %d: %v", name, code, c.code, err)
		}
	}
	foreign, foreignKey := others.issue(x509.ExtKeyUsageClientAuth, later)
	expired, expiredKey := ours.issue(x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Hour))
	server, serverKey := ours.issue(x509.ExtKeyUsageServerAuth, later)
	for name, c := range map[string]struct{ cert, key, want string }{
		"no certificate":           {"", "", "client didn't provide a certificate"},
		"of another authority":     {foreign, foreignKey, "certificate signed by unknown authority"},
		"expired":                  {expired, expiredKey, "certificate has expired"},
		"for servers, not clients": {server, serverKey, "incompatible key usage"},
	} {
		if code, err := get(c.cert, c.key, "scraper", "scraper-password"); err == nil {
			t.Errorf("%s: status %d, want a failed handshake", name, code)
		}
		p.eventually("the log says "+c.want, func() bool { return strings.Contains(p.log.String(), c.want) })
	}
	if code, err := get(good, goodKey, "scraper", "scraper-password"); err != nil || code != http.StatusOK {
		t.Errorf("after all: status %d, %v", code, err)
	}
	// What net/http says of clients stands in the log as all else does.
	for line := range strings.Lines(p.log.String()) {
		if !strings.HasPrefix(line, "level=") {
			t.Errorf("not in the log's format: %s", line)
		}
	}
}
