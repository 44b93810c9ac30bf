package helm

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// probes of a pod, each as one line.
func probes(r resources) map[string]string {
	lines := map[string]string{}
	for name, probe := range map[string]*core.Probe{"liveness": r.container().LivenessProbe, "readiness": r.container().ReadinessProbe, "startup": r.container().StartupProbe} {
		switch {
		case probe == nil:
			lines[name] = "none"
		case probe.HTTPGet != nil:
			lines[name] = string(probe.HTTPGet.Scheme) + " " + probe.HTTPGet.Port.String() + " " + probe.HTTPGet.Path
		case probe.TCPSocket != nil:
			lines[name] = "TCP " + probe.TCPSocket.Port.String()
		case probe.Exec != nil:
			lines[name] = strings.Join(probe.Exec.Command, " ")
		}
	}
	return lines
}

// Behind a password /-/healthy answers 401, and a client certificate Kubernetes has
// none: then the probes only connect. Where they can, they ask.
func TestProbes(t *testing.T) {
	for values, want := range map[string][3]string{
		"":                                    {"HTTP http /-/healthy", "HTTP http /-/ready", "none"},
		"webAuthentication: true":             {"HTTP http /-/healthy", "HTTP http /-/ready", "none"}, // of no web.yml
		"webConfigSecret: web":                {"TCP http", "TCP http", "none"},
		"webConfigSecret: web\nwebTLS: false": {"TCP http", "TCP http", "none"},
		"webConfigSecret: web\nwebAuthentication: false":                                       {"HTTPS http /-/healthy", "HTTPS http /-/ready", "none"},
		"webConfigSecret: web\nwebAuthentication: false\nwebTLS: false":                        {"HTTP http /-/healthy", "HTTP http /-/ready", "none"},
		"livenessProbe: null\nreadinessProbe: null\nstartupProbe: {failureThreshold: 9}":       {"none", "none", "HTTP http /-/healthy"},
		"livenessProbe: {exec: {command: [a, b]}}\nreadinessProbe: {tcpSocket: {port: 1}}":     {"a b", "TCP 1", "none"},
		"webConfigSecret: web\nlivenessProbe: {httpGet: {httpHeaders: [{name: a, value: b}]}}": {"HTTPS http /-/healthy", "TCP http", "none"},
		"livenessProbe: {httpGet: {path: /status}}":                                            {"HTTP http /status", "HTTP http /-/ready", "none"},
	} {
		got := probes(render(t, values))
		if got := [3]string{got["liveness"], got["readiness"], got["startup"]}; got != want {
			t.Errorf("%s: %q, want %q", values, got, want)
		}
	}
	each(t, func(t *testing.T, r resources) {
		for name, probe := range map[string]*core.Probe{"liveness": r.container().LivenessProbe, "readiness": r.container().ReadinessProbe} {
			if probe.PeriodSeconds < 10 || probe.TimeoutSeconds != 5 {
				t.Errorf("the %s probe is %+v", name, probe)
			}
		}
	})
}

// With TLS, a minute of probes succeeds and leaves no line in the log, with a password
// and without.
func TestProbesAreQuiet(t *testing.T) {
	exporter := build(t)
	t.Run("TLS", func(t *testing.T) { quiet(t, exporter, matrix["tls"], "") })
	t.Run("password", func(t *testing.T) {
		quiet(t, exporter, "webConfigSecret: petra-web", "\nbasic_auth_users: {prometheus: $2a$10$Rl0SetLljdiL1FLZj1Ayse/MxXMo9gyhup9/dokLeNq4sqm49uNry}")
	})
}

// quiet probes an exporter with more in its web.yml as the pod of these values is.
func quiet(t *testing.T, program, values, more string) {
	container := render(t, values).container()
	server := httptest.NewTLSServer(nil) // has a certificate
	server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	web := filepath.Join(t.TempDir(), "web.yml")
	for name, content := range map[string][]byte{
		"web.yml": []byte("tls_server_config: {cert_file: tls.crt, key_file: tls.key}" + more),
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(web), name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exporter := exec.Command(program, "--demo", "--web.listen-address=127.0.0.1:0", "--web.config.file="+web)
	pipe, err := exporter.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := exporter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exporter.Process.Kill() })
	log, address := bufio.NewScanner(pipe), ""
	for address == "" && log.Scan() {
		if found := regexp.MustCompile(`TLS is enabled.*address=(\S+)`).FindStringSubmatch(log.Text()); found != nil {
			address = found[1]
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for range 6 {
		for _, probe := range []*core.Probe{container.LivenessProbe, container.ReadinessProbe} {
			if get := probe.HTTPGet; get != nil {
				response, err := client.Get(strings.ToLower(string(get.Scheme)) + "://" + address + get.Path)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if get.Path == "/-/healthy" && response.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", get.Path, response.Status)
				}
				continue
			}
			connection, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = connection.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, connection) // until the exporter has said what it has to say
			_ = connection.Close()
		}
	}
	if err := exporter.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for log.Scan() {
		if strings.Contains(log.Text(), "handshake") {
			t.Error(log.Text())
		}
	}
	if err := exporter.Wait(); err != nil {
		t.Error(err)
	}
}
