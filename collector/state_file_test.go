package collector_test

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// tree is what is below a folder: files with their content, others with their type.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		found[path] = d.Type().String()
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			found[path] = string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestStateFileIsAnother: what is not a state file is refused, at the start and
// by the check, and nothing in its folder changes.
func TestStateFileIsAnother(t *testing.T) {
	for name, c := range map[string]struct {
		file string // PATH below the folder; default: state
		make func(path string) error
		want string
	}{
		"a directory": {"", func(path string) error { return os.Mkdir(path, 0o700) }, "PATH is a directory, not a regular file"},
		"a directory with the key": {"", func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(path, "api-key"), []byte("key"), 0o600)
		}, "PATH is a directory, not a regular file"},
		"a directory to be":     {"state/", func(string) error { return nil }, "PATH names a directory; name a file in it, such as "},
		"a link to a directory": {"", func(path string) error { return os.Symlink(".", path) }, "is a directory, not a regular file"},
		"a pipe":                {"", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "PATH is a pipe, not a regular file"},
		"a dangling link":       {"", func(path string) error { return os.Symlink("missing", path) }, "PATH is a symbolic link to missing, which does not exist; name the file itself"},
		"a circle of links":     {"", func(path string) error { return os.Symlink(filepath.Base(path), path) }, "too many links"},
		"the API key":           {"", func(path string) error { return os.WriteFile(path, []byte("a-key\n"), 0o600) }, "PATH is not a state file; name another file, or remove this one"},
		"the configuration":     {"", func(path string) error { return os.WriteFile(path, []byte("since: 2026-01-01\n"), 0o600) }, "PATH is not a state file; "},
		"another's JSON":        {"", func(path string) error { return os.WriteFile(path, []byte(`{"terraform_version":"1.9"}`), 0o600) }, "PATH is not a state file; "},
		"below a file":          {"file/state", func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) }, "not a directory"},
		"in no directory":       {"missing/state", func(string) error { return nil }, "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := dir + "/" + cmp.Or(c.file, "state")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			want := "--state.file: " + strings.ReplaceAll(c.want, "PATH", path)
			for what, err := range map[string]error{"open": openState(t, path), "check": collector.CheckState(path)} {
				if err == nil || !strings.HasPrefix(err.Error(), "--state.file: ") || !strings.Contains(err.Error(), strings.TrimPrefix(want, "--state.file: ")) {
					t.Errorf("%s: got %v, want %s", what, err, want)
				}
			}
			if after := tree(t, dir); !maps.Equal(before, after) {
				t.Errorf("before: %q\nafter: %q", before, after)
			}
		})
	}
	if err := openState(t, os.DevNull); err == nil || !strings.Contains(err.Error(), "is a device, not a regular file") {
		t.Errorf("a device: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "state")
	if err := syscall.Mkfifo(pipe+".lock", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openState(t, pipe); err == nil || !strings.Contains(err.Error(), "state.lock is a pipe") {
		t.Errorf("a pipe as lock file: %v", err)
	}
}

// TestStateFileBehindLink: it is written where the link leads, and the link
// stays. The lock is beside the file, so that it holds by either name.
func TestStateFileBehindLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		link, file := filepath.Join(dir, "link"), filepath.Join(dir, "data", "state.json")
		if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporterWithState(t, api, "", link)
		e.scrape().want(t, `petra_tenants{state="complete"}`, 3)
		if err := openState(t, file); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("by its other name: %v", err)
		}
		e = restart(t, e, "", link)
		api.SetFault(petratest.Fault{Kind: petratest.Hang})
		e.atOnce().want(t, `petra_tenants{state="complete"}`, 3)
		e.stop()
		if target, err := os.Readlink(link); err != nil || target != file {
			t.Errorf("the link leads to %q, %v", target, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
			t.Errorf("beside the link: %v, %v", entries, err)
		}
	})
}

// TestUnfinishedStateFiles: a start removes what a killed process left of a
// write to its own file, and no other's.
func TestUnfinishedStateFiles(t *testing.T) {
	dir := t.TempDir()
	for name, left := range map[string]bool{
		".tmp-state123":         false,
		".tmp-state":            true,
		".tmp-state-b.json123":  true,
		".tmp-state123.bak":     true,
		".tmp-state.json123":    true,
		".tmp-state2456":        true, // of state2, whose lock is there
		"state2.lock":           true,
		".tmp-state3456":        false,
		"state":                 false, // empty, and so set aside
		"state.json":            true,
		".tmp-states/.tmp-file": true,
		".tmp-state99/file":     true,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := os.Stat(path); (err == nil) != left {
				t.Errorf("%s: %v, want it left: %t", name, err, left)
			}
		})
	}
	if err := os.Mkdir(filepath.Join(dir, ".tmp-state7"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := openState(t, filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".tmp-state7")); err != nil {
		t.Errorf("an empty folder of such a name: %v", err)
	}
}
