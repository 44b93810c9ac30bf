package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/web"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
)

// healthTimeout is shorter than the HEALTHCHECK's, so that the command can say what
// is wrong.
const healthTimeout = 5 * time.Second

// newHealthcheck needs no configuration and no key.
func newHealthcheck(app *kingpin.Application) command {
	cmd := app.Command("healthcheck", "Exit with status 0 if the local exporter answers on /-/healthy, for containers. Its request for a password or a client certificate counts as an answer. Its own certificate is not verified.")
	exporter := cmd.Flag("url", "URL of the exporter. Default: the first --web.listen-address on this machine, with https where --web.config.file has TLS.").PlaceHolder("URL").String()
	addresses := cmd.Flag("web.listen-address", "As for serve.").Default(listenAddress).Strings()
	webConfig := cmd.Flag("web.config.file", "As for serve.").PlaceHolder("FILE").String()
	var paths web.Options
	cmd.Flag("web.external-url", "As for serve.").PlaceHolder("URL").StringVar(&paths.ExternalURL)
	cmd.Flag("web.route-prefix", "As for serve.").PlaceHolder("PATH").StringVar(&paths.RoutePrefix)
	return command{check: func() (done bool, err error) {
		prefix, err := paths.Prefix()
		if err != nil {
			return true, err
		}
		u, err := healthURL(*exporter, *addresses, prefix, *webConfig)
		if err == nil {
			err = healthy(u)
		}
		return true, err
	}}
}

// healthURL is where the exporter says that it is healthy.
func healthURL(exporter string, addresses []string, prefix, webConfig string) (*url.URL, error) {
	if exporter != "" {
		u, err := url.Parse(exporter)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return nil, fmt.Errorf("--url: %q must be a URL such as http://127.0.0.1%s", exporter, listenAddress)
		}
		u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/-/healthy") + "/-/healthy"
		return u, nil
	}
	host, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, fmt.Errorf("--web.listen-address: %w; name the exporter with --url", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: prefix + "/-/healthy"}
	if webConfig != "" {
		var c toolkit.Config
		content, err := config.ReadFile(webConfig)
		if err == nil {
			err = yaml.Unmarshal(content, &c)
		}
		if err != nil {
			return nil, fmt.Errorf("--web.config.file: %s", strings.Join(strings.Fields(err.Error()), " ")) // in one line
		}
		if c.TLSConfig.IsEnabled() {
			u.Scheme = "https"
		}
	}
	return u, nil
}

// healthy asks the exporter, and prints what it answers if that is good.
func healthy(u *url.URL) error {
	client := http.Client{
		Timeout:       healthTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // as the help says
	}
	response, err := client.Get(u.String())
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" {
		fmt.Printf("%s: %v\n", u.Redacted(), alert) // it serves, but only clients with a certificate
		return nil
	}
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized:
		fmt.Printf("%s: %s\n", u.Redacted(), response.Status)
		return nil
	default:
		return fmt.Errorf("%s: status %s", u.Redacted(), response.Status)
	}
}
