package dashboards

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPictures: whoever clones the repository gets its pictures too.
func TestPictures(t *testing.T) {
	const most, size = 8, 200_000
	files, err := filepath.Glob("../../docs/img/*.png")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 || len(files) > most {
		t.Errorf("docs/img has %d pictures, want 1 to %d", len(files), most)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= size {
			t.Errorf("%s has %d bytes, want less than %d", file, info.Size(), size)
		}
	}
}
