package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"
	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"
	"github.com/moby/sys/mountinfo"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// saveEvery is how often the state file is written while the process runs.
const saveEvery = time.Minute

// stateFile keeps the state over a restart.
type stateFile struct {
	path    string
	lock    *flock.Flock
	content []byte // as it was found; nil where there was none
	// Of the last attempt to write it:
	tried   bool
	err     error
	success time.Time
}

// OpenState makes the collector keep its state in a file, and start from what the
// file contains; call it before the first [Collector.Configure]. An empty path
// means no file. It returns an error if the path names anything but a state file,
// another process uses it, or it cannot be written.
func (c *Collector) OpenState(path string) error {
	if path == "" {
		return nil
	}
	path, err := stateTarget(path)
	if err == nil {
		err = config.CheckFile(path + ".lock")
	}
	if err != nil {
		return fmt.Errorf("--state.file: %w", err)
	}
	// Not the file's own name, since the file is replaced at each write.
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("--state.file: %w", err)
	}
	if !locked {
		return fmt.Errorf("--state.file: %s is in use by another process", path)
	}
	content, err := stateContent(path)
	if err == nil {
		err = prepareFolder(path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("--state.file: %w", err), lock.Unlock())
	}
	c.refresher.state = &stateFile{path: path, lock: lock, content: content}
	return nil
}

// CheckState returns the error of [Collector.OpenState] as far as it can be found
// without writing. A state file in use is fine.
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
	if mounted, err := mountinfo.Mounted(target); err == nil && mounted {
		return "", fmt.Errorf("%s is a mount of its own, and so cannot be replaced; mount its directory instead", path)
	}
	return target, nil
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

// restore returns a store with the content of the state file, or an empty one. It
// sets aside a file that cannot be used.
func (r *refresher) restore(cfg *config.Config) *store {
	s := newStore()
	content := r.state.content
	r.state.content = nil
	if content == nil {
		return s
	}
	saved, err := readState(content, cfg.API.URL.String())
	if err != nil {
		bad := r.state.path + ".bad"
		level.Warn(r.logger).Log("msg", "the state file cannot be used; set aside, and starting without", "file", r.state.path, "as", bad, "err", err)
		if err := os.Rename(r.state.path, bad); err != nil {
			level.Warn(r.logger).Log("msg", "the state file cannot be set aside", "err", err)
		}
		return s
	}
	s.load(saved)
	for route, budget := range r.budgets {
		budget.Restore(saved.Spent[route], saved.Blocked[route])
	}
	r.restored = saved.Clean
	level.Info(r.logger).Log("msg", "state file read", "file", r.state.path, "written", saved.Written, "tenants", len(saved.Tenants))
	return s
}

// saveLoop writes the state file regularly until ctx ends. It starts at once: from
// the first request on, the budget that the last process wrote is incomplete.
func (r *refresher) saveLoop() {
	if r.state == nil {
		return
	}
	for {
		r.saveState(false)
		timer := time.NewTimer(saveEvery)
		select {
		case <-r.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// saveFinal writes the state file for the last time.
func (r *refresher) saveFinal() {
	if r.state == nil {
		return
	}
	r.saveState(true)
	if err := r.state.lock.Unlock(); err != nil {
		level.Warn(r.logger).Log("msg", "the state file stays locked", "err", err)
	}
}

// saveState writes the state file: to a temporary file, synced, then renamed.
func (r *refresher) saveState(clean bool) {
	saved := r.active().store.save()
	saved.Clean = clean
	saved.Spent, saved.Blocked = map[petra.Route][]time.Time{}, map[petra.Route]time.Time{}
	for route, budget := range r.budgets {
		saved.Spent[route], saved.Blocked[route] = budget.Spent()
	}
	content, err := json.Marshal(saved)
	if err == nil {
		err = atomicwriter.WriteFile(r.state.path, content, 0o600)
	}
	r.mu.Lock()
	before := r.state.err
	r.state.tried, r.state.err = true, err
	if err == nil {
		r.state.success = saved.Written
	}
	r.mu.Unlock()
	switch {
	case err != nil && before == nil:
		level.Error(r.logger).Log("msg", "the state file cannot be written", "file", r.state.path, "err", err)
	case err == nil && before != nil:
		level.Info(r.logger).Log("msg", "the state file is written again", "file", r.state.path)
	}
}
