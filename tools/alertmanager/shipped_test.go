package alertmanager

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const (
	root      = "../../"
	bin       = root + ".cache/bin/" // filled by make
	configDir = root + "deploy/alertmanager/"
	rulesDir  = root + "deploy/prometheus/"
)

// alert is one that Prometheus sends, in the form of Alertmanager's API and of
// its templates.
type alert struct {
	Status      string            `json:"status,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// kind is the alert's name and severity.
func (a alert) kind() string { return a.Labels["alertname"] + "/" + a.Labels["severity"] }

// of is the alert, of another tenant or incident.
func (a alert) of(label, value string) alert {
	a.Labels = maps.Clone(a.Labels)
	a.Labels[label] = value
	return a
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func parse(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// kinds are those of the shipped rules.
func kinds(t *testing.T) (all []string) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	parse(t, rulesDir+"petra.alerts.yml", &rules)
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				all = append(all, rule.Alert+"/"+rule.Labels["severity"])
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("the shipped rules have no alert")
	}
	return all
}

// shapes has one alert of each kind, as the shipped rules make it: what the rules'
// own tests expect.
func shapes(t *testing.T) map[string]alert {
	files, err := filepath.Glob(rulesDir + "tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]alert{}
	for _, file := range files {
		var tests struct {
			Tests []struct {
				Alerts []struct {
					Name   string `yaml:"alertname"`
					Expect []struct {
						Labels      map[string]string `yaml:"exp_labels"`
						Annotations map[string]string `yaml:"exp_annotations"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		parse(t, file, &tests)
		for _, test := range tests.Tests {
			for _, expected := range test.Alerts {
				for _, e := range expected.Expect {
					a := alert{Labels: e.Labels, Annotations: e.Annotations}.of("alertname", expected.Name)
					if _, has := byKind[a.kind()]; !has && len(a.Annotations) > 0 {
						byKind[a.kind()] = a
					}
				}
			}
		}
	}
	all := slices.Sorted(slices.Values(kinds(t)))
	if got := slices.Sorted(maps.Keys(byKind)); !slices.Equal(got, all) {
		t.Fatalf("the tests of the rules make the alerts\n%v, the rules\n%v", got, all)
	}
	return byKind
}

// amtool runs it and returns what it prints.
func amtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(bin+"amtool", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("amtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// uncommented is the configuration with all of its examples in use: the lines
// where something other than one space follows the #.
func uncommented(t *testing.T) string {
	text := read(t, configDir+"alertmanager.yml")
	used := regexp.MustCompile(`(?m)^( *)#([^ \n]|  )`).ReplaceAllString(text, "$1$2")
	for _, key := range []string{"\nglobal:", " slack_configs:", " email_configs:", " pagerduty_configs:"} {
		if strings.Contains(text, key) || !strings.Contains(used, key) {
			t.Errorf("%q is no commented example", key)
		}
	}
	return used
}

var durationKey = regexp.MustCompile(`(?m)^( *(?:group_wait|group_interval|repeat_interval): )(\S+)$`)

// faster divides each duration of the configuration.
func faster(t *testing.T, config string, by int64) string {
	if left := regexp.MustCompile(`(?m)^[^#\n]*\b(\w+_(wait|interval|timeout)|timeout):`).FindAllString(config, -1); len(left) != len(durationKey.FindAllString(config, -1)) {
		t.Fatalf("the configuration has durations that this does not know: %q", left)
	}
	return durationKey.ReplaceAllStringFunc(config, func(line string) string {
		part := durationKey.FindStringSubmatch(line)
		d, err := model.ParseDuration(part[2])
		if err != nil {
			t.Fatal(err)
		}
		return part[1] + strconv.FormatInt(max(1, time.Duration(d).Milliseconds()/by), 10) + "ms"
	})
}

// write puts the files into a folder of their own and returns the
// configuration's path.
func write(t *testing.T, config string) string {
	dir := t.TempDir()
	for name, content := range map[string]string{"alertmanager.yml": config, "petra.tmpl": read(t, configDir+"petra.tmpl")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "alertmanager.yml")
}
