package petratest

import (
	"math/rand/v2"
	"time"
)

const day = 24 * time.Hour

// Demo returns an organization to watch: 8 tenants and two years of incidents before
// now, of which five are open, and from now on a new incident every two to three
// minutes, most of them remediated within half an hour. The history is the same at
// each start, as long ago from now: what one process writes of it continues in
// what the next one publishes. After four minutes an incident has a status that
// no incident had before, IN_REVIEW, for half an hour.
func Demo(now time.Time) *Organization {
	tenants := demoTenants(now)
	w := NewOrganization()
	for _, t := range tenants {
		w.SetTenant(t.Tenant)
	}
	w.Add(demoHistory(newRand(1, 0), tenants, now)...)
	raised := now.Add(4 * time.Minute)
	w.Add(Incident{
		ID: "5d0e7c1a-93b6-4f28-8a4e-c2f61b7d9035", TenantID: tenants[4].ID, OpenStatus: "IN_REVIEW", Live: true,
		CreatedAt: raised, OccurredAt: raised.Add(-5 * time.Minute), RemediatedAt: raised.Add(30 * time.Minute),
	})

	const span = 150 * time.Second
	seed := uint64(now.UnixNano()) //nolint:gosec // any number does
	w.grow = slots(seed, now, time.Time{}, span, func(r *rand.Rand, start time.Time) []Incident {
		// The middle 30 s of the span: neighbours are two to three minutes apart.
		in := demoLife(r, start.Add(60*time.Second+upTo(r, 30*time.Second)))
		in.TenantID = pickDemo(r, tenants, func(t demoTenant) int { return t.future })
		return []Incident{in}
	})
	return w
}

// LargeDemo returns the organization of Demo with as many tenants as named; those beyond
// its own 8 are random ones with, on average, three incidents in two years.
func LargeDemo(now time.Time, tenants int) *Organization {
	w := Demo(now)
	more := max(0, tenants-len(w.tenants))
	if more == 0 {
		return w
	}
	const history = 730 * day
	others := Random(2, RandomConfig{
		Start: now, Tenants: more, Incidents: 3 * more, History: history, Every: history / time.Duration(3*more),
		Open: more / 40, OldOpen: more / 200,
	})
	for _, t := range others.Tenants() {
		w.SetTenant(t)
	}
	for _, in := range others.ordered {
		w.Add(*in)
	}
	demo := w.grow
	w.grow = func(now time.Time) []Incident { return append(demo(now), others.grow(now)...) }
	return w
}

type demoTenant struct {
	Tenant
	past, future int // shares of the incidents before and after now
}

func demoTenants(now time.Time) []demoTenant {
	ago := func(d time.Duration) time.Time { return now.Add(-d).Truncate(day).Add(9 * time.Hour) }
	return []demoTenant{
		{Tenant{ID: "Bw7Lq2", Name: "Bluewater Logistics", MicrosoftID: "6f0c2d1e-84b7-4c39-9a55-1d7e0b3f62a8", Onboarded: ago(735 * day)}, 30, 30},
		{Tenant{ID: "Cd4Rf9", Name: "Cedar & Finch Legal", MicrosoftID: "b3a97e40-5c12-4f6d-8e0b-97c4d2a1f503", Onboarded: ago(735 * day)}, 20, 20},
		{Tenant{ID: "Hg1Sm5", Name: "Highgate Dental Group", MicrosoftID: "1e5d8c7b-02a4-4b91-b7f3-60a9c8e4d215"}, 15, 15},
		{Tenant{ID: "Kt8Vn3", Name: "Kestrel Manufacturing", MicrosoftID: "d94f1b06-7e3a-4a58-9c6d-0f2b85e7a1c4", Onboarded: ago(734 * day)}, 20, 20},
		{Tenant{ID: "Mp2Xc6", Name: "Maplewood School District", MicrosoftID: "80c6a5f2-19d3-47eb-a2c8-e4517b9d306f", Onboarded: ago(733 * day)}, 10, 10},
		// Paused: nothing new is found.
		{Tenant{ID: "Ql5Ty0", Name: "Quarry Lane Realty", MicrosoftID: "4a7b3e91-d650-4c2f-8b14-a3f0967c2e5d", Paused: true, Onboarded: ago(733 * day)}, 5, 0},
		// Three weeks ago onboarded: all of its history comes from the look back.
		{Tenant{ID: "Sn9Wd4", Name: "Sandoval Engineering", MicrosoftID: "c25e60d8-3f9a-4d17-96b2-58e1f7a40b9c", Onboarded: now.Add(-21 * day).Truncate(time.Hour)}, 0, 5},
		// No incident at all.
		{Tenant{ID: "Wf3Zk8", Name: "Westfield Community Clinic", MicrosoftID: "f7148d2c-a0b5-4e63-8d97-2c6e9b05a3f1", Onboarded: ago(40 * day)}, 0, 0},
	}
}

func demoHistory(r *rand.Rand, tenants []demoTenant, now time.Time) []Incident {
	const past, lookBack = 311, 14
	var list []Incident
	for range past {
		// Not the last hour: there the open ones stand out.
		in := life(r, now.Add(-time.Hour-upTo(r, 730*day-2*time.Hour)), 0)
		in.TenantID = pickDemo(r, tenants, func(t demoTenant) int { return t.past })
		in.WithdrawnAt = time.Time{}
		settle(r, &in, now, false)
		list = append(list, in)
	}
	const newTenant = 6
	for range lookBack {
		in := life(r, tenants[newTenant].Onboarded.Add(upTo(r, 36*time.Hour)), 0)
		in.TenantID, in.Live = tenants[newTenant].ID, false
		in.LiveChangedAt, in.WithdrawnAt = time.Time{}, time.Time{}
		in.OccurredAt = in.CreatedAt.Add(-7*day - upTo(r, 110*day))
		in.RemediatedAt = in.CreatedAt.Add(10*time.Minute + upTo(r, 2*day))
		list = append(list, in)
	}
	for _, open := range []struct {
		tenant            int
		age, until, found time.Duration // until: from now; 0: never. found: after it occurred
		live              bool
	}{
		{0, 10 * time.Minute, 8 * time.Minute, 3 * time.Minute, true},
		{3, 95 * time.Minute, 25 * time.Minute, 6 * time.Minute, true},
		{1, 7 * time.Hour, 2 * time.Hour, 11 * time.Minute, true},
		{6, 3 * day, 0, 26 * day, false},
		{2, 20 * day, 0, 4 * time.Hour, false},
	} {
		in := Incident{ID: uuid(r), TenantID: tenants[open.tenant].ID, CreatedAt: now.Add(-open.age), Live: open.live}
		in.OccurredAt = in.CreatedAt.Add(-open.found)
		if open.until > 0 {
			in.RemediatedAt = now.Add(open.until)
		}
		list = append(list, in)
	}
	return list
}

// demoLife is quicker than life, so that a person who watches sees it end.
func demoLife(r *rand.Rand, created time.Time) Incident {
	in := Incident{ID: uuid(r), CreatedAt: created, Live: true}
	in.OccurredAt = created.Add(-around(r, 4*time.Minute, 0.6))
	in.RemediatedAt = created.Add(time.Minute + upTo(r, 29*time.Minute))
	switch p := r.Float64(); {
	case p < 0.05: // takes a person
		in.RemediatedAt = created.Add(30*time.Minute + upTo(r, 150*time.Minute))
	case p < 0.15: // found by a look back
		in.Live = false
		in.OccurredAt = created.Add(-around(r, 2*day, 1))
	case p < 0.25: // the first judgement was wrong
		in.LiveChangedAt = created.Add(time.Minute + upTo(r, 10*time.Minute))
	case p < 0.26:
		in.WithdrawnAt = created.Add(20*time.Minute + upTo(r, 40*time.Minute))
	}
	return in
}

func pickDemo(r *rand.Rand, tenants []demoTenant, share func(demoTenant) int) string {
	n := r.IntN(100)
	for _, t := range tenants {
		if n -= share(t); n < 0 {
			return t.ID
		}
	}
	return ""
}

func upTo(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Float64() * float64(d))
}
