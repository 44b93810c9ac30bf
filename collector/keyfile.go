package collector

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/config"
)

// keyFileSeen is the key file as it was when its mode was last checked, and for
// which configuration.
type keyFileSeen struct {
	cfg      *config.Config
	mode     fs.FileMode
	modified int64 // Unix time in nanoseconds
}

// checkKeyFile warns about a world-readable key file: once for each change of the
// file, and again after a reload. Only the mode of the file itself counts: a
// directory that is closed today may be opened tomorrow.
func (r *refresher) checkKeyFile(cfg *config.Config) {
	file := cfg.API.KeyFile
	if file == "" || runtime.GOOS == "windows" { // file modes mean nothing there
		return
	}
	info, err := os.Stat(file)
	if err != nil {
		return // the request that needs the key says so
	}
	seen := keyFileSeen{cfg, info.Mode().Perm(), info.ModTime().UnixNano()}
	r.mu.Lock()
	before := r.keyFile
	r.keyFile = seen
	r.mu.Unlock()
	if seen != before && seen.mode&0o004 != 0 {
		level.Warn(r.logger).Log("msg", "the file with the API key is world-readable", "file", file,
			"mode", fmt.Sprintf("%04o", seen.mode), "remedy", "chmod o= "+file+"; of a Kubernetes secret: defaultMode 0440 and fsGroup")
	}
}
