package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"
	"github.com/moby/sys/mountinfo"
	"github.com/petra-exporter/petra_exporter/collector/config"
)

// saveEvery is how often the state file is written while the process runs.
const saveEvery = time.Minute

// stateFile keeps the state over a restart.
type stateFile struct {
	logger  log.Logger
	path    string
	lock    *flock.Flock
	content []byte // as it was found; nil where there was none

	mu    sync.Mutex
	saves stateSaves
}

// stateSaves is how the writing goes.
type stateSaves struct {
	tried   bool
	err     error // of the last try
	success time.Time
}

// openStateFile locks and reads a state file; an empty path means none, which is
// nil. It returns an error where the path names anything but a state file,
// another process uses it, or none can be written.
func openStateFile(logger log.Logger, path string) (*stateFile, error) {
	if path == "" {
		return nil, nil
	}
	path, err := stateTarget(path)
	if err == nil {
		err = config.CheckFile(path + ".lock")
	}
	if err != nil {
		return nil, fmt.Errorf("--state.file: %w", err)
	}
	// Not the file's own name, since the file is replaced at each write.
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("--state.file: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("--state.file: %s is in use by another process", path)
	}
	content, err := stateContent(path)
	if err == nil {
		err = prepareFolder(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--state.file: %w", err), lock.Unlock())
	}
	return &stateFile{logger: logger, path: path, lock: lock, content: content}, nil
}

// CheckState returns the error of [New] for a state file as far as it can be
// found without a write. A state file in use is fine.
func CheckState(path string) error {
	if path == "" {
		return nil
	}
	if _, err := stateTarget(path); err != nil {
		return fmt.Errorf("--state.file: %w", err)
	}
	return nil
}

// stateTarget returns the file to replace at each write: the target of a symbolic
// link, since otherwise the link itself would be replaced.
func stateTarget(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if link, err := os.Readlink(path); err == nil {
			return "", fmt.Errorf("%s is a symbolic link to %s, which does not exist; name the file itself", path, link)
		}
		if strings.HasSuffix(path, string(filepath.Separator)) {
			return "", fmt.Errorf("%s names a directory; name a file in it, such as %s", path, filepath.Join(path, "state.json"))
		}
		_, err = os.Stat(filepath.Dir(path))
		return path, err // no file yet
	}
	if err == nil {
		_, err = stateContent(target)
	}
	if err != nil {
		return "", err
	}
	if mounted, err := isMount(target); err == nil && mounted {
		return "", fmt.Errorf("%s is a mount of its own, and so cannot be replaced; mount its directory instead", path)
	}
	return target, nil
}

// isMount looks into the table of mounts. mountinfo.Mounted compares devices where
// openat2 is not allowed, and takes each file on an overlay for a mount.
func isMount(path string) (bool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	return len(mounts) > 0, err
}

// stateContent reads a state file, complete or not. Another program's file is an
// error: it must not be set aside.
func stateContent(path string) ([]byte, error) {
	content, err := config.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	begin, begun := []byte(`{"version":`), bytes.Trim(content, "\x00") // zeros: after a crash of the machine
	n := min(len(begin), len(begun))
	if !bytes.Equal(begin[:n], begun[:n]) && !bytes.Contains(content, []byte(`"api_url":`)) {
		return nil, fmt.Errorf("%s is not a state file; name another file, or remove this one", path)
	}
	return content, nil
}

// prepareFolder removes what a killed process may have left of a write, and finds
// out whether a write can begin: an existing lock file can be locked in a read-only
// directory too.
func prepareFolder(path string) error {
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		// With state1 there, .tmp-state123 may be another process's unfinished file.
		mayBeOthers := slices.ContainsFunc(entries, func(other fs.DirEntry) bool {
			name, locked := strings.CutSuffix(other.Name(), ".lock")
			return locked && name != base && begunFor(name, entry)
		})
		if begunFor(base, entry) && !mayBeOthers {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
	probe, err := os.CreateTemp(dir, ".tmp-"+base)
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// begunFor reports whether a file has the name that atomicwriter gives to an
// unfinished base.
func begunFor(base string, entry fs.DirEntry) bool {
	digits, ok := strings.CutPrefix(entry.Name(), ".tmp-"+base)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == "" && entry.Type().IsRegular()
}

// restore returns what stands in the file, nil where nothing does that this API
// can go on with. A file that cannot be used is set aside.
func (f *stateFile) restore(apiURL string) *snapshotFile {
	content := f.content
	f.content = nil
	if content == nil {
		return nil
	}
	saved, err := readState(content, apiURL)
	if err != nil {
		bad := f.path + ".bad"
		level.Warn(f.logger).Log("msg", "the state file cannot be used; set aside, and starting without", "file", f.path, "as", bad, "err", err)
		if err := os.Rename(f.path, bad); err != nil {
			level.Warn(f.logger).Log("msg", "the state file cannot be set aside", "err", err)
		}
		return nil
	}
	level.Info(f.logger).Log("msg", "state file read", "file", f.path, "written", saved.Written, "tenants", len(saved.Tenants))
	return saved
}

// run writes the file now and then, until ctx ends. It begins at once: from the
// first request on, what the last process wrote of the budget is no longer the
// whole of it.
func (f *stateFile) run(ctx context.Context, snapshot func() *snapshotFile) {
	for {
		f.save(snapshot())
		timer := time.NewTimer(saveEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// close writes the file for the last time.
func (f *stateFile) close(saved *snapshotFile) {
	saved.Clean = true
	f.save(saved)
	if err := f.lock.Unlock(); err != nil {
		level.Warn(f.logger).Log("msg", "the state file stays locked", "err", err)
	}
}

// save writes the file: beside it, synced, then renamed.
func (f *stateFile) save(saved *snapshotFile) {
	content, err := json.Marshal(saved)
	if err == nil {
		err = atomicwriter.WriteFile(f.path, content, 0o600)
	}
	f.mu.Lock()
	before := f.saves.err
	f.saves.tried, f.saves.err = true, err
	if err == nil {
		f.saves.success = saved.Written
	}
	f.mu.Unlock()
	switch {
	case err != nil && before == nil:
		level.Error(f.logger).Log("msg", "the state file cannot be written", "file", f.path, "err", err)
	case err == nil && before != nil:
		level.Info(f.logger).Log("msg", "the state file is written again", "file", f.path)
	}
}

// state is how the writing goes.
func (f *stateFile) state() stateSaves {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saves
}
