package config_test

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	commoncfg "github.com/prometheus/common/config"
)

// load loads a configuration from a file in a folder of its own; errors name
// the file as FILE.
func load(t *testing.T, yaml string, o config.Overrides) (*config.Config, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, o)
	if err != nil {
		return nil, strings.ReplaceAll(err.Error(), file, "FILE")
	}
	return cfg, ""
}

const (
	topKeys  = "api, closed_statuses, max_open_incidents, max_recent_incidents, max_staleness, native_histograms, open_incident_user, open_statuses, recent_window, remediated_statuses, since, tenants"
	apiKeys  = "authorization, follow_redirects, no_proxy, proxy_from_environment, proxy_url, requests_per_minute, timeout, tls_config, url"
	tlsKeys  = "ca, ca_file, cert, cert_file, insecure_skip_verify, key, key_file, max_version, min_version, server_name"
	authKeys = "credentials, credentials_file, type"
)

// TestBadConfig holds what a person reads of a bad file: where, which key, and
// what would be good.
func TestBadConfig(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		// Keys that nobody knows, at each level.
		"unknown key":                    {"since: 2025-01-01\ntenant: x", "FILE:2: tenant: unknown key; known here: " + topKeys},
		"unknown key in api":             {"api:\n  timeout: 5s\n  uri: https://example.com", "FILE:3: api.uri: unknown key; known here: " + apiKeys},
		"unknown key in authorization":   {"api:\n  authorization:\n    token: x", "FILE:3: api.authorization.token: unknown key; known here: " + authKeys},
		"unknown key in tls_config":      {"api:\n  tls_config:\n    insecure: true", "FILE:3: api.tls_config.insecure: unknown key; known here: " + tlsKeys},
		"unknown key in tenants":         {"tenants:\n  - id: a\n    name: b", "FILE:3: tenants.name: unknown key; known here: id"},
		"follow_redirects is odd":        {"api:\n  follow_redirects: odd", "FILE:2: api.follow_redirects: must be true or false"},
		"key in capitals":                {"Since: 2025-01-01", "FILE:1: Since: unknown key; known here: " + topKeys},
		"a key that is a list":           {"? [a, b]\n: c", "FILE:1: unknown key; known here: " + topKeys},
		"a key of two lines":             {"\"a\\nb\": c", "FILE:1: unknown key; known here: " + topKeys},
		"duplicate key":                  {"since: 2025-01-01\napi: {}\nsince: 2025-01-02", "FILE:3: since: is there twice"},
		"duplicate key in api":           {"api:\n  timeout: 5s\n  timeout: 6s", "FILE:3: api.timeout: is there twice"},
		"duplicate key in authorization": {"api:\n  authorization:\n    credentials: x\n    credentials: y", "FILE:4: api.authorization.credentials: is there twice"},
		// Files that are no mapping, no YAML, or more than one.
		"a list":                {"[api, tenants]", "FILE:1: must be a mapping of " + topKeys},
		"a text":                {"\njust a text", "FILE:2: must be a mapping of " + topKeys},
		"two documents":         {"since: 2025-01-01\n---\nsince: 2025-01-02", "FILE:2: a second YAML document; only one is read"},
		"tab":                   {"api:\n\turl: https://example.com", "FILE: not YAML: yaml: line 2: found character that cannot start any token"},
		"colon in a plain text": {"since: 2025-01-01\nmax_staleness: 1h: 2h", "FILE: not YAML: yaml: line 2: mapping values are not allowed in this context"},
		"unknown anchor":        {"since: *then", "FILE: not YAML: quote a value that begins with * or &"},
		"alias of a key":        {"api: {authorization: {credentials: &k s3cr3t}}\nsince: *k", "FILE:2: since: the value of its alias cannot be used here"},
		// Wrong types.
		"api is a text":                 {"api: x", "FILE:1: api: must be a mapping of " + apiKeys},
		"api is a list":                 {"since: 2025-01-01\napi:\n  - url: https://example.com", "FILE:2: api: must be a mapping of " + apiKeys},
		"authorization is a text":       {"api:\n  authorization: Bearer x", "FILE:2: api.authorization: must be a mapping of " + authKeys},
		"tls_config is a list":          {"api:\n  tls_config: [x]", "FILE:2: api.tls_config: must be a mapping of " + tlsKeys},
		"tenants is a mapping":          {"tenants: {id: x}", `FILE:1: tenants: must be a list such as "- id: ZZk90t"; leave it out to collect every tenant`},
		"tenants is a text":             {"tenants: ZZk90t", `FILE:1: tenants: must be a list such as "- id: ZZk90t"; leave it out to collect every tenant`},
		"tenants are texts":             {"tenants:\n  - ZZk90t", "FILE:2: tenants: must be a mapping of id"},
		"tenant ID is a list":           {"tenants:\n  - id: [a]", "FILE:2: tenants.id: must be a string that is not empty"},
		"statuses are a text":           {"closed_statuses: FALSE_POSITIVE", "FILE:1: closed_statuses: must be a list such as [REMEDIATED]"},
		"a status is a mapping":         {"closed_statuses:\n  - A\n  - B: c", "FILE:3: closed_statuses: must be a string that is not empty"},
		"a status is empty":             {"open_statuses:\n  - A\n  - ''", "FILE:3: open_statuses: must be a string that is not empty"},
		"native_histograms is yes":      {"native_histograms: yes", `FILE:1: native_histograms: "yes" is neither true nor false`},
		"native_histograms is quoted":   {`native_histograms: "true"`, `FILE:1: native_histograms: "true" is neither true nor false`},
		"open_incident_user is 1":       {"open_incident_user: 1", `FILE:1: open_incident_user: "1" is neither true nor false`},
		"max_open_incidents is a word":  {"max_open_incidents: many", `FILE:1: max_open_incidents: "many" is not a whole number of at least 1`},
		"max_open_incidents is 0":       {"max_open_incidents: 0", `FILE:1: max_open_incidents: "0" is not a whole number of at least 1`},
		"max_recent_incidents is -1":    {"max_recent_incidents: -1", `FILE:1: max_recent_incidents: "-1" is not a whole number of at least 1`},
		"max_recent_incidents is 1.5":   {"max_recent_incidents: 1.5", `FILE:1: max_recent_incidents: "1.5" is not a whole number of at least 1`},
		"max_staleness has no unit":     {"max_staleness: 90", `FILE:1: max_staleness: invalid duration "90" (examples: 90s, 5m, 1h, 30d; minimum 1m)`},
		"max_staleness is 30s":          {"since: 2025-01-01\nmax_staleness: 30s", `FILE:2: max_staleness: invalid duration "30s" (examples: 90s, 5m, 1h, 30d; minimum 1m)`},
		"recent_window has a fraction":  {"recent_window: 1.5h", `FILE:1: recent_window: invalid duration "1.5h" (examples: 90s, 5m, 1h, 30d; minimum 0s)`},
		"recent_window is negative":     {"recent_window: -1d", `FILE:1: recent_window: invalid duration "-1d" (examples: 90s, 5m, 1h, 30d; minimum 0s)`},
		"timeout is a word":             {"api:\n  timeout: long", "FILE:2: api.timeout: must be a duration such as 30s, of at least 1s"},
		"timeout is 500ms":              {"api:\n  timeout: 500ms", "FILE:2: api.timeout: must be a duration such as 30s, of at least 1s"},
		"requests_per_minute is 2":      {"api:\n  requests_per_minute: 2", "FILE:2: api.requests_per_minute: must be a whole number of at least 3"},
		"requests_per_minute is a list": {"api:\n  requests_per_minute: [10]", "FILE:2: api.requests_per_minute: must be a whole number of at least 3"},
		// Tenants.
		"no tenants":                       {"tenants: []", `FILE:1: tenants: must be a list such as "- id: ZZk90t"; leave it out to collect every tenant`},
		"tenant without ID":                {"tenants:\n  - {}", `FILE:2: tenants: "" is not a Petra or Microsoft tenant ID`},
		"tenant with null ID":              {"tenants:\n  - id: a\n  - id:", `FILE:3: tenants: "" is not a Petra or Microsoft tenant ID`},
		"tenant with a space":              {"tenants:\n  - id: a b", `FILE:2: tenants: "a b" is not a Petra or Microsoft tenant ID`},
		"tenant with a long ID":            {"tenants:\n  - id: " + strings.Repeat("x", 129), "FILE:2: tenants: an ID of 129 characters is longer than 128"},
		"tenant twice":                     {"tenants:\n  - id: ZZk90t\n  - id: ZZk90t", `FILE:3: tenants: "ZZk90t" is there twice; remove one`},
		"Microsoft tenant in another case": {"tenants:\n  - id: A1B2C3D4-5E6F-7890-ABCD-EF1234567890\n  - id: a1b2c3d4-5e6f-7890-abcd-ef1234567890", `FILE:3: tenants: "a1b2c3d4-5e6f-7890-abcd-ef1234567890" is there twice; remove one`},
		// Since.
		"since in the future":    {"since: 2999-01-01", `FILE:1: since: "2999-01-01" must lie between 1970 and now`},
		"since before 1970":      {"since: 1969-12-31", `FILE:1: since: "1969-12-31" must lie between 1970 and now`},
		"since is a word":        {"since: yesterday", `FILE:1: since: "yesterday" is neither a date such as 2026-01-01 nor a time such as 2026-01-01T12:00:00Z`},
		"since is no day":        {"since: 2025-02-30", `FILE:1: since: "2025-02-30" is neither a date such as 2026-01-01 nor a time such as 2026-01-01T12:00:00Z`},
		"since has no time zone": {"since: 2025-02-01 12:00:00", `FILE:1: since: "2025-02-01 12:00:00" is neither a date such as 2026-01-01 nor a time such as 2026-01-01T12:00:00Z`},
		// Statuses.
		"status in two lists":              {"closed_statuses: [FALSE_POSITIVE]\nopen_statuses: [ACTIVE, false_positive]", `FILE:2: open_statuses: "false_positive" is in closed_statuses too; keep it in one of them`},
		"status in a default list":         {"since: 2025-01-01\nclosed_statuses: [remediated]", `FILE:2: closed_statuses: "remediated" is in remediated_statuses too; keep it in one of them`},
		"more statuses than are published": {"open_statuses: [A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T]", "FILE:1: open_statuses: more than 20 statuses in the three lists"},
		"no remediated status":             {"since: 2025-01-01\nremediated_statuses: []", "FILE:2: remediated_statuses: must name at least one status"},
		"blank status":                     {"remediated_statuses:\n  - '  '", "FILE:2: remediated_statuses: must be a string that is not empty"},
		"null status":                      {"closed_statuses:\n  - ~", "FILE:2: closed_statuses: must be a string that is not empty"},
		// The URL: where the key goes.
		"http to another host":        {"api:\n  url: http://api.petrasecurity.com", "FILE:2: api.url: must be https://, so that the key does not travel in the clear (http:// only to loopback)"},
		"http to all addresses":       {"api:\n  url: http://0.0.0.0:8080", "FILE:2: api.url: must be https://, so that the key does not travel in the clear (http:// only to loopback)"},
		"http to localhost's like":    {"api:\n  url: http://localhost.example.com", "FILE:2: api.url: must be https://, so that the key does not travel in the clear (http:// only to loopback)"},
		"URL with user":               {"api:\n  url: https://me@api.petrasecurity.com", "FILE:2: api.url: must have no user, query or fragment"},
		"URL with query":              {"api:\n  url: https://api.petrasecurity.com?limit=5", "FILE:2: api.url: must have no user, query or fragment"},
		"URL with a question mark":    {"api:\n  url: https://api.petrasecurity.com?", "FILE:2: api.url: must have no user, query or fragment"},
		"URL with fragment":           {"api:\n  url: https://api.petrasecurity.com#top", "FILE:2: api.url: must have no user, query or fragment"},
		"URL of another scheme":       {"api:\n  url: ftp://api.petrasecurity.com", "FILE:2: api.url: must begin with https://"},
		"URL without scheme":          {"api:\n  url: api.petrasecurity.com", "FILE:2: api.url: must be a URL such as https://api.petrasecurity.com"},
		"URL without host":            {"api:\n  url: https:///v1", "FILE:2: api.url: must be a URL such as https://api.petrasecurity.com"},
		"URL with a port and no host": {"api:\n  url: https://:443", "FILE:2: api.url: must be a URL such as https://api.petrasecurity.com"},
		"URL is a list":               {"api:\n  url: [https://api.petrasecurity.com]", "FILE:2: api.url: must be a URL such as https://api.petrasecurity.com"},
		// Authorization.
		"both credentials":  {"api:\n  authorization:\n    credentials: x\n    credentials_file: y", "FILE:2: api.authorization: must have either credentials_file or credentials"},
		"no credentials":    {"api:\n  authorization: {type: Bearer}", "FILE:2: api.authorization: must have either credentials_file or credentials"},
		"empty credentials": {"api:\n  authorization:\n    credentials: ''", "FILE:3: api.authorization.credentials: must be a string that is not empty"},
		// Proxy and TLS.
		"proxy without scheme":        {"api:\n  proxy_url: proxy", "FILE:2: api.proxy_url: must be a URL such as http://proxy.example.com:3128"},
		"broken proxy":                {"api:\n  proxy_url: http://%zz", "FILE:2: api.proxy_url: must be a URL such as http://proxy.example.com:3128"},
		"proxy_from_environment is 1": {"api:\n  proxy_from_environment: 1", "FILE:2: api.proxy_from_environment: must be true or false"},
		"TLS version":                 {"api:\n  tls_config:\n    min_version: TLS14", "FILE:3: api.tls_config.min_version: must be TLS12 or TLS13"},
		"TLS certificate without key": {"api:\n  tls_config:\n    cert_file: x", "FILE:2: api.tls_config: exactly one of key or key_file must be configured when a client certificate is configured"},
		"TLS CA twice":                {"api:\n  tls_config:\n    ca: x\n    ca_file: y", "FILE:2: api.tls_config: at most one of ca, ca_file & ca_ref must be configured"},
		"insecure_skip_verify is yes": {"api:\n  tls_config:\n    insecure_skip_verify: yes", "FILE:3: api.tls_config.insecure_skip_verify: must be true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := load(t, c.yaml, config.Overrides{}); got != c.want {
				t.Errorf("got:  %s\nwant: %s\nof:\n%s", got, c.want, c.yaml)
			}
		})
	}
}

// TestBadConfigPlace holds that an error that concerns two keys names the line
// of one of them, not that of the section.
func TestBadConfigPlace(t *testing.T) {
	for name, c := range map[string]struct{ yaml, begins string }{
		"type Basic":                           {"api:\n  authorization:\n    credentials: x\n    type: Basic", "FILE:4: api.authorization.type: "},
		"no_proxy without proxy_url":           {"api:\n  timeout: 5s\n  no_proxy: example.com", "FILE:3: api.no_proxy: "},
		"proxy_url and proxy_from_environment": {"api:\n  timeout: 5s\n  proxy_url: http://proxy.example.com\n  proxy_from_environment: true", "FILE:4: api.proxy_from_environment: "},
		"no_proxy and proxy_from_environment":  {"api:\n  timeout: 5s\n  no_proxy: example.com\n  proxy_from_environment: true", "FILE:4: api.proxy_from_environment: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := load(t, c.yaml, config.Overrides{}); !strings.HasPrefix(got, c.begins) {
				t.Errorf("got:  %s\nwant: %s...\nof:\n%s", got, c.begins, c.yaml)
			}
		})
	}
}

// TestConfigErrorsHideSecrets holds that no error repeats a value from below
// api: people put keys into the wrong place.
func TestConfigErrorsHideSecrets(t *testing.T) {
	const canary = "c4n4ry"
	for name, yaml := range map[string]string{
		"api":                               "api: KEY",
		"url":                               "api:\n  url: KEY",
		"url with key":                      "api:\n  url: https://example.com?key=KEY",
		"url with user":                     "api:\n  url: https://user:KEY@example.com",
		"url with fragment":                 "api:\n  url: https://example.com#KEY",
		"url of another scheme":             "api:\n  url: KEY://example.com",
		"broken url":                        "api:\n  url: https://example.com:KEY",
		"requests_per_minute":               "api:\n  requests_per_minute: KEY",
		"timeout":                           "api:\n  timeout: KEY",
		"authorization":                     "api:\n  authorization: Bearer KEY",
		"authorization as list":             "api:\n  authorization: [KEY]",
		"type":                              "api:\n  authorization:\n    type: KEY\n    credentials: x",
		"credentials as list":               "api:\n  authorization:\n    credentials: [KEY]",
		"credentials as mapping":            "api:\n  authorization:\n    credentials: {KEY: KEY}",
		"both credentials":                  "api:\n  authorization:\n    credentials: KEY\n    credentials_file: KEY",
		"credentials twice":                 "api:\n  authorization:\n    credentials: KEY\n    credentials: KEY",
		"credentials of another type":       "api:\n  authorization:\n    type: Basic\n    credentials: KEY",
		"credentials_file as list":          "api:\n  authorization:\n    credentials_file: [KEY]",
		"tls_config":                        "api:\n  tls_config: KEY",
		"ca":                                "api:\n  tls_config:\n    ca: [KEY]",
		"ca and ca_file":                    "api:\n  tls_config:\n    ca: KEY\n    ca_file: KEY",
		"cert":                              "api:\n  tls_config:\n    cert: KEY",
		"cert_file":                         "api:\n  tls_config:\n    cert_file: KEY",
		"key":                               "api:\n  tls_config:\n    key: KEY",
		"key as list":                       "api:\n  tls_config:\n    key: [KEY]",
		"key_file":                          "api:\n  tls_config:\n    key_file: KEY",
		"server_name":                       "api:\n  tls_config:\n    server_name: [KEY]",
		"insecure_skip_verify":              "api:\n  tls_config:\n    insecure_skip_verify: KEY",
		"insecure_skip_verify by tag":       "api:\n  tls_config:\n    insecure_skip_verify: !!bool KEY",
		"min_version":                       "api:\n  tls_config:\n    min_version: KEY",
		"max_version":                       "api:\n  tls_config:\n    max_version: KEY",
		"proxy_url":                         "api:\n  proxy_url: KEY",
		"broken proxy_url":                  "api:\n  proxy_url: http://user:KEY@%zz",
		"no_proxy":                          "api:\n  no_proxy: KEY",
		"proxy_from_environment":            "api:\n  proxy_from_environment: KEY",
		"proxy_url and from environment":    "api:\n  proxy_url: http://user:KEY@example.com\n  proxy_from_environment: true",
		"alias":                             "api:\n  authorization:\n    credentials: *KEY",
		"anchor":                            "api:\n  authorization:\n    credentials: &KEY",
		"anchor with more":                  "api:\n  authorization:\n    credentials: &KEY! x",
		"unfinished tag":                    "api: {authorization: {credentials: !KEY}}",
		"unknown tag handle":                "api:\n  authorization:\n    credentials: !KEY!x y",
		"tag on a list":                     "api:\n  authorization:\n    credentials: !KEY [x]",
		"at sign":                           "api:\n  authorization:\n    credentials: @KEY",
		"percent":                           "api:\n  authorization:\n    credentials: %KEY",
		"backquote":                         "api:\n  authorization:\n    credentials: `KEY`",
		"escape":                            "api:\n  authorization:\n    credentials: \"KEY\\q\"",
		"open quotes":                       "api:\n  authorization:\n    credentials: \"KEY",
		"colon":                             "api:\n  authorization:\n    credentials: KEY: x",
		"block":                             "api:\n  authorization:\n    credentials: |KEY",
		"no space after the colon":          "api:\n  authorization:\n    credentials:KEY",
		"no space after the second colon":   "api:\n  authorization:\n    type: Bearer\n    credentials:KEY",
		"no space after the colon in flow":  "api: {authorization: {credentials:KEY}}",
		"no key":                            "api: {authorization: {KEY}}",
		"no space in api in flow":           "api: {url:https://user:KEY@example.com, timeout: 5s}",
		"broken syntax after the key":       "api:\n  authorization:\n    credentials: KEY\n  ]",
		"tab after the key":                 "api:\n  authorization:\n    credentials: KEY\n\turl: x",
		"control character":                 "api:\n  authorization:\n    credentials: \"KEY\x01\"",
		"no UTF-8":                          "api:\n  authorization:\n    credentials: \"KEY\xff\"",
		"a directive":                       "%KEY\napi: {}",
		"the file is the key":               "KEY",
		"the file is the key and a newline": "\n\nKEY\n",
	} {
		t.Run(name, func(t *testing.T) {
			yaml = strings.ReplaceAll(yaml, "KEY", canary)
			_, got := load(t, yaml, config.Overrides{})
			if got == "" {
				t.Fatalf("no error, so that nothing is tested, of:\n%s", yaml)
			}
			if strings.Contains(got, canary) {
				t.Errorf("the error repeats the secret: %s", got)
			}
		})
	}
}

// TestPlainProxyElsewhere: over http:// a proxy reads the key, so that none but
// one on this machine may stand between; the error says neither URL.
func TestPlainProxyElsewhere(t *testing.T) {
	const refusal = "api.proxy_url: a proxy elsewhere would see the key of an http:// URL; use https://"
	for name, c := range map[string]struct{ url, override, proxy, want string }{
		"plain, proxy elsewhere":          {"http://127.0.0.1:8080", "", "http://user:c4n4ry@proxy.example.com:3128", refusal},
		"plain by flag":                   {"https://petra.example.com", "http://localhost", "http://user:c4n4ry@proxy.example.com:3128", refusal},
		"plain, TLS to a proxy elsewhere": {"http://127.0.0.1:8080", "", "https://proxy.example.com", refusal},
		"plain, SOCKS elsewhere":          {"http://127.0.0.1:8080", "", "socks5://proxy.example.com:1080", refusal},
		"plain, proxy here":               {"http://127.0.0.1:8080", "", "http://localhost:3128", ""},
		"TLS, proxy elsewhere":            {"https://petra.example.com", "", "http://user:c4n4ry@proxy.example.com:3128", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := load(t, "api:\n  url: "+c.url+"\n  proxy_url: "+c.proxy, config.Overrides{APIURL: c.override})
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestTaggedCredentials holds that a tag, which YAML would have part of a key
// be, does not make an error either.
func TestTaggedCredentials(t *testing.T) {
	cfg, err := load(t, "api: {authorization: {credentials: !x y}}", config.Overrides{})
	if err != "" || readKey(t, cfg) != "y" {
		t.Errorf("got error %q", err)
	}
}

func readKey(t *testing.T, cfg *config.Config) string {
	t.Helper()
	if cfg.API.Key == nil {
		return ""
	}
	text, err := cfg.API.Key.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustLoad(t *testing.T, yaml string, o config.Overrides) *config.Config {
	t.Helper()
	cfg, err := load(t, yaml, o)
	if err != "" {
		t.Fatalf("%s of:\n%s", err, yaml)
	}
	return cfg
}

// TestConfigDefaults holds the defaults, which a file that says nothing leaves.
func TestConfigDefaults(t *testing.T) {
	const nulls = `
api:
  url:
  requests_per_minute: ~
  timeout: null
  authorization:
  tls_config: {ca: , ca_file: , cert: , cert_file: , key: , key_file: , server_name: , insecure_skip_verify: , min_version: , max_version: }
  proxy_url:
  no_proxy:
  proxy_from_environment:
tenants:
since:
remediated_statuses:
closed_statuses:
open_statuses:
max_staleness:
max_open_incidents:
recent_window:
max_recent_incidents:
native_histograms:
open_incident_user:
`
	for name, yaml := range map[string]string{
		"empty": "", "comment": "# nothing\n", "marker": "---\n", "null": "~", "empty mapping": "{}", "empty api": "api: {}", "null api": "api:", "nulls": nulls,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := mustLoad(t, yaml, config.Overrides{})
			if got := cfg.API.URL.String(); got != "https://api.petrasecurity.com" {
				t.Errorf("URL: %s", got)
			}
			cfg.API.URL = nil
			cfg.API.HTTP.TLSConfig = commoncfg.TLSConfig{}
			if proxy := cfg.API.HTTP.ProxyConfig; proxy.ProxyURL.URL != nil || proxy.NoProxy != "" || !proxy.ProxyFromEnvironment {
				t.Errorf("proxy: %+v, want the environment's", proxy)
			}
			cfg.API.HTTP.ProxyConfig = commoncfg.ProxyConfig{}
			want := &config.Config{
				API:                config.API{RequestsPerMinute: 10, Timeout: 30 * time.Second},
				RemediatedStatuses: []string{"REMEDIATED"},
				MaxStaleness:       time.Hour,
				MaxOpenIncidents:   500,
				RecentWindow:       30 * 24 * time.Hour,
				MaxRecentIncidents: 10000,
			}
			if !reflect.DeepEqual(cfg, want) {
				t.Errorf("got  %+v\nwant %+v", cfg, want)
			}
		})
	}
	cfg, err := config.Load("", config.Overrides{})
	if err != nil || cfg.MaxStaleness != time.Hour || !cfg.API.HTTP.ProxyFromEnvironment {
		t.Errorf("without a file: %+v, %v", cfg, err)
	}
}

// TestConfigKeys holds that each key reaches its field.
func TestConfigKeys(t *testing.T) {
	cfg := mustLoad(t, `
api:
  url: https://petra.example.com/base
  requests_per_minute: 7
  timeout: 1m30s
  authorization:
    type: bearer
    credentials: a-key
  tls_config:
    ca_file: ca.pem
    cert_file: /etc/cert.pem
    key_file: key.pem
    server_name: petra
    insecure_skip_verify: true
    min_version: TLS12
    max_version: TLS13
  proxy_url: http://proxy.example.com:3128
  no_proxy: example.org
tenants:
  - id: ZZk90t
  - id: zzk90t
  - id: A1b2c3d4-5e6f-7890-abcd-ef1234567890
since: 2025-01-01
remediated_statuses: [REMEDIATED, " FIXED "]
closed_statuses: [FALSE_POSITIVE]
open_statuses: [ACTIVE]
max_staleness: 1m
max_open_incidents: 1
recent_window: 0
max_recent_incidents: 2
native_histograms: true
open_incident_user: true
`, config.Overrides{})
	if got := readKey(t, cfg); got != "a-key" {
		t.Errorf("key %q", got)
	}
	cfg.API.Key = nil
	tls := cfg.API.HTTP.TLSConfig
	if filepath.Base(tls.CAFile) != "ca.pem" || !filepath.IsAbs(tls.CAFile) || tls.CertFile != "/etc/cert.pem" || filepath.Dir(tls.KeyFile) != filepath.Dir(tls.CAFile) {
		t.Errorf("TLS files are not as told, relative to the file's folder: %+v", tls)
	}
	if tls.ServerName != "petra" || !tls.InsecureSkipVerify || tls.MinVersion != commoncfg.TLSVersions["TLS12"] || tls.MaxVersion != commoncfg.TLSVersions["TLS13"] {
		t.Errorf("TLS: %+v", tls)
	}
	proxy := cfg.API.HTTP.ProxyConfig
	if proxy.ProxyURL.String() != "http://proxy.example.com:3128" || proxy.NoProxy != "example.org" || proxy.ProxyFromEnvironment {
		t.Errorf("proxy: %+v", proxy)
	}
	cfg.API.HTTP = commoncfg.HTTPClientConfig{}
	if filepath.Base(cfg.API.KeyFile) != "petra.yml" {
		t.Errorf("the key stands in the file itself, not in %q", cfg.API.KeyFile)
	}
	cfg.API.KeyFile = ""
	want := &config.Config{
		API: config.API{
			URL:               &url.URL{Scheme: "https", Host: "petra.example.com", Path: "/base"},
			RequestsPerMinute: 7,
			Timeout:           90 * time.Second,
		},
		Tenants:            []string{"ZZk90t", "zzk90t", "A1b2c3d4-5e6f-7890-abcd-ef1234567890"},
		Since:              time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		RemediatedStatuses: []string{"REMEDIATED", "FIXED"},
		ClosedStatuses:     []string{"FALSE_POSITIVE"},
		OpenStatuses:       []string{"ACTIVE"},
		MaxStaleness:       time.Minute,
		MaxOpenIncidents:   1,
		RecentWindow:       0,
		MaxRecentIncidents: 2,
		NativeHistograms:   true,
		OpenIncidentUser:   true,
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

// TestGoodConfig holds that what a person may well write is understood.
func TestGoodConfig(t *testing.T) {
	for name, yaml := range map[string]string{
		"http to localhost":   "api: {url: 'http://localhost:8080'}",
		"http to 127.0.0.1":   "api: {url: 'http://127.0.0.1:8080'}",
		"http to ::1":         "api: {url: 'http://[::1]:8080'}",
		"20 statuses":         "open_statuses: [A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S]",
		"a status twice":      "closed_statuses: [FALSE_POSITIVE, false_positive]",
		"3 requests a minute": "api: {requests_per_minute: 3}",
		"quoted number":       `max_open_incidents: "5"`,
		"since with a time":   "since: 2025-01-01T12:00:00+02:00",
		"since 1970":          "since: 1970-01-01",
		"JSON":                `{"since": "2025-01-01", "tenants": [{"id": "a"}]}`,
		"Windows' newlines":   "since: 2025-01-01\r\ntenants:\r\n  - id: a\r\n",
		"an alias":            "max_staleness: &x 2h\nrecent_window: *x",
	} {
		t.Run(name, func(t *testing.T) { mustLoad(t, yaml, config.Overrides{}) })
	}
	if got := mustLoad(t, "since: 2025-01-01T12:00:00+02:00", config.Overrides{}).Since; !got.Equal(time.Date(2025, 1, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("since: %s", got)
	}
}

// TestKeyPrecedence holds that the flag comes before the configuration, and
// that before the environment, and that the key says where it is from.
func TestKeyPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "of-flag")
	for name, content := range map[string]string{"of-flag": "flag\n", "of-config": "config-file\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inline := "api: {authorization: {credentials: config}}"
	inFile := "api: {authorization: {credentials_file: " + filepath.Join(dir, "of-config") + "}}"
	ofConfig, ofFlag := "api.authorization of "+filepath.Join(dir, "petra.yml"), "file "+file
	for name, c := range map[string]struct {
		yaml, flag, env, demo string
		want, from            string
	}{
		"none":           {},
		"env":            {env: "env", want: "env", from: "PETRA_API_KEY"},
		"config":         {yaml: inline, want: "config", from: ofConfig},
		"config file":    {yaml: inFile, want: "config-file", from: "file " + filepath.Join(dir, "of-config")},
		"config and env": {yaml: inline, env: "env", want: "config", from: ofConfig},
		"file and env":   {yaml: inFile, env: "env", want: "config-file", from: "file " + filepath.Join(dir, "of-config")},
		"flag":           {flag: file, want: "flag", from: ofFlag},
		"flag and env":   {flag: file, env: "env", want: "flag", from: ofFlag},
		"all":            {yaml: inline, flag: file, env: "env", want: "flag", from: ofFlag},
		"demo":           {yaml: inline, flag: file, env: "env", demo: "http://127.0.0.1:1", want: "demo", from: "the demo"},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := filepath.Join(dir, "petra.yml")
			if err := os.WriteFile(yaml, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(yaml, config.Overrides{APIKeyFile: c.flag, APIKey: c.env, Demo: c.demo})
			if err != nil {
				t.Fatal(err)
			}
			if got := readKey(t, cfg); got != c.want {
				t.Errorf("got the key %q, want %q", got, c.want)
			}
			if c.want == "" {
				return
			}
			if got := cfg.API.Key.Description(); got != c.from {
				t.Errorf("the key is from %q, want %q", got, c.from)
			}
		})
	}
}

// TestRelativeKeyFile holds that a relative credentials_file lies beside the
// configuration, and is read at each request, not when the configuration is.
func TestRelativeKeyFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "petra.yml")
	if err := os.WriteFile(file, []byte("api: {authorization: {credentials_file: keys/petra}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, "keys", "petra"), []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readKey(t, cfg); got != want {
			t.Errorf("got the key %q, want %q", got, want)
		}
	}
}

// TestOverrides holds that flags come before the file, and that errors name
// them.
func TestOverrides(t *testing.T) {
	cfg := mustLoad(t, "api: {url: https://example.com, timeout: 5s}\ntenants: [{id: a}, {id: b}]", config.Overrides{APIURL: "http://127.0.0.1:1/x", Tenants: []string{"c"}})
	if got := cfg.API.URL.String(); got != "http://127.0.0.1:1/x" {
		t.Errorf("URL %s", got)
	}
	if !reflect.DeepEqual(cfg.Tenants, []string{"c"}) || cfg.API.Timeout != 5*time.Second {
		t.Errorf("got %+v", cfg)
	}
	for name, c := range map[string]struct {
		o    config.Overrides
		want string
	}{
		"http":     {config.Overrides{APIURL: "http://example.com"}, "--petra.api-url: must be https://, so that the key does not travel in the clear (http:// only to loopback)"},
		"user":     {config.Overrides{APIURL: "https://me:c4n4ry@example.com"}, "--petra.api-url: must have no user, query or fragment"},
		"no URL":   {config.Overrides{APIURL: "example.com"}, "--petra.api-url: must be a URL such as https://api.petrasecurity.com"},
		"bad ID":   {config.Overrides{Tenants: []string{"a b"}}, `--petra.tenant: "a b" is not a Petra or Microsoft tenant ID`},
		"empty ID": {config.Overrides{Tenants: []string{""}}, `--petra.tenant: "" is not a Petra or Microsoft tenant ID`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := load(t, "", c.o); got != c.want {
				t.Errorf("got:  %s\nwant: %s", got, c.want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing.yml")
	if _, err := config.Load(missing, config.Overrides{}); err == nil || err.Error() != "--config.file: open "+missing+": no such file or directory" {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestProxyEnvironment holds that the proxy of the environment is used only
// where no proxy key is set.
func TestProxyEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		want bool
	}{
		"no key":        {"api: {timeout: 5s}", true},
		"true":          {"api: {proxy_from_environment: true}", true},
		"false":         {"api: {proxy_from_environment: false}", false},
		"null":          {"api: {proxy_from_environment: }", true},
		"proxy_url":     {"api: {proxy_url: 'http://proxy.example.com'}", false},
		"with no_proxy": {"api: {proxy_url: 'http://proxy.example.com', no_proxy: example.org}", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustLoad(t, c.yaml, config.Overrides{}).API.HTTP.ProxyFromEnvironment; got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
