package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"
)

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
	case err != nil && bytes.Contains(content, []byte("${")):
		return fmt.Errorf("%s: not YAML: %w; %w", file, err, errVariable)
	case err != nil:
		return fmt.Errorf("%s: not YAML: %w", file, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:%d: a second YAML document; only one is read", file, max(1, second.Line))
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return nil
	}
	err := c.keys(filepath.Dir(file)).read(root, anyKey)
	if err == nil {
		err = c.checkStatuses(root)
	}
	if err == nil {
		return nil
	}
	if _, inKey := errors.AsType[*keyError](err); inKey {
		return fmt.Errorf("%s:%w", file, err)
	}
	return fmt.Errorf("%s:%d: %w", file, root.Line, err)
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
func (a *API) read(n *yaml.Node, dir string) error {
	proxy := &a.HTTP.ProxyConfig
	// Without any proxy key, the environment holds.
	proxy.ProxyFromEnvironment = !has(n, "proxy_url") && !has(n, "no_proxy") && !has(n, "proxy_from_environment")
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
			if !usableProxy(n.Value) || n.Decode(&proxy.ProxyURL) != nil {
				return errors.New("must be a URL such as http://proxy.example.com:3128")
			}
			return nil
		},
		"no_proxy":               text(&proxy.NoProxy),
		"follow_redirects":       secretly(boolean(new(bool)), "must be true or false"), // none is ever followed
		"proxy_from_environment": secretly(boolean(&proxy.ProxyFromEnvironment), "must be true or false"),
	}.read(n, likeOurs)
	switch {
	case err != nil:
		return err
	case proxy.ProxyFromEnvironment && (proxy.ProxyURL.URL != nil || proxy.NoProxy != ""):
		return &keyError{lineOf(n, "proxy_from_environment"), "proxy_from_environment", errors.New("cannot be combined with proxy_url or no_proxy; keep one")}
	case proxy.NoProxy != "" && proxy.ProxyURL.URL == nil:
		return &keyError{lineOf(n, "no_proxy"), "no_proxy", errors.New("has no effect without proxy_url")}
	}
	return nil
}

func (a *API) readAuthorization(n *yaml.Node, dir string) error {
	var key, file string
	err := keys{
		"type": func(n *yaml.Node) error {
			if !strings.EqualFold(n.Value, "Bearer") {
				return errors.New("must be Bearer: the API supports no other")
			}
			return nil
		},
		"credentials":      text(&key),
		"credentials_file": text(&file),
	}.read(n, likeOurs)
	switch {
	case err != nil:
		return err
	case (key == "") == (file == ""):
		return errors.New("must have either credentials_file or credentials")
	case file != "":
		a.KeyFile = commoncfg.JoinDir(dir, file)
		a.Key = newKeyFile(a.KeyFile)
		if err := CheckFile(a.KeyFile); err != nil {
			return &keyError{lineOf(n, "credentials_file"), "credentials_file", err}
		}
	default:
		a.Key = commoncfg.NewInlineSecret(key)
	}
	return nil
}

func (a *API) readTLS(n *yaml.Node, dir string) error {
	t := &a.HTTP.TLSConfig
	secret := func(target *commoncfg.Secret) func(*yaml.Node) error { return text((*string)(target)) }
	version := func(target *commoncfg.TLSVersion) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			switch n.Value {
			case "TLS12", "TLS13":
				return n.Decode(target)
			}
			return errors.New("must be TLS12 or TLS13")
		}
	}
	err := keys{
		"ca": text(&t.CA), "ca_file": text(&t.CAFile),
		"cert": text(&t.Cert), "cert_file": text(&t.CertFile),
		"key": secret(&t.Key), "key_file": text(&t.KeyFile),
		"server_name":          text(&t.ServerName),
		"insecure_skip_verify": secretly(boolean(&t.InsecureSkipVerify), "must be true or false"),
		"min_version":          version(&t.MinVersion), "max_version": version(&t.MaxVersion),
	}.read(n, likeOurs)
	if err != nil {
		return err
	}
	if t.MaxVersion != 0 && t.MaxVersion < t.MinVersion {
		return &keyError{lineOf(n, "max_version"), "max_version", errors.New("is below min_version")}
	}
	t.SetDirectory(dir)
	for key, file := range map[string]string{"ca_file": t.CAFile, "cert_file": t.CertFile, "key_file": t.KeyFile} {
		if err := CheckFile(file); err != nil {
			return &keyError{lineOf(n, key), key, err}
		}
	}
	return t.Validate()
}

func (c *Config) readTenants(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New(`must be a list such as "- id: ZZk90t"; leave it out to collect every tenant`)
	}
	for _, item := range n.Content {
		var id string
		err := keys{"id": text(&id)}.read(item, anyKey)
		if err == nil {
			err = c.addTenant(id)
		}
		if _, inKey := errors.AsType[*keyError](err); err != nil && !inKey {
			err = &keyError{item.Line, "", err}
		}
		if err != nil {
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
	return fmt.Errorf("%q is neither a date such as 2026-01-01 nor a time such as 2026-01-01T12:00:00Z", n.Value)
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
			if len(in) > MaxStatuses {
				return fail("more than %d statuses in the three lists", MaxStatuses)
			}
		}
	}
	if len(c.RemediatedStatuses) == 0 {
		return &keyError{lineOf(root, "remediated_statuses"), "remediated_statuses", errors.New("must name at least one status")}
	}
	return nil
}
