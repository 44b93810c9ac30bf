package inspect

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
)

// proxy says which proxy is in the way to the API: nil for none. It prints no
// user and no password.
func (d *doctor) proxy(cfg *config.Config) (proxy *url.URL) {
	settings := cfg.API.HTTP.ProxyConfig
	by := "api.proxy_url"
	if settings.ProxyFromEnvironment {
		by = "the environment"
	}
	if choose := settings.Proxy(); choose != nil {
		proxy, _ = choose(&http.Request{URL: cfg.API.URL}) // the request meets the same error
	}
	unused := settings.ProxyFromEnvironment && cmp.Or(os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy")) != ""
	switch {
	case proxy != nil:
		d.ok(checkProxy, "%s, by %s", printable(proxy.Host), by)
	case unused:
		d.ok(checkProxy, "none: HTTPS_PROXY is not used (NO_PROXY has the host, or it is this machine)")
	default:
		d.ok(checkProxy, "none")
	}
	return proxy
}

// way says how far the first request came, and reports whether the other end
// was reached.
func (d *doctor) way(cfg *config.Config, proxy *url.URL, t *trace, err error) (reached bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	target, setting := cfg.API.URL, "api.url"
	if proxy != nil {
		target, setting = proxy, "the proxy's URL"
	}
	switch {
	case t.host != "" && len(t.addresses) == 0:
		d.wrong(checkDNS, fmt.Sprintf("no address for %s (%s)", printable(t.host), printable(err.Error())), "is "+setting+" right? Does this machine, or container, have a name server that knows it?")
		d.skip("there is no address", checkConnection, checkTLS)
		return false
	case t.host == "":
		d.ok(checkDNS, "%s needs none", printable(target.Hostname()))
	default:
		var addresses []string
		for _, a := range t.addresses {
			addresses = append(addresses, a.String())
		}
		d.ok(checkDNS, "%s is %s", printable(t.host), list(addresses))
	}
	if !t.connected {
		d.wrong(checkConnection, fmt.Sprintf("none to %s (%s)", printable(target.Host), printable(err.Error())), "let this machine reach it through the firewall; is "+setting+" right, or api.proxy_url needed?")
		d.skip("there is no connection", checkTLS)
		return false
	}
	handshakes := t.handshakes
	if proxy != nil && proxy.Scheme == "https" && len(handshakes) > 0 {
		if first := handshakes[0]; !first.done || first.err != nil {
			d.wrong(checkConnection, fmt.Sprintf("no TLS with the proxy %s (%s)", printable(proxy.Host), printable(err.Error())), "is "+setting+" right? Is the CA of its certificate in api.tls_config.ca_file?")
			d.skip("there is no connection", checkTLS)
			return false
		}
		handshakes = handshakes[1:]
	}
	if proxy != nil && cfg.API.URL.Scheme == "https" && len(handshakes) == 0 {
		d.wrong(checkConnection, fmt.Sprintf("the proxy %s does not connect to %s (%s)", printable(proxy.Host), printable(cfg.API.URL.Host), printable(err.Error())), "allow it there, or put user and password into api.proxy_url")
		d.skip("there is no connection", checkTLS)
		return false
	}
	d.ok(checkConnection, "to %s", printable(t.dialed))
	if cfg.API.URL.Scheme == "http" {
		d.ok(checkTLS, "none, and none is needed on this machine")
		return true
	}
	return d.tls(cfg, handshakes, err)
}

// tls says what became of the handshake with the API.
func (d *doctor) tls(cfg *config.Config, handshakes []handshake, err error) bool {
	var h handshake
	if len(handshakes) > 0 {
		h = handshakes[0]
	}
	if !h.done || h.err != nil {
		if h.err != nil {
			err = h.err
		}
		d.wrong(checkTLS, printable(err.Error()), tlsRemedy(cfg, err))
		return false
	}
	text := tls.VersionName(h.state.Version)
	if len(h.state.PeerCertificates) > 0 {
		leaf := h.state.PeerCertificates[0]
		left := time.Until(leaf.NotAfter)
		text += fmt.Sprintf(", certificate by %s until %s", printable(strings.TrimSpace(leaf.Issuer.String())), leaf.NotAfter.UTC().Format(time.DateOnly))
		if left < min(7*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/10) && left > 0 {
			d.wrong(checkTLS, fmt.Sprintf("the certificate of %s expires soon, at %s", printable(cfg.API.URL.Host), leaf.NotAfter.UTC().Format(time.RFC3339)), "the operator of that server, or of the proxy in front of it, has to renew it before then, or nothing can be read")
			return true
		}
	}
	if cfg.API.HTTP.TLSConfig.InsecureSkipVerify {
		text += ", NOT VERIFIED (insecure_skip_verify)"
	}
	d.ok(checkTLS, "%s", text)
	return true
}

// tlsRemedy is what to do about a handshake that failed.
func tlsRemedy(cfg *config.Config, err error) string {
	if certificate, ok := errors.AsType[x509.CertificateInvalidError](err); ok && certificate.Reason == x509.Expired {
		return "is this machine's clock right? Else whoever runs that server has to renew its certificate"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "a proxy that inspects TLS is likely: put its CA into api.tls_config.ca_file. In a container, are CA certificates installed?"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "is api.url right, or api.tls_config.server_name? Else something answers in its place"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("no TLS is spoken at %s: is the port of api.url right, or a proxy needed?", printable(cfg.API.URL.Host))
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return "the server refuses: does it want a client certificate (api.tls_config.cert_file), or another version (min_version, max_version)?"
	}
	return "something on the way ends or holds up the handshake, such as a firewall: try from another network; see api.proxy_url"
}
