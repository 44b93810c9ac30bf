package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// These tests run the real binary as a process, on loopback.

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "petra_exporter")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "petra_exporter")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const (
	// The keys are in secrets: they must show up nowhere.
	goodKey  = "good-8f3a91c7d2e6b405-key"
	otherKey = "other-1b7c04e9a8d35f62-key"
	badKey   = "bad-c4n4ry-9e2d7a60-key"
	// limit bounds each wait and each process: whatever takes longer has failed.
	limit = 2 * time.Minute
)

// buffer keeps what a process writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// process is a running exporter.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout buffer
	log    buffer
	url    string
	client *http.Client
	exited chan struct{} // closed when it has ended, with status as its exit status
	status int
	quits  bool // it is made to end with a trace of its goroutines
}

// launch starts the binary with no environment but env, and ends it at the
// test's end at the latest.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return launchCommand(t, exec.Command(binary, args...), env)
}

func launchCommand(t *testing.T, cmd *exec.Cmd, env []string) *process {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	p := &process{t: t, cmd: cmd, exited: make(chan struct{}), client: &http.Client{Timeout: limit, Transport: transport}}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
		p.status = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		transport.CloseIdleConnections()
		for _, text := range []string{p.stdout.String(), p.log.String()} {
			wantNoSecret(t, "the process", text)
			if !p.quits && (strings.Contains(text, "panic: ") || strings.Contains(text, "goroutine ")) {
				t.Errorf("the process panics:\n%s", text)
			}
			if port := defaultPort.FindString(text); port != "" {
				t.Errorf("the test needs the default port, which may be in use: %s", port)
			}
		}
		if t.Failed() {
			t.Logf("%q logged:\n%s", cmd.Args[1:], p.log.String())
		}
	})
	return p
}

var (
	listening = regexp.MustCompile(`(?m)^.*msg"?[=:]"Listening on".*$`)
	address   = regexp.MustCompile(`address"?[=:]"?(127\.0\.0\.1:\d+)`)
	// defaultPort is what the log says of it, whether it was free or not.
	defaultPort = regexp.MustCompile(`(Listening on|listen tcp).*:10984\b`)
)

// start starts an exporter on a free port, with a verbose log, and returns once
// it listens.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, env, append([]string{"--web.listen-address=127.0.0.1:0", "--log.level=debug"}, args...)...)
	p.listens()
	return p
}

// listens waits until the log tells the address.
func (p *process) listens() {
	p.t.Helper()
	p.eventually("it listens", func() bool {
		m := address.FindStringSubmatch(listening.FindString(p.log.String()))
		if m != nil {
			p.url = "http://" + m[1]
		}
		return m != nil
	})
}

// wait waits for the end of the process and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.status
	case <-time.After(limit):
		p.t.Fatalf("it still runs after %s", limit)
		return 0
	}
}

// execute runs the binary until its end.
func execute(t *testing.T, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := launch(t, env, args...)
	status = p.wait()
	return status, p.stdout.String(), p.log.String()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// eventually waits until something holds.
func (p *process) eventually(what string, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.exited:
			if !holds() {
				p.t.Fatalf("waiting until %s: it has ended with status %d:\n%s", what, p.status, p.log.String())
			}
			return
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("waiting until %s: not within %s", what, limit)
		}
	}
}

// answer is what the exporter answered.
type answer struct {
	code   int
	header http.Header
	body   string
	err    error
}

// do makes a request; it can be called from any goroutine.
func (p *process) do(method, path string, header ...string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if secret := secretIn(string(body) + fmt.Sprint(response.Header)); secret != "" {
		err = errors.Join(err, fmt.Errorf("%s %s shows a secret, %q", method, path, secret))
	}
	return answer{response.StatusCode, response.Header, string(body), err}
}

func (p *process) get(path string, header ...string) answer {
	p.t.Helper()
	a := p.do(http.MethodGet, path, header...)
	if a.err != nil {
		p.t.Fatal(a.err)
	}
	return a
}

// scrape returns the lines of /metrics.
func (p *process) scrape() string {
	p.t.Helper()
	a := p.get("/metrics")
	if a.code != http.StatusOK {
		p.t.Fatalf("scrape: status %d: %s", a.code, a.body)
	}
	return a.body
}

func hasLine(text, line string) bool {
	return slices.Contains(strings.Split(text, "\n"), line)
}

// wantLine fails the test unless a scrape has that line.
func (p *process) wantLine(lines ...string) {
	p.t.Helper()
	text := p.scrape()
	for _, line := range lines {
		if !hasLine(text, line) {
			p.t.Errorf("the metrics lack %s:\n%s", line, ours(text))
		}
	}
}

// ours are the lines of a scrape that are about tenants and the exporter.
func ours(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "petra_") && !strings.Contains(line, "_bucket") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// newAPI serves three tenants with an open incident each, on loopback. The
// incidents are about the same person, who is among the secrets.
func newAPI(t *testing.T) (*petratest.API, string) {
	t.Helper()
	w := petratest.NewOrganization()
	now := time.Now().Add(-time.Hour)
	for _, id := range []string{"A", "B", "C"} {
		w.SetTenant(petratest.Tenant{ID: id, Name: "Tenant " + id})
		w.Add(petratest.Incident{TenantID: id, CreatedAt: now, OccurredAt: now, User: person})
	}
	api := petratest.NewAPI(w, petratest.Options{Keys: []string{goodKey}, Limit: -1})
	server, err := petratest.NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return api, server.URL
}

func writeFile(t *testing.T, file, content string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tempFile writes a file in a folder of its own.
func tempFile(t *testing.T, name, content string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), name), content)
}

// often lets a process ask for tenant A at each scrape.
const often = "api: {requests_per_minute: 60000}\ntenants: [{id: A}]\n"

var keyEnv = []string{"PETRA_API_KEY=" + goodKey}

// flagTests has a test of what each flag is for; TestFlags compares the list
// with --help.
var flagTests = map[string]func(*testing.T){
	"help": func(t *testing.T) {
		for _, flag := range []string{"-h", "--help"} {
			for command, flags := range map[string][]string{"": {"--config.file=FILE", "--web.listen-address=:10984", "backfill --output=FILE"}, "serve": {"--config.file=FILE", "--state.file=FILE"}, "backfill": {"--config.file=FILE", "--end=TIME"}} {
				status, stdout, stderr := execute(t, nil, strings.Fields(command+" "+flag)...)
				if status != 0 || stderr != "" || slices.ContainsFunc(flags, func(f string) bool { return !strings.Contains(stdout, f) }) {
					t.Errorf("%s %s: status %d, want %q: %s%s", command, flag, status, flags, stdout, stderr)
				}
			}
		}
	},
	"version": func(t *testing.T) {
		if status, stdout, stderr := execute(t, nil, "--version"); status != 0 || !strings.HasPrefix(stdout+stderr, "petra_exporter, version ") {
			t.Errorf("status %d: %s%s", status, stdout, stderr)
		}
	},
	"config.file": func(t *testing.T) {
		api, url := newAPI(t)
		key := tempFile(t, "key", goodKey+"\n")
		file := writeFile(t, filepath.Join(filepath.Dir(key), "petra.yml"), "api:\n  url: "+url+"\n  authorization: {credentials_file: key}\ntenants: [{id: B}]\n")
		p := start(t, nil, "--config.file="+file)
		p.wantLine("petra_up 1", `petra_open_incidents{live="false",tenant_id="B"} 1`)
		for _, r := range api.Requests() {
			if r.Route == petratest.RouteIncidents && r.TenantID != "B" {
				t.Errorf("a request for tenant %q", r.TenantID)
			}
		}
		missing := filepath.Join(t.TempDir(), "missing.yml")
		for name, c := range map[string]struct{ file, want string }{
			"missing": {missing, "--config.file: open " + missing + ": no such file or directory"},
			"folder":  {filepath.Dir(missing), "--config.file: " + filepath.Dir(missing) + " is a directory, not a regular file"},
			"bad":     {writeFile(t, missing+".bad", "since: 2025-01-01\nmax_staleness: 1s\n"), missing + ".bad:2: max_staleness: "},
		} {
			if status, _, stderr := execute(t, keyEnv, "--config.file="+c.file); status != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("%s: status %d: %s", name, status, stderr)
			}
		}
	},
	"config.check": func(t *testing.T) {
		// To open a pipe that nobody writes to would take for ever.
		dir := t.TempDir()
		pipe, missing, state := filepath.Join(dir, "pipe"), filepath.Join(dir, "missing"), filepath.Join(dir, "state.json")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		certificate(t, dir)
		notPEM := writeFile(t, filepath.Join(dir, "not-pem"), "x")
		yaml := func(content string) []string {
			return []string{"--config.file=" + writeFile(t, filepath.Join(t.TempDir(), "petra.yml"), content)}
		}
		api := func(content string) []string { return yaml("api: {" + content + "}\n") }
		tlsConfig := func(content string) []string { return api("tls_config: {" + content + "}") }
		webTLS := func(cert, key string) []string {
			return []string{"--web.config.file=" + tempFile(t, "web.yml", "tls_server_config: {cert_file: "+cert+", key_file: "+key+"}\n")}
		}
		cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		bad := tempFile(t, "bad.yml", "\nsince: soon\n")
		for name, c := range map[string]struct {
			args   []string
			status int
			stderr string
		}{
			"nothing":           {nil, 0, ""},
			"missing key file":  {[]string{"--petra.api-key-file=" + missing}, 0, ""},
			"missing key, file": {api("authorization: {credentials_file: " + missing + "}"), 0, ""},
			"pipe as key":       {[]string{"--petra.api-key-file=" + pipe}, 1, "--petra.api-key-file: " + pipe + " is a pipe, not a regular file"},
			"pipe as key, file": {api("authorization: {credentials_file: " + pipe + "}"), 1, "petra.yml:1: api.authorization.credentials_file: " + pipe + " is a pipe"},
			"folder as key":     {[]string{"--petra.api-key-file=" + dir}, 1, "--petra.api-key-file: " + dir + " is a directory"},
			"pipe as file":      {[]string{"--config.file=" + pipe}, 1, "--config.file: " + pipe + " is a pipe"},
			"device as file":    {[]string{"--config.file=/dev/null"}, 1, "--config.file: /dev/null is a device"},
			"pipe as state":     {[]string{"--state.file=" + pipe}, 1, "--state.file: " + pipe + " is a pipe"},
			"folder as state":   {[]string{"--state.file=" + dir}, 1, "--state.file: " + dir + " is a directory"},
			"key as state":      {[]string{"--state.file=" + key}, 1, "--state.file: " + key + " is not a state file"},
			"new state":         {[]string{"--state.file=" + state}, 0, ""},
			"TLS":               {tlsConfig("ca_file: " + cert + ", cert_file: " + cert + ", key_file: " + key), 0, ""},
			"missing CA":        {tlsConfig("ca_file: " + missing), 1, "api.tls_config: unable to read CA cert: unable to read file " + missing},
			"bad CA":            {tlsConfig("ca_file: " + notPEM), 1, "api.tls_config: unable to use specified CA cert file " + notPEM},
			"bad inline CA":     {tlsConfig("ca: x"), 1, "api.tls_config: unable to use specified CA cert inline"},
			"pipe as CA":        {tlsConfig("ca_file: " + pipe), 1, "api.tls_config.ca_file: " + pipe + " is a pipe"},
			"missing cert":      {tlsConfig("cert_file: " + missing + ", key_file: " + key), 1, "api.tls_config: unable to read specified client cert: unable to read file " + missing},
			"bad cert":          {tlsConfig("cert_file: " + notPEM + ", key_file: " + key), 1, "api.tls_config: unable to use specified client cert (file " + notPEM},
			"missing TLS key":   {tlsConfig("cert_file: " + cert + ", key_file: " + missing), 1, "api.tls_config: unable to read specified client key: unable to read file " + missing},
			"bad TLS key":       {tlsConfig("cert_file: " + cert + ", key_file: " + cert), 1, "api.tls_config: unable to use specified client cert (file " + cert},
			"web TLS":           {webTLS(cert, key), 0, ""},
			"web, missing cert": {webTLS(missing, key), 1, "--web.config.file: failed to read cert_file (" + missing},
			"web, bad key":      {webTLS(cert, notPEM), 1, "--web.config.file: failed to load X509KeyPair: tls: "},
			"pipe for web":      {[]string{"--web.config.file=" + pipe}, 1, "--web.config.file: " + pipe + " is a pipe"},
			"demo":              {[]string{"--demo"}, 0, ""},
			"bad file":          {[]string{"--config.file=" + bad}, 1, bad + `:2: since: "soon" is neither a date`},
			"missing file":      {[]string{"--config.file=" + bad + ".not"}, 1, "--config.file: open "},
			"URL":               {[]string{"--petra.api-url=http://example.com"}, 1, "--petra.api-url: must be https://"},
			"tenant":            {[]string{"--petra.tenant=a b"}, 1, "--petra.tenant: "},
			"telemetry path":    {[]string{"--web.telemetry-path=metrics"}, 1, "--web.telemetry-path: "},
			"external URL":      {[]string{"--web.external-url=example.com/petra"}, 1, "--web.external-url: "},
			"route prefix":      {[]string{"--web.route-prefix={x}"}, 1, "--web.route-prefix: "},
			"unclean path":      {[]string{"--web.telemetry-path=/.."}, 1, "--web.telemetry-path: "},
			"max requests":      {[]string{"--web.max-requests=-1"}, 1, "--web.max-requests: "},
			"timeout offset":    {[]string{"--scrape.timeout-offset=-1s"}, 1, "--scrape.timeout-offset: "},
			"web configuration": {[]string{"--web.config.file=" + bad}, 1, "--web.config.file: "},
			"log level":         {[]string{"--log.level=loud"}, 1, "--log.level: enum value must be one of debug,info,warn,error, got 'loud'"},
			"log format":        {[]string{"--log.format=xml"}, 1, "--log.format: enum value must be one of logfmt,json, got 'xml'"},
			"not a duration":    {[]string{"--scrape.timeout-offset=1"}, 1, `--scrape.timeout-offset: time: missing unit in duration "1"`},
			"not a number":      {[]string{"--web.max-requests=many"}, 1, `--web.max-requests: "many" is not a whole number`},
			"a fraction":        {[]string{"--web.max-requests=0.5"}, 1, `--web.max-requests: "0.5" is not a whole number`},
			"unknown":           {[]string{"--config.fil=x"}, 1, "unknown long flag '--config.fil'"},
			"argument":          {[]string{"petra.yml"}, 1, "unexpected petra.yml"},
			"other command's":   {[]string{"--output=x"}, 1, "unknown long flag '--output'"},
		} {
			status, _, stderr := execute(t, nil, append([]string{"--config.check"}, c.args...)...)
			if status != c.status || (stderr == "") != (status == 0) || !strings.Contains(stderr, c.stderr) || strings.Count(stderr, "\n") > 2 {
				t.Errorf("%s: status %d, want %d and %q: %s", name, status, c.status, c.stderr, stderr)
			}
		}
		if _, err := os.Stat(state); err == nil {
			t.Error("the check wrote the state file")
		}
	},
	"petra.api-key-file": func(t *testing.T) {
		_, url := newAPI(t)
		key := tempFile(t, "key", "\n"+goodKey+" \r\n")
		file := tempFile(t, "petra.yml", "api: {authorization: {credentials: "+badKey+"}}")
		start(t, []string{"PETRA_API_KEY=" + badKey}, "--petra.api-key-file="+key, "--config.file="+file, "--petra.api-url="+url).wantLine("petra_up 1")
	},
	"petra.api-url": func(t *testing.T) {
		_, url := newAPI(t)
		file := tempFile(t, "petra.yml", "api: {url: 'http://127.0.0.1:1'}")
		start(t, keyEnv, "--petra.api-url="+url+"/", "--config.file="+file).wantLine("petra_up 1", `petra_tenants{state="complete"} 3`)
		for _, bad := range []string{"http://example.com", "https://me:" + badKey + "@example.com", "example.com"} {
			if status, _, stderr := execute(t, keyEnv, "--petra.api-url="+bad); status != 1 || !strings.Contains(stderr, "--petra.api-url: must ") {
				t.Errorf("%s: status %d: %s", bad, status, stderr)
			}
		}
	},
	"petra.tenant": func(t *testing.T) {
		api, url := newAPI(t)
		file := tempFile(t, "petra.yml", "tenants: [{id: C}]")
		p := start(t, keyEnv, "--petra.api-url="+url, "--petra.tenant=A", "--petra.tenant=B", "--config.file="+file)
		p.wantLine(`petra_tenants{state="complete"} 2`, `petra_tenant_up{tenant_id="A"} 1`, `petra_tenant_up{tenant_id="B"} 1`)
		asked := map[string]bool{}
		for _, r := range api.Requests() {
			if r.Route == petratest.RouteIncidents {
				asked[r.TenantID] = true
			}
		}
		if got := slices.Sorted(maps.Keys(asked)); !slices.Equal(got, []string{"A", "B"}) {
			t.Errorf("asked for %q", got)
		}
	},
	"web.listen-address": func(t *testing.T) {
		_, url := newAPI(t)
		p := start(t, keyEnv, "--petra.api-url="+url, "--web.listen-address=127.0.0.1:0")
		p.eventually("it listens on both addresses", func() bool { return len(listening.FindAllString(p.log.String(), -1)) == 2 })
		taken := strings.TrimPrefix(p.url, "http://")
		if status, _, stderr := execute(t, keyEnv, "--petra.api-url="+url, "--web.listen-address="+taken); status != 1 || !strings.Contains(stderr, taken) || !strings.Contains(stderr, "address already in use") {
			t.Errorf("on the same port: status %d: %s", status, stderr)
		}
	},
	"web.systemd-socket": func(t *testing.T) {
		_, url := newAPI(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		socket, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = socket.Close() }()
		cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"`, "sh", binary, "--web.systemd-socket", "--petra.api-url="+url)
		cmd.ExtraFiles = []*os.File{socket}
		p := launchCommand(t, cmd, keyEnv)
		p.listens()
		if p.url != "http://"+l.Addr().String() {
			t.Errorf("listens on %s, want %s", p.url, l.Addr())
		}
		p.wantLine("petra_up 1")
		if status, _, stderr := execute(t, keyEnv, "--web.systemd-socket", "--petra.api-url="+url); status != 1 || !strings.Contains(stderr, "no socket activation file descriptors found") {
			t.Errorf("without a socket: status %d: %s", status, stderr)
		}
	},
	"web.config.file": func(t *testing.T) {
		_, url := newAPI(t)
		file := tempFile(t, "web.yml", webConfig)
		certificate(t, filepath.Dir(file))
		p := start(t, keyEnv, "--petra.api-url="+url, "--web.config.file="+file)
		if a := p.get("/-/healthy"); a.code != http.StatusBadRequest {
			t.Errorf("over HTTP: status %d", a.code)
		}
		p.url = strings.Replace(p.url, "http://", "https://", 1)
		for _, path := range []string{"/metrics", "/status", "/-/healthy"} {
			if a := p.get(path); a.code != http.StatusUnauthorized {
				t.Errorf("%s without a password: status %d", path, a.code)
			}
		}
		basic := "Basic c2NyYXBlcjpzY3JhcGVyLXBhc3N3b3Jk" // scraper:scraper-password
		if a := p.get("/metrics", "Authorization", basic); a.code != http.StatusOK || !hasLine(a.body, "petra_up 1") {
			t.Errorf("with the password: status %d", a.code)
		}
	},
	"web.external-url": func(t *testing.T) {
		p := start(t, nil, "--demo", "--web.external-url=https://example.com/petra/")
		for path, want := range map[string]int{"/petra/": 200, "/petra/metrics": 200, "/petra/status": 200, "/petra/-/healthy": 200, "/metrics": 404, "/-/healthy": 404} {
			if a := p.get(path); a.code != want {
				t.Errorf("%s: status %d, want %d", path, a.code, want)
			}
		}
		if !strings.Contains(p.log.String(), "status="+strings.Replace(p.url, "127.0.0.1", "localhost", 1)+"/petra/status") {
			t.Errorf("the demo does not name its page:\n%s", p.log.String())
		}
	},
	"web.route-prefix": func(t *testing.T) {
		p := start(t, nil, "--demo", "--web.external-url=https://example.com/petra/", "--web.route-prefix=/")
		if a := p.get("/metrics"); a.code != http.StatusOK {
			t.Errorf("status %d: %s", a.code, a.body)
		}
	},
	"web.telemetry-path": func(t *testing.T) {
		_, url := newAPI(t)
		p := start(t, keyEnv, "--petra.api-url="+url, "--web.telemetry-path=/petra/metrics")
		if a := p.get("/petra/metrics"); a.code != http.StatusOK || !hasLine(a.body, "petra_up 1") {
			t.Errorf("status %d: %s", a.code, a.body)
		}
		if a := p.get("/metrics"); a.code != http.StatusNotFound {
			t.Errorf("the default path: status %d", a.code)
		}
		if a := p.get("/"); a.code != http.StatusOK || !strings.Contains(a.body, `href="./petra/metrics"`) {
			t.Errorf("the landing page does not lead there: status %d: %s", a.code, a.body)
		}
	},
	"web.enable-lifecycle": func(t *testing.T) {
		_, url := newAPI(t)
		file := tempFile(t, "petra.yml", often)
		p := start(t, keyEnv, "--petra.api-url="+url, "--web.enable-lifecycle", "--config.file="+file)
		if a := p.do(http.MethodPost, "/-/reload"); a.code != http.StatusOK || a.err != nil {
			t.Errorf("good: %+v", a)
		}
		p.wantLine("petra_exporter_config_last_reload_successful 1")
		writeFile(t, file, "\nsinc: 2025-01-01\n")
		a := p.do(http.MethodPost, "/-/reload")
		if a.code != http.StatusInternalServerError || !strings.Contains(a.body, file+":2: sinc: unknown key; ") || a.err != nil {
			t.Errorf("bad: %+v", a)
		}
		p.wantLine("petra_exporter_config_last_reload_successful 0", `petra_tenant_up{tenant_id="A"} 1`)
		if a := p.get("/-/reload"); a.code != http.StatusMethodNotAllowed {
			t.Errorf("GET: status %d", a.code)
		}
		off := start(t, keyEnv, "--petra.api-url="+url)
		if a := off.do(http.MethodPost, "/-/reload"); a.code != http.StatusForbidden || !strings.Contains(a.body, "--web.enable-lifecycle") {
			t.Errorf("without the flag: %+v", a)
		}
	},
	"web.max-requests": func(t *testing.T) {
		api, url := newAPI(t)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		p := start(t, keyEnv, "--petra.api-url="+url, "--web.max-requests=1")
		var scrapes sync.WaitGroup
		codes := make([]int, 5)
		for i := range codes {
			scrapes.Go(func() {
				codes[i] = p.do(http.MethodGet, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "1.5").code
			})
		}
		scrapes.Wait()
		if !slices.Contains(codes, http.StatusOK) || !slices.Contains(codes, http.StatusServiceUnavailable) {
			t.Errorf("got %d, want one 200, and 503", codes)
		}
	},
	"state.file": func(t *testing.T) {
		api, url := newAPI(t)
		file := filepath.Join(t.TempDir(), "state.json")
		p := start(t, keyEnv, "--petra.api-url="+url, "--state.file="+file)
		p.eventually("the state file is written", func() bool { return hasLine(p.scrape(), "petra_state_last_save_successful 1") })
		if status, _, stderr := execute(t, keyEnv, "--petra.api-url="+url, "--state.file="+file); status != 1 || !strings.Contains(stderr, "in use by another process") {
			t.Errorf("a second process on the file: status %d: %s", status, stderr)
		}
		p.signal(syscall.SIGTERM)
		if status := p.wait(); status != 0 {
			t.Errorf("status %d", status)
		}
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		p = start(t, keyEnv, "--petra.api-url="+url, "--state.file="+file)
		if a := p.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.6"); !hasLine(a.body, `petra_open_incidents{live="false",tenant_id="A"} 1`) {
			t.Errorf("nothing is known after a restart:\n%s", ours(a.body))
		}
		for name, path := range map[string]string{
			"in no folder":   filepath.Join(t.TempDir(), "missing", "state.json"),
			"below a file":   filepath.Join(file, "state.json"),
			"in a read-only": "/proc/state.json",
		} {
			if status, _, stderr := execute(t, keyEnv, "--petra.api-url="+url, "--state.file="+path); status != 1 || !strings.Contains(stderr, "--state.file: ") {
				t.Errorf("%s: status %d: %s", name, status, stderr)
			}
		}
	},
	"scrape.timeout-offset": func(t *testing.T) {
		api, url := newAPI(t)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		p := start(t, keyEnv, "--petra.api-url="+url, "--scrape.timeout-offset=1h")
		a := p.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "600")
		if !hasLine(a.body, "petra_scrapes_deadline_exceeded_total 1") {
			t.Errorf("not answered at the deadline: status %d:\n%s", a.code, ours(a.body))
		}
	},
	"log.level": func(t *testing.T) {
		for level, want := range map[string]bool{"debug": true, "info": true, "warn": false, "error": false} {
			_, _, stderr := execute(t, nil, "--log.level="+level)
			if got := strings.Contains(stderr, `msg="starting petra_exporter"`); got != want {
				t.Errorf("%s: the start is in the log: %t, want %t:\n%s", level, got, want, stderr)
			}
			if !strings.Contains(stderr, "level=error ") {
				t.Errorf("%s: no error in the log:\n%s", level, stderr)
			}
		}
	},
	"log.format": func(t *testing.T) {
		api, url := newAPI(t)
		api.SetFault(petratest.Fault{Kind: petratest.EchoKey})
		for _, format := range []string{"json", "logfmt"} {
			p := start(t, keyEnv, "--petra.api-url="+url, "--log.format="+format)
			p.eventually("an error is logged", func() bool { return strings.Contains(p.log.String(), "request failed") })
			p.signal(syscall.SIGTERM)
			if status := p.wait(); status != 0 {
				t.Errorf("%s: status %d", format, status)
			}
			for lines := bufio.NewScanner(strings.NewReader(p.log.String())); lines.Scan(); {
				line := lines.Text()
				// Lines of ours and of exporter-toolkit have the same keys, each once.
				for _, key := range []string{"time", "level", "caller", "msg"} {
					pattern := regexp.MustCompile(`(^| )` + key + `=`)
					if format == "json" {
						pattern = regexp.MustCompile(`[{,]"` + key + `":"`)
					}
					if n := len(pattern.FindAllString(line, -1)); n != 1 {
						t.Errorf("%d %q in %s", n, key, line)
					}
				}
				if format == "json" && !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %s", line)
				}
			}
		}
	},
	"demo": func(t *testing.T) {
		file := tempFile(t, "petra.yml", "api: {url: 'http://127.0.0.1:1'}\ntenants: [{id: Nobody}]\nnative_histograms: true\n")
		p := start(t, nil, "--demo", "--config.file="+file, "--petra.tenant=Nobody")
		p.wantLine("petra_up 1", `petra_tenants{state="pending"} 0`, `petra_tenants{state="complete"} 8`)
		if a := p.get("/status"); a.code != http.StatusOK || strings.Count(a.body, "</code></td><td>yes</td>") != 8 || !strings.Contains(a.body, "All data is simulated") || !strings.Contains(a.body, "Nothing: every tenant is read and fresh.") {
			t.Errorf("status %d: %s", a.code, a.body)
		}
		if a := p.get("/"); !strings.Contains(a.body, "All data is simulated") {
			t.Errorf("the landing page does not say that the data is simulated: %s", a.body)
		}
		local := strings.Replace(p.url, "127.0.0.1", "localhost", 1)
		for _, want := range []string{"all data is simulated", " home=" + local + "/ metrics=" + local + "/metrics status=" + local + "/status"} {
			if !strings.Contains(p.log.String(), want) {
				t.Errorf("the log lacks %q", want)
			}
		}
		if strings.Contains(p.log.String(), "level=warn") || strings.Contains(p.log.String(), "level=error") {
			t.Error("a warning in the log")
		}
		p.signal(os.Interrupt.(syscall.Signal))
		if status := p.wait(); status != 0 {
			t.Errorf("status %d", status)
		}
	},
	"demo.tenants": func(t *testing.T) {
		p := start(t, nil, "--demo", "--demo.tenants=40")
		p.wantLine("petra_up 1", `petra_tenants{state="complete"} 40`)
	},
}

// history backfills from a demo, and returns the lines that were written.
func history(t *testing.T, args ...string) []string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "history.om")
	if !slices.Contains(args, "--step=7d") {
		args = append(args, "--step=1d")
	}
	args = append([]string{"backfill", "--demo", "--output=" + output}, args...)
	if status, stdout, stderr := execute(t, nil, args...); status != 0 || stdout != "" {
		t.Fatalf("%q: status %d: %s%s", args, status, stdout, stderr)
	}
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(content), "\n")
}

// times are the first and the last time of the samples.
func times(t *testing.T, lines []string) (first, last time.Time) {
	t.Helper()
	first = time.Now()
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) == 3 {
			unix, err := strconv.ParseInt(fields[2], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if at := time.Unix(unix, 0); at.Before(first) {
				first = at
			} else if at.After(last) {
				last = at
			}
		}
	}
	return first, last
}

// backfillTests are those of flags of the command backfill.
var backfillTests = map[string]func(*testing.T){
	"output": func(t *testing.T) {
		if status, _, stderr := execute(t, nil, "backfill"); status != 1 || !strings.Contains(stderr, "required flag(s) '--output' not provided") {
			t.Errorf("without: status %d: %s", status, stderr)
		}
		_, url := newAPI(t)
		output := filepath.Join(t.TempDir(), "history.om")
		if status, _, stderr := execute(t, keyEnv, "--petra.api-url="+url, "--petra.tenant=A", "backfill", "--output="+output); status != 0 {
			t.Errorf("status %d: %s", status, stderr)
		}
		content, err := os.ReadFile(output)
		if err != nil || !strings.Contains(string(content), `petra_incidents_raised_total{tenant_id="A"} 1.0 `) || strings.Contains(string(content), `"B"`) {
			t.Errorf("%v: %s", err, content)
		}
		wrong := filepath.Join(t.TempDir(), "missing", "history.om")
		if status, _, stderr := execute(t, keyEnv, "backfill", "--petra.api-url="+url, "--output="+wrong); status != 1 || !strings.Contains(stderr, "--output: open "+filepath.Dir(wrong)) {
			t.Errorf("in no folder: status %d: %s", status, stderr)
		}
		// A wrong key is an error at once, and leaves nothing.
		dir := t.TempDir()
		if status, _, stderr := execute(t, []string{"PETRA_API_KEY=" + badKey}, "backfill", "--petra.api-url="+url, "--output="+filepath.Join(dir, "history.om")); status != 1 || !strings.Contains(stderr, "status 401 Unauthorized") {
			t.Errorf("with a wrong key: status %d: %s", status, stderr)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	},
	"start": func(t *testing.T) {
		day := time.Now().UTC().AddDate(0, 0, -10).Truncate(24 * time.Hour)
		if first, _ := times(t, history(t, "--start="+day.Format(time.DateOnly))); !first.Equal(day) {
			t.Errorf("starts %s", first)
		}
		if status, _, stderr := execute(t, nil, "backfill", "--output=x", "--start=soon"); status != 1 || !strings.Contains(stderr, `--start: "soon" is not a time; give a date`) {
			t.Errorf("status %d: %s", status, stderr)
		}
	},
	"end": func(t *testing.T) {
		day := time.Now().UTC().AddDate(0, 0, -10).Truncate(24 * time.Hour)
		if _, last := times(t, history(t, fmt.Sprintf("--end=%d", day.Unix()))); !last.Equal(day) {
			t.Errorf("ends %s", last)
		}
	},
	"step": func(t *testing.T) {
		first, last := times(t, history(t, "--step=7d", "--metric=raised"))
		if week := 7 * 24 * time.Hour; last.Sub(first)%week != 0 || time.Since(last) > week {
			t.Errorf("from %s to %s", first, last)
		}
	},
	"metric": func(t *testing.T) {
		for _, line := range history(t, "--metric=incidents", "--metric=detection") {
			if name, _, _ := strings.Cut(line, "{"); !strings.HasPrefix(line, "#") && line != "" && name != "petra_incidents" && !strings.HasPrefix(name, "petra_incident_detection_time_seconds_") {
				t.Fatal(line)
			}
		}
	},
	"label": func(t *testing.T) {
		for _, line := range history(t, "--label=job=petra", "--label=instance=localhost:10984") {
			if strings.HasPrefix(line, "petra_") && !strings.Contains(line, `,job="petra",instance="localhost:10984"`) {
				t.Fatal(line)
			}
		}
	},
	"requests-per-minute": func(t *testing.T) {
		// The second request of the route has to wait.
		org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 3, Incidents: 600})
		api := petratest.NewAPI(org, petratest.Options{Keys: []string{goodKey}})
		server, err := petratest.NewServer(api)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		dir := t.TempDir()
		p := launch(t, keyEnv, "backfill", "--petra.api-url="+server.URL, "--requests-per-minute=1", "--output="+filepath.Join(dir, "history.om"))
		p.eventually("it waits", func() bool { return strings.Contains(p.log.String(), `msg="reading tenants" done=0 of=3 left=3m0s`) })
		if n := len(api.Requests()); n != 2 {
			t.Errorf("%d requests, want the list and an organization read", n)
		}
		// An interrupted run leaves no half file.
		p.signal(syscall.SIGINT)
		if status := p.wait(); status != 1 || !strings.Contains(p.log.String(), `msg="no history was written" err=interrupted`) {
			t.Errorf("status %d", status)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
		for _, bad := range []string{"0", "many"} {
			if status, _, stderr := execute(t, nil, "backfill", "--output=x", "--requests-per-minute="+bad); status != 1 || !strings.Contains(stderr, "--requests-per-minute: ") {
				t.Errorf("%s: status %d: %s", bad, status, stderr)
			}
		}
	},
	"force": func(t *testing.T) {
		output := filepath.Join(t.TempDir(), "history.om")
		args := []string{"backfill", "--demo", "--step=1s", "--metric=raised", "--output=" + output}
		if status, _, stderr := execute(t, nil, args...); status != 1 || !strings.Contains(stderr, "choose a longer --step") {
			t.Errorf("without: status %d: %s", status, stderr)
		}
		p := launch(t, nil, append(args, "--force")...)
		p.eventually("it writes", func() bool {
			begun, err := filepath.Glob(filepath.Join(filepath.Dir(output), ".history.om.tmp-*"))
			if err != nil || len(begun) != 1 {
				return false
			}
			info, err := os.Stat(begun[0])
			return err == nil && info.Size() > 0
		})
		p.signal(syscall.SIGTERM)
		if status := p.wait(); status != 1 {
			t.Errorf("status %d", status)
		}
		if entries, err := os.ReadDir(filepath.Dir(output)); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	},
}

// TestFlags holds what each flag does, and that none is forgotten.
func TestFlags(t *testing.T) {
	t.Parallel()
	_, help, _ := execute(t, nil, "--help")
	_, more, _ := execute(t, nil, "backfill", "--help")
	help += more
	var flags []string
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-h, )?--(?:\[no-\])?([a-z.-]+)`).FindAllStringSubmatch(help, -1) {
		if !slices.Contains([]string{"help-long", "help-man"}, m[1]) && !slices.Contains(flags, m[1]) {
			flags = append(flags, m[1])
		}
	}
	slices.Sort(flags)
	tests := maps.Clone(flagTests)
	maps.Copy(tests, backfillTests)
	if want := slices.Sorted(maps.Keys(tests)); !slices.Equal(flags, want) {
		t.Errorf("--help has  %q\ntests are of %q", flags, want)
	}
	for flag, test := range tests {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// TestKeys holds where the key comes from, and what a person reads who has
// none.
func TestKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	empty := writeFile(t, filepath.Join(dir, "empty"), " \n")
	broken := writeFile(t, filepath.Join(dir, "broken"), badKey+"\n"+badKey+"\n")
	inConfig := writeFile(t, filepath.Join(dir, "petra.yml"), "api: {authorization: {credentials_file: missing}}")
	const advice = "; name it with --petra.api-key-file, api.authorization.credentials_file or PETRA_API_KEY"
	for name, c := range map[string]struct {
		env    []string
		args   []string
		reason string
	}{
		"none":                    {nil, nil, "no usable API key" + advice},
		"empty variable":          {[]string{"PETRA_API_KEY="}, nil, "no usable API key" + advice},
		"broken variable":         {[]string{"PETRA_API_KEY=" + badKey + " x"}, nil, "no usable API key: PETRA_API_KEY contains a space, a line break or another character that no key has" + advice},
		"quoted variable":         {[]string{"PETRA_API_KEY=\"" + badKey + "\"\n"}, nil, "no usable API key: PETRA_API_KEY has quotes around the key; remove them" + advice},
		"quoted in a file":        {nil, []string{"--petra.api-key-file=" + writeFile(t, filepath.Join(dir, "quoted"), "'"+badKey+"'\n")}, "no usable API key: file " + filepath.Join(dir, "quoted") + " has quotes around the key; remove them" + advice},
		"quoted by configuration": {nil, []string{"--config.file=" + writeFile(t, filepath.Join(dir, "quoted.yml"), "api: {authorization: {credentials: '\""+badKey+"\"'}}")}, "no usable API key: api.authorization of " + filepath.Join(dir, "quoted.yml") + " has quotes around the key; remove them" + advice},
		"space variable":          {[]string{"PETRA_API_KEY= \n"}, nil, "no usable API key: PETRA_API_KEY is empty" + advice},
		"missing file":            {keyEnv, []string{"--petra.api-key-file=" + missing}, "no usable API key: unable to read file " + missing + ": open " + missing + ": no such file or directory" + advice},
		"empty file":              {keyEnv, []string{"--petra.api-key-file=" + empty}, "no usable API key: file " + empty + " is empty" + advice},
		"unreadable file":         {keyEnv, []string{"--petra.api-key-file=" + dir}, "--petra.api-key-file: " + dir + " is a directory, not a regular file"},
		"two lines":               {keyEnv, []string{"--petra.api-key-file=" + broken}, "no usable API key: file " + broken + " contains a space, a line break or another character that no key has" + advice},
		"missing by file":         {keyEnv, []string{"--config.file=" + inConfig}, "no usable API key: unable to read file " + missing + ": open " + missing + ": no such file or directory" + advice},
		"not even in demo":        {nil, []string{"--demo", "--config.file=" + missing}, "--config.file: open " + missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := execute(t, c.env, c.args...)
			if status != 1 || !strings.Contains(stderr, c.reason) || stdout != "" {
				t.Errorf("status %d, want 1 and %q:\n%s", status, c.reason, stderr)
			}
		})
	}
	t.Run("of the environment", func(t *testing.T) {
		t.Parallel()
		_, url := newAPI(t)
		start(t, []string{"PETRA_API_KEY=" + goodKey + "\r\n"}, "--petra.api-url="+url).wantLine("petra_up 1")
	})
	t.Run("pipes", func(t *testing.T) {
		t.Parallel()
		_, url := newAPI(t)
		dir := t.TempDir()
		pipe := filepath.Join(dir, "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		inFile := writeFile(t, filepath.Join(dir, "petra.yml"), "api: {authorization: {credentials_file: pipe}}")
		for _, arg := range []string{"--petra.api-key-file=" + pipe, "--config.file=" + pipe, "--config.file=" + inFile, "--state.file=" + pipe, "--web.config.file=" + pipe} {
			if status, _, stderr := execute(t, keyEnv, arg, "--petra.api-url="+url, "--web.listen-address=127.0.0.1:0"); status != 1 || !strings.Contains(stderr, pipe+" is a pipe, not a regular file") {
				t.Errorf("%s: status %d: %s", arg, status, stderr)
			}
		}
		// A key file that turns into a pipe does not hang a running exporter.
		key := writeFile(t, filepath.Join(dir, "key"), goodKey)
		p := start(t, nil, "--petra.api-key-file="+key, "--config.file="+tempFile(t, "petra.yml", often), "--petra.api-url="+url)
		p.wantLine("petra_up 1")
		if err := os.Rename(pipe, key); err != nil {
			t.Fatal(err)
		}
		p.eventually("the pipe is refused", func() bool { return hasLine(p.scrape(), "petra_up 0") })
		p.signal(syscall.SIGTERM)
		if status := p.wait(); status != 0 || !strings.Contains(p.log.String(), key+" is a pipe, not a regular file") {
			t.Errorf("status %d", status)
		}
	})
	t.Run("of the configuration before the environment", func(t *testing.T) {
		t.Parallel()
		_, url := newAPI(t)
		file := tempFile(t, "petra.yml", "api:\n  authorization:\n    credentials: |\n      "+goodKey+"\n")
		start(t, []string{"PETRA_API_KEY=" + badKey}, "--petra.api-url="+url, "--config.file="+file).wantLine("petra_up 1")
	})
}

// TestRotatedKey holds that a new key in the file is found without a restart,
// and that an empty or a missing file sends nothing.
func TestRotatedKey(t *testing.T) {
	t.Parallel()
	api, url := newAPI(t)
	key := tempFile(t, "key", goodKey+"\n")
	file := tempFile(t, "petra.yml", often)
	p := start(t, nil, "--petra.api-key-file="+key, "--config.file="+file, "--petra.api-url="+url)
	p.wantLine("petra_up 1")

	api.SetKeys(otherKey)
	p.eventually("the old key is refused", func() bool { return hasLine(p.scrape(), "petra_up 0") })
	p.wantLine(`petra_tenant_up{tenant_id="A"} 0`, `petra_open_incidents{live="false",tenant_id="A"} 1`)
	writeFile(t, key, otherKey+"\n")
	p.eventually("the new key is good", func() bool { return hasLine(p.scrape(), "petra_up 1") })
	p.eventually("the tenant is up again", func() bool { return hasLine(p.scrape(), `petra_tenant_up{tenant_id="A"} 1`) })

	writeFile(t, key, "\n")
	p.eventually("the empty file is found", func() bool { return hasLine(p.scrape(), "petra_up 0") })
	before := len(api.Requests())
	for range 5 {
		p.wantLine("petra_up 0", `petra_open_incidents{live="false",tenant_id="A"} 1`)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	p.wantLine("petra_up 0")
	if n := len(api.Requests()) - before; n != 0 {
		t.Errorf("%d requests without a key", n)
	}
	for _, text := range []string{p.log.String(), p.get("/status").body} {
		if !strings.Contains(text, "file "+key+" is empty") && !strings.Contains(text, "unable to read file "+key) {
			t.Errorf("not a word of the key file:\n%s", text)
		}
	}
	writeFile(t, key, otherKey)
	p.eventually("the key is back", func() bool { return hasLine(p.scrape(), `petra_tenant_up{tenant_id="A"} 1`) })
}

// TestServerErrors holds that what net/http has to say, of a failed handshake
// or a panic, is a line of the log like any other.
func TestServerErrors(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	file := tempFile(t, "web.yml", webConfig)
	certificate(t, filepath.Dir(file))
	p := start(t, keyEnv, "--petra.api-url="+url, "--web.config.file="+file, "--log.format=json")
	p.get("/metrics") // without TLS
	p.eventually("the handshake's failure is logged", func() bool { return strings.Contains(p.log.String(), "TLS handshake error") })
	for line := range strings.Lines(p.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("no JSON: %s", line)
		} else if strings.Contains(line, "handshake error") && (fields["level"] != "warn" || fields["caller"] == "") {
			t.Errorf("want a warning with its caller: %s", line)
		}
	}
}

// TestHangup holds that SIGHUP reloads, that a bad configuration changes
// nothing, and that the log says where it is bad.
func TestHangup(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	file := tempFile(t, "petra.yml", often)
	p := start(t, keyEnv, "--config.file="+file, "--petra.api-url="+url)
	const successful = "petra_exporter_config_last_reload_successful "
	p.wantLine(successful+"1", `petra_tenant_up{tenant_id="A"} 1`)

	both := strings.Replace(often, "{id: A}", "{id: A}, {id: B}", 1)
	writeFile(t, file, both)
	p.signal(syscall.SIGHUP)
	p.eventually("tenant B is read", func() bool { return hasLine(p.scrape(), `petra_open_incidents{live="false",tenant_id="B"} 1`) })
	p.wantLine(`petra_open_incidents{live="false",tenant_id="A"} 1`, `petra_incidents_raised_total{tenant_id="A"} 1`)

	for _, bad := range []struct{ yaml, want string }{
		{"tenants: [{id: A}]\nmax_staleness: 5\n", ":2: max_staleness: "},
		{"api:\n  authorization:\n    credential: " + badKey + "\n", ":3: api.authorization.credential: unknown key"},
		{"api:\n  authorization:\n    credentials: *" + badKey + "\n", ": not YAML: "},
		{"api: {tls_config: {ca_file: missing}}\n", "missing"},
	} {
		writeFile(t, file, bad.yaml)
		p.signal(syscall.SIGHUP)
		p.eventually("the log says "+bad.want, func() bool {
			return strings.Contains(p.log.String(), "the previous one stays in effect") && strings.Contains(p.log.String(), bad.want)
		})
		p.eventually("the metric says it", func() bool { return hasLine(p.scrape(), successful+"0") })
		p.wantLine(`petra_tenant_up{tenant_id="A"} 1`, `petra_tenant_up{tenant_id="B"} 1`, "petra_up 1")
	}

	writeFile(t, file, often)
	p.signal(syscall.SIGHUP)
	p.eventually("the good one is read", func() bool { return hasLine(p.scrape(), successful+"1") })
	if text := p.scrape(); strings.Contains(text, `tenant_id="B"`) || !hasLine(text, `petra_incidents_raised_total{tenant_id="A"} 1`) {
		t.Errorf("want tenant A alone:\n%s", ours(text))
	}
}

// TestStop holds that a stop answers the scrapes in flight though the API
// hangs, and ends with status 0 long before the API's timeout.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			api, url := newAPI(t)
			file := tempFile(t, "petra.yml", often)
			p := start(t, keyEnv, "--config.file="+file, "--petra.api-url="+url, "--web.max-requests=3")
			p.wantLine("petra_up 1")
			api.SetFault(petratest.Fault{Kind: petratest.Hang})
			scrape := func(timeout string) answer {
				return p.do(http.MethodGet, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds", timeout)
			}
			answers := make(chan answer, 3)
			for range cap(answers) {
				go func() {
					a := scrape("600")
					for a.code == http.StatusServiceUnavailable { // the test itself had the place
						a = scrape("600")
					}
					answers <- a
				}()
			}
			p.eventually("three scrapes wait", func() bool {
				for range 10 { // the place of the test's last scrape may not be free yet
					if scrape("0.001").code != http.StatusServiceUnavailable {
						return false
					}
				}
				return true
			})
			if s == syscall.SIGTERM {
				// A connection that asks nothing holds nobody up for long.
				idle, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = idle.Close() }()
			}
			p.signal(s)
			// The promise is 5 s; the rest is for a busy machine.
			late := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
			defer late.Stop()
			if status := p.wait(); status != 0 {
				t.Errorf("status %d, want 0", status)
			}
			for range cap(answers) {
				a := <-answers
				if a.err != nil || a.code != http.StatusOK || !hasLine(a.body, `petra_open_incidents{live="false",tenant_id="A"} 1`) {
					t.Errorf("a scrape in flight: status %d, %v:\n%s", a.code, a.err, ours(a.body))
				}
			}
			if !strings.Contains(p.log.String(), "stopping petra_exporter") {
				t.Error("the log does not say that it stops")
			}
		})
	}
}

var kills = flag.Int("kills", 20, "how often TestKill kills the process")

// TestKill: a process that is killed while it writes its state file leaves the
// old content or the new, never another, and nothing that piles up.
func TestKill(t *testing.T) {
	t.Parallel()
	org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 400, Incidents: 450, Open: 20})
	server, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	folder := t.TempDir()
	file := filepath.Join(folder, "state.json")
	args := []string{"--web.listen-address=127.0.0.1:0", "--petra.api-url=" + server.URL, "--state.file=" + file}
	p := start(t, keyEnv, args[1:]...)
	p.scrape()
	p.signal(syscall.SIGTERM)
	p.wait()
	var written time.Time
	struck := 0 // while the file was written
	for i := range *kills {
		before := unfinished(t, folder)
		begun := func() bool {
			return slices.ContainsFunc(unfinished(t, folder), func(name string) bool { return !slices.Contains(before, name) })
		}
		p := launch(t, keyEnv, args...)
		// A process writes the file when it begins, within these milliseconds. Half
		// of the kills come as soon as some of it is there.
		if i%2 == 0 {
			p.eventually("it writes the file", func() bool {
				for range 1000 { // without a pause: the write is over soon
					if begun() {
						return true
					}
				}
				return strings.Contains(p.log.String(), "Listening on")
			})
		} else {
			time.Sleep(time.Duration(mathrand.IntN(60)) * time.Millisecond)
		}
		p.signal(syscall.SIGKILL)
		p.wait()
		if begun() {
			struck++
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var state struct {
			Written time.Time
			Tenants []struct{ Incidents []any }
		}
		if err := json.Unmarshal(content, &state); err != nil {
			t.Fatalf("the file is neither old nor new: %v", err)
		}
		incidents := 0
		for _, tenant := range state.Tenants {
			incidents += len(tenant.Incidents)
		}
		if len(state.Tenants) != 400 || incidents != 450 || state.Written.Before(written) {
			t.Fatalf("%d tenants with %d incidents, written at %s; before, at %s", len(state.Tenants), incidents, state.Written, written)
		}
		written = state.Written
	}
	t.Logf("%d kills, %d of them while the file was written", *kills, struck)
	if struck == 0 {
		t.Error("no kill has struck a write")
	}
	p = start(t, keyEnv, args[1:]...)
	p.scrape()
	if strings.Contains(p.log.String(), "set aside") {
		t.Error("the file was not good")
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("in the folder, want the file and its lock: %v, %v", entries, err)
	}
}

// unfinished are the files of writes that have begun.
func unfinished(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasPrefix(entry.Name(), ".tmp-") && info.Size() > 0 {
			names = append(names, entry.Name())
		}
	}
	return names
}

// TestDiskFull: a state file that cannot be written whole is told, and the old
// content stays. A limit on the size of files stands for the full disk.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 40, Incidents: 300})
	server, err := petratest.NewServer(petratest.NewAPI(org, petratest.Options{Limit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	folder := t.TempDir()
	file := filepath.Join(folder, "state.json")
	args := []string{"--web.listen-address=127.0.0.1:0", "--petra.api-url=" + server.URL, "--state.file=" + file}
	p := start(t, keyEnv, args[1:]...)
	p.scrape()
	p.signal(syscall.SIGTERM)
	p.wait()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p = launchCommand(t, exec.Command("/bin/sh", append([]string{"-c", `ulimit -f 8; exec "$0" "$@"`, binary}, args...)...), keyEnv)
	p.listens()
	p.eventually("the failed write is told", func() bool { return hasLine(p.scrape(), "petra_state_last_save_successful 0") })
	if !strings.Contains(p.log.String(), "the state file cannot be written") {
		t.Error("the log does not say so")
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the old content is gone: %d bytes, were %d; %v", len(after), len(before), err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("in the folder, want the file and its lock: %v, %v", entries, err)
	}
}

// TestBackfillDiskFull: there is no file that looks whole, and the old one
// stays. A limit on the size of files stands for the full disk.
func TestBackfillDiskFull(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	output := writeFile(t, filepath.Join(folder, "history.om"), "old")
	p := launchCommand(t, exec.Command("/bin/sh", "-c", `ulimit -f 80; exec "$0" "$@"`, binary, "backfill", "--demo", "--step=1d", "--output="+output), nil)
	if status := p.wait(); status != 1 || !strings.Contains(p.log.String(), "--output: write ") || !strings.Contains(p.log.String(), "file too large") {
		t.Errorf("status %d: %s", status, p.log.String())
	}
	if content, err := os.ReadFile(output); err != nil || string(content) != "old" {
		t.Errorf("%v, %q", err, content)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("in the folder: %v, %v", entries, err)
	}
}

// webConfig has the user scraper with the password scraper-password.
const webConfig = `
tls_server_config: {cert_file: cert.pem, key_file: key.pem}
basic_auth_users: {scraper: $2a$04$wj3H7rGdaPGdbDRB.JYAQuvCx6rcmMR3RAOKOp11l3BSegspgY5d2}
`

// certificate writes a certificate for loopback, made here, and its key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})))
	writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
