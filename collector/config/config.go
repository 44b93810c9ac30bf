// Package config reads the configuration; its errors name the file, line and key.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/petra-exporter/petra_exporter/petra"
	commoncfg "github.com/prometheus/common/config"
)

// Config is a valid configuration: [Load] makes no other.
type Config struct {
	API API
	// Tenants are Petra or Microsoft tenant IDs; empty means every tenant of
	// the organization.
	Tenants []string
	// Since excludes incidents created before it; zero means all history.
	Since time.Time
	// The three lists of remediation statuses, compared without case. A status
	// in none of them is open.
	RemediatedStatuses, ClosedStatuses, OpenStatuses []string
	// MaxStaleness is how long a tenant's incidents are published after the
	// last answer that covered it.
	MaxStaleness time.Duration
	// MaxOpenIncidents is how many open incidents of a tenant have series of their own.
	MaxOpenIncidents int
	// RecentWindow is how far back an incident was raised or remediated to have
	// series of its own; 0 means that none has.
	RecentWindow time.Duration
	// MaxRecentIncidents is how many recent incidents have series, in all.
	MaxRecentIncidents int
	NativeHistograms   bool
	// Simulated says that the data is made up.
	Simulated bool
	// OpenIncidentUser publishes user names, which are personal data.
	OpenIncidentUser bool

	loaded bool
}

// Loaded reports whether [Load] has made this configuration.
func (c *Config) Loaded() bool { return c != nil && c.loaded }

// API says where the API is and how to call it.
type API struct {
	URL               *url.URL
	RequestsPerMinute int
	Timeout           time.Duration // of one request
	HTTP              commoncfg.HTTPClientConfig
	Key               commoncfg.SecretReader // nil where none was named; its description says where it is from
	KeyFile           string                 // the file that holds Key, if one does
}

// Overrides are the settings that come from the command line and the
// environment.
type Overrides struct {
	APIURL     string   // --petra.api-url
	APIKeyFile string   // --petra.api-key-file
	APIKey     string   // PETRA_API_KEY: holds only where neither flag nor file name a key
	Tenants    []string // --petra.tenant
	Demo       string   // --demo: the address of a simulated API, in place of api and tenants
}

// MaxStatuses is how many remediation statuses a process publishes.
const MaxStatuses = 20

// defaultAPI is the API section of a configuration that says nothing of it.
func defaultAPI() API {
	return API{
		URL:               &url.URL{Scheme: "https", Host: "api.petrasecurity.com"},
		RequestsPerMinute: petra.RequestsPerMinute,
		Timeout:           30 * time.Second,
		HTTP:              commoncfg.HTTPClientConfig{ProxyConfig: commoncfg.ProxyConfig{ProxyFromEnvironment: true}},
	}
}

func defaultConfig() *Config {
	return &Config{
		API:                defaultAPI(),
		RemediatedStatuses: []string{"REMEDIATED"},
		MaxStaleness:       time.Hour,
		MaxOpenIncidents:   500,
		RecentWindow:       30 * 24 * time.Hour,
		MaxRecentIncidents: 10000,
	}
}

// Load reads a configuration file, or takes the defaults where file is
// empty, and applies the overrides. Its errors name the file with line and key,
// or the flag, and never a value from below api.
func Load(file string, o Overrides) (*Config, error) {
	cfg := defaultConfig()
	if file != "" {
		content, err := ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--config.file: %w", err)
		}
		if err := cfg.decode(file, content); err != nil {
			return nil, err
		}
		if cfg.API.Key != nil && cfg.API.KeyFile == "" {
			cfg.API.KeyFile = file // which has the key itself
			cfg.API.Key = apiKey{cfg.API.Key, "api.authorization of " + file}
		}
	}
	if o.APIURL != "" {
		u, err := apiURL(o.APIURL)
		if err != nil {
			return nil, fmt.Errorf("--petra.api-url: %w", err)
		}
		cfg.API.URL = u
	}
	if len(o.Tenants) > 0 {
		cfg.Tenants = nil
		for _, id := range o.Tenants {
			if err := cfg.addTenant(id); err != nil && !errors.Is(err, errTwice) {
				return nil, fmt.Errorf("--petra.tenant: %w", err)
			}
		}
	}
	switch {
	case o.APIKeyFile != "":
		if err := CheckFile(o.APIKeyFile); err != nil {
			return nil, fmt.Errorf("--petra.api-key-file: %w", err)
		}
		cfg.API.Key, cfg.API.KeyFile = newKeyFile(o.APIKeyFile), o.APIKeyFile
	case cfg.API.Key == nil && o.APIKey != "":
		cfg.API.Key = apiKey{commoncfg.NewInlineSecret(o.APIKey), "PETRA_API_KEY"}
	}
	if o.Demo == "" && cfg.API.HTTP.ProxyFromEnvironment {
		if err := checkProxyEnvironment(); err != nil {
			return nil, err
		}
	}
	if proxy := cfg.API.HTTP.ProxyURL.URL; cfg.API.URL.Scheme == "http" && proxy != nil && !loopback(proxy.Hostname()) {
		return nil, errors.New("api.proxy_url: a proxy elsewhere would see the key of an http:// URL; use https://")
	}
	if o.Demo != "" {
		u, err := url.Parse(o.Demo)
		if err != nil {
			return nil, err
		}
		cfg.API, cfg.Tenants, cfg.Simulated = defaultAPI(), nil, true
		if meaning, _ := cfg.Meaning("ACTIVE"); meaning == Unknown { // so that a demo begins with nothing wrong
			cfg.OpenStatuses = append(cfg.OpenStatuses, "ACTIVE")
		}
		cfg.API.URL, cfg.API.Key = u, apiKey{commoncfg.NewInlineSecret("demo"), "the demo"} // any key will do
	}
	cfg.loaded = true
	return cfg, nil
}

// Warnings say what is valid, but likely a mistake.
func (c *Config) Warnings() (texts []string) {
	if n := c.API.RequestsPerMinute; n > petra.RequestsPerMinute {
		texts = append(texts, fmt.Sprintf("api.requests_per_minute: %d is more than the %d that the API allows, and it refuses the rest (429): set it to %d or less", n, petra.RequestsPerMinute, petra.RequestsPerMinute))
	}
	return texts
}

// Plain reports whether the tenants are few enough to read each in full at every
// scrape.
func (c *Config) Plain() bool {
	return len(c.Tenants) > 0 && 5*len(c.Tenants) <= c.API.RequestsPerMinute
}

// SameAPI returns the spelling that [Load] gives the URL of an API, for comparing,
// or the text itself where it is no such URL.
func SameAPI(text string) string {
	u, err := apiURL(text)
	if err != nil {
		return text
	}
	return u.String()
}

// apiURL checks where a key would be sent. URLs of the same requests are the same
// API, so a slash at the end, the case of the host and a default port are left
// out. Its errors do not repeat the value, which may hold a secret.
func apiURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil || u.Hostname() == "" || !portExists(u.Port()):
		return nil, errors.New("must be a URL such as https://api.petrasecurity.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("must have no user, query or fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		u.Host = strings.ToLower(u.Host)
		u.Host = strings.TrimSuffix(u.Host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("must be https://, so that the key does not travel in the clear (http:// only to loopback)")
	}
	return nil, errors.New("must begin with https://")
}

func portExists(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

func loopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

var errTwice = errors.New("is there twice")

func (c *Config) addTenant(id string) error {
	switch {
	case id == "" || strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }):
		return fmt.Errorf("%q is not a Petra or Microsoft tenant ID", id)
	case len([]rune(id)) > petra.MaxIDLength:
		return fmt.Errorf("an ID of %d characters is longer than %d", len([]rune(id)), petra.MaxIDLength)
	case slices.ContainsFunc(c.Tenants, func(other string) bool { return TenantKey(other) == TenantKey(id) }):
		return fmt.Errorf("%q %w; remove one", id, errTwice)
	}
	c.Tenants = append(c.Tenants, id)
	return nil
}

// Missing are the configured IDs of tenants that are neither a Petra ID nor a
// Microsoft ID of one of these.
func (c *Config) Missing(tenants []petra.Tenant) (ids []string) {
	known := map[string]bool{}
	for _, t := range tenants {
		known[t.ID], known[t.MicrosoftID] = true, true
	}
	for _, id := range c.Tenants {
		if !known[TenantKey(id)] {
			ids = append(ids, id)
		}
	}
	return ids
}

var uuid = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// IsMicrosoftID reports whether a configured ID looks like one of Microsoft's.
func IsMicrosoftID(id string) bool { return uuid.MatchString(id) }

// TenantKey folds the case of Microsoft IDs, which are compared without it; Petra
// IDs are case-sensitive.
func TenantKey(id string) string {
	if IsMicrosoftID(id) {
		return strings.ToLower(id)
	}
	return id
}
