package config

import (
	"context"
	"fmt"
	"strings"

	commoncfg "github.com/prometheus/common/config"
)

// apiKey is a key, and where it is set. Wherever that is, white space around it
// is none of it.
type apiKey struct {
	commoncfg.SecretReader
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
	*commoncfg.FileSecret
	path string
}

func newKeyFile(path string) commoncfg.SecretReader {
	return apiKey{keyFile{commoncfg.NewFileSecret(path), path}, "file " + path}
}

func (f keyFile) Fetch(ctx context.Context) (string, error) {
	if err := CheckFile(f.path); err != nil {
		return "", err
	}
	return f.FileSecret.Fetch(ctx)
}
