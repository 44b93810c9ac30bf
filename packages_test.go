package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestPackages checks which of our packages each one rests on, directly or not,
// and that only collector/web and the program have what serves pages.
func TestPackages(t *testing.T) {
	t.Parallel()
	const module = "github.com/petra-exporter/petra_exporter"
	for name, want := range map[string][]string{
		"petra":              nil,
		"petra/petratest":    nil,
		"collector/config":   {"petra"},
		"collector":          {"collector/config", "petra"},
		"collector/web":      {"collector", "collector/config", "petra"},
		"collector/backfill": {"collector", "collector/config", "petra"},
		"collector/inspect":  {"collector/config", "petra"},
	} {
		out, err := exec.Command("go", "list", "-deps", "./"+name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for path := range strings.FieldsSeq(string(out)) {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok && ours != name {
				got = append(got, ours)
			}
			if name != "collector/web" && (strings.Contains(path, "/exporter-toolkit/") || strings.HasSuffix(path, "/promhttp")) {
				t.Errorf("%s needs %s, which serves pages", name, path)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s imports %q, want %q", name, got, want)
		}
	}
}
