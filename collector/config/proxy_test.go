package config_test

import (
	"strings"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/config"
)

// TestBrokenProxyEnvironment: a proxy variable that cannot be used is an error, which
// names it and does not repeat it. Go's HTTP client would connect directly.
func TestBrokenProxyEnvironment(t *testing.T) {
	const yaml = "since: 2026-01-01"
	unset := func(t *testing.T) {
		for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"} {
			t.Setenv(name, "")
		}
	}
	for value, good := range map[string]bool{
		"http://proxy.example.com:3128":            true,
		"http://proxy.example.com:3128/":           true,
		"https://user:c4n4ry%25@proxy.example.com": true,
		"socks5://proxy.example.com:1080":          true,
		"socks5h://127.0.0.1":                      true,
		"http://[::1]:3128":                        true,
		"proxy.example.com:3128":                   true,
		"proxy.example.com":                        true,
		"user:c4n4ry@proxy.example.com:3128":       true,
		"http://user:c4n4ry%off@proxy:3128":        false,
		"user:c4n4ry%off@proxy:3128":               false,
		"http://user:c4n4ry#1@proxy:3128":          false,
		"http://user:c4n4ry/1@proxy:3128":          false,
		"http://user:1/c4n4ry@proxy:3128":          false,
		"http://user:1?c4n4ry@proxy:3128":          false,
		"http://user:1#c4n4ry@proxy:3128":          false,
		"http://user:c4n 4ry@proxy:3128":           false,
		"http://proxy:c4n4ry":                      false,
		"http://proxy:99999":                       false,
		"proxy:c4n4ry":                             false,
		"\"http://user:c4n4ry@proxy.example.com\"": false,
		" http://user:c4n4ry@proxy.example.com":    false,
		"http://user:c4n4ry@proxy.example.com\n":   false,
		"http:// c4n4ry":                           false,
		"http://":                                  false,
		"ftp://user:c4n4ry@proxy.example.com":      false,
		"://c4n4ry":                                false,
		"%zz":                                      false,
		" ":                                        false,
	} {
		for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"} {
			t.Run(name+"="+value, func(t *testing.T) {
				unset(t)
				t.Setenv(name, value)
				_, got := load(t, yaml, config.Overrides{})
				switch {
				case good && got != "":
					t.Errorf("%q is refused: %s", value, got)
				case !good && !strings.HasPrefix(got, "environment variable "+name+": must be a URL such as "):
					t.Errorf("%q: the error is %q", value, got)
				case strings.Contains(got, "c4n4ry"):
					t.Errorf("the error repeats the value: %s", got)
				}
				for reason, yaml := range map[string]string{"proxy_url": "api: {proxy_url: 'http://proxy'}", "no proxy": "api: {proxy_from_environment: false}"} {
					if _, got := load(t, yaml, config.Overrides{}); got != "" {
						t.Errorf("with %s the environment is not used, but: %s", reason, got)
					}
				}
				if _, got := load(t, yaml, config.Overrides{Demo: "http://127.0.0.1:1"}); got != "" {
					t.Errorf("the demo needs no proxy, but: %s", got)
				}
			})
		}
		t.Run("proxy_url: "+value, func(t *testing.T) {
			unset(t)
			if !strings.Contains(value, "://") {
				return // here a scheme is needed
			}
			_, got := load(t, "api:\n  proxy_url: '"+strings.ReplaceAll(value, "\n", "\n\n    ")+"'", config.Overrides{})
			if (got == "") != good && strings.TrimSpace(value) == value || strings.Contains(got, "c4n4ry") {
				t.Errorf("%q: the error is %q", value, got)
			}
		})
	}
	t.Run("lower case first", func(t *testing.T) {
		unset(t)
		t.Setenv("https_proxy", "http://proxy")
		t.Setenv("HTTPS_PROXY", "http://%zz")
		if _, got := load(t, yaml, config.Overrides{}); got != "" {
			t.Error(got)
		}
	})
}
