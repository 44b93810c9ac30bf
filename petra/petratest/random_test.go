package petratest

import (
	"fmt"
	"reflect"
	"regexp"
	"testing"
	"time"
)

func open(v View) bool { return v.Status == "ACTIVE" }

func TestRandomDoesNotDependOnCalls(t *testing.T) {
	cfg := RandomConfig{Start: epoch, Tenants: 20, Incidents: 700, Open: 9, OldOpen: 3, Every: 3 * time.Minute, FalsePositives: 0.05}
	once, often, back := Random(7, cfg), Random(7, cfg), Random(7, cfg)
	other := Random(8, cfg)
	end := epoch.Add(6 * time.Hour)
	back.Incidents(end.Add(24 * time.Hour)) // from the future back
	for at := epoch; at.Before(end); at = at.Add(41 * time.Second) {
		often.list(at, "", time.Time{}, 500)
	}
	for _, at := range []time.Time{end, epoch, epoch.Add(90 * time.Minute), end.Add(time.Hour)} {
		want := once.Incidents(at)
		if !reflect.DeepEqual(often.Incidents(at), want) {
			t.Errorf("%s: the often asked world differs", at)
		}
		if !reflect.DeepEqual(back.Incidents(at), want) {
			t.Errorf("%s: the world asked from the end differs", at)
		}
		if reflect.DeepEqual(other.Incidents(at), want) {
			t.Errorf("%s: another seed makes the same world", at)
		}
	}
	if !reflect.DeepEqual(once.Tenants(), back.Tenants()) {
		t.Error("the tenants differ")
	}
}

func TestRandomCounts(t *testing.T) {
	for _, cfg := range []RandomConfig{
		{Tenants: 3, Incidents: 40, Open: 4},
		{Tenants: 30, Incidents: 2000, Open: 12, OldOpen: 5},
		{Tenants: 1, Incidents: 5, Open: 9, OldOpen: 9},
		{Tenants: 4, Incidents: 0, Open: 1},
		{},
	} {
		cfg.Start = epoch
		t.Run(fmt.Sprintf("%d of %d", cfg.Incidents, cfg.Tenants), func(t *testing.T) {
			w := Random(3, cfg)
			views := w.Incidents(epoch)
			if len(views) != cfg.Incidents || len(w.Tenants()) != cfg.Tenants {
				t.Errorf("%d incidents, %d tenants", len(views), len(w.Tenants()))
			}
			all, old := 0, 0
			for i, v := range views {
				if open(v) {
					all++
					if i >= 500 {
						old++
					}
				}
				if !v.OccurredAt.Before(v.CreatedAt) || v.CreatedAt.After(epoch) {
					t.Errorf("%s occurred %s, created %s", v.ID, v.OccurredAt, v.CreatedAt)
				}
			}
			wantOld := min(cfg.OldOpen, max(0, cfg.Incidents-500))
			if want := min(cfg.Open, cfg.Incidents); all != want || old != wantOld {
				t.Errorf("%d open, %d of them old, want %d and %d", all, old, want, wantOld)
			}
		})
	}
}

func TestRandomHappens(t *testing.T) {
	cfg := RandomConfig{Start: epoch, Tenants: 50, Incidents: 1000, Open: 10, OldOpen: 5, Every: time.Minute, Until: epoch.Add(24 * time.Hour), FalsePositives: 0.03}
	w := Random(11, cfg)
	before := map[string]View{}
	for _, v := range w.Incidents(epoch) {
		before[v.ID] = v
	}
	end := epoch.Add(30 * time.Hour)
	var fresh, live, remediated, falsePositive, flags, lookBack int
	after := map[string]View{}
	for _, v := range w.Incidents(end) {
		after[v.ID] = v
		if was, ok := before[v.ID]; ok {
			if was.Live != v.Live {
				flags++
			}
			continue
		}
		fresh++
		if v.CreatedAt.After(cfg.Until) {
			t.Errorf("%s was created at %s, after the end", v.ID, v.CreatedAt)
		}
		if v.Live {
			live++
		} else if v.CreatedAt.Sub(v.OccurredAt) > 24*time.Hour {
			lookBack++
		}
		switch v.Status {
		case "REMEDIATED":
			remediated++
		case "FALSE_POSITIVE":
			falsePositive++
		}
		if first, ok := w.incidents[v.ID].At(v.CreatedAt); ok && first.Live != v.Live {
			flags++
		}
	}
	withdrawn := 0
	for id := range before {
		if _, ok := after[id]; !ok {
			withdrawn++
		}
	}
	t.Logf("%d new, %d live, %d remediated, %d false positives, %d flags, %d look-backs, %d withdrawn",
		fresh, live, remediated, falsePositive, flags, lookBack, withdrawn)
	if fresh < 1300 || fresh > 1550 {
		t.Errorf("%d new incidents in 24 h of one a minute", fresh)
	}
	if live < fresh*7/10 || live > fresh*95/100 || lookBack < fresh/20 {
		t.Errorf("of %d, %d are live and %d come from a look back", fresh, live, lookBack)
	}
	if remediated < fresh*8/10 || falsePositive == 0 || falsePositive > fresh/10 {
		t.Errorf("of %d, %d are remediated and %d false positives", fresh, remediated, falsePositive)
	}
	if flags == 0 || withdrawn == 0 || withdrawn > len(before)/20 {
		t.Errorf("%d flags changed, %d of %d withdrawn", flags, withdrawn, len(before))
	}
}

func TestRandomIdentities(t *testing.T) {
	w := Random(1, RandomConfig{Start: epoch, Tenants: 10_000, Incidents: 40_000, Open: 50, OldOpen: 30})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	short := regexp.MustCompile(`^[A-Za-z0-9]{6}$`)
	seen := map[string]bool{}
	unique := func(s string) {
		if seen[s] {
			t.Errorf("%s twice", s)
		}
		seen[s] = true
	}
	tenants := w.Tenants()
	for _, tenant := range tenants {
		unique(tenant.ID)
		unique(tenant.Name)
		unique(tenant.MicrosoftID)
		if !short.MatchString(tenant.ID) || !uuid.MatchString(tenant.MicrosoftID) {
			t.Errorf("%+v", tenant)
		}
	}
	perTenant := map[string]int{}
	for _, v := range w.Incidents(epoch) {
		unique(v.ID)
		perTenant[v.TenantID]++
		if !uuid.MatchString(v.ID) {
			t.Errorf("incident %s", v.ID)
		}
	}
	if len(seen) != 70_000 || len(perTenant) == len(tenants) {
		t.Errorf("%d identities, %d tenants with incidents", len(seen), len(perTenant))
	}
}

// New incidents of a tenant end with its removal, else it would come back.
func TestRemovedTenantGetsNoNewIncidents(t *testing.T) {
	w := Random(1, RandomConfig{Start: epoch, Tenants: 2, Incidents: 100, Every: time.Minute})
	removed := w.Tenants()[0].ID
	count := func(at time.Time) (n int) {
		for _, v := range w.Incidents(at) {
			if v.TenantID == removed {
				n++
			}
		}
		return n
	}
	before := count(epoch)
	w.RemoveTenant(removed)
	if after := count(epoch.Add(3 * time.Hour)); before == 0 || after > before {
		t.Errorf("%d incidents before, %d after", before, after)
	}
}

func BenchmarkHeadOfTenThousandTenants(b *testing.B) {
	w := Random(1, RandomConfig{Start: epoch, Tenants: 10_000, Incidents: 40_000, Open: 50, OldOpen: 30})
	api := NewAPI(w, Options{Limit: -1})
	entry := &Request{Route: RouteIncidents, Limit: "500"}
	for b.Loop() {
		api.answer(entry, false)
	}
}
