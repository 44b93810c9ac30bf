package petratest

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestDemoAtItsStart(t *testing.T) {
	for _, now := range []time.Time{epoch, epoch.Add(1234567 * time.Second)} {
		w := Demo(now)
		tenants := w.Tenants()
		paused := 0
		per := map[string][]View{}
		openOnes := 0
		views := w.Incidents(now)
		for _, v := range views {
			per[v.TenantID] = append(per[v.TenantID], v)
			if !v.OccurredAt.Before(v.CreatedAt) || now.Sub(v.CreatedAt) > 730*day {
				t.Errorf("%+v", v)
			}
			if open(v) {
				openOnes++
				if age := now.Sub(v.CreatedAt); age < 10*time.Minute || age > 20*day {
					t.Errorf("an open one of %s", age)
				}
			}
		}
		if openOnes != 5 || len(views) < 300 || len(views) >= 400 {
			t.Errorf("%d open of %d", openOnes, len(views))
		}
		for _, tenant := range tenants {
			if tenant.Paused {
				paused++
			}
		}
		if len(tenants) != 8 || paused != 1 || len(per) != 7 || len(per["Wf3Zk8"]) != 0 {
			t.Errorf("%d tenants, %d paused, %d with incidents", len(tenants), paused, len(per))
		}
		lookBack := per["Sn9Wd4"]
		for _, v := range lookBack {
			if v.Live || v.CreatedAt.Sub(v.OccurredAt) < 7*day || now.Sub(v.CreatedAt) > 21*day+time.Hour {
				t.Errorf("look back: %+v", v)
			}
		}
		if len(lookBack) != 15 {
			t.Errorf("%d incidents of the look back", len(lookBack))
		}
	}
}

// The history of two demos, started apart, is as long ago from each.
func TestDemoHistoryIsTheSame(t *testing.T) {
	const apart = 1234567 * time.Second
	first, second := Demo(epoch).Incidents(epoch), Demo(epoch.Add(apart)).Incidents(epoch.Add(apart))
	if len(first) != len(second) {
		t.Fatalf("%d incidents, then %d", len(first), len(second))
	}
	for i, a := range first {
		b := second[i]
		if a.ID != b.ID || a.TenantID != b.TenantID || a.Status != b.Status || a.Live != b.Live {
			t.Errorf("%+v, then %+v", a, b)
		}
		// The new tenant's look back begins with a full hour.
		if d := b.CreatedAt.Sub(a.CreatedAt) - apart; d.Abs() > time.Hour {
			t.Errorf("%s: raised %s off", a.ID, d)
		}
	}
}

// A status that nobody has classified turns up a few minutes after the start.
func TestDemoStatus(t *testing.T) {
	w := Demo(epoch)
	statuses := func(after time.Duration) (all []string) {
		for _, v := range w.Incidents(epoch.Add(after)) {
			if !slices.Contains(all, v.Status) {
				all = append(all, v.Status)
			}
		}
		slices.Sort(all)
		return all
	}
	for after, want := range map[time.Duration][]string{
		0:               {"ACTIVE", "REMEDIATED"},
		3 * time.Minute: {"ACTIVE", "REMEDIATED"},
		5 * time.Minute: {"ACTIVE", "IN_REVIEW", "REMEDIATED"},
		2 * time.Hour:   {"ACTIVE", "REMEDIATED"},
	} {
		if got := statuses(after); !slices.Equal(got, want) {
			t.Errorf("after %s: %q, want %q", after, got, want)
		}
	}
}

// A large demo is the usual one and more.
func TestLargeDemo(t *testing.T) {
	small, same, large := Demo(epoch), LargeDemo(epoch, 8), LargeDemo(epoch, 800)
	if !reflect.DeepEqual(same.Incidents(epoch), small.Incidents(epoch)) || len(same.Tenants()) != 8 {
		t.Error("8 tenants are not the usual demo")
	}
	later := epoch.Add(12 * time.Hour)
	now, then := large.Incidents(epoch), large.Incidents(later)
	openOnes := 0
	for _, v := range now {
		openOnes += map[bool]int{true: 1}[open(v)]
	}
	if n := len(large.Tenants()); n != 800 || len(now) != 330+3*792 || openOnes != 5+792/40 {
		t.Errorf("%d tenants, %d incidents, %d of them open", n, len(now), openOnes)
	}
	others := 0
	for _, v := range then {
		if v.CreatedAt.After(epoch) && !slices.ContainsFunc(small.Tenants(), func(t Tenant) bool { return t.ID == v.TenantID }) {
			others++
		}
	}
	if others == 0 {
		t.Error("nothing happens in the other tenants in 12 hours")
	}
	if again := LargeDemo(epoch, 800).Incidents(epoch); !reflect.DeepEqual(again, now) {
		t.Error("another one at each start")
	}
}

func TestDemoMoves(t *testing.T) {
	w := Demo(epoch)
	last, lastNew := epoch, epoch
	moves, fresh := 0, 0
	seen := map[string]View{}
	for _, v := range w.Incidents(epoch) {
		seen[v.ID] = v
	}
	for at := epoch; at.Before(epoch.Add(2 * time.Hour)); at = at.Add(20 * time.Second) {
		moved := false
		openOnes := 0
		for _, v := range w.Incidents(at) {
			was, known := seen[v.ID]
			if !known {
				fresh++
				if gap := at.Sub(lastNew); gap > 3*time.Minute+40*time.Second {
					t.Errorf("%s without a new incident", gap)
				}
				lastNew = at
			}
			if !reflect.DeepEqual(was, v) {
				moved = true
			}
			seen[v.ID] = v
			if open(v) {
				openOnes++
			}
		}
		if openOnes > 25 {
			t.Errorf("%d open at %s", openOnes, at)
		}
		if moved {
			moves++
			last = at
		}
		if gap := at.Sub(last); gap > 3*time.Minute+40*time.Second {
			t.Errorf("nothing happened for %s before %s", gap, at)
		}
	}
	if fresh < 40 || fresh > 60 || moves < 80 {
		t.Errorf("%d new incidents and %d moves in two hours", fresh, moves)
	}
	if paused := w.list(epoch.Add(2*time.Hour), "Ql5Ty0", epoch, 500); len(paused) != 0 {
		t.Errorf("the paused tenant got %d incidents", len(paused))
	}
}
