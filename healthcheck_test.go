package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestHealthcheck checks that the command succeeds while the exporter serves, whoever
// it lets in, and finds it by the flags and variables of serve.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir)
	web := map[string]string{
		"plain":       "",
		"password":    webConfig[strings.Index(webConfig, "basic_auth"):],
		"TLS":         strings.SplitAfter(webConfig, "\n")[1],
		"both":        webConfig,
		"certificate": "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert}",
		"TLS 1.2":     "tls_server_config: {cert_file: cert.pem, key_file: key.pem, max_version: TLS12, client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert}",
	}
	for name, want := range map[string]string{
		"plain":       "/-/healthy: 200 OK\n",
		"password":    "/-/healthy: 401 Unauthorized\n",
		"TLS":         "/-/healthy: 200 OK\n",
		"both":        "/-/healthy: 401 Unauthorized\n",
		"certificate": "/-/healthy: remote error: tls: ",
		"TLS 1.2":     "/-/healthy: remote error: tls: ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := writeFile(t, filepath.Join(dir, name+".yml"), web[name])
			p := start(t, nil, "--demo", "--web.config.file="+file)
			address := strings.TrimPrefix(p.url, "http://")
			_, port, _ := strings.Cut(address, ":")
			scheme := "http://"
			if strings.Contains(web[name], "tls") {
				scheme = "https://"
			}
			env := []string{"PETRA_EXPORTER_WEB_CONFIG_FILE=" + file}
			for _, c := range []struct{ env, args []string }{
				{nil, []string{"--url=" + scheme + address}},
				{nil, []string{"--url=" + scheme + address + "/"}},
				{nil, []string{"--url=" + scheme + address + "/-/healthy"}},
				{nil, []string{"--web.listen-address=" + address, "--web.config.file=" + file}},
				{env, []string{"--web.listen-address=:" + port}},
				{env, []string{"--web.listen-address=0.0.0.0:" + port, "--web.listen-address=127.0.0.1:1"}},
				{append(env, "PETRA_EXPORTER_WEB_LISTEN_ADDRESS=[::]:"+port, "PETRA_EXPORTER_DEMO=true", "HTTP_PROXY=http://127.0.0.1:1"), nil},
			} {
				status, stdout, stderr := execute(t, c.env, append([]string{"healthcheck"}, c.args...)...)
				if status != 0 || stderr != "" || !strings.HasPrefix(stdout, scheme+address+want) || strings.Count(stdout, "\n") != 1 {
					t.Errorf("%q %q: status %d, want %q: %s%s", c.env, c.args, status, want, stdout, stderr)
				}
			}
		})
	}
}

// TestUnhealthy checks that all else is one line that says what is wrong.
func TestUnhealthy(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere/-/healthy":
			http.Redirect(w, r, "/-/healthy", http.StatusFound)
		case "/broken/-/healthy":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	closed := httptest.NewServer(nil)
	closed.Close()
	for arg, want := range map[string]string{
		"--url=" + closed.URL: `Get "` + closed.URL + `/-/healthy": dial tcp `,
		"--web.listen-address=" + strings.TrimPrefix(closed.URL, "http://"):   `Get "` + closed.URL + `/-/healthy": dial tcp `,
		"--url=http://" + mute.Addr().String():                                "context deadline exceeded",
		"--url=" + server.URL + "/elsewhere":                                  server.URL + "/elsewhere/-/healthy: status 302 Found",
		"--url=" + server.URL + "/broken":                                     server.URL + "/broken/-/healthy: status 503 Service Unavailable",
		"--url=" + strings.Replace(server.URL, "http", "https", 1):            "http: server gave HTTP response to HTTPS client",
		"--url=localhost:10984":                                               "--url: \"localhost:10984\" must be a URL such as http://127.0.0.1:10984\n",
		"--web.listen-address=vsock://:9100":                                  "--web.listen-address: address vsock://:9100: too many colons in address; name the exporter with --url\n",
		"--web.config.file=missing.yml":                                       "--web.config.file: open missing.yml: no such file or directory\n",
		"--web.config.file=" + tempFile(t, "web.yml", "tls_server_config: x"): "--web.config.file: yaml: unmarshal errors: line 1: ",
		"--web.route-prefix={x}":                                              "--web.route-prefix: the path of \"{x}\" must be ",
		"extra":                                                               "unexpected extra, try --help",
	} {
		t.Run(arg, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := execute(t, nil, "healthcheck", arg)
			if status != 1 || stdout != "" || !strings.HasPrefix(stderr, "petra_exporter: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, want 1 and %q: %s%s", status, want, stdout, stderr)
			}
		})
	}
	if status, _, stderr := execute(t, nil, "healthcheck", "--url="+server.URL); status != 0 {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestHealthcheckPrefix checks that the command finds an exporter that serves below
// a prefix.
func TestHealthcheckPrefix(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--demo", "--web.external-url=https://example.com/petra/")
	address := "--web.listen-address=" + strings.TrimPrefix(p.url, "http://")
	for _, c := range []struct{ env, args []string }{
		{nil, []string{"--web.external-url=https://example.com/petra/"}},
		{nil, []string{"--web.external-url=https://example.com/", "--web.route-prefix=/petra"}},
		{[]string{"PETRA_EXPORTER_WEB_EXTERNAL_URL=/petra/"}, nil},
	} {
		status, stdout, stderr := execute(t, c.env, append([]string{"healthcheck", address}, c.args...)...)
		if want := p.url + "/petra/-/healthy: 200 OK\n"; status != 0 || stderr != "" || stdout != want {
			t.Errorf("%q %q: status %d, want %q: %s%s", c.env, c.args, status, want, stdout, stderr)
		}
	}
}
