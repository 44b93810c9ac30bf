package config_test

import (
	"strings"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/config"
)

// TestVariables: a variable in the configuration is an error that names line and
// key: sent as it is, ${PETRA_API_KEY} would be a wrong key.
func TestVariables(t *testing.T) {
	for name, c := range map[string]struct{ yaml, place string }{
		"key":             {"api:\n  authorization:\n    credentials: ${c4n4ry}", "FILE:3: api.authorization.credentials: "},
		"quoted":          {"api:\n  authorization:\n    credentials: \"${c4n4ry}\"", "FILE:3: api.authorization.credentials: "},
		"with a default":  {"api:\n  authorization:\n    credentials: ${c4n4ry:-x}", "FILE:3: api.authorization.credentials: "},
		"with a prefix":   {"api:\n  authorization:\n    credentials: Bearer ${c4n4ry}", "FILE:3: api.authorization.credentials: "},
		"without braces":  {"api:\n  authorization:\n    credentials: $c4n4ry", "FILE:3: api.authorization.credentials: "},
		"command":         {"api:\n  authorization:\n    credentials: $(cat c4n4ry)", "FILE:3: api.authorization.credentials: "},
		"key file":        {"api:\n  authorization:\n    credentials_file: $c4n4ry/key", "FILE:3: api.authorization.credentials_file: "},
		"key file below":  {"api:\n  authorization:\n    credentials_file: /run/${c4n4ry}/key", "FILE:3: api.authorization.credentials_file: "},
		"URL":             {"api:\n  url: ${c4n4ry}", "FILE:2: api.url: "},
		"host":            {"api:\n  url: https://${c4n4ry}/api", "FILE:2: api.url: "},
		"bare host":       {"api:\n  url: https://$c4n4ry", "FILE:2: api.url: "},
		"requests":        {"api:\n  requests_per_minute: ${c4n4ry}", "FILE:2: api.requests_per_minute: "},
		"proxy":           {"api:\n  proxy_url: http://$c4n4ry:$PASS@proxy:3128", "FILE:2: api.proxy_url: "},
		"TLS":             {"api:\n  tls_config:\n    ca_file: ${c4n4ry}", "FILE:3: api.tls_config.ca_file: "},
		"all of api":      {"api: ${c4n4ry}", "FILE:1: api: "},
		"tenant":          {"tenants:\n  - id: ZZk90t\n  - id: ${TENANT}", "FILE:3: tenants.id: "},
		"all tenants":     {"tenants: ${TENANTS}", "FILE:1: tenants: "},
		"tenants, no ids": {"tenants:\n  - ${TENANT}", "FILE:2: tenants: "},
		"since":           {"since: ${SINCE}", "FILE:1: since: "},
		"status":          {"open_statuses:\n  - ACTIVE\n  - ${STATUS}", "FILE:3: open_statuses: "},
		"in flow":         {"api: {authorization: {credentials: ${c4n4ry}}}", "FILE"},
		"tenants in flow": {"tenants: [{id: ${TENANT}}]", "FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := load(t, c.yaml, config.Overrides{})
			if !strings.HasPrefix(got, c.place) || !strings.Contains(got, "environment variables are not expanded") || strings.Contains(got, "c4n4ry") {
				t.Errorf("the error is %q, want %s...", got, c.place)
			}
		})
	}
	for _, value := range []string{"pk$9f8e", "pk_$", "$", "$$", "$9.50", "pk_{x}", "a$b$c", "{$}"} {
		if _, got := load(t, "api:\n  authorization:\n    credentials: '"+value+"'", config.Overrides{}); got != "" {
			t.Errorf("%q is refused: %s", value, got)
		}
	}
}
