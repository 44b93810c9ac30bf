package collector

import (
	"net/url"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// tenant is the state of one tenant. Times are starts of requests on our clock,
// with its monotonic reading: an answer is at least as new as that.
type tenant struct {
	// Tenant.ID is the Petra ID or, for a configured tenant that is not
	// resolved yet, its configured spelling as folded by config.TenantKey.
	petra.Tenant
	configured   bool   // the configuration names it
	configuredID string // as spelled there
	petraIDKnown bool   // the list or an incident has shown that ID is its Petra ID
	inList       bool   // in the last good lists, at most two in a row without it
	fromIncident bool   // from an incident, before the first good list
	listsMissing int    // good lists in a row without it
	warned       bool   // that it is not in the organization

	incidents  map[string]*incident // by ID; all that were ever counted
	statuses   []*status            // that it has had
	histograms histograms

	up      *bool // whether the last request that concerned it succeeded
	refused bool  // its own full read was answered with 403 or 404
	err     string

	covered   time.Time // the last answer that contained its newest incidents
	coveredAt time.Time // the same on the API's clock
	whole     time.Time // the last full read
	knownFrom time.Time // everything created after it is known; zero: everything
	complete  bool      // read in full, and no gap since
	truncated bool      // its last full read was truncated
	attempted time.Time // the last try at a full read

	orgReadDone, fullReadDone bool // its first organization read and its first full read are done

	unreadable int // elements of its last full read that could not be assigned
}

// incident is the state of one incident.
type incident struct {
	petra.Incident // without Tenant
	status         *status
	url            string    // empty unless a page can be opened with it
	firstSeen      time.Time // when this exporter first saw it
	present        bool      // in the API's answers, as far as is known
	missing        time.Time // the first of the answers in a row that should have contained it
	unreachable    time.Time // open, but older than a truncated full read reaches, since then
	listed         bool      // among the open incidents with series of their own
	// doubts is how many elements could not be assigned in the last organization
	// read and in the last full read that contained the incident: an answer with
	// more of them is no evidence that it is gone.
	doubts [2]int
	// counted is what the histograms have of it: an incident is counted once,
	// even if the API later corrects it.
	counted [intervals]observation
}

// observation is what a histogram observed.
type observation struct {
	done, live bool
	duration   time.Duration
}

// created is the creation time of the incident or, if the API gives no usable one,
// when this exporter first saw it.
func (i *incident) created() time.Time {
	if i.CreatedAt.IsZero() {
		return i.firstSeen
	}
	return i.CreatedAt
}

func (i *incident) open() bool {
	return i.present && config.IsOpen(i.status.meaning)
}

func (i *incident) remediated() bool {
	return i.status.meaning == config.Remediated
}

// recent reports whether the incident was raised, or remediated, in the window
// that begins at from.
func (i *incident) recent(from, now time.Time) (raised, remediated bool) {
	in := func(t time.Time) bool { return !t.Before(from) && !t.After(now.Add(time.Hour)) }
	// Without a usable time, only an incident that is not over counts as new.
	raised = in(i.created()) && (!i.CreatedAt.IsZero() || !i.remediated())
	if i.remediated() && i.HasDwell {
		at, ok := i.RemediatedAt()
		remediated = in(at) || raised && (!ok || at.After(now))
	}
	return raised, remediated
}

// update applies what the API now says. A time that has become unusable keeps its
// last value.
func (i *incident) update(told petra.Incident, status *status, keepUser bool) {
	told.Tenant = petra.Tenant{}
	if told.CreatedAt.IsZero() {
		told.CreatedAt = i.CreatedAt
	}
	if told.OccurredAt.IsZero() {
		told.OccurredAt = i.OccurredAt
	}
	if !keepUser {
		told.UserPrincipalName = ""
	}
	i.Incident, i.status, i.url = told, status, pageURL(told.URL)
	i.present = true
	i.missing, i.unreachable = time.Time{}, time.Time{}
}

// pageURL returns the address if a browser can open it, else an empty string.
func pageURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || labelValue(address) != address {
		return ""
	}
	return address
}

// count observes intervals of the incident that are now known and not counted yet.
// If exemplar is set, the observations carry the incident's ID.
func (t *tenant) count(i *incident, exemplar bool) {
	occurred, created := i.OccurredAt, i.CreatedAt
	if !occurred.IsZero() && !created.IsZero() {
		t.observe(i, detection, created.Sub(occurred), exemplar)
	}
	if !i.remediated() || !i.HasDwell {
		return
	}
	t.observe(i, dwell, i.Dwell, exemplar)
	if at, ok := i.RemediatedAt(); ok && !created.IsZero() {
		t.observe(i, remediation, at.Sub(created), exemplar)
	}
}

// observe counts a duration once; a negative one (clocks differ) counts as zero.
func (t *tenant) observe(i *incident, kind interval, d time.Duration, exemplar bool) {
	o := &i.counted[kind]
	if o.done {
		return
	}
	*o = observation{done: true, live: i.Live, duration: max(0, d)}
	id := ""
	if exemplar {
		id = i.ID
	}
	t.histograms.of(kind, o.live).observe(o.duration, id)
}

// stale reports whether the tenant's data is too old to be published. While its
// own reads are refused, only they count: a truncated organization read does not
// reach its older incidents.
func (t *tenant) stale(now time.Time, most time.Duration) bool {
	basis := t.covered
	if t.refused {
		basis = t.whole
	}
	return now.Sub(basis) > most
}

// mark records the result of the last request that concerned the tenant.
func (t *tenant) mark(up bool) {
	t.up = &up
}
