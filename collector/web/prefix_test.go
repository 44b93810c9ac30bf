package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// TestReverseProxy follows all links of the pages as a browser does that reaches
// the exporter by itself, or by a proxy that serves it below a path and passes
// that path on or not.
func TestReverseProxy(t *testing.T) {
	for name, c := range map[string]struct {
		o        web.Options
		location string // of nginx; empty for no proxy
		upstream string // the path in its proxy_pass
	}{
		"no proxy":                  {web.Options{}, "", ""},
		"no proxy, a prefix":        {web.Options{RoutePrefix: "/petra"}, "", ""},
		"strips":                    {web.Options{}, "/petra/", "/"},
		"strips, told of it":        {web.Options{ExternalURL: "https://example.com/petra/", RoutePrefix: "/"}, "/petra/", "/"},
		"passes on":                 {web.Options{ExternalURL: "https://example.com/petra/"}, "/petra/", "/petra/"},
		"passes on, a path":         {web.Options{ExternalURL: "/a/petra"}, "/a/petra/", "/a/petra/"},
		"passes on, by the prefix":  {web.Options{RoutePrefix: "/petra/"}, "/petra/", "/petra/"},
		"puts another in its place": {web.Options{ExternalURL: "https://example.com/petra", RoutePrefix: "/x"}, "/petra/", "/x/"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.TelemetryPath, c.o.Lifecycle, c.o.Reload = "/metrics", true, func() error { return nil }
			if err := c.o.Validate(); err != nil {
				t.Fatal(err)
			}
			handler, err := web.Handler(busy, prometheus.NewRegistry(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			base := server.URL + "/"
			if c.location != "" {
				proxy := httptest.NewServer(nginx(t, c.location, server.URL+c.upstream))
				t.Cleanup(proxy.Close)
				base = proxy.URL + strings.TrimSuffix(c.location, "/") // which redirects
			}
			seen := follow(t, base, map[string]bool{})
			home := server.URL + "/" + strings.Trim(c.o.RoutePrefix, "/")
			if c.location != "" {
				home = base
			}
			home = strings.TrimSuffix(home, "/") + "/"
			for _, page := range []string{"", "metrics", "status", "status#open-0", "status#tenant-0", "-/healthy", "-/ready"} {
				if !seen[home+page] {
					t.Errorf("no link leads to %s, but to %v", home+page, seen)
				}
			}
			response, err := http.Post(home+"-/reload", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
				t.Errorf("reload: %s", response.Status)
			}
		})
	}
}

// nginx is a proxy with one location, as in nginx: what follows it is added to
// the upstream's path.
func nginx(t *testing.T, location, upstream string) http.Handler {
	t.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux() // redirects to the location, as nginx does
	mux.Handle(location, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
		r.Out.URL.Path = to.Path + strings.TrimPrefix(r.In.URL.Path, location)
	}})
	return mux
}

// follow gets a page and all of its server that it links to, and returns the
// addresses. Where a link has a fragment, the page must have it.
func follow(t *testing.T, address string, seen map[string]bool) map[string]bool {
	t.Helper()
	response, err := http.Get(address) //nolint:gosec // of this test
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", address, response.Status)
	}
	at := response.Request.URL // after redirects
	at.Fragment = ""
	seen[address], seen[at.String()] = true, true
	root, err := html.Parse(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for n := range root.Descendants() {
		ids[attribute(n, "id")] = true
	}
	for n := range root.Descendants() {
		if n.DataAtom != atom.A {
			continue
		}
		link, err := at.Parse(attribute(n, "href"))
		if err != nil {
			t.Fatal(err)
		}
		local := strings.HasPrefix(attribute(n, "href"), "#")
		switch {
		case local && !ids[link.Fragment]:
			t.Errorf("%s has nothing to which #%s leads", at, link.Fragment)
		case local:
			seen[link.String()] = true
		case link.Host == at.Host && !seen[link.String()]:
			follow(t, link.String(), seen)
		}
	}
	return seen
}

// TestPrefix holds how the prefix follows from the flags, and which values are
// refused, with an error that names the flag.
func TestPrefix(t *testing.T) {
	const noURL = " must be a URL such as https://example.com/petra/, or its path"
	for _, c := range []struct{ external, route, want, err string }{
		{"", "", "", ""},
		{"https://example.com", "", "", ""},
		{"https://example.com/", "", "", ""},
		{"https://example.com/petra/", "", "/petra", ""},
		{"http://example.com:8080/a/petra", "", "/a/petra", ""},
		{"/petra/", "", "/petra", ""},
		{"https://example.com/petra/", "/", "", ""},
		{"https://example.com/petra/", "/x/", "/x", ""},
		{"", "petra", "/petra", ""},
		{"example.com/petra", "", "", `--web.external-url: "example.com/petra"` + noURL},
		{"ftp://example.com/", "", "", `--web.external-url: "ftp://example.com/"` + noURL},
		{"https://", "", "", `--web.external-url: "https://"` + noURL},
		{"https://example.com/?x", "", "", `--web.external-url: "https://example.com/?x"` + noURL},
		{"https://example.com/#x", "", "", `--web.external-url: "https://example.com/#x"` + noURL},
		{`"https://example.com/"`, "", "", `--web.external-url: "\"https://example.com/\""` + noURL},
		{"https://example.com/a b/", "", "", `--web.external-url: the path of "https://example.com/a b/" must be one such as /petra`},
		{"https://example.com/../petra", "", "", `--web.external-url: the path of "https://example.com/../petra" must be one such as /petra`},
		{"", "/{x}", "", `--web.route-prefix: the path of "/{x}" must be one such as /petra`},
		{"", "/a//b", "", `--web.route-prefix: the path of "/a//b" must be one such as /petra`},
	} {
		o := web.Options{ExternalURL: c.external, RoutePrefix: c.route, TelemetryPath: "/metrics"}
		got, err := o.Prefix()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%q, %q: got %q and %s; want %q and %s", c.external, c.route, got, text, c.want, c.err)
		}
		if valid := o.Validate(); (valid == nil) != (c.err == "") {
			t.Errorf("%q, %q: Validate: %v", c.external, c.route, valid)
		}
	}
}
