package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// keys are the keys that a mapping may have, each with what reads its value.
// The YAML library's own decoding names the value in its errors, which may be a
// secret, but not the key; here each error names line and key.
type keys map[string]func(*yaml.Node) error

// keyError is an error of one key, with the line on which it stands.
type keyError struct {
	line int
	key  string
	err  error
}

func (e *keyError) Error() string {
	if e.key == "" {
		return fmt.Sprintf("%d: %v", e.line, e.err)
	}
	return fmt.Sprintf("%d: %s: %v", e.line, e.key, e.err)
}

// What of unknown keys an error repeats: what fits into a line of a log, and
// below api only what looks like one of ours, since a value may have slipped
// into the key's place.
var (
	anyKey   = regexp.MustCompile(`^[\w .-]{1,64}$`)
	likeOurs = regexp.MustCompile(`^[a-z_]+$`)
)

// read reads a mapping. A null value leaves the default.
func (k keys) read(n *yaml.Node, repeat *regexp.Regexp) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("must be a mapping of %s", k.names())
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		fail := func(err error) error {
			if inner, ok := errors.AsType[*keyError](err); ok {
				return &keyError{inner.line, strings.TrimSuffix(name.Value+"."+inner.key, "."), inner.err}
			}
			return &keyError{name.Line, name.Value, err}
		}
		read, known := k[name.Value]
		switch {
		case !known && !repeat.MatchString(name.Value):
			return &keyError{name.Line, "", fmt.Errorf("unknown key; known here: %s", k.names())}
		case !known:
			return &keyError{name.Line, name.Value, fmt.Errorf("unknown key; known here: %s", k.names())}
		case seen[name.Value]:
			return fail(errors.New("is there twice"))
		}
		seen[name.Value] = true
		if value.Kind == yaml.AliasNode {
			value = value.Alias
			fail = func(error) error { // which may repeat what stands below api
				return &keyError{name.Line, name.Value, errors.New("the value of its alias cannot be used here")}
			}
		}
		if value.Tag == "!!null" {
			continue
		}
		if line, found := variable(value); found {
			return fail(&keyError{line, "", errVariable})
		}
		if err := read(value); err != nil {
			return fail(err)
		}
	}
	return nil
}

// A value with ${VAR} in it, or $VAR where a part of a value can begin, was meant
// for a program that replaces it. Sent as it is, it would be a wrong key or host.
var (
	variableText = regexp.MustCompile(`\$\{\w|^\$\(|(^|[/@:])\$[A-Za-z_]\w*($|[/@:])`)
	errVariable  = errors.New("environment variables are not expanded in this file: write the value itself, or use a flag such as --petra.api-url or --petra.tenant; for the API key use credentials_file or PETRA_API_KEY, for a proxy HTTPS_PROXY")
)

// variable finds a variable in a value or in the items of a list.
func variable(n *yaml.Node) (line int, found bool) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			if item.Kind == yaml.ScalarNode && variableText.MatchString(item.Value) {
				return item.Line, true
			}
		}
	}
	return n.Line, n.Kind == yaml.ScalarNode && variableText.MatchString(n.Value)
}

func (k keys) names() string {
	return strings.Join(slices.Sorted(maps.Keys(k)), ", ")
}

// has reports whether a mapping has a key with a value.
func has(mapping *yaml.Node, key string) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key && mapping.Content[i+1].Tag != "!!null" {
			return true
		}
	}
	return false
}

// lineOf is the line of a key of a mapping; where the key is not there, its
// default holds, and the mapping's own line is the nearest.
func lineOf(mapping *yaml.Node, key string) int {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i].Line
		}
	}
	return mapping.Line
}

// secretly replaces a reader's error, which repeats the value.
func secretly(read func(*yaml.Node) error, reason string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if read(n) != nil {
			return errors.New(reason)
		}
		return nil
	}
}

func text(target *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "" {
			return errors.New("must be a string that is not empty")
		}
		*target = n.Value
		return nil
	}
}

func texts(target *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return errors.New("must be a list such as [REMEDIATED]")
		}
		*target = nil
		for _, item := range n.Content {
			var value string
			if err := text(&value)(item); err != nil {
				return &keyError{item.Line, "", err}
			}
			*target = append(*target, strings.TrimSpace(value))
		}
		return nil
	}
}

func duration(target *time.Duration, least time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		d, err := model.ParseDuration(n.Value)
		if err != nil || time.Duration(d) < least {
			return fmt.Errorf("invalid duration %q (examples: 90s, 5m, 1h, 30d; minimum %s)", n.Value, model.Duration(least))
		}
		*target = time.Duration(d)
		return nil
	}
}

func integer(target *int, least int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		i, err := strconv.Atoi(n.Value)
		if err != nil || i < least {
			return fmt.Errorf("%q is not a whole number of at least %d", n.Value, least)
		}
		*target = i
		return nil
	}
}

func boolean(target *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Tag != "!!bool" {
			return fmt.Errorf("%q is neither true nor false", n.Value)
		}
		return n.Decode(target)
	}
}
