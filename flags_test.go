package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVariableOfEachFlag checks that every flag but --help and --version names its
// environment variable in --help.
func TestVariableOfEachFlag(t *testing.T) {
	t.Parallel()
	flag := regexp.MustCompile(`(?m)^(?:  -h, |      )--(?:\[no-\])?([a-z.-]+)`)
	variable := regexp.MustCompile(`\(\$(\w+)\)`)
	for _, command := range []string{"serve", "backfill", "tenants", "doctor", "healthcheck"} {
		_, help, _ := execute(t, nil, command, "--help")
		var got, want []string
		for _, m := range flag.FindAllStringSubmatch(help, -1) {
			if m[1] != "help" && m[1] != "help-long" && m[1] != "version" {
				want = append(want, "PETRA_EXPORTER_"+strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(m[1])))
			}
		}
		for _, m := range variable.FindAllStringSubmatch(help, -1) {
			got = append(got, m[1])
		}
		if len(want) < 9 || !slices.Equal(got, want) {
			t.Errorf("%s has the variables\n%q, want\n%q", command, got, want)
		}
	}
}

// TestVariables checks that a variable sets its flag, and that the command line
// goes before it.
func TestVariables(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	env := []string{
		"PETRA_EXPORTER_PETRA_API_URL=" + url,
		"PETRA_EXPORTER_PETRA_API_KEY_FILE=" + tempFile(t, "key", goodKey),
		"PETRA_EXPORTER_PETRA_TENANT=A\nB\n",
		"PETRA_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:0\n127.0.0.1:0",
		"PETRA_EXPORTER_WEB_ENABLE_LIFECYCLE=true",
		"PETRA_EXPORTER_LOG_FORMAT=json",
	}
	p := launch(t, env)
	p.listens()
	p.eventually("it listens on both addresses", func() bool { return len(listening.FindAllString(p.log.String(), -1)) == 2 })
	p.wantLine(`petra_tenants{state="complete"} 2`, `petra_tenant_up{tenant_id="A"} 1`, `petra_tenant_up{tenant_id="B"} 1`)
	if a := p.do("POST", "/-/reload"); a.err != nil || a.code != 200 {
		t.Errorf("a reload: status %d, %v", a.code, a.err)
	}
	p = launch(t, env, "--petra.tenant=C", "--web.listen-address=127.0.0.1:0", "--log.format=logfmt")
	p.listens()
	p.wantLine(`petra_tenants{state="complete"} 1`, `petra_tenant_up{tenant_id="C"} 1`)
	if strings.HasPrefix(p.log.String(), "{") {
		t.Error("--log.format has no effect")
	}
}

// TestOddVariables checks that an empty variable counts as not set, that one of
// another command or of no flag does not matter, and that a value that cannot be used
// is an error that names the variable.
func TestOddVariables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for env, want := range map[string]string{
		"":                                           "",
		"PETRA_EXPORTER_VERSION=x":                   "",
		"PETRA_EXPORTER_VERSION=true":                "",
		"PETRA_EXPORTER_HELP=x":                      "",
		"PETRA_EXPORTER_HELP=true":                   "",
		"PETRA_EXPORTER_HELP_LONG=x":                 "",
		"PETRA_EXPORTER_COMPLETION_BASH=true":        "",
		"PETRA_EXPORTER_PORT=tcp://10.0.0.1:10984":   "", // of a Kubernetes service of that name
		"PETRA_EXPORTER_FORMAT=xml":                  "",
		"PETRA_EXPORTER_CONFIG_FILE=":                "",
		"PETRA_EXPORTER_PETRA_TENANT=":               "",
		"PETRA_EXPORTER_DEMO=":                       "",
		"PETRA_EXPORTER_LOG_LEVEL=":                  "",
		"PETRA_EXPORTER_LOG_LEVEL=loud":              "PETRA_EXPORTER_LOG_LEVEL: enum value must be one of debug,info,warn,error, got 'loud'",
		"PETRA_EXPORTER_DEMO=maybe":                  `PETRA_EXPORTER_DEMO: strconv.ParseBool: parsing "maybe": invalid syntax`,
		"PETRA_EXPORTER_DEMO_TENANTS=9":              "PETRA_EXPORTER_DEMO_TENANTS: needs --demo",
		"PETRA_EXPORTER_WEB_MAX_REQUESTS=many":       `PETRA_EXPORTER_WEB_MAX_REQUESTS: "many" is not a whole number`,
		"PETRA_EXPORTER_WEB_MAX_REQUESTS=-1":         "PETRA_EXPORTER_WEB_MAX_REQUESTS: -1 is negative",
		"PETRA_EXPORTER_SCRAPE_TIMEOUT_OFFSET=1":     `PETRA_EXPORTER_SCRAPE_TIMEOUT_OFFSET: time: missing unit in duration "1"`,
		"PETRA_EXPORTER_CONFIG_FILE=" + dir:          "PETRA_EXPORTER_CONFIG_FILE: " + dir + " is a directory",
		"PETRA_EXPORTER_STATE_FILE=" + dir:           "PETRA_EXPORTER_STATE_FILE: " + dir + " is a directory",
		"PETRA_EXPORTER_PETRA_API_URL=http://x.com":  "PETRA_EXPORTER_PETRA_API_URL: must be https://",
		"PETRA_EXPORTER_PETRA_API_KEY_FILE=" + dir:   "PETRA_EXPORTER_PETRA_API_KEY_FILE: " + dir + " is a directory",
		"PETRA_EXPORTER_PETRA_TENANT=A\n\nB":         "PETRA_EXPORTER_PETRA_TENANT: ",
		"PETRA_EXPORTER_WEB_CONFIG_FILE=" + dir:      "PETRA_EXPORTER_WEB_CONFIG_FILE: " + dir + " is a directory",
		"PETRA_EXPORTER_WEB_TELEMETRY_PATH=/status":  "PETRA_EXPORTER_WEB_TELEMETRY_PATH: ",
		"PETRA_EXPORTER_CONFIG_FILE=" + dir + "/not": "PETRA_EXPORTER_CONFIG_FILE: open " + dir + "/not: no such file",
	} {
		status, _, stderr := execute(t, []string{env}, "--config.check")
		if (status == 0) != (want == "") || !strings.HasPrefix(strings.TrimPrefix(stderr, "petra_exporter: "), want) || strings.Count(stderr, "\n") > 1 {
			t.Errorf("%s: status %d, want %q: %s", env, status, want, stderr)
		}
	}
	bad := []string{"PETRA_EXPORTER_LOG_LEVEL=loud"}
	for _, args := range [][]string{{"--help"}, {"tenants", "--help"}, {"--version"}} {
		if status, _, stderr := execute(t, bad, args...); status != 0 {
			t.Errorf("%q: status %d: %s", args, status, stderr)
		}
	}
	if status, _, stderr := execute(t, bad, "--config.check", "--log.level=info"); status != 0 {
		t.Errorf("a bad variable of a flag that is given: status %d: %s", status, stderr)
	}

	env := slices.Concat(keyEnv, []string{"PETRA_EXPORTER_PETRA_API_URL=http://x.com"})
	for _, command := range []string{"serve", "tenants", "doctor"} {
		if _, stdout, stderr := execute(t, env, command); !strings.Contains(stdout+stderr, "PETRA_EXPORTER_PETRA_API_URL: must be https://") {
			t.Errorf("%s: %s%s", command, stdout, stderr)
		}
	}
	env = slices.Concat(keyEnv, []string{"PETRA_EXPORTER_STATE_FILE=" + dir})
	if status, _, stderr := execute(t, env, "--web.listen-address=127.0.0.1:0"); status != 1 || !strings.Contains(stderr, `err="PETRA_EXPORTER_STATE_FILE: `) {
		t.Errorf("status %d: %s", status, stderr)
	}
}
