package petra_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/petra-exporter/petra_exporter/petra"
)

// jumped is a time on a wall clock that was set, with its monotonic reading as
// it was. Of time.Time, the wall clock's seconds begin at bit 30 of the first
// word.
func jumped(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	before := at
	*(*uint64)(unsafe.Pointer(&at)) += uint64(by/time.Second) << 30
	if at.Sub(before) != 0 || at.Round(0).Sub(before.Round(0)) != by {
		t.Fatalf("the wall clock does not jump by %s alone: %s, %s", by, before, at)
	}
	return at
}

// TestWallClockJumps: a wall clock that is set by hours frees no request that is
// spent, and neither ends nor prolongs a wait.
func TestWallClockJumps(t *testing.T) {
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
		b := petra.NewBudget(2)
		done, _ := b.Take()
		done()
		now := time.Now()
		want := func(when string, at time.Time, remaining int, blocked bool) {
			t.Helper()
			if s := b.State(jumped(t, at, by)); s.Remaining != remaining || s.Blocked.IsZero() == blocked {
				t.Errorf("%s, %s: %+v", by, when, s)
			}
		}
		want("at once", now, 1, false)
		want("before the window ends", now.Add(petra.BudgetWindow-time.Second), 1, false)
		want("after it", now.Add(petra.BudgetWindow+time.Second), 2, false)
		b.Block("", now.Add(2*time.Minute))
		want("before the wait ends", now.Add(2*time.Minute-time.Second), 0, true)
		want("after it", now.Add(2*time.Minute+time.Second), 2, false)
	}
}

// TestRestoreAndJump: the same holds for what another process has spent, whose
// times come from a file and have a wall clock alone.
func TestRestoreAndJump(t *testing.T) {
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
		b := petra.NewBudget(2)
		now := time.Now()
		b.Restore([]time.Time{now.Add(-20 * time.Second).Round(0)}, now.Add(30*time.Second).Round(0))
		want := func(when string, after time.Duration, remaining int, blocked bool) {
			t.Helper()
			if s := b.State(jumped(t, now.Add(after), by)); s.Remaining != remaining || s.Blocked.IsZero() == blocked {
				t.Errorf("%s, %s: %+v", by, when, s)
			}
		}
		want("at once", 0, 0, true)
		want("before the wait ends", 29*time.Second, 0, true)
		want("after it", 31*time.Second, 1, false)
		want("before the window ends", 39*time.Second, 1, false)
		want("after it", 41*time.Second, 2, false)
	}
}
