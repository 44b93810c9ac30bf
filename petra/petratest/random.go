package petratest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// RandomConfig says what Random makes up. At Start exactly Incidents incidents
// are listed, of which exactly Open are open.
type RandomConfig struct {
	Start              time.Time
	Tenants, Incidents int
	History            time.Duration // the span before Start that the incidents lie in; default two years
	Open               int           // incidents open at Start; a third of them stays so for ever
	OldOpen            int           // how many of Open are not among the newest 500
	Every              time.Duration // mean time between two new incidents after Start; 0: none
	Until              time.Time     // no new incidents from then on; zero: no end
	FalsePositives     float64       // share of incidents that end as FALSE_POSITIVE
}

// Random returns an organization that depends on seed and cfg alone, not on when and how
// often it is asked. Most incidents are live and remediated within minutes, some
// take hours or days; some are found by a look back, weeks after they occurred;
// a few change their live flag or are withdrawn.
func Random(seed uint64, cfg RandomConfig) *Organization {
	if cfg.History <= 0 {
		cfg.History = 2 * 365 * 24 * time.Hour
	}
	w := NewOrganization()
	r := newRand(seed, 0)
	tenants := randomTenants(r, cfg)
	if len(tenants) == 0 {
		return w
	}
	incidents := history(r, tenants, cfg)
	first := map[string]time.Time{}
	for _, in := range incidents { // newest first
		first[in.TenantID] = in.CreatedAt
	}
	for _, t := range tenants {
		// Nothing is found in a tenant before it is onboarded.
		if found, ok := first[t.ID]; ok && t.Onboarded.After(found) {
			t.Onboarded = found.Add(-time.Hour)
		}
		w.SetTenant(t)
	}
	w.Add(incidents...)
	if cfg.Every > 0 {
		w.grow = slots(seed, cfg.Start, cfg.Until, time.Minute, func(r *rand.Rand, start time.Time) []Incident {
			var fresh []Incident
			at := start
			for {
				at = at.Add(time.Duration(r.ExpFloat64() * float64(cfg.Every)))
				if at.Sub(start) >= time.Minute {
					return fresh
				}
				in := life(r, at, cfg.FalsePositives)
				in.TenantID = pick(r, tenants)
				fresh = append(fresh, in)
			}
		})
	}
	return w
}

// slots returns a grow function that calls fill once for each span of time
// since start, in order, with a random source of that span's own.
func slots(seed uint64, start, until time.Time, span time.Duration, fill func(*rand.Rand, time.Time) []Incident) func(time.Time) []Incident {
	var next int64
	return func(now time.Time) []Incident {
		var fresh []Incident
		for {
			at := start.Add(time.Duration(next) * span)
			if now.Before(at) || !until.IsZero() && !at.Before(until) {
				return fresh
			}
			next++
			fresh = append(fresh, fill(newRand(seed, uint64(next)), at)...) //nolint:gosec // next is positive
		}
	}
}

// history makes the incidents from before cfg.Start.
func history(r *rand.Rand, tenants []Tenant, cfg RandomConfig) []Incident {
	created := make([]time.Time, cfg.Incidents)
	for i := range created {
		created[i] = cfg.Start.Add(-time.Duration(r.Float64() * float64(cfg.History)))
	}
	slices.SortFunc(created, func(a, b time.Time) int { return b.Compare(a) })
	open := openOnes(r, cfg)
	list := make([]Incident, cfg.Incidents)
	for i, at := range created {
		in := life(r, at, cfg.FalsePositives)
		in.TenantID = pick(r, tenants)
		settle(r, &in, cfg.Start, open[i])
		list[i] = in
	}
	return list
}

// openOnes chooses the open incidents by their place, newest first.
func openOnes(r *rand.Rand, cfg RandomConfig) map[int]bool {
	const head = 500 // what one request of the API reaches
	recent := min(cfg.Incidents, head)
	open := map[int]bool{}
	for _, i := range r.Perm(cfg.Incidents - recent)[:min(cfg.OldOpen, cfg.Incidents-recent)] {
		open[recent+i] = true
	}
	for _, i := range r.Perm(recent)[:min(max(0, cfg.Open-len(open)), recent)] {
		open[i] = true
	}
	return open
}

// settle bends a life so that at start the incident is listed, and is open or not.
func settle(r *rand.Rand, in *Incident, start time.Time, open bool) {
	in.CreatedAt = in.CreatedAt.Truncate(time.Millisecond)
	switch {
	case open && r.Float64() < 1./3:
		in.RemediatedAt = time.Time{}
	case open:
		in.RemediatedAt = start.Add(around(r, 3*time.Hour, 1))
	case in.RemediatedAt.After(start):
		in.RemediatedAt = in.CreatedAt.Add(time.Duration(r.Float64() * float64(start.Sub(in.CreatedAt))))
	}
	if happened(in.WithdrawnAt, start) {
		in.WithdrawnAt = start.Add(around(r, 6*time.Hour, 1))
	}
}

// life decides what becomes of an incident created at a time.
func life(r *rand.Rand, created time.Time, falsePositives float64) Incident {
	in := Incident{ID: uuid(r), CreatedAt: created, Live: true}
	detection := around(r, 4*time.Minute, 0.6)
	var remediation time.Duration
	switch p := r.Float64(); {
	case p < 0.65: // by a machine
		remediation = around(r, 3*time.Minute, 0.9)
	case p < 0.80: // by a person
		remediation = around(r, 45*time.Minute, 1)
	case p < 0.87: // after the weekend
		remediation = around(r, 20*time.Hour, 0.8)
	default: // found by a look back
		in.Live = false
		detection = around(r, 5*24*time.Hour, 1.5)
		remediation = around(r, 30*time.Minute, 1)
	}
	in.OccurredAt = created.Add(-detection)
	in.RemediatedAt = created.Add(remediation)
	if r.Float64() < falsePositives {
		in.FinalStatus = "FALSE_POSITIVE"
	}
	if r.Float64() < 0.05 {
		in.LiveChangedAt = created.Add(around(r, 20*time.Minute, 1))
	}
	if r.Float64() < 0.01 {
		in.WithdrawnAt = created.Add(around(r, 6*time.Hour, 1))
	}
	return in
}

func randomTenants(r *rand.Rand, cfg RandomConfig) []Tenant {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	taken := map[string]bool{}
	tenants := make([]Tenant, cfg.Tenants)
	for i := range tenants {
		id := ""
		for id == "" || taken[id] {
			b := make([]byte, 6)
			for j := range b {
				b[j] = alphabet[r.IntN(len(alphabet))]
			}
			id = string(b)
		}
		name := companyFirst[r.IntN(len(companyFirst))] + companySecond[r.IntN(len(companySecond))] + " " +
			companyTrade[r.IntN(len(companyTrade))]
		for n, base := 2, name; taken[name]; n++ {
			name = fmt.Sprintf("%s %d", base, n)
		}
		taken[id], taken[name] = true, true
		t := Tenant{ID: id, Name: name, MicrosoftID: uuid(r), Paused: r.Float64() < 0.02}
		if onboarded := cfg.Start.Add(-time.Duration(r.Float64() * float64(cfg.History))); r.Float64() < 0.95 {
			t.Onboarded = onboarded.Truncate(time.Millisecond)
		}
		tenants[i] = t
	}
	return tenants
}

// pick chooses a tenant's ID; the first tenants have most of the incidents, and
// of many tenants some have none.
func pick(r *rand.Rand, tenants []Tenant) string {
	u := r.Float64()
	return tenants[int(u*u*float64(len(tenants)))].ID
}

// around draws a duration from a log-normal distribution, at most 40 times
// either side of the median.
func around(r *rand.Rand, median time.Duration, sigma float64) time.Duration {
	spread := math.Exp(max(-3.7, min(3.7, sigma*r.NormFloat64())))
	return time.Duration(float64(median) * spread).Truncate(time.Millisecond)
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>50, b&0xffffffffffff)
}

// newRand gives each part of an organization a source of its own, so that no part
// depends on how much of another was drawn before.
func newRand(seed, part uint64) *rand.Rand {
	// SplitMix64's finish: neighbouring parts start far apart.
	part = (part ^ part>>30) * 0xbf58476d1ce4e5b9
	part = (part ^ part>>27) * 0x94d049bb133111eb
	return rand.New(rand.NewPCG(seed, part^part>>31)) //nolint:gosec // made-up data that must be repeatable
}
