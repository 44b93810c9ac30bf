package helm

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// schema is what a part of values.schema.json says.
type schema struct {
	Description string
	Type        any
	Ref         string `json:"$ref"`
	Properties  map[string]schema
	Items       *schema
}

func valuesSchema(t *testing.T) schema {
	t.Helper()
	var root schema
	if err := json.Unmarshal([]byte(read(t, "deploy/helm/petra-exporter/values.schema.json")), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// Each value has a description, at any depth.
func TestDescriptions(t *testing.T) {
	var visit func(path string, s schema)
	visit = func(path string, s schema) {
		for key, property := range s.Properties {
			if property.Description == "" {
				t.Errorf("%s.%s has no description", path, key)
			}
			visit(path+"."+key, property)
		}
		if s.Items != nil {
			visit(path+"[]", *s.Items)
		}
	}
	visit("", valuesSchema(t))
}

// values.yaml and the schema have the same values, with the same words; enabled and
// global are a parent chart's.
func TestSchemaIsValues(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, "deploy/helm/petra-exporter/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?s).*# -- (.*?)(?:\n# @.*)?$`)
	var visit func(path string, node *yaml.Node, s schema)
	visit = func(path string, node *yaml.Node, s schema) {
		for i := 0; i < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			property, known := s.Properties[key.Value]
			if !known {
				t.Errorf("%s.%s is not in the schema", path, key.Value)
			}
			delete(s.Properties, key.Value)
			if text := comment.FindStringSubmatch(key.HeadComment); text == nil {
				visit(path+"."+key.Value, value, property)
			} else if want := strings.ReplaceAll(text[1], "\n# ", " "); property.Description != want {
				t.Errorf("%s.%s is described as\n%s\nwant\n%s", path, key.Value, property.Description, want)
			}
		}
		if path == "" {
			delete(s.Properties, "enabled")
			delete(s.Properties, "global")
		}
		if more := slices.Collect(maps.Keys(s.Properties)); len(more) > 0 {
			t.Errorf("only the schema has %v of %s", more, path)
		}
	}
	visit("", document.Content[0], valuesSchema(t))
}

// The matrix sets each value of values.yaml to something else than its default.
func TestMatrixIsComplete(t *testing.T) {
	root := valuesSchema(t)
	flat := func(text string) map[string]any {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(text), &values); err != nil {
			t.Fatal(err)
		}
		flat := map[string]any{}
		for key, value := range values {
			flat[key] = value
			if inner, ok := value.(map[string]any); ok {
				for k := range root.Properties[key].Properties {
					if v, set := inner[k]; set {
						flat[key+"."+k] = v
					}
				}
			}
		}
		return flat
	}
	missing := flat(read(t, "deploy/helm/petra-exporter/values.yaml"))
	for key, value := range missing {
		for _, values := range matrix {
			if other, set := flat(values)[key]; set && text(t, other) != text(t, value) {
				delete(missing, key)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("no file in ci sets %v", slices.Sorted(maps.Keys(missing)))
	}
}

// null takes a default away. It is refused, or the chart does without.
func TestNull(t *testing.T) {
	for key, property := range valuesSchema(t).Properties {
		nulls := []string{key + ": null"}
		enabled := ""
		if _, optional := property.Properties["enabled"]; optional {
			enabled = "enabled: true, "
		}
		for inner := range property.Properties {
			if inner != "enabled" {
				nulls = append(nulls, key+": {"+enabled+inner+": null}")
			}
		}
		for _, values := range nulls {
			out, err := helm(t, values, "template", "petra", chart)
			if err == nil {
				decode(t, out)
			} else if !strings.Contains(out, "missing property") && !strings.Contains(out, "got null") {
				t.Errorf("%s: %s", values, out)
			}
		}
	}
}
