package modules

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// goMod is what go mod edit -json says of a go.mod.
type goMod struct {
	Module  struct{ Path string }
	Require []struct {
		Path     string
		Indirect bool
	}
	Tool []struct{ Path string }
}

func readGoMod(t *testing.T, file string) goMod {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var m goMod
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// direct are the modules that a go.mod asks for by itself: what its code
// imports, and what its tools are from.
func (m goMod) direct() []string {
	var list []string
	for _, required := range m.Require {
		isTool := slices.ContainsFunc(m.Tool, func(tool struct{ Path string }) bool {
			return strings.HasPrefix(tool.Path+"/", required.Path+"/")
		})
		if !required.Indirect || isTool {
			list = append(list, required.Path)
		}
	}
	return list
}

var row = regexp.MustCompile(`(?m)^\| ([a-z0-9-]+(?:\.[a-z0-9-]+)+/\S+) \| (.*) \|$`)

// TestEveryModuleHasItsReason compares the first table of modules in
// CONTRIBUTING.md with the product's go.mod, the second with those of the tools.
func TestEveryModuleHasItsReason(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	product, tools, ok := strings.Cut(string(content), "| tool | why |")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no table of tools")
	}
	ours := readGoMod(t, filepath.Join(root, "go.mod"))
	if len(ours.Tool) > 0 {
		t.Errorf("go.mod has tools, which belong below tools/: %v", ours.Tool)
	}
	compare(t, "go.mod", ours.direct(), product)

	var others []string
	files := 0
	err = filepath.WalkDir(filepath.Join(root, "tools"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "go.mod" {
			return err
		}
		files++
		others = append(others, readGoMod(t, path).direct()...)
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d go.mod below tools, %v", files, err)
	}
	others = slices.DeleteFunc(others, func(path string) bool {
		return strings.HasPrefix(path+"/", ours.Module.Path+"/") || slices.Contains(ours.direct(), path)
	})
	compare(t, "go.mod of a tool", others, tools)
}

// TestDependabot compares the folders for which dependencies are updated with
// those that have any.
func TestDependabot(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, ".github/dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, update := range strings.Split(string(content), "- package-ecosystem: ")[1:] {
		ecosystem := strings.Fields(update)[0]
		for _, folder := range regexp.MustCompile(`(?m)^      - (/\S*)$`).FindAllStringSubmatch(update, -1) {
			got[ecosystem] = append(got[ecosystem], folder[1])
		}
	}
	want := map[string][]string{}
	for ecosystem, file := range map[string]string{"gomod": "go.mod", "npm": "package.json"} {
		out, err := exec.Command("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", file, "*/"+file).Output()
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			want[ecosystem] = append(want[ecosystem], filepath.Join("/", filepath.Dir(path)))
		}
	}
	for ecosystem, folders := range want {
		slices.Sort(folders)
		if slices.Sort(got[ecosystem]); !slices.Equal(got[ecosystem], folders) {
			t.Errorf(".github/dependabot.yml updates %s in %q, want %q", ecosystem, got[ecosystem], folders)
		}
	}
}

// TestNoToolTwice: a second row for the same tool gives another reason.
func TestNoToolTwice(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, cell := range regexp.MustCompile(`(?m)^\| ([^|(]+?) (?:\(|\|)`).FindAllStringSubmatch(string(content), -1) {
		if name := cell[1]; seen[name] && !slices.Contains([]string{"tool", "module", "---"}, name) {
			t.Errorf("CONTRIBUTING.md has two rows for %s", name)
		}
		seen[cell[1]] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d rows are found", len(seen))
	}
}

func compare(t *testing.T, where string, required []string, table string) {
	t.Helper()
	reasons := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		reasons[m[1]] = m[2]
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(required))) {
		if strings.TrimSpace(reasons[path]) == "" {
			t.Errorf("%s requires %s: give it a row with its reason in CONTRIBUTING.md, or do without", where, path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(reasons)) {
		if !slices.Contains(required, path) {
			t.Errorf("CONTRIBUTING.md has a row for %s, which no %s requires", path, where)
		}
	}
}
