package collector_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/prometheus"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

func readFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// readmeTable returns the rows of the README's table with the given header.
func readmeTable(t *testing.T, header string) [][]string {
	t.Helper()
	return tableOf(t, "README.md", header)
}

func tableOf(t *testing.T, file, header string) (rows [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, file), "\n"+header+"\n")
	if !found {
		t.Fatalf("%s has no table %q", file, header)
	}
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| \n"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows[1:] // without the rule below the header
}

var inCode = regexp.MustCompile("`([^`]+)`")

// codes are the texts in backquotes.
func codes(text string) (all []string) {
	for _, m := range inCode.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// described are the names of the metrics that the collectors describe.
func described(collectors ...prometheus.Collector) map[string]bool {
	names := map[string]bool{}
	for _, c := range collectors {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for desc := range descs {
			_, rest, _ := strings.Cut(desc.String(), `fqName: "`)
			name, _, _ := strings.Cut(rest, `"`)
			names[name] = true
		}
	}
	return names
}

// TestReadmeMetrics holds that the README's table has each metric once, with
// its type and labels, and no other. In the demo each has a sample.
func TestReadmeMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(documentedAt)
		e := newExporterWithState(t, petratest.NewAPI(petratest.Demo(time.Now()), petratest.Options{}), "", filepath.Join(t.TempDir(), "state.json"))
		time.Sleep(time.Second)
		e.scrape()
		build := versioncollector.NewCollector("petra_exporter")
		e.registry.MustRegister(build)
		families, err := e.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		names := described(e.collector, build)
		published := map[string][2]string{} // type and labels
		for _, family := range families {
			if strings.HasPrefix(family.GetName(), "petra_") {
				names[family.GetName()] = true // that of the pages too
			}
			var labels []string
			for _, label := range family.GetMetric()[0].GetLabel() {
				labels = append(labels, label.GetName())
			}
			published[family.GetName()] = [2]string{strings.ToLower(family.GetType().String()), strings.Join(labels, " ")}
		}
		for _, row := range readmeTable(t, "| metric | type | labels | meaning |") {
			metrics, labels := codes(row[0]), codes(row[2])
			if slices.Equal(metrics, []string{"go_*", "process_*", "promhttp_*"}) {
				continue // client_golang's own
			}
			if len(metrics) != 1 || !names[metrics[0]] {
				t.Errorf("%s: want one metric that there is, once in the table", row[0])
				continue
			}
			delete(names, metrics[0])
			slices.Sort(labels)
			if got, want := [2]string{row[1], strings.Join(labels, " ")}, published[metrics[0]]; got != want {
				t.Errorf("%s: the README has %q, the registry %q", metrics[0], got, want)
			}
		}
		for name := range names {
			t.Errorf("%s is not in the README", name)
		}
	})
}

// TestReadmeFlags holds that the README's table has the flags that there are,
// save those of a command that has a table of its own.
func TestReadmeFlags(t *testing.T) {
	app := kingpin.New("", "")
	kingpinflag.AddFlags(app, ":10984")
	want := []string{"version"} // of app.Version
	for _, flag := range app.Model().Flags {
		if !flag.Hidden {
			want = append(want, flag.Name)
		}
	}
	of := map[string][]string{"README.md": want}
	sources, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		file := "README.md"
		if source == "../backfill.go" {
			file = "docs/backfill.md"
		}
		for _, m := range regexp.MustCompile(`\.Flag\("([^"]+)"`).FindAllStringSubmatch(readFile(t, strings.TrimPrefix(source, "../")), -1) {
			of[file] = append(of[file], m[1])
		}
	}
	for file, want := range of {
		var got []string
		for _, row := range tableOf(t, file, "| flag | meaning |") {
			name, _, _ := strings.Cut(strings.TrimPrefix(codes(row[0])[0], "--"), "=")
			got = append(got, name)
		}
		slices.Sort(want)
		want = slices.Compact(want) // two commands may have the same flag
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("flags\nin %s %v\nin the program %v", file, got, want)
		}
	}
}

// TestReadmeConfig holds that the README's example is the file that is shipped, is
// valid, also with all of its keys in use, and has all keys.
func TestReadmeConfig(t *testing.T) {
	_, rest, _ := strings.Cut(readFile(t, "README.md"), "\n## Configuration\n")
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(rest)[1]
	if example != readFile(t, "deploy/petra_exporter.yml") {
		t.Error("the README's example is not deploy/petra_exporter.yml")
	}
	loadConfig(t, example)
	used := loadConfig(t, regexp.MustCompile(`(?m)^( *)#([^ \n]|  )`).ReplaceAllString(example, "$1$2"))
	if len(used.Tenants) != 2 || used.Since.IsZero() {
		t.Errorf("with all keys, the example says %+v", used)
	}
	for _, wrong := range []string{"wrong: 1", "api: {wrong: 1}", "api: {tls_config: {wrong: 1}}"} {
		file := filepath.Join(t.TempDir(), "petra.yml")
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(file, config.Overrides{})
		if err == nil {
			t.Fatalf("%s: no error", wrong)
		}
		_, known, _ := strings.Cut(err.Error(), "known here: ")
		for key := range strings.SplitSeq(known, ", ") {
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(example) {
				t.Errorf("the README's example lacks %s", key)
			}
		}
	}
}

// TestDesignTests holds that the tests that docs/design.md names are there.
func TestDesignTests(t *testing.T) {
	var all strings.Builder
	for _, pattern := range []string{"../*_test.go", "../collector/*_test.go", "../collector/*/*_test.go", "../petra/*_test.go", "../tools/*/*_test.go"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			all.WriteString(readFile(t, strings.TrimPrefix(file, "../")))
		}
	}
	for _, name := range regexp.MustCompile(`\bTest\w+`).FindAllString(readFile(t, "docs/design.md"), -1) {
		if !strings.Contains(all.String(), "\nfunc "+name+"(") {
			t.Errorf("docs/design.md names %s, which is not there", name)
		}
	}
}
