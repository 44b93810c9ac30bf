package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// stateVersion is the version of the state file's format, which docs/state.md
// describes. The version before it is read too, so a new one may add fields but
// not change the meaning of one.
const stateVersion = 1

// snapshotFile is the content of the state file: everything known and counted that
// cannot be derived. It contains no personal data.
type snapshotFile struct {
	Version *int      `json:"version"` // a pointer, since 0 is one
	APIURL  string    `json:"api_url"`
	Written time.Time `json:"written"`
	// Clean says that the shutdown was orderly, so that Spent is complete.
	Clean bool `json:"clean"`
	// Spent are the ends of the last requests of each route, Blocked the ends
	// of the waits that the API asked for.
	Spent   map[petra.Route][]time.Time `json:"spent"`
	Blocked map[petra.Route]time.Time   `json:"blocked"`

	Since        time.Time        `json:"since,omitzero"`
	ListSize     int              `json:"list_size"`
	ListTried    bool             `json:"list_tried"`
	OrgReadFrom  time.Time        `json:"head_from,omitzero"`
	OrgReadWhole bool             `json:"head_whole"`
	Statuses     []string         `json:"statuses"`
	Tenants      []tenantSnapshot `json:"tenants"`

	rejectionsSnapshot
	OfTenants      rejectionsSnapshot `json:"of_tenants,omitzero"`
	Answered       bool               `json:"answered"`
	OrgUnreadable  int                `json:"head_unreadable,omitempty"`
	ListUnreadable int                `json:"list_unreadable,omitempty"`
}

type tenantSnapshot struct {
	petra.Tenant
	Resolved          bool               `json:"resolved"`
	InList            bool               `json:"in_list"`
	Learned           bool               `json:"learned"`
	Lacking           int                `json:"lacking"`
	Warned            bool               `json:"warned"`
	Statuses          []string           `json:"statuses"`
	Up                *bool              `json:"up"`
	Denied            bool               `json:"denied"`
	LastBeforeRefusal time.Time          `json:"last_before_refusal,omitzero"`
	Err               string             `json:"err"`
	Covered           time.Time          `json:"covered,omitzero"`
	CoveredAt         time.Time          `json:"covered_at,omitzero"`
	Whole             time.Time          `json:"whole,omitzero"`
	KnownFrom         time.Time          `json:"known_from,omitzero"`
	Complete          bool               `json:"complete"`
	Truncated         bool               `json:"truncated"`
	Attempted         time.Time          `json:"attempted,omitzero"`
	OrgReadDone       bool               `json:"head_read"`
	FullReadDone      bool               `json:"whole_read"`
	Unreadable        int                `json:"unreadable,omitempty"`
	Incidents         []incidentSnapshot `json:"incidents"`
}

type incidentSnapshot struct {
	ID          string        `json:"id"`
	URL         string        `json:"url,omitempty"` // of an open one only
	CreatedAt   time.Time     `json:"created_at,omitzero"`
	OccurredAt  time.Time     `json:"occurred_at,omitzero"`
	Status      string        `json:"status"`
	Live        bool          `json:"live,omitempty"`
	Dwell       time.Duration `json:"dwell,omitempty"`
	HasDwell    bool          `json:"has_dwell,omitempty"`
	FirstSeen   time.Time     `json:"first_seen"`
	Present     bool          `json:"present,omitempty"`
	Missing     time.Time     `json:"missing,omitzero"`
	Unreachable time.Time     `json:"unreachable,omitzero"`
	Doubts      [2]int        `json:"doubts,omitzero"`
	Listed      bool          `json:"listed,omitempty"`
	// Counted are the observations made, by kind: dwell, detection, remediation.
	Counted [intervals]*observationSnapshot `json:"counted"`
}

type observationSnapshot struct {
	Live     bool          `json:"live,omitempty"`
	Duration time.Duration `json:"duration"`
}

// readState decodes a state file that this or another process wrote for the same
// API.
func readState(content []byte, apiURL string) (*snapshotFile, error) {
	var saved snapshotFile
	if err := json.Unmarshal(content, &saved); err != nil {
		return nil, fmt.Errorf("incomplete state file: %w", err)
	}
	switch v := saved.Version; {
	case v == nil:
		return nil, errors.New("not a state file: it has no version")
	case *v != stateVersion && *v != stateVersion-1:
		return nil, fmt.Errorf("format version %d; this program reads %d and %d", *v, stateVersion-1, stateVersion)
	}
	if config.SameAPI(saved.APIURL) != apiURL {
		return nil, fmt.Errorf("it is for another API, %s; the configured one is %s", saved.APIURL, apiURL)
	}
	return &saved, nil
}

// save returns the content of a state file that restores the store.
func (s *store) save() *snapshotFile {
	s.mu.RLock()
	defer s.mu.RUnlock()
	saved := &snapshotFile{
		Version: new(stateVersion), APIURL: s.cfg.API.URL.String(), Written: clock(),
		Since: s.cfg.Since, ListSize: s.list.size, ListTried: s.list.tried, OrgReadFrom: s.orgRead.from, OrgReadWhole: s.orgRead.all,
	}
	for _, st := range s.statuses.ordered {
		if st.seen && st.label != otherStatus {
			saved.Statuses = append(saved.Statuses, st.label)
		}
	}
	if !s.list.good {
		saved.ListSize = -1
	}
	saved.rejectionsSnapshot, saved.OfTenants = s.rejected.save(), s.list.rejected.save()
	saved.Answered, saved.OrgUnreadable, saved.ListUnreadable = s.answered, s.unreadable, s.list.unreadable
	for _, t := range s.tenants {
		saved.Tenants = append(saved.Tenants, t.save())
	}
	return saved
}

func (t *tenant) save() tenantSnapshot {
	saved := tenantSnapshot{
		Tenant: t.Tenant, Resolved: t.petraIDKnown, InList: t.inList, Learned: t.fromIncident, Lacking: t.listsMissing, Warned: t.warned,
		Up: t.up, Denied: t.refused, LastBeforeRefusal: t.lastBeforeRefusal, Err: t.err,
		Covered: t.reads.last, CoveredAt: t.reads.lastOnAPI, Whole: t.reads.lastFull, KnownFrom: t.reads.knownFrom,
		Complete: t.reads.readiness == complete, OrgReadDone: t.reads.readiness >= partRead, FullReadDone: t.reads.readiness >= gap,
		Truncated: t.reads.truncated, Attempted: t.reads.lastAttempt, Unreadable: t.unreadable,
		Incidents: make([]incidentSnapshot, 0, len(t.incidents)),
	}
	for _, st := range t.statuses {
		if st.label != otherStatus {
			saved.Statuses = append(saved.Statuses, st.label)
		}
	}
	for _, i := range t.incidents {
		saved.Incidents = append(saved.Incidents, i.save())
	}
	return saved
}

func (i *incident) save() incidentSnapshot {
	saved := incidentSnapshot{
		ID: i.ID, CreatedAt: i.CreatedAt, OccurredAt: i.OccurredAt, Status: i.RemediationStatus, Live: i.Live,
		Dwell: i.Dwell, HasDwell: i.HasDwell, FirstSeen: i.firstSeen, Present: i.present,
		Missing: i.missing, Unreachable: i.unreachable, Listed: i.listed, Doubts: i.doubts,
	}
	if i.open() {
		saved.URL = i.url
	}
	for kind, o := range i.counted {
		if o.done {
			saved.Counted[kind] = &observationSnapshot{o.live, o.duration}
		}
	}
	return saved
}

// readiness is how much was known of the tenant.
func (t *tenantSnapshot) readiness() readiness {
	switch {
	case t.Complete:
		return complete
	case t.FullReadDone:
		return gap
	case t.OrgReadDone:
		return partRead
	}
	return unread
}

// load fills a new store, before it is configured, from a state file. No time may
// be in the future, since the clock may have been set back. Each gets a monotonic
// reading, so that setting the clock later makes nothing stale.
func (s *store) load(saved *snapshotFile) {
	now := clock()
	past := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return now.Add(min(0, t.Sub(now)))
	}
	s.cfg = &config.Config{Since: saved.Since}
	s.list.tried, s.list.good, s.list.size = saved.ListTried, saved.ListSize >= 0, max(0, saved.ListSize)
	s.orgRead = coverage{from: saved.OrgReadFrom, all: saved.OrgReadWhole}
	for _, label := range saved.Statuses {
		s.statuses.ordered = append(s.statuses.ordered, &status{label: label, seen: true})
	}
	s.rejected.load(saved.rejectionsSnapshot)
	s.list.rejected.load(saved.OfTenants)
	s.answered, s.unreadable, s.list.unreadable = saved.Answered, saved.OrgUnreadable, saved.ListUnreadable
	for _, st := range saved.Tenants {
		t := &tenant{
			Tenant: st.Tenant, petraIDKnown: st.Resolved, inList: st.InList, fromIncident: st.Learned, listsMissing: st.Lacking, warned: st.Warned,
			up: st.Up, refused: st.Denied, lastBeforeRefusal: past(st.LastBeforeRefusal), err: st.Err,
			reads: reads{
				readiness: st.readiness(), last: past(st.Covered), lastOnAPI: st.CoveredAt, lastFull: past(st.Whole),
				lastAttempt: past(st.Attempted), knownFrom: st.KnownFrom, truncated: st.Truncated,
			},
			unreadable: st.Unreadable,
			incidents:  make(map[string]*incident, len(st.Incidents)),
		}
		for _, label := range st.Statuses {
			t.statuses = append(t.statuses, &status{label: label})
		}
		for _, si := range st.Incidents {
			i := &incident{
				Incident: petra.Incident{
					ID: si.ID, URL: si.URL, CreatedAt: si.CreatedAt, OccurredAt: si.OccurredAt,
					RemediationStatus: si.Status, Live: si.Live, Dwell: si.Dwell, HasDwell: si.HasDwell,
				},
				url: si.URL, firstSeen: past(si.FirstSeen), present: si.Present,
				missing: past(si.Missing), unreachable: past(si.Unreachable), listed: si.Listed, doubts: si.Doubts,
			}
			for kind, o := range si.Counted {
				if o != nil {
					i.counted[kind] = observation{true, o.Live, o.Duration}
				}
			}
			t.incidents[i.ID] = i
		}
		s.tenants[t.ID] = t
	}
}
