package helm

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLint(t *testing.T) {
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) {
			if out, err := helm(t, values, "lint", "--strict", chart); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A value that is not meant says which it is.
func TestValuesRefused(t *testing.T) {
	for values, want := range map[string]string{
		"replicas: 2":                                           "replicas",
		"replicaCount: 2":                                       "replicaCount",
		"persistent: {enabled: false}":                          "persistent",
		"image: {tag: 1.2}":                                     "/image/tag",
		"image: {pullPolicy: Sometimes}":                        "/image/pullPolicy",
		"apiKey: {existingSecret: ''}":                          "/apiKey",
		"apiKey: {existingSecret: Not_A_Name}":                  "/apiKey/existingSecret",
		"apiKey: {secretKey: a/b}":                              "/apiKey/secretKey",
		"config: [a]":                                           "/config",
		"config: {foo: 1}":                                      "'foo'",
		"config: {api: {foo: 1}}":                               "'foo'",
		"config: {api: {url: 'ftp://a'}}":                       "/config/api/url",
		"config: {api: {url: 'https://a:SECRET@b'}}":            "a URL without a user",
		"config: {api: {requests_per_minute: 2}}":               "/config/api/requests_per_minute",
		"config: {api: {timeout: 30}}":                          "/config/api/timeout",
		"config: {api: {authorization: {credentials: SECRET}}}": "apiKey.existingSecret",
		"config: {api: {authorization: SECRET}}":                "apiKey.existingSecret",
		"config: {api: {tls_config: {foo: 1}}}":                 "'foo'",
		"config: {api: {tls_config: {key: SECRET}}}":            "key_file",
		"config: {api: {tls_config: {min_version: TLS10}}}":     "/config/api/tls_config/min_version",
		"config: {api: {proxy_url: 'http://a:SECRET@b'}}":       "a URL without a user",
		"config: {tenants: [ZZk90t]}":                           "/config/tenants/0",
		"config: {tenants: [{id: 12345678}]}":                   "/config/tenants/0/id", // Helm would write 1.2345678e+07
		"config: {tenants: []}":                                 "/config/tenants",
		"config: {since: 2026}":                                 "/config/since",
		"config: {closed_statuses: [yes]}":                      "/config/closed_statuses/0",
		"config: {remediated_statuses: []}":                     "/config/remediated_statuses",
		"config: {max_staleness: 5s}":                           "/config/max_staleness",
		"config: {max_staleness: 1 hour}":                       "/config/max_staleness",
		"config: {max_open_incidents: 0}":                       "/config/max_open_incidents",
		"config: {recent_window: 30}":                           "/config/recent_window",
		"config: {max_recent_incidents: '10'}":                  "/config/max_recent_incidents",
		"config: {native_histograms: 'true'}":                   "/config/native_histograms",
		"config: {open_incident_user: 'yes'}":                   "/config/open_incident_user",
		"extraArgs: [log.level=debug]":                          "/extraArgs/0",
		"extraArgs: --log.level=debug":                          "/extraArgs",
		"extraEnv: {HTTPS_PROXY: a}":                            "/extraEnv",
		"extraEnv: [{name: PETRA_API_KEY, value: SECRET}]":      "apiKey.existingSecret",
		"enabled: 'yes'":                                        "/enabled",
		"image: {digest: sha256:abc}":                           "/image/digest",
		"fullnameOverride: A_B":                                 "/fullnameOverride",
		"organization: [acme]":                                  "/organization",
		"webTLS: 'yes'":                                         "/webTLS",
		"livenessProbe: {path: /}":                              "/livenessProbe",
		"startupProbe: {periodSeconds: 0}":                      "/startupProbe/periodSeconds",
		"serviceAccount: {create: null}":                        "missing property 'create'",
		"service: {type: ExternalName}":                         "/service/type",
		"serviceMonitor: {relabelings: {a: b}}":                 "/serviceMonitor/relabelings",
		"extraVolumes: [{emptyDir: {}}]":                        "/extraVolumes/0",
		"revisionHistoryLimit: -1":                              "/revisionHistoryLimit",
		"prometheusRule: {disabled: [PetraApiDown]}":            "/prometheusRule/disabled",
		"prometheusRule: {customRules: {PetraApiDown: {}}}":     "/prometheusRule/customRules/PetraApiDown",
		"prometheusRule: {thresholds: {a: 4h}}":                 "/prometheusRule/thresholds/a",

		"prometheusRule: {enabled: true, disabled: {PetraApi: true}}":         "no alert PetraApi; there are",
		"prometheusRule: {enabled: true, customRules: {PetraApi: {for: 1m}}}": "no alert PetraApi; there are",
		"prometheusRule: {enabled: true, thresholds: {PetraApiDown: 1}}":      "no constant PetraApiDown; there are",
		"persistence: {size: large}":                                          "/persistence/size",
		"persistence: {accessMode: ReadOnlyMany}":                             "/persistence/accessMode",
		"service: {port: '10984'}":                                            "/service/port",
		"networkPolicy: {from: []}":                                           "/networkPolicy/from",
		"networkPolicy: {from: null}":                                         "missing property 'from'", // null takes the default away, and all may connect
		"networkPolicy: {from: [{}]}":                                         "/networkPolicy/from/0",
		"networkPolicy: {enabled: null}":                                      "missing property 'enabled'",
		"networkPolicy: null":                                                 "missing property 'networkPolicy'",
		"image: {repository: null}":                                           "missing property 'repository'",
		"apiKey: {secretKey: null}":                                           "missing property 'secretKey'",
		"persistence: {enabled: null}":                                        "missing property 'enabled'",
		"persistence: {size: null}":                                           "missing property 'size'",
		"service: {port: null}":                                               "missing property 'port'",
		"serviceMonitor: {interval: 15}":                                      "/serviceMonitor/interval",
		"serviceMonitor: {enabled: 'yes'}":                                    "/serviceMonitor/enabled",
		"dashboards: {labels: {grafana_dashboard: 1}}":                        "/dashboards/labels/grafana_dashboard",
		"resources: {limits: {memory: 1 GB}}":                                 "/resources/limits/memory",
		"podLabels: {a: true}":                                                "/podLabels/a",
	} {
		out, err := helm(t, values, "template", "petra", chart)
		if err == nil {
			t.Errorf("%s is taken", values)
		} else if !strings.Contains(out, want) {
			t.Errorf("%s: the error does not name %s:\n%s", values, want, out)
		} else if strings.Contains(out, "SECRET") {
			t.Errorf("%s: the error repeats the secret:\n%s", values, out)
		}
	}
}

// The schema has the configuration's keys: those that the exporter names where it
// finds another one.
func TestConfigKeys(t *testing.T) {
	exporter := build(t)
	content, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		AdditionalProperties *bool
		Properties           map[string]json.RawMessage
	}
	for wrong, path := range map[string][]string{
		"wrong: 1":                      {"config"},
		"api: {wrong: 1}":               {"config", "api"},
		"api: {tls_config: {wrong: 1}}": {"config", "api", "tls_config"},
	} {
		var schema object
		if err := json.Unmarshal(content, &schema); err != nil {
			t.Fatal(err)
		}
		for _, key := range path {
			inner := schema.Properties[key]
			schema = object{}
			if err := json.Unmarshal(inner, &schema); err != nil {
				t.Fatalf("%v: %v", path, err)
			}
		}
		config := filepath.Join(t.TempDir(), "petra_exporter.yml")
		if err := os.WriteFile(config, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(exporter, "--config.check", "--config.file="+config).CombinedOutput()
		_, known, found := strings.Cut(string(out), "known here: ")
		known, _, _ = strings.Cut(known, "\n")
		known, _, _ = strings.Cut(known, `"`)
		if got := strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", "); !found || got != known {
			t.Errorf("%v: the schema has\n%s\nthe exporter\n%s\nof %s", path, got, known, out)
		}
		if schema.AdditionalProperties == nil || *schema.AdditionalProperties {
			t.Errorf("%v takes other keys too", path)
		}
	}
}

// The configuration that is shipped can be pasted as it stands.
func TestExampleConfig(t *testing.T) {
	example, err := os.ReadFile(root + "deploy/petra_exporter.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := render(t, "config:\n  "+strings.ReplaceAll(string(example), "\n", "\n  ")).config.Data["petra_exporter.yml"]
	if !strings.Contains(config, "url: https://api.petrasecurity.com") {
		t.Errorf("the configuration is\n%s", config)
	}
}
