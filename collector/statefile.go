package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-kit/log/level"
	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// saveEvery is how often the state file is written while the process runs.
const saveEvery = time.Minute

// stateFile is where what is known outlives the process.
type stateFile struct {
	path string
	lock *flock.Flock
	// Of the last try to write it:
	tried   bool
	err     error
	success time.Time
}

// OpenState makes the collector keep what is known in a file, and begin with
// what stands in it; it is called before the first [Collector.Configure]. An
// empty path means no file. It
// returns an error where another process uses the file, or where none can be
// written.
func (c *Collector) OpenState(path string) error {
	if path == "" {
		return nil
	}
	// Another name than the file's, which is replaced at each write.
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("--state.file: %w", err)
	}
	if !locked {
		return fmt.Errorf("--state.file: %s is in use by another process", path)
	}
	if err := prepareFolder(path); err != nil {
		return errors.Join(fmt.Errorf("--state.file: %w", err), lock.Unlock())
	}
	c.refresher.state = &stateFile{path: path, lock: lock}
	return nil
}

// prepareFolder removes what a killed process may have left of a write, and
// finds out whether one can be begun: a lock that is there already can be taken
// in a folder that is read-only too.
func prepareFolder(path string) error {
	dir, begun := filepath.Dir(path), ".tmp-"+filepath.Base(path) // as atomicwriter names it
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), begun) {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
	probe, err := os.CreateTemp(dir, begun)
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// loadState returns a store with what stands in the state file, or an empty
// one. A file that cannot be used is set aside.
func (r *refresher) loadState(cfg *config.Config) *store {
	s := newStore()
	content, err := os.ReadFile(r.state.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	var saved *savedState
	if err == nil {
		saved, err = readState(content, cfg.API.URL.String())
	}
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
	r.settled = saved.Clean
	level.Info(r.logger).Log("msg", "state file read", "file", r.state.path, "written", saved.Written, "tenants", len(saved.Tenants))
	return s
}

// keepState writes the state file now and then, until ctx ends. It begins at
// once: from the first request on, what the last process wrote of the budget is
// no longer the whole of it.
func (r *refresher) keepState() {
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

// closeState writes the state file for the last time.
func (r *refresher) closeState() {
	if r.state == nil {
		return
	}
	r.saveState(true)
	if err := r.state.lock.Unlock(); err != nil {
		level.Warn(r.logger).Log("msg", "the state file stays locked", "err", err)
	}
}

// saveState writes the state file: beside it, synced, then renamed.
func (r *refresher) saveState(clean bool) {
	saved := r.world().store.save()
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
