package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestCommandHelp holds that the help names the commands, and that each
// command's has its own flags and those of all.
func TestCommandHelp(t *testing.T) {
	t.Parallel()
	for command, want := range map[string][]string{
		"":            {"--config.file=FILE", "--web.listen-address=:10984", "tenants [<flags>]", "doctor [<flags>]"},
		"serve":       {"--config.file=FILE", "--web.listen-address=:10984", "--[no-]config.check"},
		"tenants":     {"--config.file=FILE", "--format=table", "--[no-]demo"},
		"doctor":      {"--config.file=FILE", "--prometheus.url=URL", "--[no-]demo"},
		"healthcheck": {"--url=URL", "--web.listen-address=:10984", "certificate is not verified"},
	} {
		status, stdout, stderr := execute(t, nil, strings.Fields(command+" --help")...)
		if status != 0 || stderr != "" || slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(stdout, w) }) {
			t.Errorf("%q: status %d: %s\nwant %q in\n%s", command, status, stderr, want, stdout)
		}
		if other := regexp.MustCompile(`--(\[no-\])?(web|state|scrape)\.`).FindString(stdout); other != "" && (command == "tenants" || command == "doctor") {
			t.Errorf("%s has a flag of another command: %s", command, other)
		}
	}
}

// TestBadCommands holds what a person reads who mistypes a command or gives it a
// flag of another.
func TestBadCommands(t *testing.T) {
	t.Parallel()
	const try = ", try --help\n"
	for args, want := range map[string]string{
		"tenant":                             "unexpected tenant" + try,
		"petra.yml":                          "unexpected petra.yml" + try,
		"--demo petra.yml tenants":           "unexpected petra.yml" + try,
		"tenants --format=xml":               "--format: enum value must be one of table,json,yaml, got 'xml'\n",
		"tenants foo --demo":                 "unexpected foo" + try,
		"tenants doctor":                     "unexpected doctor" + try,
		"serve petra.yml":                    "unexpected petra.yml" + try,
		"serve serve":                        "unexpected serve" + try,
		"backfill --output=x extra":          "unexpected extra" + try,
		"--config.check serve":               "unexpected serve" + try,
		"--web.max-requests=1 tenants":       "unexpected tenants" + try,
		"tenants --web.listen-address=:1":    "unknown long flag '--web.listen-address', try --help\n",
		"tenants --config.check":             "unknown long flag '--config.check', try --help\n",
		"tenants --no-config.check":          "unknown long flag '--no-config.check', try --help\n",
		"doctor --format=json":               "unknown long flag '--format', try --help\n",
		"--prometheus.url=http://x":          "unknown long flag '--prometheus.url', try --help\n",
		"--output=x backfill":                "unknown long flag '--output', try --help\n",
		"--demo --format=json tenants":       "unknown long flag '--format', try --help\n",
		"--outptu=x":                         "unknown long flag '--outptu', try --help\n",
		"backfill -x":                        "unknown short flag '-x', try --help\n",
		"tenants @missing":                   "failed to open arguments file \"missing\": open missing: no such file or directory\n",
		"doctor --prometheus.url=prometheus": "--prometheus.url: must be a URL",
		"--demo.tenants=9":                   "--demo.tenants: needs --demo\n",
		"tenants --demo --demo.tenants=7":    "--demo.tenants: 7 is not between 8 and 5000\n",
		"--demo --demo.tenants=5001":         "--demo.tenants: 5001 is not between 8 and 5000\n",
		"--demo --demo.tenants=many":         "--demo.tenants: \"many\" is not a whole number\n",
		"backfill":                           "required flag(s) '--output' not provided",

		// A flag without its value is an error with and without a command.
		"--config.file":                       "expected argument for flag '--config.file', try --help\n",
		"--config.file --config.check":        "expected argument for flag '--config.file', try --help\n",
		"--config.check --config.file":        "expected argument for flag '--config.file', try --help\n",
		"serve --config.file":                 "expected argument for flag '--config.file', try --help\n",
		"--config.file --demo":                "expected argument for flag '--config.file', try --help\n",
		"--petra.api-key-file":                "expected argument for flag '--petra.api-key-file', try --help\n",
		"--petra.tenant=A --log.level":        "expected argument for flag '--log.level', try --help\n",
		"--config.file tenants --log.level":   "expected argument for flag '--log.level', try --help\n",
		"--web.listen-address=:1 --log.level": "expected argument for flag '--log.level', try --help\n",
		"tenants --format":                    "expected argument for flag '--format', try --help\n",
		"tenants --config.file":               "expected argument for flag '--config.file', try --help\n",
		"backfill --output":                   "expected argument for flag '--output', try --help\n",
		"backfill --output --config.check":    "expected argument for flag '--output', try --help\n",
		"--config.file=":                      "--config.file: the value is empty; set one, or leave out the flag\n",
		"--config.file= doctor":               "--config.file: the value is empty; set one, or leave out the flag\n",
		"--petra.api-key-file=":               "--petra.api-key-file: the value is empty; set one, or leave out the flag\n",
		"--state.file=":                       "--state.file: the value is empty; set one, or leave out the flag\n",
		"--web.config.file=":                  "--web.config.file: the value is empty; set one, or leave out the flag\n",
		"--log.level=":                        "--log.level: the value is empty; set one, or leave out the flag\n",
		"backfill --demo --output=":           "--output: the value is empty; set one, or leave out the flag\n",
		"doctor --petra.api-url=http://x.com": "",
	} {
		status, stdout, stderr := execute(t, keyEnv, strings.Fields(args)...)
		if want == "" { // an error of the configuration is a finding
			if status != 1 || stderr != "" || !strings.Contains(stdout, "wrong   configuration  --petra.api-url: must be https://") {
				t.Errorf("%s: status %d: %s%s", args, status, stdout, stderr)
			}
		} else if status != 1 || stdout != "" || !strings.HasPrefix(strings.TrimPrefix(stderr, "petra_exporter: "), want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, want 1 and %q: %s%s", args, status, want, stdout, stderr)
		}
	}
	good := tempFile(t, "tenants", "") // a value may look like a command
	for _, args := range [][]string{{"serve", "--config.check"}, {"--config.file", good, "--config.check"}, {"@" + tempFile(t, "arguments", "serve\n--config.check\n")}} {
		if status, _, stderr := execute(t, nil, args...); status != 0 {
			t.Errorf("%q: status %d: %s", args, status, stderr)
		}
	}
}

// TestServe holds that the default command can be named.
func TestServe(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	p := launch(t, keyEnv, "--petra.api-url="+url, "serve", "--web.listen-address=127.0.0.1:0")
	p.listens()
	p.wantLine("petra_up 1")
}

// TestTenantsCommand holds that the flags that all commands have are heeded
// before and after the command's name, and what its output is good for.
func TestTenantsCommand(t *testing.T) {
	t.Parallel()
	api, url := newAPI(t)
	key := tempFile(t, "key", goodKey+"\n")
	file := tempFile(t, "petra.yml", "api: {url: "+url+", authorization: {credentials_file: "+key+"}}\nopen_statuses: [ACTIVE]\n")
	for name, c := range map[string]struct {
		env  []string
		args []string
	}{
		"environment":   {keyEnv, []string{"tenants", "--petra.api-url=" + url}},
		"before":        {nil, []string{"--petra.api-url=" + url, "--petra.api-key-file=" + key, "tenants"}},
		"after":         {nil, []string{"tenants", "--petra.api-url=" + url, "--petra.api-key-file=" + key}},
		"configuration": {nil, []string{"tenants", "--config.file=" + file}},
	} {
		before := len(api.Requests())
		status, stdout, stderr := execute(t, c.env, c.args...)
		if status != 0 || stderr != "" || strings.Count(stdout, "  Tenant ") != 3 || strings.Contains(stdout, "unknown") == (name == "configuration") {
			t.Errorf("%s: status %d: %s%s", name, status, stdout, stderr)
		}
		if n := len(api.Requests()) - before; n != 2 {
			t.Errorf("%s: %d requests", name, n)
		}
	}

	_, stdout, _ := execute(t, keyEnv, "tenants", "--petra.api-url="+url, "--format=json")
	var all struct{ Tenants []struct{ ID string } }
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all.Tenants) != 3 {
		t.Errorf("JSON: %v: %s", err, stdout)
	}

	_, stdout, _ = execute(t, keyEnv, "tenants", "--petra.api-url="+url, "--format=yaml")
	cfg, err := config.Load(tempFile(t, "petra.yml", stdout), config.Overrides{})
	if err != nil || !slices.Equal(cfg.Tenants, []string{"A", "B", "C"}) {
		t.Errorf("YAML: %v: %s", err, stdout)
	}

	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no key":  {nil, []string{"--petra.api-url=" + url}, "petra_exporter: no usable API key; name it with --petra.api-key-file"},
		"bad key": {[]string{"PETRA_API_KEY=" + badKey}, []string{"--petra.api-url=" + url}, "petra_exporter: /v1/tenants: status 401 Unauthorized"},
		"no file": {keyEnv, []string{"--config.file=missing.yml"}, "petra_exporter: --config.file: open missing.yml"},
	} {
		status, stdout, stderr := execute(t, c.env, append([]string{"tenants"}, c.args...)...)
		if status != 1 || stdout != "" || !strings.HasPrefix(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, want 1 and %q: %s%s", name, status, c.want, stdout, stderr)
		}
	}
}

// TestDoctorCommand holds the exit status, and that a person who runs it gets
// the answer on stdout whatever is wrong.
func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	api, url := newAPI(t)
	good := tempFile(t, "petra.yml", "open_statuses: [ACTIVE]\n")
	withKey := tempFile(t, "petra.yml", "api: {authorization: {credentials: "+badKey+"}}\n")
	prometheus := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(prometheus.Close)
	for name, c := range map[string]struct {
		env    []string
		args   []string
		status int
		want   string
	}{
		"good":       {keyEnv, []string{"--petra.api-url=" + url, "--config.file=" + good}, 0, "\nok      statuses "},
		"two keys":   {keyEnv, []string{"--petra.api-url=" + url, "--config.file=" + withKey}, 1, "\nok      key            from api.authorization of " + withKey + "\n"},
		"demo's key": {keyEnv, []string{"--demo", "--config.file=" + withKey}, 0, "\nok      key            from the demo\n"},
		"before":     {keyEnv, []string{"--petra.tenant=a", "--petra.api-url=" + url}, 1, "\nwrong   tenants        the key does not see a (is it A?): "},
		"demo":       {nil, []string{"--demo"}, 0, "\nok      statuses       every status seen is in a list of the configuration\n"},
		"good demo":  {nil, []string{"--demo", "--config.file=" + good}, 0, "\nok      /v1/tenants    8 tenants, 1 of them paused\n"},
		"no key":     {nil, []string{"--petra.api-url=" + url}, 1, "\nwrong   key            no usable API key: name it with "},
		"bad key":    {[]string{"PETRA_API_KEY=" + badKey}, []string{"--petra.api-url=" + url}, 1, "\nwrong   key accepted   the API refuses the key (401): "},
		"broken key": {[]string{"PETRA_API_KEY=" + goodKey + "\n" + goodKey}, []string{"--petra.api-url=" + url}, 1, "\nwrong   key            no usable API key: PETRA_API_KEY contains a space, "},
	} {
		args := append([]string{"doctor"}, c.args...)
		if name == "before" {
			args = append(c.args, "doctor")
		}
		status, stdout, stderr := execute(t, c.env, args...)
		if status != c.status || stderr != "" || !strings.Contains(stdout, c.want) || strings.Contains(stdout, badKey) {
			t.Errorf("%s: status %d, want %d and %q: %s%s", name, status, c.status, c.want, stdout, stderr)
		}
	}
	if status, stdout, _ := execute(t, keyEnv, "doctor", "--petra.api-url="+url, "--config.file="+good, "--prometheus.url="+prometheus.URL); status != 1 || !strings.Contains(stdout, "\nwrong   Prometheus ") {
		t.Errorf("with a server that is no Prometheus: status %d: %s", status, stdout)
	}

	// Nobody waits for an API that hangs.
	api.SetFault(petratest.Fault{Kind: petratest.Hang})
	before := len(api.Requests())
	p := launch(t, keyEnv, "doctor", "--petra.api-url="+url)
	p.eventually("it asks", func() bool { return len(api.Requests()) > before })
	p.signal(syscall.SIGINT)
	p.wait()
}

// TestReadmeCommands holds that what the README shows of the commands is what
// they write, save for times.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```sh\n(go run \\. (?:tenants|doctor) [^\n]*)\n```\n\n```(?:text|yaml)\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(shown) != 3 {
		t.Fatalf("%d commands with their output, want 3", len(shown))
	}
	normal := func(text string) string {
		for pattern, with := range map[string]string{
			`20\d\d-\d\d-\d\d( \d\d:\d\d)?`: "DATE", `127\.0\.0\.1:\d+`: "127.0.0.1:PORT", ` +`: " ",
		} {
			text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
		}
		return strings.TrimSpace(text)
	}
	for _, m := range shown {
		args := strings.Fields(strings.TrimPrefix(m[1], "go run . "))
		out, _ := exec.Command(filepath.Clean(binary), args...).Output() //nolint:errcheck // the doctor's status is 1
		if got, want := normal(string(out)), normal(m[2]); got != want {
			t.Errorf("%s\nwrites:\n%s\nin the README:\n%s", m[1], got, want)
		}
	}
}

// TestReadmeJSON holds that the README names each field of the JSON that is
// promised.
func TestReadmeJSON(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## First hour\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, stdout, _ := execute(t, nil, "tenants", "--demo", "--format=json")
	fields := regexp.MustCompile(`(?m)^ *"(\w+)": `).FindAllStringSubmatch(stdout, -1)
	if len(fields) < 8*8 {
		t.Fatalf("only %d fields: %s", len(fields), stdout)
	}
	for _, field := range fields {
		if !strings.Contains(section, "`"+field[1]+"`") {
			t.Errorf("the README does not name the field %s", field[1])
		}
	}
}

// TestConfigCheckWarns: --config.check says what is valid, but likely a mistake.
func TestConfigCheckWarns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "petra.yml")
	if err := os.WriteFile(file, []byte("api: {requests_per_minute: 100}"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := execute(t, nil, "--config.check", "--config.file="+file)
	if want := file + " is valid: every tenant, no API key, no state file\n"; stdout != want {
		t.Errorf("%q, want %q", stdout, want)
	}
	if want := "petra_exporter: warning: api.requests_per_minute: 100 is more than the 10 that the API allows"; status != 0 || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, %q", status, stderr)
	}
}

// TestConfigCheckSays: --config.check says in one line what it has checked, and
// nothing of a key's value.
func TestConfigCheckSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "petra.yml"), "tenants: [{id: A}]\n")
	withKey := writeFile(t, filepath.Join(dir, "key.yml"), "api: {authorization: {credentials: "+goodKey+"}}\n")
	key, state := writeFile(t, filepath.Join(dir, "key"), goodKey), filepath.Join(dir, "state.json")
	for args, want := range map[string]string{
		"": "The default configuration is valid: every tenant, API key from PETRA_API_KEY, no state file\n",
		"--config.file=" + file + " --petra.api-key-file=" + key + " --state.file=" + state: file + " is valid: 1 tenant, API key from file " + key + ", state file " + state + "\n",
		"--config.file=" + withKey + " --petra.tenant=A --petra.tenant=B":                   withKey + " is valid: 2 tenants, API key from api.authorization of " + withKey + ", no state file\n",
	} {
		status, stdout, stderr := execute(t, keyEnv, append([]string{"--config.check"}, strings.Fields(args)...)...)
		if status != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: status %d, want %q: %s%s", args, status, want, stdout, stderr)
		}
	}
	if status, stdout, _ := execute(t, nil, "--config.check", "--state.file="+dir); status != 1 || stdout != "" {
		t.Errorf("with a bad flag: status %d: %s", status, stdout)
	}
}
