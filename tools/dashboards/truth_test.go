package dashboards

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// truth is what the simulator's own incidents add up to, by plain arithmetic.
type truth struct {
	incidents []petratest.View
	tenants   []petratest.Tenant
	at        time.Time
	span      time.Duration
	seam      time.Time // where a backfilled history ends and scrapes follow, if they do
}

// of keeps one tenant's.
func (w truth) of(tenant string) truth {
	w.incidents = slices.DeleteFunc(slices.Clone(w.incidents), func(in petratest.View) bool { return in.TenantID != tenant })
	return w
}

// notOf keeps the others'.
func (w truth) notOf(tenant string) truth {
	w.incidents = slices.DeleteFunc(slices.Clone(w.incidents), func(in petratest.View) bool { return in.TenantID == tenant })
	return w
}

func (w truth) name(id string) string {
	return w.tenants[slices.IndexFunc(w.tenants, func(t petratest.Tenant) bool { return t.ID == id })].Name
}

func (w truth) open() (open []petratest.View) {
	for _, in := range w.incidents {
		if in.DwellMinutes == nil {
			open = append(open, in)
		}
	}
	return open
}

// raised are those of the time range.
func (w truth) raised() (raised []petratest.View) {
	for _, in := range w.incidents {
		if in.CreatedAt.After(w.at.Add(-w.span)) {
			raised = append(raised, in)
		}
	}
	return raised
}

// remediated are those remediated in the time range.
func (w truth) remediated() (done []petratest.View) {
	for _, in := range w.incidents {
		if in.DwellMinutes != nil && in.OccurredAt.Add(dwell(in)).After(w.at.Add(-w.span)) {
			done = append(done, in)
		}
	}
	return done
}

func dwell(in petratest.View) time.Duration {
	return time.Duration(*in.DwellMinutes * float64(time.Minute))
}

func (w truth) within(limit time.Duration) float64 {
	done := w.remediated()
	met := slices.DeleteFunc(slices.Clone(done), func(in petratest.View) bool { return dwell(in) > limit })
	return float64(len(met)) / float64(len(done))
}

// sinceCompromise is of the incident that began first among the open ones.
func (w truth) sinceCompromise() float64 {
	longest := 0.
	for _, in := range w.open() {
		longest = max(longest, w.at.Sub(in.OccurredAt).Seconds())
	}
	return longest
}

func (w truth) worstDwell() map[string]float64 {
	worst := map[string]float64{}
	for _, in := range w.remediated() {
		worst[in.TenantID] = max(worst[in.TenantID], dwell(in).Seconds())
	}
	for _, in := range w.open() {
		worst[in.TenantID] = max(worst[in.TenantID], w.at.Sub(in.OccurredAt).Seconds())
	}
	return worst
}

func (w truth) raisedByTenant() map[string]float64 {
	count := map[string]float64{}
	for _, in := range w.raised() {
		count[in.TenantID]++
	}
	return count
}

// durations are the three intervals, by the panel's name of them and live.
func (w truth) durations() map[string][]float64 {
	all := map[string][]float64{}
	add := func(name string, in petratest.View, d time.Duration) {
		key := name + ", live " + map[bool]string{true: "yes", false: "no"}[in.Live]
		all[key] = append(all[key], max(0, d.Seconds()))
	}
	for _, in := range w.raised() {
		add("Detection", in, in.CreatedAt.Sub(in.OccurredAt))
	}
	for _, in := range w.remediated() {
		add("Remediation", in, in.OccurredAt.Add(dwell(in)).Sub(in.CreatedAt))
		add("Dwell (both)", in, dwell(in))
	}
	return all
}

func quantiles(q float64, of map[string][]float64) map[string]float64 {
	all := map[string]float64{}
	for name, values := range of {
		sorted := slices.Sorted(slices.Values(values))
		rank := q * float64(len(sorted)-1)
		low := int(math.Floor(rank))
		high := min(low+1, len(sorted)-1)
		all[name] = sorted[low] + (rank-float64(low))*(sorted[high]-sorted[low])
	}
	return all
}

// most are the names of the 10 tenants with the largest values. Where the tenth has
// as much as the eleventh, any of them may stand there.
func (w truth) most(values map[string]float64) map[string]float64 {
	sorted := slices.SortedFunc(maps.Keys(values), func(a, b string) int { return int(math.Copysign(1, values[b]-values[a])) })
	top := map[string]float64{}
	for _, id := range sorted[:min(10, len(sorted))] {
		top[w.name(id)] = values[id]
	}
	return top
}

// shares are the parts of the times that are at most the limit.
func shares(limit time.Duration, of map[string][]float64) map[string]float64 {
	all := map[string]float64{}
	for name, values := range of {
		met := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v > limit.Seconds() })
		all[name] = float64(len(met)) / float64(len(values))
	}
	return all
}
