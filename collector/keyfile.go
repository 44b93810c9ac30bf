package collector

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/regular"
	"github.com/prometheus/common/config"
)

// apiKey is a key, and where it is set. Wherever that is, white space around it
// is none of it.
type apiKey struct {
	config.SecretReader
	place string
}

func (k apiKey) Description() string { return k.place }

func (k apiKey) Fetch(ctx context.Context) (string, error) {
	key, err := k.SecretReader.Fetch(ctx)
	key = strings.TrimSpace(key)
	if n := len(key); err == nil && n > 1 && key[0] == key[n-1] && strings.ContainsRune("\"'`", rune(key[0])) {
		return "", fmt.Errorf("%s has quotes around the key; remove them", k.place)
	}
	return key, err
}

// keyFile reads the key from a regular file at every request.
type keyFile struct {
	*config.FileSecret
	path string
}

func newKeyFile(path string) config.SecretReader {
	return apiKey{keyFile{config.NewFileSecret(path), path}, "file " + path}
}

func (f keyFile) Fetch(ctx context.Context) (string, error) {
	if err := regular.Check(f.path); err != nil {
		return "", err
	}
	return f.FileSecret.Fetch(ctx)
}

// keyFileSeen is the file with the key as it was when its mode was last looked
// at, and for which configuration.
type keyFileSeen struct {
	cfg      *Config
	mode     fs.FileMode
	modified int64 // Unix time in nanoseconds
}

// checkKeyFile warns of a file with the key that everybody can read: once for
// each change of the file, and again after a reload. The mode of the file
// alone counts: a folder that is closed today may be opened tomorrow.
func (r *refresher) checkKeyFile(cfg *Config) {
	file := cfg.API.KeyFile
	if file == "" || runtime.GOOS == "windows" { // whose modes say nothing
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
		level.Warn(r.logger).Log("msg", "everybody on this machine can read the file with the API key", "file", file,
			"mode", fmt.Sprintf("%04o", seen.mode), "remedy", "chmod o= "+file+"; of a Kubernetes secret: defaultMode 0440 and fsGroup")
	}
}
