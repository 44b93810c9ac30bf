package dockerfile

import (
	"context"
	"os"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/opencontainers/go-digest"
)

// offline knows nothing of the images that are built upon, and asks no registry.
type offline struct{}

func (offline) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os": "linux", "architecture": "amd64"}`), nil
}

// check returns what BuildKit's linter says of all stages.
func check(t *testing.T, dockerfile string) []lint.Warning {
	t.Helper()
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(dockerfile))
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(dockerfile), dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: offline{}})
	if err != nil {
		t.Fatal(err)
	}
	if results.Error != nil {
		t.Fatal(results.Error.Message)
	}
	return results.Warnings
}

func TestDockerfile(t *testing.T) {
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range check(t, string(content)) {
		t.Errorf("line %d: %s: %s", warning.Location.Ranges[0].Start.Line, warning.RuleName, warning.Detail)
	}
}

func TestFinds(t *testing.T) {
	for want, dockerfile := range map[string]string{
		"FromAsCasing":          "FROM scratch as a\n",
		"SecretsUsedInArgOrEnv": "FROM scratch\nARG API_KEY\n",
		"UndefinedVar":          "FROM scratch\nCOPY $missing /\n",
	} {
		if warnings := check(t, dockerfile); len(warnings) != 1 || warnings[0].RuleName != want {
			t.Errorf("%q gives %+v, want %s", dockerfile, warnings, want)
		}
	}
}
