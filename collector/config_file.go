package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
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

// read reads a mapping. A null value leaves the default.
func (k keys) read(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("must be a mapping of %s", k.names())
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		fail := func(err error) error {
			var inner *keyError
			if errors.As(err, &inner) {
				return &keyError{inner.line, strings.TrimSuffix(name.Value+"."+inner.key, "."), inner.err}
			}
			return &keyError{name.Line, name.Value, err}
		}
		read, known := k[name.Value]
		switch {
		case !known:
			return &keyError{name.Line, name.Value, fmt.Errorf("unknown key; known here: %s", k.names())}
		case seen[name.Value]:
			return fail(errors.New("is there twice"))
		}
		seen[name.Value] = true
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Tag == "!!null" {
			continue
		}
		if err := read(value); err != nil {
			return fail(err)
		}
	}
	return nil
}

func (k keys) names() string {
	return strings.Join(slices.Sorted(maps.Keys(k)), ", ")
}

// decode reads the content of a configuration file into c.
func (c *Config) decode(file string, content []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil // an empty file: the defaults
	case err != nil && strings.Contains(err.Error(), "anchor"):
		// The library's error repeats the value, which may be a key.
		return fmt.Errorf("%s: not YAML: quote a value that begins with * or &", file)
	case err != nil:
		return fmt.Errorf("%s: not YAML: %w", file, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one YAML document; only one is read", file)
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return nil
	}
	err := c.keys(filepath.Dir(file)).read(root)
	if err == nil {
		err = c.checkStatuses(root)
	}
	var inKey *keyError
	if errors.As(err, &inKey) {
		return fmt.Errorf("%s:%w", file, err)
	} else if err != nil {
		return fmt.Errorf("%s:%d: %w", file, root.Line, err)
	}
	return nil
}

func (c *Config) keys(dir string) keys {
	return keys{
		"api":                  func(n *yaml.Node) error { return c.API.read(n, dir) },
		"tenants":              c.readTenants,
		"since":                c.readSince,
		"remediated_statuses":  texts(&c.RemediatedStatuses),
		"closed_statuses":      texts(&c.ClosedStatuses),
		"open_statuses":        texts(&c.OpenStatuses),
		"max_staleness":        duration(&c.MaxStaleness, time.Minute),
		"max_open_incidents":   integer(&c.MaxOpenIncidents, 1),
		"recent_window":        duration(&c.RecentWindow, 0),
		"max_recent_incidents": integer(&c.MaxRecentIncidents, 1),
		"native_histograms":    boolean(&c.NativeHistograms),
		"open_incident_user":   boolean(&c.OpenIncidentUser),
	}
}

// read reads what stands below api: its errors never repeat a value.
func (a *APIConfig) read(n *yaml.Node, dir string) error {
	proxy := &a.HTTP.ProxyConfig
	err := keys{
		"url": func(n *yaml.Node) (err error) {
			a.URL, err = apiURL(n.Value)
			return err
		},
		"requests_per_minute": secretly(integer(&a.RequestsPerMinute, 3), "must be a whole number of at least 3"),
		"timeout":             secretly(duration(&a.Timeout, time.Second), "must be a duration such as 30s, of at least 1s"),
		"authorization":       func(n *yaml.Node) error { return a.readAuthorization(n, dir) },
		"tls_config":          func(n *yaml.Node) error { return a.readTLS(n, dir) },
		"proxy_url": func(n *yaml.Node) error {
			if n.Decode(&proxy.ProxyURL) != nil || proxy.ProxyURL.URL == nil || proxy.ProxyURL.Host == "" {
				return errors.New("must be a URL such as http://proxy.example.com:3128")
			}
			return nil
		},
		"no_proxy":               text(&proxy.NoProxy),
		"proxy_from_environment": secretly(boolean(&proxy.ProxyFromEnvironment), "must be true or false"),
	}.read(n)
	if err == nil {
		err = proxy.Validate()
	}
	return err
}

func (a *APIConfig) readAuthorization(n *yaml.Node, dir string) error {
	var kind, key, file string
	if err := (keys{"type": text(&kind), "credentials": text(&key), "credentials_file": text(&file)}).read(n); err != nil {
		return err
	}
	switch {
	case kind != "" && !strings.EqualFold(kind, "Bearer"):
		return errors.New("type must be Bearer: the API knows no other")
	case (key == "") == (file == ""):
		return errors.New("must have either credentials_file or credentials")
	case file != "":
		a.Key = config.NewFileSecret(config.JoinDir(dir, file))
	default:
		a.Key = config.NewInlineSecret(key)
	}
	return nil
}

func (a *APIConfig) readTLS(n *yaml.Node, dir string) error {
	t := &a.HTTP.TLSConfig
	secret := func(target *config.Secret) func(*yaml.Node) error { return text((*string)(target)) }
	version := func(target *config.TLSVersion) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			if n.Decode(target) != nil {
				return errors.New("must be TLS12 or TLS13")
			}
			return nil
		}
	}
	err := keys{
		"ca": text(&t.CA), "ca_file": text(&t.CAFile),
		"cert": text(&t.Cert), "cert_file": text(&t.CertFile),
		"key": secret(&t.Key), "key_file": text(&t.KeyFile),
		"server_name":          text(&t.ServerName),
		"insecure_skip_verify": secretly(boolean(&t.InsecureSkipVerify), "must be true or false"),
		"min_version":          version(&t.MinVersion), "max_version": version(&t.MaxVersion),
	}.read(n)
	if err != nil {
		return err
	}
	t.SetDirectory(dir)
	return t.Validate()
}

func (c *Config) readTenants(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New(`must be a list such as "- id: ZZk90t"; leave it out to collect every tenant`)
	}
	for _, item := range n.Content {
		var id string
		err := keys{"id": text(&id)}.read(item)
		if err == nil {
			err = c.addTenant(id)
		}
		var inKey *keyError
		if err != nil && !errors.As(err, &inKey) {
			return &keyError{item.Line, "", err}
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) readSince(n *yaml.Node) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		t, err := time.Parse(layout, n.Value)
		if err != nil || n.Kind != yaml.ScalarNode {
			continue
		}
		if t.Unix() < 0 || t.After(time.Now()) {
			return fmt.Errorf("%q must lie between 1970 and now", n.Value)
		}
		c.Since = t
		return nil
	}
	return fmt.Errorf("%q is no date such as 2026-01-01, and no time such as 2026-01-01T12:00:00Z", n.Value)
}

// checkStatuses finds a status that two lists claim, and too many of them.
func (c *Config) checkStatuses(root *yaml.Node) error {
	in := map[string]string{}
	for _, list := range []struct {
		key      string
		statuses []string
	}{
		{"remediated_statuses", c.RemediatedStatuses},
		{"closed_statuses", c.ClosedStatuses},
		{"open_statuses", c.OpenStatuses},
	} {
		fail := func(format string, args ...any) error {
			return &keyError{lineOf(root, list.key), list.key, fmt.Errorf(format, args...)}
		}
		for _, status := range list.statuses {
			folded := strings.ToUpper(status)
			if other, ok := in[folded]; ok && other != list.key {
				return fail("%q is in %s too; keep it in one of them", status, other)
			}
			in[folded] = list.key
			if len(in) > maxStatuses {
				return fail("more than %d statuses in the three lists", maxStatuses)
			}
		}
	}
	if len(c.RemediatedStatuses) == 0 {
		return &keyError{lineOf(root, "remediated_statuses"), "remediated_statuses", errors.New("must name at least one status")}
	}
	return nil
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
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			return errors.New("must be a text that is not empty")
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
			return fmt.Errorf("%q is no duration such as 90s, 5m, 1h or 30d, of at least %s", n.Value, model.Duration(least))
		}
		*target = time.Duration(d)
		return nil
	}
}

func integer(target *int, least int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		i, err := strconv.Atoi(n.Value)
		if err != nil || i < least {
			return fmt.Errorf("%q is no whole number of at least %d", n.Value, least)
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
