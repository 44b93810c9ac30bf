package helm

import (
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
		"replicas: 2":                                  "replicas",
		"replicaCount: 2":                              "replicaCount",
		"persistent: {enabled: false}":                 "persistent",
		"image: {tag: 1.2}":                            "/image/tag",
		"image: {pullPolicy: Sometimes}":               "/image/pullPolicy",
		"apiKey: {existingSecret: ''}":                 "/apiKey",
		"apiKey: {existingSecret: Not_A_Name}":         "/apiKey/existingSecret",
		"apiKey: {secretKey: a/b}":                     "/apiKey/secretKey",
		"config: [a]":                                  "/config",
		"extraArgs: [log.level=debug]":                 "/extraArgs/0",
		"extraArgs: --log.level=debug":                 "/extraArgs",
		"env: {HTTPS_PROXY: a}":                        "/env",
		"persistence: {size: large}":                   "/persistence/size",
		"persistence: {accessMode: ReadOnlyMany}":      "/persistence/accessMode",
		"service: {port: '9984'}":                      "/service/port",
		"networkPolicy: {from: []}":                    "/networkPolicy/from",
		"networkPolicy: {from: null}":                  "missing property 'from'", // null takes the default away, and all may connect
		"networkPolicy: {from: [{}]}":                  "/networkPolicy/from/0",
		"networkPolicy: {enabled: null}":               "missing property 'enabled'",
		"networkPolicy: null":                          "missing property 'networkPolicy'",
		"image: {repository: null}":                    "missing property 'repository'",
		"apiKey: {secretKey: null}":                    "missing property 'secretKey'",
		"persistence: {enabled: null}":                 "missing property 'enabled'",
		"persistence: {size: null}":                    "missing property 'size'",
		"service: {port: null}":                        "missing property 'port'",
		"serviceMonitor: {interval: 15}":               "/serviceMonitor/interval",
		"serviceMonitor: {enabled: 'yes'}":             "/serviceMonitor/enabled",
		"dashboards: {labels: {grafana_dashboard: 1}}": "/dashboards/labels/grafana_dashboard",
		"resources: {limits: {memory: 1 GB}}":          "/resources/limits/memory",
		"podLabels: {a: true}":                         "/podLabels/a",
	} {
		out, err := helm(t, values, "template", "petra", chart)
		if err == nil {
			t.Errorf("%s is taken", values)
		} else if !strings.Contains(out, want) {
			t.Errorf("%s: the error does not name %s:\n%s", values, want, out)
		}
	}
}
