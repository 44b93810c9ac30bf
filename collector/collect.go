package collector

import (
	"cmp"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/client_golang/prometheus"
)

// recentIncident is a candidate for series of its own.
type recentIncident struct {
	tenant     string
	incident   *incident
	remediated bool // in the window
}

// rows are samples by metric, to be sent metric by metric as they are encoded:
// sent tenant by tenant as they are found, they would be scattered in memory.
type rows struct {
	samples    map[desc][]row
	histograms [intervals][2][]*histogram
	snapshots  []prometheus.Metric // of the histograms, which go on counting
}

type row struct {
	value  float64
	labels []string
}

func (r *rows) add(d desc, value float64, labels ...string) {
	r.samples[d] = append(r.samples[d], row{value, labels})
}

func (r *rows) send(ch chan<- prometheus.Metric) {
	for d, samples := range r.samples {
		for _, s := range samples {
			ch <- d.sample(s.value, s.labels...)
		}
	}
	for _, s := range r.snapshots {
		ch <- s
	}
}

// gather returns everything that is known and fresh. The three kinds of series
// (single facts, counts and recent incidents) differ in what must be known before
// they are true.
func (s *store) gather(now time.Time) *rows {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := &rows{samples: map[desc][]row{}}
	states := map[string]int{}
	var recent []recentIncident
	for _, t := range s.collected() {
		state := s.state(t, now)
		states[state]++
		s.collectTenant(out, t)
		if !s.canPublish(t) {
			continue
		}
		s.collectFacts(out, t, now)
		if state == stateComplete {
			s.collectCounts(out, t)
		}
		recent = s.recentOf(recent, t, state, now)
	}
	for _, state := range []string{stateComplete, statePending, stateStale} {
		out.add(tenantsDesc, float64(states[state]), state)
	}
	for _, st := range s.statuses.ordered {
		out.add(statusInfoDesc, 1, st.label, st.meaning)
	}
	for _, reason := range petra.Reasons(petra.RouteIncidents) {
		out.add(rejectedDesc, float64(s.rejected.counts[reason]), string(reason))
	}
	for _, reason := range petra.Reasons(petra.RouteTenants) {
		out.add(tenantsRejectedDesc, float64(s.list.rejected.counts[reason]), string(reason))
	}
	if s.answered {
		out.add(unreadableDesc, float64(s.unreadableNow()))
	}
	s.collectRecent(out, recent)
	for _, byLive := range out.histograms {
		for _, histograms := range byLive {
			for _, h := range histograms {
				out.snapshots = append(out.snapshots, h.snapshot())
			}
		}
	}
	return out
}

// collectTenant publishes everything about the tenant except its incidents. An
// unresolved Microsoft ID, or an ID that the organization does not have, only gets
// petra_tenant_up 0.
func (s *store) collectTenant(out *rows, t *tenant) {
	unknownID := s.unknownID(t)
	if unknownID {
		out.add(tenantUpDesc, 0, t.ID)
	} else if t.up != nil {
		out.add(tenantUpDesc, boolValue(*t.up), t.ID)
	}
	if unknownID || !t.petraIDKnown && config.IsMicrosoftID(t.ID) {
		return
	}
	if t.petraIDKnown {
		out.add(tenantInfoDesc, 1, t.ID, labelValue(t.Name), labelValue(t.MicrosoftID))
	}
	if t.inList {
		out.add(tenantPausedDesc, boolValue(t.Paused), t.ID)
	}
	if !t.Onboarded.IsZero() {
		out.add(tenantOnboardedDesc, seconds(t.Onboarded), t.ID)
	}
	if !t.reads.last.IsZero() {
		out.add(tenantLastRefreshDesc, seconds(t.reads.last), t.ID)
	}
	if !t.reads.lastFull.IsZero() {
		out.add(tenantLastFullReadDesc, seconds(t.reads.lastFull), t.ID)
		out.add(tenantTruncatedDesc, boolValue(t.reads.truncated), t.ID)
	}
}

// collectFacts publishes single facts: each is true as soon as an answer contained
// the incident. For a stale tenant whose own reads are refused, it publishes only
// those that organization reads reach.
func (s *store) collectFacts(out *rows, t *tenant, now time.Time) {
	stale := t.stale(now, s.cfg.MaxStaleness)
	var last time.Time
	for _, i := range t.incidents {
		if !i.present || stale && !s.reachedByOrgRead(t, i, now) {
			continue
		}
		if i.CreatedAt.After(last) {
			last = i.CreatedAt
		}
		if !i.listed {
			continue
		}
		out.add(openInfoDesc, 1, t.ID, i.ID, i.status.label, i.url, labelValue(i.UserPrincipalName))
		out.add(openLiveDesc, boolValue(i.Live), t.ID, i.ID)
		out.add(openCreatedDesc, seconds(i.created()), t.ID, i.ID)
		if !i.OccurredAt.IsZero() {
			out.add(openOccurredDesc, seconds(i.OccurredAt), t.ID, i.ID)
		}
	}
	if !last.IsZero() {
		out.add(lastIncidentDesc, seconds(last), t.ID)
	}
}

// reachedByOrgRead reports whether organization reads contain the incident of a
// tenant whose own reads are refused.
func (s *store) reachedByOrgRead(t *tenant, i *incident, now time.Time) bool {
	fresh := now.Sub(t.reads.last) <= s.cfg.MaxStaleness
	return t.refused && fresh && s.orgRead.reaches(i.CreatedAt)
}

// collectCounts publishes what is true only once all of a tenant's incidents
// are known, zeros included.
func (s *store) collectCounts(out *rows, t *tenant) {
	type key struct {
		status string
		live   bool
	}
	incidents := map[key]int{}
	zero := func(status string) {
		incidents[key{status, false}] += 0
		incidents[key{status, true}] += 0
	}
	for _, status := range s.cfg.RemediatedStatuses {
		st, ok := s.statuses.byLabel[labelValue(status)]
		if ok {
			zero(st.label)
		}
	}
	for _, st := range t.statuses {
		zero(st.label)
	}
	var open [2]int
	var unlisted int
	var oldest time.Time
	for _, i := range t.incidents {
		if !i.present {
			continue
		}
		incidents[key{i.status.label, i.Live}]++
		if !i.open() {
			continue
		}
		open[index(i.Live)]++
		if !i.listed {
			unlisted++
		}
		if created := i.created(); oldest.IsZero() || created.Before(oldest) {
			oldest = created
		}
	}
	for k, n := range incidents {
		out.add(incidentsDesc, float64(n), t.ID, k.status, boolLabel(k.live))
	}
	for _, live := range []bool{false, true} {
		out.add(openIncidentsDesc, float64(open[index(live)]), t.ID, boolLabel(live))
	}
	out.add(openUnlistedDesc, float64(unlisted), t.ID)
	out.add(raisedDesc, float64(len(t.incidents)), t.ID)
	if !oldest.IsZero() {
		out.add(oldestOpenDesc, seconds(oldest), t.ID)
	}
	for kind, byLive := range t.histograms {
		for live, histogram := range byLive {
			out.histograms[kind][live] = append(out.histograms[kind][live], histogram)
		}
	}
}

// recentOf adds a tenant's recent incidents once the whole window is known: an
// organization read that reaches back that far knows the incidents raised in it,
// and a full read also those remediated in it.
func (s *store) recentOf(recent []recentIncident, t *tenant, state string, now time.Time) []recentIncident {
	from := now.Add(-s.cfg.RecentWindow)
	reached := !t.reads.last.IsZero() && t.reads.knownFrom.Before(from) && !t.stale(now, s.cfg.MaxStaleness)
	if s.cfg.RecentWindow == 0 || state != stateComplete && !reached {
		return recent
	}
	for _, i := range t.incidents {
		if !i.present {
			continue
		}
		raised, remediated := i.recent(from, now)
		if raised || remediated && state == stateComplete {
			recent = append(recent, recentIncident{t.ID, i, remediated})
		}
	}
	return recent
}

// collectRecent publishes the newest of the recent incidents.
func (s *store) collectRecent(out *rows, recent []recentIncident) {
	unlisted := max(0, len(recent)-s.cfg.MaxRecentIncidents)
	if unlisted > 0 {
		slices.SortFunc(recent, func(a, b recentIncident) int {
			return cmp.Or(b.incident.created().Compare(a.incident.created()), cmp.Compare(a.incident.ID, b.incident.ID))
		})
		recent = recent[:s.cfg.MaxRecentIncidents]
	}
	out.add(recentUnlistedDesc, float64(unlisted))
	for _, r := range recent {
		i := r.incident
		labels := []string{r.tenant, i.ID, boolLabel(i.Live)}
		if !i.CreatedAt.IsZero() {
			out.add(recentCreatedDesc, seconds(i.CreatedAt), labels...)
		}
		if !i.OccurredAt.IsZero() {
			out.add(recentOccurredDesc, seconds(i.OccurredAt), labels...)
		}
		if r.remediated {
			out.add(recentDwellDesc, i.Dwell.Seconds(), labels...)
		}
		out.add(recentFirstSeenDesc, seconds(i.firstSeen), labels...)
	}
}
