package petra_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// newServer serves a simulated API on loopback.
func newServer(t *testing.T, api *petratest.API) *petratest.Server {
	t.Helper()
	server, err := petratest.NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// counting is a server that counts what comes, in whatever way.
func counting(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		_, _ = io.WriteString(w, `{"incidents": [], "tenants": [], "access_token": "x", "token_type": "Bearer"}`)
	}))
	t.Cleanup(server.Close)
	return server, &n
}

func withHTTP(cfg config.HTTPClientConfig) func(*petra.ClientConfig) {
	return func(c *petra.ClientConfig) { c.HTTP = cfg }
}

func TestRedirectIsNeverFollowed(t *testing.T) {
	other, reached := counting(t)
	for name, location := range map[string]string{
		"another host":      other.URL + "/v1/incidents",
		"another path":      "/v1/tenants",
		"the same":          "",
		"no address at all": "http://[elsewhere",
		"another scheme":    "ftp://" + strings.TrimPrefix(other.URL, "http://"),
	} {
		for _, follow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, follow_redirects: %t", name, follow), func(t *testing.T) {
				api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}})
				server := newServer(t, api)
				c := newClient(t, nil, withURL(t, server.URL), withHTTP(config.HTTPClientConfig{FollowRedirects: follow}))
				fault := petratest.Fault{Kind: petratest.Redirect, Location: location}
				if location == "" {
					fault.Location = server.URL + "/v1/incidents"
				}
				api.SetFault(fault)
				for _, route := range petra.Routes() {
					err := c.ask(t.Context(), route)
					wantKind(t, err, petra.ErrRedirect)
					wantNoKey(t, err, testKey)
				}
				if n := reached.Load(); n != 0 {
					t.Errorf("the other host was asked %d times", n)
				}
				if n := len(api.Requests()); n != 2 {
					t.Errorf("%d requests came for two calls", n)
				}
				for _, r := range c.requests() {
					if r.Code != http.StatusFound {
						t.Errorf("observed %+v", r)
					}
				}
			})
		}
	}
}

// The key alone authenticates: what the HTTP configuration has besides is
// neither sent nor asked for.
func TestCredentialsOfTheHTTPConfigurationAreNotUsed(t *testing.T) {
	other, reached := counting(t)
	for name, cfg := range map[string]config.HTTPClientConfig{
		"authorization":      {Authorization: &config.Authorization{Type: "Bearer", Credentials: "other"}},
		"authorization file": {Authorization: &config.Authorization{Type: "Bearer", CredentialsFile: "missing"}},
		"bearer token":       {BearerToken: "other"},
		"basic auth":         {BasicAuth: &config.BasicAuth{Username: "user", Password: "other"}},
		"OAuth 2":            {OAuth2: &config.OAuth2{ClientID: "id", ClientSecret: "other", TokenURL: other.URL}},
	} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			c := newClient(t, served(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Clone()
				good(`{"incidents": []}`)(w, r)
			}), withHTTP(cfg))
			if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
				t.Error(err)
			}
			if want := []string{"Bearer " + testKey}; !slices.Equal(got["Authorization"], want) || strings.Contains(fmt.Sprint(got), "other") {
				t.Errorf("sent %v", got)
			}
			if n := reached.Load(); n != 0 {
				t.Errorf("another host was asked %d times", n)
			}
		})
	}
}

// What is counted is what is sent: net/http resends a GET when a connection
// that it uses again has died.
func TestOneRequestForEachCall(t *testing.T) {
	api := petratest.NewAPI(petratest.Documented(), petratest.Options{Limit: -1})
	server := newServer(t, api)
	c := newClient(t, nil, withURL(t, server.URL))
	for _, route := range petra.Routes() {
		c.budgets[route].SetLimit(100)
	}
	calls := 0
	for _, kind := range []petratest.FaultKind{"", petratest.Reset, petratest.Reset, "", petratest.Cut, petratest.Status503, petratest.Reset, ""} {
		api.ClearFault()
		if kind != "" {
			api.SetFault(petratest.Fault{Kind: kind})
		}
		for _, route := range petra.Routes() {
			if err := c.ask(t.Context(), route); (err == nil) != (kind == "") {
				t.Errorf("%q: %v", kind, err)
			}
			calls++
			if sent, spent, observed := len(api.Requests()), c.spent(petra.RouteIncidents)+c.spent(petra.RouteTenants), len(c.requests()); sent != calls || spent != calls || observed != calls {
				t.Fatalf("%q: %d calls, %d sent, %d spent, %d observed", kind, calls, sent, spent, observed)
			}
		}
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	c := newClient(t, nil, withURL(t, "http://"+address))
	err = c.ask(t.Context(), petra.RouteIncidents)
	wantKind(t, err, nil)
	if want := "dial tcp " + address + ": connect: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q, without method and path", err, want)
	}
	if got := c.requests(); len(got) != 1 || got[0].Code != 0 || !errors.Is(got[0].Err, err) {
		t.Errorf("observed %+v", got)
	}
}

// tlsServer serves over TLS, HTTP/2 included, and returns its certificate.
func tlsServer(t *testing.T, handler http.HandlerFunc) (server *httptest.Server, ca string) {
	t.Helper()
	server = httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestTLS(t *testing.T) {
	var seen atomic.Value
	server, ca := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Proto)
		good(`{"incidents": []}`)(w, r)
	})
	trusting := config.HTTPClientConfig{TLSConfig: config.TLSConfig{CA: ca}, EnableHTTP2: true}
	c := newClient(t, nil, withURL(t, server.URL), withHTTP(trusting))
	if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
		t.Error(err)
	}
	if got := seen.Load(); got != "HTTP/1.1" {
		t.Errorf("spoke %v: HTTP/2 resends requests", got)
	}
	// A certificate that nobody signed gets no key.
	seen.Store("")
	err := newClient(t, nil, withURL(t, server.URL)).ask(t.Context(), petra.RouteIncidents)
	wantKind(t, err, nil)
	if !strings.Contains(fmt.Sprint(err), "certificate") || seen.Load() != "" {
		t.Errorf("an unknown certificate: %v", err)
	}
}

func TestNewClientRefusesBadTLSSettings(t *testing.T) {
	for name, settings := range map[string]config.TLSConfig{
		"no CA file":     {CAFile: filepath.Join(t.TempDir(), "missing.pem")},
		"no certificate": {CA: "not PEM"},
		"no key file":    {CertFile: "missing.pem", KeyFile: "missing.key"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := petra.NewClient(petra.ClientConfig{
				URL: mustURL(t, "https://petra.invalid"), HTTP: config.HTTPClientConfig{TLSConfig: settings},
			})
			if err == nil || client != nil {
				t.Errorf("got %v and %v", client, err)
			}
		})
	}
}

const (
	proxyPassword    = "proxy-password"
	proxyCredentials = "Basic dXNlcjpwcm94eS1wYXNzd29yZA==" // user:proxy-password
)

// proxy is an HTTP proxy that notes what it is asked.
type proxy struct {
	*httptest.Server
	target string // what the host of a CONNECT resolves to; set before the first

	mu   sync.Mutex
	seen []http.Request
}

// newProxy starts a proxy that tunnels to its target or, for a plain request,
// answers it itself; or refuses with a status.
func newProxy(t *testing.T, refuse int) *proxy {
	t.Helper()
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, http.Request{Method: r.Method, RequestURI: r.RequestURI, Header: r.Header.Clone()})
		p.mu.Unlock()
		switch {
		case refuse != 0:
			w.WriteHeader(refuse)
		case r.Method == http.MethodConnect:
			tunnel(w, p.target)
		default:
			_, _ = io.WriteString(w, `{"incidents": []}`)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func tunnel(w http.ResponseWriter, address string) {
	target, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = target.Close()
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() {
		_, _ = io.Copy(target, buffered)
		_ = target.Close()
	}()
	_, _ = io.Copy(conn, target)
	_ = conn.Close()
}

func (p *proxy) requests() []http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

func (p *proxy) config(t *testing.T, noProxy string) config.ProxyConfig {
	t.Helper()
	u := mustURL(t, p.URL)
	u.User = url.UserPassword("user", proxyPassword)
	return config.ProxyConfig{ProxyURL: config.URL{URL: u}, NoProxy: noProxy}
}

func TestPlainProxy(t *testing.T) {
	p := newProxy(t, 0)
	c := newClient(t, nil, withURL(t, "http://127.0.0.1:9"), withHTTP(config.HTTPClientConfig{ProxyConfig: p.config(t, "")}))
	if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
		t.Fatal(err)
	}
	got := p.requests()
	if len(got) != 1 || got[0].RequestURI != "http://127.0.0.1:9/v1/incidents?limit=500" || got[0].Method != http.MethodGet {
		t.Errorf("the proxy was asked %+v", got)
	}
}

func TestConnectProxy(t *testing.T) {
	for name, configure := range map[string]func(*testing.T, *proxy) config.ProxyConfig{
		"proxy_url": func(t *testing.T, p *proxy) config.ProxyConfig { return p.config(t, "") },
		"no_proxy for others": func(t *testing.T, p *proxy) config.ProxyConfig {
			return p.config(t, "example.org,10.0.0.0/8")
		},
		"environment": func(t *testing.T, p *proxy) config.ProxyConfig {
			for _, name := range []string{"https_proxy", "no_proxy", "NO_PROXY", "REQUEST_METHOD"} {
				t.Setenv(name, "")
			}
			t.Setenv("HTTPS_PROXY", p.URL)
			return config.ProxyConfig{ProxyFromEnvironment: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var authorization, ofProxy atomic.Value
			target, ca := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
				authorization.Store(r.Header.Get("Authorization"))
				ofProxy.Store(fmt.Sprint(r.Header["Proxy-Authorization"]))
				good(`{"incidents": []}`)(w, r)
			})
			p := newProxy(t, 0)
			// Loopback never goes through a proxy of the environment or one beside
			// no_proxy; the certificate names example.com too.
			p.target = strings.TrimPrefix(target.URL, "https://")
			_, port, _ := net.SplitHostPort(p.target)
			host := net.JoinHostPort("example.com", port)
			cfg := config.HTTPClientConfig{ProxyConfig: configure(t, p), TLSConfig: config.TLSConfig{CA: ca}}
			c := newClient(t, nil, withURL(t, "https://"+host), withHTTP(cfg))
			if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
				t.Fatal(err)
			}
			if got := authorization.Load(); got != "Bearer "+testKey {
				t.Errorf("the API got %v", got)
			}
			if got := ofProxy.Load(); got != "[]" {
				t.Errorf("the API was told the proxy's password: %v", got)
			}
			got := p.requests()
			if len(got) != 1 || got[0].Method != http.MethodConnect || got[0].RequestURI != host {
				t.Fatalf("the proxy was asked %+v", got)
			}
			if got[0].Header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(got[0].Header), testKey) {
				t.Errorf("the proxy was told the key: %v", got[0].Header)
			}
			if named := cfg.ProxyURL.URL != nil; named != (got[0].Header.Get("Proxy-Authorization") == proxyCredentials) {
				t.Errorf("the proxy was told %v", got[0].Header)
			}
		})
	}
}

func TestNoProxy(t *testing.T) {
	p := newProxy(t, 0)
	api := petratest.NewAPI(petratest.Documented(), petratest.Options{})
	server := newServer(t, api)
	c := newClient(t, nil, withURL(t, server.URL), withHTTP(config.HTTPClientConfig{ProxyConfig: p.config(t, "127.0.0.1")}))
	if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
		t.Error(err)
	}
	if n, sent := len(p.requests()), len(api.Requests()); n != 0 || sent != 1 {
		t.Errorf("%d through the proxy, %d to the API", n, sent)
	}
}

// A certificate for another host, whoever signed it, gets no key.
func TestCertificateOfAnotherHost(t *testing.T) {
	var asked atomic.Int32
	server, ca := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		good(`{"incidents": []}`)(w, r)
	})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	p := newProxy(t, 0) // resolves every name to the server
	p.target = server.Listener.Addr().String()
	cfg := config.HTTPClientConfig{ProxyConfig: p.config(t, ""), TLSConfig: config.TLSConfig{CA: ca}}
	err := newClient(t, nil, withURL(t, "https://petra.invalid:"+port), withHTTP(cfg)).ask(t.Context(), petra.RouteIncidents)
	wantKind(t, err, nil)
	if !strings.Contains(fmt.Sprint(err), "petra.invalid") || asked.Load() != 0 {
		t.Errorf("%d requests, and %v", asked.Load(), err)
	}
}

// What a proxy that refuses says reaches the log: its own password, which it
// may echo as a server may echo the key, does not.
func TestProxyCredentialsAreScrubbed(t *testing.T) {
	secrets := []string{testKey, proxyPassword, strings.TrimPrefix(proxyCredentials, "Basic ")}
	wantNone := func(t *testing.T, err error) {
		t.Helper()
		wantKind(t, err, nil)
		for _, secret := range secrets {
			wantNoKey(t, err, secret)
		}
	}
	for name, reply := range map[string]string{
		"reason":              "HTTP/1.1 407 no user:" + proxyPassword + " here\r\n\r\n",
		"header in a reason":  "HTTP/1.1 407 Proxy-Authorization " + proxyCredentials + "\r\n\r\n",
		"escaped in a reason": "HTTP/1.1 407 " + url.QueryEscape(proxyCredentials) + "\r\n\r\n",
		"status line":         proxyCredentials + "\r\n\r\n",
		"redirect":            "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/?" + proxyCredentials + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, environment := range []bool{false, true} {
				cfg := config.ProxyConfig{ProxyURL: config.URL{URL: mustURL(t, "http://user:"+proxyPassword+"@proxy.invalid:3128")}}
				if environment {
					for _, name := range []string{"https_proxy", "no_proxy", "NO_PROXY", "REQUEST_METHOD"} {
						t.Setenv(name, "")
					}
					t.Setenv("HTTPS_PROXY", cfg.ProxyURL.String())
					cfg = config.ProxyConfig{ProxyFromEnvironment: true}
				}
				c := newClient(t, replying(reply, nil), withURL(t, "https://petra.invalid"), withHTTP(config.HTTPClientConfig{ProxyConfig: cfg}))
				wantNone(t, c.ask(t.Context(), petra.RouteIncidents))
			}
		})
	}
	t.Run("nothing listens", func(t *testing.T) {
		p := newProxy(t, 0)
		p.Close()
		wantNone(t, newClient(t, nil, withURL(t, "https://petra.invalid"), withHTTP(config.HTTPClientConfig{ProxyConfig: p.config(t, "")})).ask(t.Context(), petra.RouteIncidents))
	})
	t.Run("unknown scheme", func(t *testing.T) {
		p := newProxy(t, 0)
		cfg := p.config(t, "")
		cfg.ProxyURL.Scheme = "gopher"
		wantNone(t, newClient(t, nil, withURL(t, "https://petra.invalid"), withHTTP(config.HTTPClientConfig{ProxyConfig: cfg})).ask(t.Context(), petra.RouteIncidents))
	})
}

// A proxy's refusal is not the API's.
func TestRefusingProxy(t *testing.T) {
	for _, status := range []int{302, 401, 403, 404, 407, 429, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			p := newProxy(t, status)
			c := newClient(t, nil, withURL(t, "https://petra.invalid"), withHTTP(config.HTTPClientConfig{ProxyConfig: p.config(t, "")}))
			err := c.ask(t.Context(), petra.RouteIncidents)
			wantKind(t, err, nil)
			wantNoKey(t, err, testKey)
			wantNoKey(t, err, proxyPassword)
			if !strings.Contains(fmt.Sprint(err), http.StatusText(status)) {
				t.Errorf("%v does not say what the proxy said", err)
			}
			if got := c.requests(); len(got) != 1 || got[0].Code != 0 {
				t.Errorf("observed %+v", got)
			}
		})
	}
}
