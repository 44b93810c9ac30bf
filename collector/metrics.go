package collector

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// desc is a metric's descriptor with its type, so that a sample is one line.
type desc struct {
	*prometheus.Desc
	valueType prometheus.ValueType
}

// descs are all descriptors of this file, for Describe.
var descs []desc

func gauge(name, help string, labels ...string) desc {
	return newDesc(prometheus.GaugeValue, name, help, labels)
}

func counter(name, help string, labels ...string) desc {
	return newDesc(prometheus.CounterValue, name, help, labels)
}

func newDesc(valueType prometheus.ValueType, name, help string, labels []string) desc {
	d := desc{prometheus.NewDesc(name, help, labels, nil), valueType}
	descs = append(descs, d)
	return d
}

func (d desc) sample(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d.Desc, d.valueType, value, labels...)
}

// The state of the tenants.
var (
	tenantsDesc            = gauge("petra_tenants", "Tenants by state: complete (read in full and fresh), pending (not yet read in full), stale (no answer within max_staleness).", "state")
	tenantInfoDesc         = gauge("petra_tenant_info", "Names of a tenant; always 1.", "tenant_id", "tenant_name", "microsoft_tenant_id")
	tenantPausedDesc       = gauge("petra_tenant_paused", "1 while monitoring of the tenant is paused, else 0.", "tenant_id")
	tenantOnboardedDesc    = gauge("petra_tenant_onboarded_timestamp_seconds", "When the tenant was onboarded (onboardingDate). Absent if the API does not say.", "tenant_id")
	tenantUpDesc           = gauge("petra_tenant_up", "1 if the last API request that concerned this tenant succeeded, else 0; 0 for a configured tenant that the organization does not have. Absent before the first.", "tenant_id")
	tenantLastRefreshDesc  = gauge("petra_tenant_last_refresh_timestamp_seconds", "When the tenant's newest incidents were last read. Absent before the first read.", "tenant_id")
	tenantLastFullReadDesc = gauge("petra_tenant_last_full_read_timestamp_seconds", "When the tenant was last read in full. Absent before the first full read.", "tenant_id")
	tenantTruncatedDesc    = gauge("petra_tenant_incidents_truncated", "1 if the tenant's last full read was truncated (500 incidents), so that older ones may be missing, else 0. Absent before the first full read.", "tenant_id")
)

// Totals of a tenant's incidents.
var (
	incidentsDesc      = gauge("petra_incidents", "Incidents that the API returns now, by remediationStatus and isLive. Absent before the tenant's first full read.", "tenant_id", "remediation_status", "live")
	openIncidentsDesc  = gauge("petra_open_incidents", "Incidents that are neither remediated nor closed, by isLive. 0 if there is none; absent while that is not known.", "tenant_id", "live")
	oldestOpenDesc     = gauge("petra_oldest_open_incident_created_timestamp_seconds", "When the oldest open incident was raised (createdAt). Absent if none is open, and before the tenant's first full read.", "tenant_id")
	lastIncidentDesc   = gauge("petra_last_incident_created_timestamp_seconds", "When the newest incident was raised (createdAt). Absent if there is none.", "tenant_id")
	raisedDesc         = counter("petra_incidents_raised_total", "Incidents seen, in all states, each counted once. Absent before the tenant's first full read.", "tenant_id")
	statusInfoDesc     = gauge("petra_remediation_status_info", "Meaning of a remediation status: remediated, closed, open, or unknown (in none of the configured lists, treated as open); always 1.", "remediation_status", "meaning")
	openUnlistedDesc   = gauge("petra_open_incidents_unlisted", "Open incidents without series of their own, beyond max_open_incidents for the tenant or 5000 in total.", "tenant_id")
	recentUnlistedDesc = gauge("petra_recent_incidents_unlisted", "Recent incidents without series of their own, beyond max_recent_incidents.")
)

// Single incidents.
var (
	openInfoDesc        = gauge("petra_open_incident_info", "An open incident; always 1. The url is empty if it is not http(s), the user_principal_name unless open_incident_user is set.", "tenant_id", "incident_id", "remediation_status", "url", "user_principal_name")
	openLiveDesc        = gauge("petra_open_incident_live", "isLive of an open incident as the API states it, 1 or 0.", "tenant_id", "incident_id")
	openOccurredDesc    = gauge("petra_open_incident_occurred_timestamp_seconds", "When the compromise of an open incident happened (occurredAt); time() minus this is its dwell time so far. Absent if the API gives no usable time.", "tenant_id", "incident_id")
	openCreatedDesc     = gauge("petra_open_incident_created_timestamp_seconds", "When an open incident was raised (createdAt) or, if the API gives no usable time, when this exporter first saw it; time() minus this is its age.", "tenant_id", "incident_id")
	recentCreatedDesc   = gauge("petra_recent_incident_created_timestamp_seconds", "When an incident was raised (createdAt); incidents raised or remediated within recent_window.", "tenant_id", "incident_id", "live")
	recentOccurredDesc  = gauge("petra_recent_incident_occurred_timestamp_seconds", "When the compromise happened (occurredAt); incidents raised or remediated within recent_window.", "tenant_id", "incident_id", "live")
	recentDwellDesc     = gauge("petra_recent_incident_dwell_time_seconds", "Time from the compromise to its remediation (dwellTimeMinutes); incidents remediated within recent_window.", "tenant_id", "incident_id", "live")
	recentFirstSeenDesc = gauge("petra_recent_incident_first_seen_timestamp_seconds", "When this exporter first saw an incident, or its creation time if the tenant's first read contained it; incidents raised or remediated within recent_window.", "tenant_id", "incident_id", "live")
)

// The API and the request budget.
var (
	upDesc              = gauge("petra_up", "1 if a request for incidents succeeded in the last refresh that made any, else 0. Absent before the first.")
	lastSuccessDesc     = gauge("petra_api_last_success_timestamp_seconds", "When a request of the route last succeeded; 0 before the first.", "route")
	blockedUntilDesc    = gauge("petra_api_blocked_until_timestamp_seconds", "When the wait that the API asked for (429, or 503 with Retry-After) ends; 0 if the exporter is not waiting.", "route")
	limitDesc           = gauge("petra_api_budget_limit_requests", "Requests allowed in any 60 seconds.", "route")
	remainingDesc       = gauge("petra_api_budget_remaining_requests", "Requests free now; those of the last 60 seconds are spent.", "route")
	stateSavedDesc      = gauge("petra_state_last_save_successful", "1 if the last write of the state file succeeded, else 0. Absent without a state file.")
	stateSuccessDesc    = gauge("petra_state_last_save_success_timestamp_seconds", "When the state file was last written. Absent without a state file.")
	rejectedDesc        = counter("petra_incidents_rejected_total", "Incidents, or fields of them, that the exporter could not use, each counted once per reason while it is remembered.", "reason")
	tenantsRejectedDesc = counter("petra_tenants_rejected_total", "Elements of the list of tenants that the exporter could not use, each counted once while it is remembered.", "reason")
	unreadableDesc      = gauge("petra_incidents_unreadable", "Incidents in the API's last answers without a usable id or tenant. Above 0, incidents may be missing from all metrics, and none counts as withdrawn. Absent before the first answer.")
)

// seconds is a time in Prometheus' unit; the API's times have milliseconds.
func seconds(t time.Time) float64 {
	return float64(t.UnixMilli()) / 1000
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func boolLabel(b bool) string {
	return strconv.FormatBool(b)
}
