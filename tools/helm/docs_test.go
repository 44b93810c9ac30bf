package helm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands that install the chart run as they stand, in the repository's folder:
// here they render it. Each takes an image that a reader has built; none is published.
func TestDocumentedCommands(t *testing.T) {
	helm, err := filepath.Abs(root + ".cache/bin")
	if err != nil {
		t.Fatal(err)
	}
	version := read(t, "VERSION")
	for _, file := range []string{"README.md", "docs/install.md", "deploy/helm/petra-exporter/README.md"} {
		text := strings.ReplaceAll(read(t, file), "\\\n", "")
		registry := regexp.MustCompile(`(?m)^REGISTRY=\S+`).FindString(text)
		commands := regexp.MustCompile(`(?m)^helm upgrade --install .*$`).FindAllString(text, -1)
		if registry == "" || len(commands) == 0 {
			t.Errorf("%s sets %q and has %d commands", file, registry, len(commands))
		}
		for _, command := range commands {
			shell := exec.Command("sh", "-euc", registry+"\n"+strings.Replace(command, "upgrade --install", "template", 1))
			shell.Dir = root
			shell.Env = append(os.Environ(), "PATH="+helm+":"+os.Getenv("PATH"))
			out, err := shell.CombinedOutput()
			want := `image: "` + strings.TrimPrefix(registry, "REGISTRY=") + "/petra_exporter:" + strings.TrimSpace(version) + `"`
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %s: %v, without %s\n%s", file, command, err, want, out)
			}
		}
	}
	files := regexp.MustCompile(`--from-file=(\S+\.json)`).FindAllStringSubmatch(read(t, "dashboards/README.md"), -1)
	if len(files) == 0 {
		t.Error("dashboards/README.md makes no ConfigMap")
	}
	for _, file := range files {
		read(t, file[1])
	}
}

// The values that the README shows can be pasted.
func TestDocumentedValues(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "deploy/helm/petra-exporter/README.md"), -1)
	if len(blocks) < 4 {
		t.Errorf("the README shows values %d times", len(blocks))
	}
	for _, block := range blocks {
		if !strings.HasPrefix(block[1], "dependencies:") {
			render(t, block[1])
		}
	}
}

// What Chart.yaml shows of the repository is there, in the chart's version.
func TestChartFiles(t *testing.T) {
	text := read(t, "deploy/helm/petra-exporter/Chart.yaml")
	files := regexp.MustCompile(`petra-exporter/petra_exporter/(?:(?:blob|tree)/)?main/(\S+)`).FindAllStringSubmatch(text, -1)
	if len(files) < 5 {
		t.Errorf("Chart.yaml names %v", files)
	}
	for _, file := range files {
		if _, err := os.Stat(root + file[1]); err != nil {
			t.Error(err)
		}
	}
	if image := "image: ghcr.io/petra-exporter/petra_exporter:" + strings.TrimSpace(read(t, "VERSION")); !strings.Contains(text, image) {
		t.Errorf("Chart.yaml has no %s", image)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Error(err)
	}
	return string(content)
}
