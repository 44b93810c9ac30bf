package compose

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

const (
	root   = "../../"
	deploy = root + "deploy/"
)

// demo and keyed are the two ways to start, as the files' first lines say.
var (
	demo  = []string{deploy + "docker-compose.yml"}
	keyed = []string{deploy + "docker-compose.yml", deploy + "docker-compose.key.yml"}
)

// load reads the files as docker compose does: an unknown key is an error.
func load(t *testing.T, files []string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(files)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// each calls a test for every service of both ways to start.
func each(t *testing.T, test func(*testing.T, types.ServiceConfig)) {
	for name, files := range map[string][]string{"demo": demo, "keyed": keyed} {
		project := load(t, files)
		if got, want := project.ServiceNames(), []string{"alertmanager", "grafana", "petra_exporter", "prometheus"}; !slices.Equal(got, want) {
			t.Fatalf("services %v, want %v", got, want)
		}
		for _, service := range project.Services {
			t.Run(name+"/"+service.Name, func(t *testing.T) { test(t, service) })
		}
	}
}

func TestUnknownKey(t *testing.T) {
	for _, wrong := range []string{"services: {a: {image: a, wrong: 1}}", "wrong: 1", "services: {a: {image: a, healthcheck: {wrong: 1}}}"} {
		file := filepath.Join(t.TempDir(), "docker-compose.yml")
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		options, err := cli.NewProjectOptions([]string{file})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestNoPrivileges(t *testing.T) {
	each(t, func(t *testing.T, s types.ServiceConfig) {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("read_only %t, cap_drop %v, cap_add %v, privileged %t, security_opt %v", s.ReadOnly, s.CapDrop, s.CapAdd, s.Privileged, s.SecurityOpt)
		}
		if user, _, _ := strings.Cut(s.User, ":"); !regexp.MustCompile(`^[1-9][0-9]+$`).MatchString(user) {
			t.Errorf("the user is %q", s.User)
		}
		if s.NetworkMode != "" || s.Pid != "" || s.Ipc != "" || s.UserNSMode != "" || len(s.Devices) > 0 {
			t.Error("it shares something with the host")
		}
		if len(s.Ports) != 1 {
			t.Fatalf("%d ports", len(s.Ports))
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("port %d is bound to %q", port.Target, port.HostIP)
			}
		}
	})
}

// A service says itself whether it is healthy, on the port that it publishes.
func TestHealth(t *testing.T) {
	paths := map[string]string{"grafana": "/api/health"}
	each(t, func(t *testing.T, s types.ServiceConfig) {
		if s.HealthCheck == nil || s.HealthCheck.Disable || s.HealthCheck.Interval == nil || s.HealthCheck.Timeout == nil || s.HealthCheck.Retries == nil {
			t.Fatalf("the health check is %+v", s.HealthCheck)
		}
		test := s.HealthCheck.Test
		u, err := url.Parse(strings.TrimPrefix(test[len(test)-1], "--url="))
		if err != nil {
			t.Fatal(err)
		}
		path := paths[s.Name]
		if path == "" {
			path = "/-/healthy"
		}
		if test[0] != "CMD" || u.Hostname() != "127.0.0.1" || u.Port() != s.Ports[0].Published || u.Path != path {
			t.Errorf("the health check is %v", test)
		}
	})
}

// An image has a version; that of a server is the one that the tests of its
// configuration run.
func TestImages(t *testing.T) {
	required := func(dir, module string) string {
		found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindStringSubmatch(read(t, root+"tools/"+dir+"/go.mod"))
		if found == nil {
			t.Fatalf("tools/%s has no %s", dir, module)
		}
		return found[1]
	}
	// Prometheus 3.16.0 is the module's version 0.316.0.
	prometheus := regexp.MustCompile(`^0\.(\d)0?(\d+)\.`).ReplaceAllString(required("prometheus", "github.com/prometheus/prometheus"), "$1.$2.")
	want := map[string]string{
		"prometheus":   "prom/prometheus:v" + prometheus,
		"alertmanager": "prom/alertmanager:v" + required("alertmanager", "github.com/prometheus/alertmanager"),
	}
	each(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Name == "petra_exporter" {
			if s.Image != "" || s.Build == nil || s.Build.Target != "" {
				t.Error("it is not this repository's image")
			}
			return
		}
		if !regexp.MustCompile(`^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$`).MatchString(s.Image) || want[s.Name] != "" && s.Image != want[s.Name] {
			t.Errorf("the image is %s, want %s", s.Image, want[s.Name])
		}
	})
}

// What is mounted is in the repository and cannot be written; what is written is in
// a volume.
func TestMounts(t *testing.T) {
	out, err := exec.Command("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	tracked := strings.Fields(string(out))
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, s types.ServiceConfig) {
		for _, volume := range s.Volumes {
			switch volume.Type {
			case types.VolumeTypeBind:
				path, err := filepath.Rel(top, volume.Source)
				if err != nil || !slices.ContainsFunc(tracked, func(file string) bool { return file == path || strings.HasPrefix(file, path+"/") }) {
					t.Errorf("%s is not in the repository", volume.Source)
				}
				if !volume.ReadOnly || volume.Bind == nil || bool(volume.Bind.CreateHostPath) {
					t.Errorf("%s can be written, or is made where it is missing", path)
				}
			case types.VolumeTypeVolume:
				if volume.ReadOnly {
					t.Errorf("%s cannot be written", volume.Source)
				}
			default:
				t.Errorf("a mount of type %s", volume.Type)
			}
		}
	})
}

// mounted is the repository's path of what a service sees under a path.
func mounted(t *testing.T, s types.ServiceConfig, path string) string {
	t.Helper()
	for _, volume := range s.Volumes {
		if rest, found := strings.CutPrefix(path, volume.Target); found && volume.Type == types.VolumeTypeBind {
			return volume.Source + rest
		}
	}
	t.Fatalf("%s: nothing is mounted for %s", s.Name, path)
	return ""
}

func flag(s types.ServiceConfig, name string) string {
	for _, arg := range s.Command {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// A key ends the demo: no flag of it, none of its data.
func TestDemoOrKey(t *testing.T) {
	demo, keyed := load(t, demo), load(t, keyed)
	if demo.Name == keyed.Name {
		t.Errorf("both are the project %s, and share its volumes", demo.Name)
	}
	exporter := demo.Services["petra_exporter"]
	if !slices.Equal(exporter.Command, []string{"--demo"}) || len(demo.Secrets) > 0 || len(exporter.Secrets) > 0 || len(exporter.Environment) > 0 {
		t.Errorf("the demo's exporter is %+v", exporter)
	}
	exporter = keyed.Services["petra_exporter"]
	if slices.Contains(exporter.Command, "--demo") {
		t.Errorf("with a key, the exporter still shows the demo: %v", exporter.Command)
	}
	if len(exporter.Secrets) != 1 || flag(exporter, "petra.api-key-file") != "/run/secrets/"+exporter.Secrets[0].Source {
		t.Errorf("the key's file is %v, the secrets are %+v", exporter.Command, exporter.Secrets)
	}
	for name, service := range keyed.Services {
		if name != "petra_exporter" && len(service.Secrets) > 0 {
			t.Errorf("%s has the key too", name)
		}
	}
	key := keyed.Secrets[exporter.Secrets[0].Source].File
	if err := exec.Command("git", "-C", root, "check-ignore", "--quiet", key).Run(); err != nil {
		t.Errorf("git does not ignore %s: %v", key, err)
	}
	if config := mounted(t, exporter, flag(exporter, "config.file")); filepath.Base(config) != "petra_exporter.yml" {
		t.Errorf("the configuration is %s", config)
	}
	state := slices.IndexFunc(exporter.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Type == types.VolumeTypeVolume })
	if state < 0 || filepath.Dir(flag(exporter, "state.file")) != exporter.Volumes[state].Target {
		t.Fatalf("the state file %s lies on no volume", flag(exporter, "state.file"))
	}
	// A new volume takes its owner from the image's folder.
	owned := "\nCOPY --from=build --chown=" + exporter.User + " /state " + exporter.Volumes[state].Target + "\n"
	if !strings.Contains(read(t, root+"Dockerfile"), owned) {
		t.Errorf("the Dockerfile lacks%s", owned)
	}
	if keyed.Services["grafana"].Environment["GF_AUTH_ANONYMOUS_ENABLED"] == demo.Services["grafana"].Environment["GF_AUTH_ANONYMOUS_ENABLED"] {
		t.Error("Grafana shows real data to everybody")
	}
}

// The servers know their flags.
func TestServerFlags(t *testing.T) {
	each(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Name != "prometheus" && s.Name != "alertmanager" {
			return
		}
		help, err := exec.Command(root+".cache/bin/"+s.Name, "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("%v; make compose builds it", err)
		}
		for _, arg := range s.Command {
			if name, _, _ := strings.Cut(arg, "="); !strings.Contains(string(help), " "+name+"=") {
				t.Errorf("there is no flag %s", name)
			}
		}
	})
}

// The exporter takes its flags, and the configuration that is shipped.
func TestExporterFlags(t *testing.T) {
	exporter := load(t, keyed).Services["petra_exporter"]
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", ".", "--config.check"}
	for _, arg := range exporter.Command {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		switch name {
		case "config.file":
			value = mounted(t, exporter, value)
		case "petra.api-key-file":
			value = key
		case "state.file": // on a volume of its own
			value = filepath.Join(t.TempDir(), filepath.Base(value))
		}
		args = append(args, "--"+name+"="+value)
	}
	command := exec.Command("go", args...)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Who asks whom by name finds it.
func TestNames(t *testing.T) {
	project := load(t, demo)
	reach := func(who, address string) {
		t.Helper()
		host, port, _ := strings.Cut(address, ":")
		if service, has := project.Services[host]; !has || service.Ports[0].Published != port {
			t.Errorf("%s asks %s, which is not there", who, address)
		}
	}
	strict := func(path string, into any) {
		t.Helper()
		decoder := yaml.NewDecoder(strings.NewReader(read(t, path)))
		decoder.KnownFields(true)
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	type targets struct {
		Static []struct {
			Targets []string
		} `yaml:"static_configs"`
	}
	var prometheus struct {
		Alerting struct {
			Alertmanagers []targets
		}
		Scrapes []targets `yaml:"scrape_configs"`
	}
	server := project.Services["prometheus"]
	if err := yaml.Unmarshal([]byte(read(t, mounted(t, server, flag(server, "config.file")))), &prometheus); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, all := range slices.Concat(prometheus.Scrapes, prometheus.Alerting.Alertmanagers) {
		for _, group := range all.Static {
			for _, target := range group.Targets {
				reach("Prometheus", target)
				asked++
			}
		}
	}
	if asked != 2 {
		t.Errorf("Prometheus asks %d servers, want 2", asked)
	}
	alertmanager := project.Services["alertmanager"]
	read(t, mounted(t, alertmanager, flag(alertmanager, "config.file")))

	grafana := project.Services["grafana"]
	var sources struct {
		Version     int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			Default                      bool `yaml:"isDefault"`
			Editable                     bool
			JSON                         struct {
				Method   string `yaml:"httpMethod"`
				Interval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	strict(mounted(t, grafana, "/etc/grafana/provisioning/datasources/prometheus.yml"), &sources)
	if len(sources.Datasources) != 1 || !sources.Datasources[0].Default || sources.Datasources[0].Type != "prometheus" {
		t.Fatalf("the data sources are %+v", sources)
	}
	reach("Grafana", strings.TrimPrefix(sources.Datasources[0].URL, "http://"))
	var dashboards struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Name, Folder, Type string
			DisableDeletion    bool `yaml:"disableDeletion"`
			UpdateInterval     int  `yaml:"updateIntervalSeconds"`
			Options            struct{ Path string }
		}
	}
	strict(mounted(t, grafana, "/etc/grafana/provisioning/dashboards/petra.yml"), &dashboards)
	if got, want := mounted(t, grafana, dashboards.Providers[0].Options.Path), filepath.Join(filepath.Dir(project.WorkingDir), "dashboards"); got != want {
		t.Errorf("Grafana's dashboards come from %s, want %s", got, want)
	}
}
