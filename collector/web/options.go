package web

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/petra-exporter/petra_exporter/collector/config"
	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// Options are what the exporter serves beside the metrics, and how.
type Options struct {
	ScrapeOptions
	// Toolkit is where to listen, with which certificates and passwords.
	Toolkit *toolkit.FlagConfig
	// ExternalURL is the address of the exporter behind a reverse proxy.
	ExternalURL string
	// RoutePrefix is the prefix of all paths. If empty, it is the path of ExternalURL.
	RoutePrefix string
	// TelemetryPath is the path of the metrics, below the prefix.
	TelemetryPath string
	// Lifecycle allows POST /-/reload.
	Lifecycle bool
	// Reload reads the configuration anew.
	Reload func() error
}

var (
	pathPattern  = regexp.MustCompile(`^(/|(/[A-Za-z0-9._~-]+)+)$`)
	reservedPath = regexp.MustCompile(`^/(status$|-/)`)
)

// servable reports whether net/http can serve a page at p: for others it panics.
func servable(p string) bool {
	return pathPattern.MatchString(p) && path.Clean(p) == p
}

// Validate returns an error that names the flag of a bad option.
func (o Options) Validate() error {
	if _, err := o.Prefix(); err != nil {
		return err
	}
	if !servable(o.TelemetryPath) || reservedPath.MatchString(o.TelemetryPath) {
		return fmt.Errorf("--web.telemetry-path: %q must be a path such as /metrics, and neither /status nor below /-/", o.TelemetryPath)
	}
	if o.MaxRequests < 0 {
		return fmt.Errorf("--web.max-requests: %d is negative; 0 means no limit", o.MaxRequests)
	}
	if o.TimeoutOffset < 0 {
		return fmt.Errorf("--scrape.timeout-offset: %s is negative", o.TimeoutOffset)
	}
	if o.Toolkit != nil && o.Toolkit.WebConfigFile != nil {
		err := config.CheckFile(*o.Toolkit.WebConfigFile)
		if err == nil {
			err = toolkit.Validate(*o.Toolkit.WebConfigFile)
		}
		if err != nil {
			return fmt.Errorf("--web.config.file: %w", err)
		}
	}
	return nil
}

// Prefix returns the prefix of all paths without a slash at its end, so that it
// is empty where there is none.
func (o Options) Prefix() (string, error) {
	external, err := url.Parse(cmp.Or(o.ExternalURL, "/"))
	if err != nil || !isExternal(external) {
		return "", fmt.Errorf("--web.external-url: %q must be a URL such as https://example.com/petra/, or its path", o.ExternalURL)
	}
	flag, value, prefix := "--web.external-url", o.ExternalURL, external.Path
	if o.RoutePrefix != "" {
		flag, value, prefix = "--web.route-prefix", o.RoutePrefix, o.RoutePrefix
	}
	prefix = "/" + strings.Trim(prefix, "/")
	if !servable(prefix) {
		return "", fmt.Errorf("%s: the path of %q must be one such as /petra", flag, value)
	}
	return strings.TrimSuffix(prefix, "/"), nil
}

func isExternal(u *url.URL) bool {
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	if u.Host == "" {
		return u.Scheme == "" && strings.HasPrefix(u.Path, "/")
	}
	return u.Scheme == "http" || u.Scheme == "https"
}
