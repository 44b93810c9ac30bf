package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// checkProxyEnvironment finds a proxy variable that cannot be used: Go's HTTP
// client ignores one and connects without a proxy. The error does not repeat the
// value, which may hold a password.
func checkProxyEnvironment() error {
	for _, names := range [][]string{{"https_proxy", "HTTPS_PROXY"}, {"http_proxy", "HTTP_PROXY"}} {
		set := slices.IndexFunc(names, func(name string) bool { return os.Getenv(name) != "" })
		if set < 0 {
			continue
		}
		value := os.Getenv(names[set])
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		if !usableProxy(value) {
			return fmt.Errorf("environment variable %s: must be a URL such as http://user:password@proxy.example.com:3128, with special characters in user and password escaped (%% as %%25)", names[set])
		}
	}
	return nil
}

// usableProxy reports whether the text is the URL of a proxy. An @ behind the
// host is that of a user or password with an unescaped / or ?.
func usableProxy(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && portExists(u.Port()) &&
		slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) &&
		!strings.Contains(u.Path+u.RawQuery+u.Fragment, "@")
}
