package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// person is the user of each incident of newAPI.
var person = petratest.User{
	ID: "5ecre7-0000-4000-8000-0123456789ab", DisplayName: "Zenobia Quillfeather",
	UserPrincipalName: "zenobia.quillfeather@victim.example", Mail: "z.quillfeather@mail.victim.example",
}

const proxyPassword = "hush-proxy-31337"

// secrets lists what must show up nowhere: parts of the keys and of the proxy's
// password, as they are and in base64, and the person.
var secrets = sync.OnceValue(func() []string {
	var list []string
	parts := func(text string) {
		for i := range len(text) - 7 {
			list = append(list, text[i:i+8])
		}
	}
	for _, secret := range []string{goodKey, otherKey, badKey, proxyPassword} {
		parts(secret)
		for shift := range 3 { // base64 writes three bytes at a time
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			parts(encoded[4 : len(encoded)-4])
		}
	}
	for name := range strings.FieldsSeq(person.DisplayName) {
		list = append(list, strings.ToLower(name))
	}
	return append(list, "@victim", "@mail.victim", "%40victim", person.ID)
})

// secretIn returns a secret that the text holds, if it does.
func secretIn(text string) string {
	lower := strings.ToLower(text)
	i := slices.IndexFunc(secrets(), func(secret string) bool { return strings.Contains(text, secret) || strings.Contains(lower, secret) })
	if i < 0 {
		return ""
	}
	return secrets()[i]
}

func wantNoSecret(t *testing.T, where, text string) {
	t.Helper()
	if secret := secretIn(text); secret != "" {
		t.Errorf("%s shows %q:\n%s", where, secret, text)
	}
}

// TestSecretIn holds that a secret would be found.
func TestSecretIn(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		goodKey, "x" + otherKey[3:12] + "x", `{"a": "` + badKey[len(badKey)-8:] + `"}`,
		base64.StdEncoding.EncodeToString([]byte("Bearer " + goodKey)), base64.URLEncoding.EncodeToString([]byte("user:" + proxyPassword)),
		person.DisplayName, "QUILLFEATHER", person.UserPrincipalName, person.Mail, person.ID,
	} {
		if secretIn(text) == "" {
			t.Errorf("%s is not found", text)
		}
	}
	if secret := secretIn("level=info msg=starting key=Tenant A good other bad key proxy"); secret != "" {
		t.Errorf("%q is none", secret)
	}
}

// echo is what a chatty server says of a request.
const echo = "cannot handle Bearer " + goodKey + " for zenobia.quillfeather@victim.example, z.quillfeather%40mail.victim.example"

// formats are what a scraper may accept, and how the answer's type begins.
var formats = map[string]string{
	"":                         "text/plain; version=0.0.4",
	"text/plain;version=0.0.4": "text/plain; version=0.0.4",
	"application/openmetrics-text;version=0.0.1":                                                        "application/openmetrics-text; version=0.0.1",
	"application/openmetrics-text;version=1.0.0":                                                        "application/openmetrics-text; version=1.0.0",
	"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.99": "application/vnd.google.protobuf",
}

// visit asks for all that the exporter serves; each answer is searched.
func (p *process) visit() {
	p.t.Helper()
	for accept, want := range formats {
		a := p.get("/metrics", "Accept", accept, "X-Prometheus-Scrape-Timeout-Seconds", "0.6")
		if got := a.header.Get("Content-Type"); a.code != http.StatusOK || !strings.HasPrefix(got, want) || !strings.Contains(a.body, "petra_tenants") {
			p.t.Errorf("as %q: status %d, %s: %.200s", accept, a.code, got, a.body)
		}
	}
	for path, code := range map[string]int{
		"/": 200, "/status": 200, "/-/healthy": 200, "/-/ready": 200, "/-/reload": 405,
		"/debug/pprof/": 404, "/debug/pprof/heap": 404, "/debug/vars": 404, "/config": 404, "/nothing": 404,
	} {
		if a := p.get(path); a.code != code {
			p.t.Errorf("%s: status %d, want %d", path, a.code, code)
		}
	}
}

// reload asks for a reload, and searches the reply.
func (p *process) reload(code int) {
	p.t.Helper()
	if a := p.do(http.MethodPost, "/-/reload"); a.code != code || a.err != nil {
		p.t.Errorf("reload: want status %d: %+v", code, a)
	}
}

// TestNothingLeaks lets the API fail in every way, from the first request on
// and later, with answers that repeat the key and name the person. All that
// comes out is searched: log, pages, metrics in every format, replies to good
// and bad reloads, the state file.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	elsewhere, reached := counting(t)
	for _, kind := range petratest.FaultKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			api, url := newAPI(t)
			fault := petratest.Fault{Kind: kind, Body: echo, RetryHeader: "Retry-After", RetryValue: "1", Location: elsewhere + "/?to=" + goodKey}
			if kind == petratest.BadJSON {
				fault.Body = `{"incidents": [{"id": "` + goodKey + `", "user": {"mail": "` + person.Mail + `", "displayName": "` + person.DisplayName
			}
			config := "api: {requests_per_minute: 60000, timeout: 1s, authorization: {credentials: " + goodKey + "}}\ntenants: [{id: A}]\n"
			file := tempFile(t, "petra.yml", config)
			state := filepath.Join(t.TempDir(), "state.json")
			api.SetFault(fault)
			p := start(t, nil, "--config.file="+file, "--petra.api-url="+url, "--web.enable-lifecycle", "--state.file="+state)
			struck := func(when, route string) {
				t.Helper()
				before := len(api.Requests())
				if when == "at first" {
					before = 0
				}
				p.eventually(string(kind)+" strikes "+when, func() bool {
					p.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.6")
					return slices.ContainsFunc(api.Requests()[before:], func(r petratest.Request) bool { return r.Fault == kind && r.Route == route })
				})
			}
			struck("at first", petratest.RouteTenants)
			struck("at first", petratest.RouteIncidents)
			p.eventually("it is ready", func() bool { return p.do(http.MethodGet, "/-/ready").code == http.StatusOK })
			p.visit()
			p.reload(http.StatusOK)
			writeFile(t, file, config+"api: {authorization: "+goodKey+"}\n")
			p.reload(http.StatusInternalServerError)
			writeFile(t, file, "api:\n  authorization: {credentials: *"+goodKey+"}\n")
			p.reload(http.StatusInternalServerError)
			writeFile(t, file, config)

			api.ClearFault()
			p.eventually("it recovers", func() bool {
				return hasLine(p.scrape(), `petra_tenant_up{tenant_id="A"} 1`)
			})
			p.visit()
			api.SetFault(fault)
			struck("again", petratest.RouteIncidents)
			p.visit()
			p.signal(syscall.SIGHUP)
			p.signal(syscall.SIGTERM)
			if status := p.wait(); status != 0 {
				t.Errorf("status %d", status)
			}
			content, err := os.ReadFile(state)
			if err != nil {
				t.Fatal(err)
			}
			wantNoSecret(t, "the state file", string(content))
			if n := reached.Load(); n != 0 {
				t.Errorf("another host was asked %d times", n)
			}
		})
	}
}

// counting is another host, which counts what comes.
func counting(t *testing.T) (url string, n *atomic.Int32) {
	t.Helper()
	n = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		_, _ = io.WriteString(w, `{"incidents": [], "tenants": []}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, n
}

// TestProxyLeaks holds that neither a proxy that refuses and repeats its own
// password, nor one that is not there, makes the exporter show it.
func TestProxyLeaks(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 407 "+proxyPassword+" "+r.Header.Get("Proxy-Authorization")+"\r\n\r\n")
		_ = conn.Close()
	}))
	defer proxy.Close()
	for name, host := range map[string]string{"refuses": strings.TrimPrefix(proxy.URL, "http://"), "is not there": "127.0.0.1:1"} {
		address := "http://scraper:" + proxyPassword + "@" + host
		for from, c := range map[string]struct {
			env    []string
			config string
		}{
			"configuration": {keyEnv, "{url: 'https://petra.invalid', proxy_url: '" + address + "'}"},
			"environment":   {append([]string{"HTTPS_PROXY=" + address}, keyEnv...), "{url: 'https://petra.invalid'}"},
		} {
			t.Run(name+", of the "+from, func(t *testing.T) {
				file := tempFile(t, "petra.yml", "api: "+c.config+"\n")
				p := start(t, c.env, "--config.file="+file, "--web.enable-lifecycle")
				p.eventually("the request fails", func() bool { return strings.Contains(p.log.String(), "request failed") })
				p.visit()
				p.reload(http.StatusOK)
				writeFile(t, file, "api: {proxy_url: '"+address+"', proxy_from_environment: true}\n")
				p.reload(http.StatusInternalServerError)
				if name == "refuses" && !strings.Contains(p.log.String(), "<secret>") {
					t.Errorf("the proxy's answer is not in the log:\n%s", p.log.String())
				}
			})
		}
	}
}

// TestChecksLeak holds that checking a configuration repeats no secret.
func TestChecksLeak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		args   []string
		status int
	}{
		"good":            {"api: {authorization: {credentials: " + goodKey + "}}", nil, 0},
		"good proxy":      {"api: {proxy_url: 'http://user:" + proxyPassword + "@proxy.example.com'}", nil, 0},
		"in a wrong key":  {"api: {credentials: " + goodKey + "}", nil, 1},
		"for a list":      {"api: {authorization: {credentials: [" + goodKey + "]}}", nil, 1},
		"as an alias":     {"api: {authorization: {credentials: *" + goodKey + "}}", nil, 1},
		"in the URL":      {"api: {url: 'https://" + goodKey + "@petra.example.com'}", nil, 1},
		"broken proxy":    {"api: {proxy_url: 'http://user:" + proxyPassword + "@%zz'}", nil, 1},
		"in a flag's URL": {"", []string{"--petra.api-url=https://me:" + goodKey + "@petra.example.com"}, 1},
		"no such flag":    {"", []string{"--petra.api-key=" + goodKey}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--config.check", "--log.level=debug", "--config.file=" + tempFile(t, "petra.yml", c.config)}, c.args...)
			status, stdout, stderr := execute(t, keyEnv, args...)
			if status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, stderr)
			}
			wantNoSecret(t, "the check", stdout+stderr)
		})
	}
}

// TestUserNamesOnlyWhereAskedFor holds that open_incident_user publishes the
// principal name on /metrics, and that nothing else shows it.
func TestUserNamesOnlyWhereAskedFor(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	state := filepath.Join(t.TempDir(), "state.json")
	p := start(t, keyEnv, "--petra.api-url="+url, "--state.file="+state, "--config.file="+tempFile(t, "petra.yml", "open_incident_user: true\n"))
	a := p.do(http.MethodGet, "/metrics")
	if !strings.Contains(a.body, `user_principal_name="`+person.UserPrincipalName+`"`) {
		t.Errorf("the metrics lack the name that was asked for:\n%s", ours(a.body))
	}
	wantNoSecret(t, "the rest of the metrics", strings.ReplaceAll(a.body, person.UserPrincipalName, ""))
	for _, path := range []string{"/", "/status"} {
		p.get(path)
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	content, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	wantNoSecret(t, "the state file", string(content))
}

// TestTraceLeaks holds that the trace with which a process of Go ends, as after
// a panic, shows no secret, though requests with the key are under way.
func TestTraceLeaks(t *testing.T) {
	t.Parallel()
	api, url := newAPI(t)
	p := start(t, append([]string{"GOTRACEBACK=system"}, keyEnv...), "--petra.api-url="+url, "--config.file="+tempFile(t, "petra.yml", often))
	p.quits = true
	p.wantLine("petra_up 1")
	api.SetFault(petratest.Fault{Kind: petratest.Hang})
	p.eventually("a request hangs", func() bool {
		p.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.6")
		return slices.ContainsFunc(api.Requests(), func(r petratest.Request) bool { return r.Fault == petratest.Hang })
	})
	p.signal(syscall.SIGQUIT)
	if status := p.wait(); status != 2 {
		t.Errorf("status %d", status)
	}
	for _, part := range []string{"SIGQUIT", "goroutine ", "petra.(*Client).get("} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("no trace with %s:\n%s", part, p.log.String())
		}
	}
	wantNoSecret(t, "the trace", p.log.String())
}
