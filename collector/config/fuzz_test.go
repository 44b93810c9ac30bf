package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

var (
	fileLine = regexp.MustCompile(`^FILE:(\d+): (?s)(?:[\w .-]+: |must be a mapping of |unknown key; known here: |a second YAML document; ).`)
	oddBreak = strings.NewReplacer("\r", " ", "\u0085", " ", "\u2028", " ", "\u2029", " ")
)

// FuzzConfig: a configuration is good, with every value in range, or its error
// says where it is bad; what stands below api is never repeated.
func FuzzConfig(f *testing.F) {
	const secret = "Pk9-8e7D6c5B4a"
	for _, api := range []string{
		"", "url: https://KEY.example.com", "url: http://KEY", "url: https://KEY@host", "authorization: {credentials: KEY}", "authorization:\n  credentials: *KEY", "authorization: {credentials: [KEY]}", "authorization: KEY", "KEY: x", "KEY", "[KEY]", "? KEY\n: x",
		"authorization:\n  type: KEY\n  credentials_file: KEY", "timeout: KEY", "requests_per_minute: KEY", "proxy_url: http://KEY:KEY@proxy:3128", "proxy_url: 'KEY'\nno_proxy: KEY", "tls_config: {min_version: KEY, ca: KEY}", "tls_config: {key: KEY, cert: x, key_file: KEY}",
		"tls_config: {insecure_skip_verify: KEY}", "authorization: {credentials: &k KEY}", "authorization: {credentials: !KEY x}", "authorization: {credentials: \"KEY\\", "authorization: {credentials: 'KEY", "credentials: KEY: x", "%KEY", "- KEY", "timeout: 5s\ntimeout: KEY", "<<: *KEY", "follow_redirects: KEY",
	} {
		for _, rest := range []string{"", "since: *k\n", "tenants: [{id: ZZk90t}, {id: zzk90t}]\nclosed_statuses: [FALSE_POSITIVE]\nsince: 2025-01-01T00:00:00Z\nmax_staleness: 2h\nrecent_window: 0s\nmax_open_incidents: 5\nnative_histograms: true", "---\na: b", "\tx", "tenants: []"} {
			f.Add(api, rest)
		}
	}
	file := filepath.Join(f.TempDir(), "petra.yml")
	f.Fuzz(func(t *testing.T, api, rest string) {
		api, rest = oddBreak.Replace(api), oddBreak.Replace(rest)
		content := "api:\n  " + strings.ReplaceAll(strings.ReplaceAll(api, "\n", "\n  "), "KEY", secret) + "\n" + strings.ReplaceAll(rest, secret, "")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, config.Overrides{})
		if err != nil {
			checkConfigError(t, strings.ReplaceAll(err.Error(), file, "FILE"), content, secret)
			return
		}
		checkConfig(t, cfg)
	})
}

func checkConfigError(t *testing.T, text, content, secret string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("the error repeats a value from below api: %.1000s", text)
	}
	if strings.HasPrefix(text, "FILE: not YAML: ") || strings.HasPrefix(text, "api.proxy_url: ") {
		return
	}
	match := fileLine.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("the error names no line or no key: %.1000q", text)
	}
	if line, err := strconv.Atoi(match[1]); err != nil || line < 1 || line > strings.Count(content, "\n")+1 {
		t.Errorf("there is no line %s: %.1000q", match[1], text)
	}
}

func checkConfig(t *testing.T, cfg *config.Config) {
	t.Helper()
	host := cfg.API.URL.Hostname()
	local := host == "::1" || strings.HasPrefix(host, "127.") || strings.EqualFold(host, "localhost") || strings.HasPrefix(host, "::ffff:")
	if host == "" || cfg.API.URL.Scheme != "https" && (cfg.API.URL.Scheme != "http" || !local) {
		t.Errorf("the key would go to %q", cfg.API.URL)
	}
	if cfg.API.Timeout < time.Second || cfg.API.RequestsPerMinute < 3 || cfg.MaxStaleness < time.Minute || cfg.RecentWindow < 0 || cfg.MaxOpenIncidents < 1 || cfg.MaxRecentIncidents < 1 {
		t.Errorf("out of range: %+v", cfg)
	}
	if !cfg.Since.IsZero() && (cfg.Since.Unix() < 0 || cfg.Since.After(time.Now())) {
		t.Errorf("since %s", cfg.Since)
	}
	seen := map[string]bool{}
	for _, id := range cfg.Tenants {
		unfit := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
		if utf8.RuneCountInString(id) > petra.MaxIDLength || !utf8.ValidString(id) || strings.ContainsFunc(id, unfit) {
			t.Errorf("unfit to be shown: %.1000q", id)
		}
		if id == "" || seen[id] {
			t.Errorf("the tenant %q is empty or there twice", id)
		}
		seen[id] = true
	}
	if n := len(cfg.RemediatedStatuses); n == 0 {
		t.Error("no remediated status")
	}
}
