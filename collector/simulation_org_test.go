package collector_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// The kinds of change whose freshness is measured.
const (
	raised     = "new"
	remediated = "remediated"
	corrected  = "live flag, dwell"
	withdrawn  = "withdrawn"
)

// fact is what the API says of an incident from a moment on.
type fact struct {
	at       time.Time
	kind     string
	listed   bool
	status   string
	live     bool
	hasDwell bool
	dwell    time.Duration
}

// truth is all that the API ever says of an incident.
type truth struct {
	id, tenant        string
	created, occurred time.Time
	facts             []fact // in order
}

// open reports whether the fact is of an incident neither remediated nor closed.
func (f *fact) open() bool {
	return f.listed && f.status != "REMEDIATED" && f.status != "FALSE_POSITIVE"
}

// index is the place of the fact that holds at a time, -1 before the first.
func (tr *truth) index(at time.Time) int {
	for i, f := range slices.Backward(tr.facts) {
		if !f.at.After(at) {
			return i
		}
	}
	return -1
}

func (tr *truth) listed(at time.Time) bool {
	i := tr.index(at)
	return i >= 0 && tr.facts[i].listed
}

// over reports whether the incident was remediated by then.
func (tr *truth) over(at time.Time) bool {
	return slices.ContainsFunc(tr.facts, func(f fact) bool { return !f.at.After(at) && f.status == "REMEDIATED" })
}

// change is a fact that comes while the simulation runs.
type change struct {
	*truth
	index int
}

func (c change) fact() *fact { return &c.facts[c.index] }

// event is what a test does to the organization at a time.
type event struct {
	at time.Time
	do func()
}

// script is an organization and everything that happens in it, known beforehand, so
// that the truth of any moment costs nothing.
type script struct {
	org       *petratest.Organization
	truths    map[string]*truth
	byTenant  map[string][]*truth // by visibility
	byCreated []*truth
	all       []change
	events    []event
	member    map[string][]time.Time // when a tenant came, left, came back, ...
	down      timeSpan               // the outage
	rates     string
}

// timeSpan is when something holds.
type timeSpan struct{ from, to time.Time }

func (s timeSpan) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// life is an incident's life, and another from a moment on, where a test
// corrects it.
type life struct {
	first, then petratest.Incident
	changed     time.Time
}

// newScript makes up the organization of a row. History is [petratest.Random]'s; what
// happens from begun on is made here, so that each kind of change comes often
// enough to be measured.
func newScript(r *row, begun time.Time) *script {
	s := &script{truths: map[string]*truth{}, byTenant: map[string][]*truth{}, member: map[string][]time.Time{}}
	const history = 2 * 365 * 24 * time.Hour
	s.org = petratest.Random(1, petratest.RandomConfig{
		Start: begun, Tenants: r.tenants, Incidents: r.incidents, History: history,
		Open: r.open, OldOpen: r.oldOpen, FalsePositives: 0.05,
	})
	end := begun.Add(r.changes)
	random := rand.New(rand.NewPCG(4, uint64(r.tenants)))
	after := func(median time.Duration) time.Duration {
		spread := math.Exp(max(-2.5, min(2.5, random.NormFloat64())))
		return time.Duration(float64(median) * spread).Truncate(time.Millisecond)
	}
	each := func(mean, margin time.Duration, do func(at time.Time)) {
		for at := begun; mean > 0; {
			at = at.Add(max(time.Second, time.Duration(random.ExpFloat64()*float64(mean)))).Truncate(time.Millisecond)
			if !at.Before(end.Add(-margin)) {
				return
			}
			do(at)
		}
	}
	clip := func(in *petratest.Incident) {
		for _, at := range []*time.Time{&in.RemediatedAt, &in.LiveChangedAt, &in.WithdrawnAt} {
			if !at.Before(end) {
				*at = time.Time{}
			}
		}
	}
	if r.outage[1] > 0 {
		s.down = timeSpan{begun.Add(r.outage[0]), begun.Add(r.outage[1])}
	}

	// Tenants leave, and most come back.
	stay := s.org.Tenants()
	for _, t := range stay {
		s.member[t.ID] = []time.Time{{}}
	}
	random.Shuffle(len(stay), func(i, j int) { stay[i], stay[j] = stay[j], stay[i] })
	ancient := stay[0]
	left, onboarded := 0, 0
	each(r.roam, r.changes/6, func(at time.Time) {
		if len(stay) < 4 {
			return
		}
		t := stay[len(stay)-1]
		stay = stay[:len(stay)-1]
		s.at(at, func() { s.org.RemoveTenant(t.ID) })
		s.member[t.ID] = append(s.member[t.ID], at)
		if left++; left%4 > 0 {
			again := at.Add(10*time.Minute + after(time.Hour))
			if !again.Before(end) {
				return
			}
			s.at(again, func() { s.org.SetTenant(t) })
			s.member[t.ID] = append(s.member[t.ID], again)
		}
	})

	// History as Random made it, ended with the changes.
	var lives []*life
	var restored []*life // nothing more happens to them by itself
	for i, view := range s.org.Incidents(begun) {
		l := &life{}
		s.org.Update(view.ID, func(in *petratest.Incident) {
			if i >= 500 && in.RemediatedAt.After(begun) { // at any time, not only at first
				in.RemediatedAt = begun.Add(time.Duration(random.Float64() * float64(r.changes))).Truncate(time.Millisecond)
			}
			clip(in)
			l.first = *in
		})
		lives = append(lives, l)
		in := &l.first
		future := in.RemediatedAt.After(begun) || in.LiveChangedAt.After(begun) || !in.WithdrawnAt.IsZero()
		if stays := len(s.member[in.TenantID]) == 1; stays && !future && !in.RemediatedAt.IsZero() {
			restored = append(restored, l)
		}
	}
	random.Shuffle(len(restored), func(i, j int) { restored[i], restored[j] = restored[j], restored[i] })
	if r.ancient {
		ancient.Onboarded = begun.Add(-history - time.Hour)
		s.org.SetTenant(ancient)
		in := petratest.Incident{
			ID: "ancient", TenantID: ancient.ID, CreatedAt: begun.Add(-history), OccurredAt: begun.Add(-history - time.Hour),
			RemediatedAt: begun.Add(r.changes * 5 / 6),
		}
		s.org.Add(in)
		lives = append(lives, &life{first: in})
	}

	// New incidents.
	var fresh []*life
	correct := func(l *life, at time.Time) {
		in := &l.first
		if in.RemediatedAt.IsZero() || !at.Before(end) || !in.WithdrawnAt.IsZero() && !at.Before(in.WithdrawnAt) {
			return
		}
		l.changed, l.then = at, *in
		l.then.RemediatedAt = in.RemediatedAt.Add(-in.RemediatedAt.Sub(in.OccurredAt) / 4).Truncate(time.Millisecond)
		s.at(at, func() { s.org.Update(in.ID, func(in *petratest.Incident) { *in = l.then }) })
	}
	add := func(in petratest.Incident, remediation time.Duration) *petratest.Incident {
		in.ID = fmt.Sprintf("new-%05d", len(fresh))
		in.RemediatedAt = in.CreatedAt.Add(remediation)
		if remediation == 0 {
			in.RemediatedAt = time.Time{}
		}
		if p := random.Float64(); p < 0.1 {
			in.LiveChangedAt = in.CreatedAt.Add(after(20 * time.Minute))
		} else if p < 0.15 {
			// Not before it can have been seen.
			in.WithdrawnAt = in.CreatedAt.Add(20*time.Minute + after(time.Hour))
			if in.CreatedAt.Before(s.down.to) && in.WithdrawnAt.After(s.down.from) {
				in.WithdrawnAt = s.down.to.Add(30*time.Minute + after(time.Hour))
			}
		}
		clip(&in)
		l := &life{first: in}
		if random.Float64() < 0.05 {
			correct(l, in.RemediatedAt.Add(after(30*time.Minute)))
		}
		fresh = append(fresh, l)
		return &l.first
	}
	each(r.every, 0, func(at time.Time) {
		u := random.Float64()
		in := petratest.Incident{TenantID: stay[int(u*u*float64(len(stay)))].ID, CreatedAt: at, OccurredAt: at.Add(-after(4 * time.Minute)), Live: true}
		remediation := time.Duration(0) // never
		switch p := random.Float64(); {
		case p < 0.6:
			remediation = after(3 * time.Minute)
		case p < 0.94:
			remediation = after(45 * time.Minute)
		case p < 0.99:
			remediation = after(16 * time.Hour)
		}
		if random.Float64() < 0.05 {
			in.FinalStatus = "FALSE_POSITIVE"
		}
		add(in, remediation)
	})
	each(r.changes/8, r.changes/20, func(at time.Time) {
		status := fmt.Sprintf("NEVER_SEEN_%d", len(fresh))
		add(petratest.Incident{TenantID: stay[0].ID, CreatedAt: at, OccurredAt: at.Add(-time.Hour), OpenStatus: status}, after(3*time.Hour))
	})
	each(r.onboard, max(70*time.Minute, r.changes/8), func(at time.Time) {
		onboarded++
		t := petratest.Tenant{ID: fmt.Sprintf("Onb%03d", onboarded), Name: fmt.Sprintf("Onboarded %d", onboarded), Onboarded: at}
		s.at(at, func() { s.org.SetTenant(t) })
		s.member[t.ID] = []time.Time{at}
		for range 3 + random.IntN(15) { // a look back
			created := at.Add(5*time.Minute + time.Duration(random.Float64()*float64(time.Hour))).Truncate(time.Millisecond)
			add(petratest.Incident{TenantID: t.ID, CreatedAt: created, OccurredAt: created.Add(-after(20 * 24 * time.Hour))}, after(30*time.Minute))
		}
	})
	for _, l := range fresh {
		s.org.Add(l.first)
	}

	// Late changes of what is long settled.
	late := 0
	each(r.late, 0, func(at time.Time) {
		if late == len(restored) {
			return
		}
		l := restored[late]
		late++
		switch late % 4 {
		case 0:
			l.changed, l.then = at, l.first
			l.then.LiveChangedAt = at
			if !l.first.LiveChangedAt.IsZero() { // it was inverted already
				l.then.LiveChangedAt, l.then.Live = time.Time{}, l.first.Live
			}
			s.at(at, func() { s.org.Update(l.first.ID, func(in *petratest.Incident) { *in = l.then }) })
		case 1:
			correct(l, at)
		default:
			s.org.Update(l.first.ID, func(in *petratest.Incident) { in.WithdrawnAt = at })
			l.first.WithdrawnAt = at
		}
	})

	for _, l := range append(lives, fresh...) {
		s.tell(l, begun)
	}
	slices.SortFunc(s.byCreated, func(a, b *truth) int { return a.created.Compare(b.created) })
	for _, list := range s.byTenant {
		slices.SortFunc(list, func(a, b *truth) int { return a.facts[0].at.Compare(b.facts[0].at) })
	}
	slices.SortFunc(s.all, func(a, b change) int { return a.fact().at.Compare(b.fact().at) })
	slices.SortStableFunc(s.events, func(a, b event) int { return a.at.Compare(b.at) })
	s.rates = fmt.Sprintf("%d new (%d tenants onboarded, with a look back), %d other changes, %d tenants left",
		len(fresh), onboarded, len(s.all)-len(fresh), left)
	return s
}

func (s *script) at(at time.Time, do func()) { s.events = append(s.events, event{at, do}) }

// tell works out what the API says in the course of a life.
func (s *script) tell(l *life, begun time.Time) {
	in := &l.first
	tr := &truth{id: in.ID, tenant: in.TenantID, created: in.CreatedAt, occurred: in.OccurredAt}
	times := []time.Time{in.CreatedAt}
	for _, at := range []time.Time{in.RemediatedAt, in.LiveChangedAt, l.changed, in.WithdrawnAt} {
		if at.After(in.CreatedAt) {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, at := range slices.CompactFunc(times, time.Time.Equal) {
		now := in
		if !l.changed.IsZero() && !at.Before(l.changed) {
			now = &l.then
		}
		view, listed := now.At(at)
		f := fact{at: at, listed: listed, status: view.Status, live: view.Live, kind: corrected}
		if m := view.DwellMinutes; m != nil {
			f.hasDwell, f.dwell = true, time.Duration(math.Round(*m*float64(time.Minute)))
		}
		switch {
		case !listed:
			f.kind = withdrawn
		case at.Equal(in.CreatedAt):
			f.kind = raised
		case at.Equal(in.RemediatedAt):
			f.kind = remediated
		}
		if n := len(tr.facts); n > 0 && !tr.facts[n-1].listed {
			break // withdrawn for good
		}
		tr.facts = append(tr.facts, f)
		if at.After(begun) && len(s.member[tr.tenant]) == 1 {
			s.all = append(s.all, change{tr, len(tr.facts) - 1})
		}
	}
	s.truths[tr.id] = tr
	s.byTenant[tr.tenant] = append(s.byTenant[tr.tenant], tr)
	s.byCreated = append(s.byCreated, tr)
}

// reach is the creation of the oldest of the newest 500 incidents that the API
// lists at a time; zero if there are fewer.
func (s *script) reach(at time.Time) time.Time {
	n, _ := slices.BinarySearchFunc(s.byCreated, at, func(tr *truth, at time.Time) int {
		return cmp.Or(tr.created.Compare(at), -1)
	})
	seen := 0
	for _, tr := range slices.Backward(s.byCreated[:n]) {
		if tr.listed(at) {
			if seen++; seen == 500 {
				return tr.created
			}
		}
	}
	return time.Time{}
}

// memberIn reports whether the list held the tenant at any time of a span.
func (s *script) memberIn(tenant string, from, to time.Time) bool {
	times := s.member[tenant]
	for i := 0; i < len(times); i += 2 {
		if times[i].Before(to) && (i+1 == len(times) || times[i+1].After(from)) {
			return true
		}
	}
	return false
}
