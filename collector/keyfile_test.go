package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestKeyFileReadableByEverybody: the log says so once for each change of the
// file, not at each request, and again after a reload.
func TestKeyFileReadableByEverybody(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	write := func(key string, mode os.FileMode) {
		t.Helper()
		// Replaced as a whole, as who rotates a key does.
		if err := os.WriteFile(file+".new", []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file+".new", mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link") // as Kubernetes mounts a secret
	if err := os.Symlink("key", link); err != nil {
		t.Fatal(err)
	}
	write(testKey, 0o644)
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey, "another-key-0123"}})
		yaml := "api: {authorization: {credentials_file: " + link + "}}"
		e := newExporter(t, api, yaml)
		warned := 0
		want := func(what, mode string) {
			t.Helper()
			for range 3 {
				time.Sleep(15 * time.Second)
				e.scrape().want(t, "petra_up", 1)
			}
			news := strings.Count(e.log.String(), "world-readable") - warned
			if mode == "" && news != 0 || mode != "" && news != 1 {
				t.Errorf("%s: %d warnings, want one: %t", what, news, mode != "")
			}
			warned += news
			if mode == "" || news == 0 {
				return
			}
			text := e.log.String()
			line, _, _ := strings.Cut(text[strings.LastIndex(text, `level=warn msg="the file with the API key is world-readable`):], "\n")
			for _, part := range []string{"file=" + link, "mode=" + mode, `remedy="chmod o= ` + link} {
				if !strings.Contains(line, part) {
					t.Errorf("%s: the warning lacks %s: %s", what, part, line)
				}
			}
		}
		want("at the start", "0644")
		want("later", "")
		chmod(0o640)
		want("a group is not everybody", "")
		chmod(0o604)
		want("open again", "0604")
		write("another-key-0123", 0o400)
		want("a new file, closed", "")
		write(testKey, 0o444)
		want("a new file, open", "0444")
		if err := os.Chtimes(file, time.Time{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		want("another new one, of the same mode", "0444")
		if err := e.configure(yaml); err != nil {
			t.Fatal(err)
		}
		want("a reload", "0444")
		chmod(0o600)
		if err := e.configure(yaml); err != nil {
			t.Fatal(err)
		}
		want("a reload after it was mended", "")
	})
}

// TestConfigurationWithKeyReadableByEverybody: a configuration that holds the
// key itself is a key file too.
func TestConfigurationWithKeyReadableByEverybody(t *testing.T) {
	for name, c := range map[string]struct {
		yaml   string
		mode   os.FileMode
		warned bool
	}{
		"open, with key":      {"api: {authorization: {credentials: " + testKey + "}}", 0o644, true},
		"closed, with key":    {"api: {authorization: {credentials: " + testKey + "}}", 0o640, false},
		"open, without a key": {"max_staleness: 2h", 0o644, false},
		"open, names a file":  {"api: {authorization: {credentials_file: 'FILE.key'}}", 0o644, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "petra.yml")
				for path, content := range map[string]string{file: strings.ReplaceAll(c.yaml, "FILE", file), file + ".key": testKey} {
					if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Chmod(file, c.mode); err != nil {
					t.Fatal(err)
				}
				e := newExporter(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}}), "max_staleness: 3h")
				if err := e.configureFrom(file); err != nil {
					t.Fatal(err)
				}
				time.Sleep(15 * time.Second)
				e.scrape().want(t, "petra_up", 1)
				if got := e.log.lines("world-readable") > 0; got != c.warned {
					t.Errorf("warned: %t, want %t:\n%s", got, c.warned, e.log)
				}
			})
		})
	}
}
