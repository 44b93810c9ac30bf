package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestSameAPI: spellings of the same URL are the same API, for a reload and for
// the state file: nothing is forgotten.
func TestSameAPI(t *testing.T) {
	const known = "petra_open_incidents"
	for name, c := range map[string]struct {
		url  string
		same bool
	}{
		"slash":         {"http://127.0.0.1/", true},
		"slashes":       {"http://127.0.0.1//", true},
		"scheme":        {"HTTP://127.0.0.1", true},
		"default port":  {"http://127.0.0.1:80/", true},
		"another port":  {"http://127.0.0.1:81", false},
		"another path":  {"http://127.0.0.1/api", false},
		"case of paths": {"http://127.0.0.1/API", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
				file := filepath.Join(t.TempDir(), "state.json")
				e := newExporterWithState(t, api, "", file)
				load := func(url string) *config.Config {
					cfg, err := config.Load("", config.Overrides{APIURL: url, APIKey: testKey})
					if err != nil {
						t.Fatal(err)
					}
					return cfg
				}
				e.scrape()
				e.stop()
				var text logBuffer
				warm, err := newCollector(t, collector.Options{Logger: log.NewLogfmtLogger(&text), Config: load(c.url), StateFile: file})
				if err != nil {
					t.Fatal(err)
				}
				if n := testutil.CollectAndCount(warm, known); (n > 0) != c.same {
					t.Errorf("after a start with %s there are %d series:\n%s", c.url, n, &text)
				}
				if err := warm.Reconfigure(load("http://127.0.0.1"), nil); err != nil {
					t.Fatal(err)
				}
				if n := testutil.CollectAndCount(warm, known); (n > 0) != c.same {
					t.Errorf("after a reload there are %d series", n)
				}
			})
		})
	}
}

// TestSameAPIInOldFile: a state file that an older version wrote has the URL as it
// was configured.
func TestSameAPIInOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		file := filepath.Join(t.TempDir(), "state.json")
		e := newExporterWithState(t, api, "", file)
		e.scrape()
		e.stop()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		old := strings.Replace(string(content), `"api_url":"http://127.0.0.1"`, `"api_url":"HTTP://127.0.0.1:80/"`, 1)
		if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		api.SetFault(petratest.Fault{Kind: petratest.Status500})
		newExporterWithState(t, api, "", file).scrape().want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
	})
}

// TestAPIURL: an API has one spelling.
func TestAPIURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://Petra.Example.COM":           "https://petra.example.com",
		"HTTPS://petra.example.com:443/":      "https://petra.example.com",
		"https://petra.example.com:8443/a/B/": "https://petra.example.com:8443/a/B",
		"http://LOCALHOST:80//":               "http://localhost",
		"http://[::1]:80":                     "http://[::1]",
		"https://petra.example.com:80":        "https://petra.example.com:80",
	} {
		for name, load := range map[string]func() (*config.Config, error){
			"flag": func() (*config.Config, error) { return config.Load("", config.Overrides{APIURL: url}) },
			"file": func() (*config.Config, error) {
				return config.Load(writeConfig(t, "api: {url: '"+url+"'}"), config.Overrides{})
			},
		} {
			if cfg, err := load(); err != nil || cfg.API.URL.String() != want {
				t.Errorf("%s %s: got %v, %v, want %s", name, url, cfg, err, want)
			}
		}
	}
}
