package inspect_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testKey has no eight characters that stand in a text by chance.
const testKey = "pk_9f8e7d6c5b4a39281706f5e4d3c2b1a0"

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		writeFile(t, file, got)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); if that is right, run go test ./collector/inspect -update:\n%s", name, diff)
	}
}

func writeFile(t *testing.T, file, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// day is a fixed day of the year 2025.
func day(n int) time.Time { return time.Date(2025, 1, n, 9, 30, 0, 0, time.UTC) }

// smallOrg has three tenants with an incident each, one of which is open.
func smallOrg() *petratest.Organization {
	w := petratest.NewOrganization()
	w.SetTenant(petratest.Tenant{ID: "Aa1", Name: "Acme Corp.", MicrosoftID: "a1b2c3d4-5e6f-7890-abcd-ef1234567890", Onboarded: day(1)})
	w.SetTenant(petratest.Tenant{ID: "Bb2", Name: "Bluewater", Paused: true})
	w.SetTenant(petratest.Tenant{ID: "Cc3", Name: "Cedar", Onboarded: day(3)})
	w.Add(
		petratest.Incident{ID: "1", TenantID: "Aa1", CreatedAt: day(10), OccurredAt: day(9), RemediatedAt: day(11)},
		petratest.Incident{ID: "2", TenantID: "Bb2", CreatedAt: day(20), OccurredAt: day(9), RemediatedAt: day(21), FinalStatus: "REMEDIATED"},
		petratest.Incident{ID: "3", TenantID: "Cc3", CreatedAt: day(30), OccurredAt: day(9), OpenStatus: "IN_PROGRESS"},
	)
	return w
}

// api is a simulated API with its address.
type api struct {
	*petratest.API
	url string
}

// newAPI serves an organization over HTTP.
func newAPI(t *testing.T, w *petratest.Organization) api {
	t.Helper()
	a := petratest.NewAPI(w, petratest.Options{Keys: []string{testKey}})
	server, err := petratest.NewServer(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return api{a, server.URL}
}

// handle serves the API behind a handler.
func (a api) handle(t *testing.T, h http.HandlerFunc) api {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// options have the key and the API's address, and a configuration of that
// content; edits change the overrides.
func (a api) options(t *testing.T, yaml string, edits ...func(*config.Overrides)) inspect.Options {
	t.Helper()
	file := writeFile(t, filepath.Join(t.TempDir(), "petra.yml"), yaml)
	overrides := config.Overrides{APIURL: a.url, APIKey: testKey}
	for _, edit := range edits {
		edit(&overrides)
	}
	return inspect.Options{
		ConfigFile: file, Load: func() (*config.Config, error) { return config.Load(file, overrides) }, Version: "test",
	}
}

// timeout is the key api of a configuration: short where a fault is to be waited
// for, but long enough for the other route on a busy machine.
func timeout(kind petratest.FaultKind) string {
	if kind == petratest.Hang || kind == petratest.Slow {
		return "api: {timeout: 5s}\n"
	}
	return "api: {timeout: 5m}\n"
}

// authority signs certificates of one server each.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	return &authority{t, cert, key, writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))}
}

// sign returns a certificate for 127.0.0.1, as edit changes it.
func (ca *authority) sign(edit func(*x509.Certificate)) tls.Certificate {
	ca.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &ca.key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ca.key}
}

// serveTLS serves a handler with a certificate, and returns its address.
func serveTLS(t *testing.T, h http.Handler, cert tls.Certificate, edit func(*tls.Config)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if edit != nil {
		edit(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // bad handshakes are part of the play
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// mute is an address that takes connections and says nothing on them.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// diagnose runs the doctor. It holds what is true of each run: no key in the
// output, and at most one request of each route.
func diagnose(t *testing.T, a api, o inspect.Options, prometheusURL string) (good bool, output string) {
	t.Helper()
	var out bytes.Buffer
	good = inspect.Doctor(t.Context(), &out, o, prometheusURL)
	noSecret(t, out.String())
	asked := map[string]int{}
	if a.API != nil {
		for _, r := range a.Requests() {
			if asked[r.Route]++; asked[r.Route] > 1 {
				t.Errorf("%d requests of the route %s", asked[r.Route], r.Route)
			}
		}
	}
	return good, out.String()
}

// noSecret fails the test where a text has the key, a part of it, or the
// password of a proxy or a Prometheus.
func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{testKey[:10], testKey[20:], password} {
		if strings.Contains(text, secret) {
			t.Errorf("the output has a secret:\n%s", text)
		}
	}
	for _, r := range text {
		if r != '\n' && r < ' ' || r >= 0x7f && r <= 0x9f {
			t.Errorf("the output has the control character %U:\n%q", r, text)
		}
	}
}

const password = "s3cr3t-passw0rd"

// states are the checks of an output by their state.
func states(t *testing.T, output string) map[string][]string {
	t.Helper()
	checks := map[string][]string{}
	lines := strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	for _, line := range lines[:len(lines)-1] { // the last one has the sums
		state, check := strings.TrimSpace(line[:8]), strings.TrimSpace(line[8:23])
		checks[state] = append(checks[state], check)
	}
	return checks
}
