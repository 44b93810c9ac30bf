package config_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/config"
)

// TestRegular: a pipe without a writer is refused, not waited for; links to
// regular files are followed, as Kubernetes mounts secrets.
func TestRegular(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("content"), 0o600), syscall.Mkfifo(at("pipe"), 0o600),
		os.Symlink("file", at("link")), os.Symlink("pipe", at("link to pipe")), os.Symlink("missing", at("dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		at("file"):         "",
		at("link"):         "",
		dir:                "a directory",
		at("pipe"):         "a pipe",
		at("link to pipe"): "a pipe",
		at("socket"):       "a socket",
		os.DevNull:         "a device",
	} {
		content, err := config.ReadFile(path)
		if want == "" {
			if err != nil || string(content) != "content" {
				t.Errorf("%s: %q, %v", path, content, err)
			}
		} else if want = path + " is " + want + ", not a regular file"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, missing := range []string{at("missing"), at("dangling")} {
		if err := config.CheckFile(missing); err != nil {
			t.Error(err)
		}
		if _, err := config.ReadFile(missing); err == nil || !strings.Contains(err.Error(), "open "+missing+": no such file") {
			t.Errorf("%s: %v", missing, err)
		}
	}
}
