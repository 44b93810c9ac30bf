package e2e

import (
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Scale is a factor by which time runs faster: 60 makes an hour of a minute.
//
// It divides every duration in a file for Prometheus or Alertmanager: the ones of
// the configuration; ranges, steps and offsets in PromQL, also in the queries of
// annotations; and each number in PromQL that stands for seconds. Numbers of
// other things, and all text, stay.
type Scale int

// Duration divides one duration. Prometheus knows none below a millisecond.
func (s Scale) Duration(d time.Duration) time.Duration {
	return (d / time.Duration(s)).Truncate(time.Millisecond)
}

var duration = regexp.MustCompile(`^([0-9]+(ms|[smhdwy]))+$`)

// YAML divides the durations below a node of a file's content.
func (s Scale) YAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.AliasNode:
		return nil // what it stands for has its turn at the anchor
	case yaml.ScalarNode:
		if node.Tag == "!!str" && duration.MatchString(node.Value) {
			d, err := model.ParseDuration(node.Value)
			if err != nil {
				return fmt.Errorf("line %d: %w", node.Line, err)
			}
			node.Value = model.Duration(s.Duration(time.Duration(d))).String()
		}
		return nil
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			if err := s.value(node, node.Content[i], node.Content[i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, child := range node.Content {
		if err := s.YAML(child); err != nil {
			return err
		}
	}
	return nil
}

// value divides what stands under one key.
func (s Scale) value(mapping, key, value *yaml.Node) (err error) {
	switch key.Value {
	case "labels":
	case "expr":
		var record string
		if n := child(mapping, "record"); n != nil {
			record = n.Value
		}
		value.Value, err = s.Rule(record, value.Value)
	case "annotations":
		for i := 1; i < len(value.Content) && err == nil; i += 2 {
			if text := value.Content[i]; text.Kind == yaml.ScalarNode {
				text.Value, err = s.Template(text.Value)
			}
		}
	default:
		return s.YAML(value)
	}
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", key.Line, key.Value, err)
	}
	return nil
}

// child is what stands under a key, nil where there is no such key.
func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; mapping.Kind == yaml.MappingNode && i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
