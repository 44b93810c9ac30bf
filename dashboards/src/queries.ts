// PromQL that the panels share.
//
// Each expression takes away the labels of the target first (max by ...), so that
// a second exporter or Prometheus server doubles nothing. What is not known has no
// series in petra_exporter; nothing here turns "not known" into 0.

/** Labels of the chosen exporters. */
export const exporter = 'job=~"$job",instance=~"$instance"';
/** Labels of the chosen tenants, as the chosen exporters know them. */
export const tenants = `${exporter},tenant_id=~"$tenant"`;

const day = 86400;

/** A metric with several matchers more, one value for each of the labels. */
export function known(metric: string, by: string, more = ""): string {
  return `max by (${by}) (${metric}{${tenants}${more}})`;
}

// Survives a rename (two names for some minutes) and a second exporter.
const names = label("tenant", "$1", "tenant_name", "(.+)",
  label("tenant", "$1", "tenant_id", "(.*)",
    `topk by (tenant_id) (1, max by (tenant_id, tenant_name) (petra_tenant_info{${tenants}}))`));

/** The tenants to choose from: those of now, and those of the last day. */
export const tenantChoice = `query_result(max by (tenant, tenant_id) (${
  label("tenant", "$1", "tenant_name", "(.+)", label("tenant", "$1", "tenant_id", "(.*)",
    `topk by (tenant_id) (1, max by (tenant_id, tenant_name) (petra_tenant_info{${exporter}} or on (tenant_id) last_over_time(petra_tenant_info{${exporter}}[1d])))`))
}))`;

/** label_replace, with what is changed at the end. */
export function label(to: string, replacement: string, from: string, regex: string, expr: string): string {
  return `label_replace(${expr}, "${to}", "${replacement}", "${from}", "${regex}")`;
}

/** Adds the label tenant: its name, or its ID where the name is not known. */
export function named(expr: string): string {
  return `(${expr}) * on (tenant_id) group_left (tenant) ${names} or on (tenant_id) ${label("tenant", "$1", "tenant_id", "(.*)", expr)}`;
}

/**
 * Tenants whose incidents are not known, or were not read for 5 minutes. Those of the
 * last hour count: an exporter that has died takes its tenants along.
 */
export const unreadTenants = `group by (tenant_id) (last_over_time(petra_tenant_info{${tenants}}[1h]) or petra_tenant_up{${tenants}})
unless on (tenant_id) (
  ${known("petra_open_incidents", "tenant_id")}
  and on (tenant_id) ${known("petra_tenant_last_refresh_timestamp_seconds", "tenant_id")} > time() - 300
  unless on (tenant_id) max by (tenant_id) (max_over_time(petra_tenant_up{${tenants}}[5m])) == 0
)`;

/** Open incidents, each with the time when it was raised. */
export const openCreated = known("petra_open_incident_created_timestamp_seconds", "tenant_id, incident_id");
export const openOccurred = known("petra_open_incident_occurred_timestamp_seconds", "tenant_id, incident_id");

/** Open incidents by tenant. Before a tenant was read in full: those seen so far, at least one. */
export const openByTenant = `max by (tenant_id) (sum without (live) (petra_open_incidents{${tenants}})) or on (tenant_id) count by (tenant_id) (${openCreated})`;

/** Open incidents in all; no series where nothing is known. */
export const open = `sum(${openByTenant})`;

/** Tenants whose monitoring is paused in Petra: no incident of theirs is raised. */
export const paused = `sum(${known("petra_tenant_paused", "tenant_id")})`;

/** Elements of the API's last answers that belong to no incident and no tenant. */
export const unreadable = `max(petra_incidents_unreadable{${exporter}})`;

/**
 * One series with the label state, a sentence, and the value 0 (calm), 0.5 (calm, but
 * for paused tenants), 1 (open) or 2 (not known). Calm is only where each exporter
 * answers, each tenant is known and was read, and each incident could be read.
 */
export const state = [
  label("state", "$1 tenants not read", "state", "(.*)",
    `label_join(2 * count_values("open", ${open} > 0) * on () group_left (unread) count_values("unread", count(${unreadTenants})), "state", " open, unknown: ", "open", "unread")`),
  label("state", "unknown: $1 tenants not read", "unread", "(.*)", `2 * count_values("unread", count(${unreadTenants}))`),
  label("state", "$1 open", "open", "(.*)", `count_values("open", ${open} > 0)`),
  label("state", "unknown: $1 jobs without an exporter", "jobs", "(.*)", `2 * count_values("jobs", count(max by (job) (up{${exporter}}) == 0))`),
  label("state", "unknown: $1 incidents cannot be read", "unreadable", "(.*)", `2 * count_values("unreadable", ${unreadable} > 0)`),
  label("state", "nothing open, $1 tenants paused", "paused", "(.*)", `0.5 * count_values("paused", ${paused} > 0) and on () ${open}`),
  label("state", "nothing open", "", "", `0 * ${open}`),
  label("state", "unknown: no tenant is read", "", "", "vector(2)"),
].join("\nor on ()\n");

/** The table of open incidents: its first query has all labels, the second the dwell so far. */
export const openTable = [
  named(`(time() - ${openCreated})
  * on (tenant_id, incident_id) group_left (remediation_status, url)
    topk by (tenant_id, incident_id) (1, max by (tenant_id, incident_id, remediation_status, url) (petra_open_incident_info{${tenants}}))
  * on (tenant_id, incident_id) group_left (live)
    ${live(`count_values by (tenant_id, incident_id) ("live", ${known("petra_open_incident_live", "tenant_id, incident_id")})`)}`),
  `time() - ${openOccurred}`,
];

/** Says yes or no in the label live. */
export function live(expr: string): string {
  return label("live", "yes", "live", "1|true", label("live", "no", "live", "0|false", expr));
}

// Recent incidents within the dashboard's time range, and within recent_window.
const created = "petra_recent_incident_created_timestamp_seconds";
const occurred = "petra_recent_incident_occurred_timestamp_seconds";
const dwellTime = "petra_recent_incident_dwell_time_seconds";
const incident = "tenant_id, incident_id";

/** When the incidents that were raised in the time range were raised. */
export const raised = `${known(created, incident)} > time() - $__range_s`;

/** Compromise to remediation, of what was remediated in the time range. */
export const dwell = `(${known(dwellTime, `${incident}, live`)}
unless on (tenant_id, incident_id) ${known(occurred, incident)} + ${known(dwellTime, incident)} <= time() - $__range_s)`;

/** Compromise to the raising of the incident, of what was raised in the time range. */
export const detection = `(clamp_min(${known(created, `${incident}, live`)} - ${known(occurred, `${incident}, live`)}, 0)
and on (tenant_id, incident_id) ${raised})`;

/** Raising of the incident to its remediation, of what was remediated in the time range. */
export const remediation = `clamp_min(${dwell} + ${known(occurred, `${incident}, live`)} - ${known(created, `${incident}, live`)}, 0)`;

/** One row for each interval that is measured, split by live. */
export function durations(aggregate: (times: string) => string): string {
  return live([["Detection", detection], ["Remediation", remediation], ["Dwell (both)", dwell]]
    .map(([name, times]) => label("measure", name, "", "", aggregate(times)))
    .join("\nor\n"));
}

/** Share of what was remediated in the time range with a dwell time of at most so many seconds. */
export function within(seconds: string, by = ""): string {
  return `avg${by} (max by (tenant_id, incident_id, live) (${dwell}) <= bool ${seconds})`;
}

/** New incidents by tenant in the time range, 0 where there was none. */
export const raisedByTenant = `count by (tenant_id) (${raised}) or on (tenant_id) 0 * ${known("petra_open_incidents", "tenant_id")}`;

/** The longest dwell by tenant: of what was remediated in the time range, or is open. */
export const worstDwell = `max by (tenant_id) (max by (tenant_id, incident_id) (${dwell}) or time() - ${openOccurred})`;

// The end of the time range is cut down to the panel's step. What is known up to a
// step later decides, so that bars reach until now, and from the first scrape on.
const atEnd = "[$__interval] @ end() offset -$__interval";

/**
 * New incidents in each step, from what is known at the end of the time range: the
 * past of the recent incidents, without a stored history. It begins 30 days before
 * the end, as recent_window does.
 */
export const newPerStep = `(
  count(max by (tenant_id, incident_id) (last_over_time(${created}{${tenants}}${atEnd})) >= time() < time() + $__interval_ms / 1000)
  or on () 0 * sum(last_over_time(petra_open_incidents{${tenants}}${atEnd}))
)
and on () time() > max(last_over_time(petra_api_last_success_timestamp_seconds{${exporter},route="incidents"}${atEnd})) - ${30 * day}`;

// What is scraped has a sample every few seconds; what petra_exporter backfill has
// written has one an hour, and of a histogram one in three hours where nothing happens,
// all on full hours of UTC. Grafana asks for points on full steps of the browser's
// time zone: an instant there finds nothing of it. So the panels that count the past
// look at what was there at each full three hours of UTC, the last one before a point.
// A subquery of that resolution reads no more than instants do, and what is not known
// then stays so: [3h] without it would take five times as long, and prolong by three
// hours what is gone.
const threeHourly = (expr: string, back = "") => `last_over_time((${expr})[3h:3h]${back})`;

/** Whether three hours were backfilled, with a sample in each hour, and not scraped. */
const wasBackfilled = (back = "") =>
  `count_over_time((group(petra_incidents_raised_total{${exporter}}) unless group(petra_exporter_build_info{${exporter}}))[3h:1h]${back}) >= 3`;

/**
 * What counters have grown by in each step, by tenant. One that was not known a step
 * ago (after a cold start, or before the first scrape) adds nothing, instead of its
 * history. But a backfilled series begins where it is no longer 0: one that was not
 * there then was 0, if the tenant was there, or is in the backfilled history too.
 */
function grown(metric: string, by: string, step: string): string {
  const counter = `max by (${by}) (${metric})`;
  const tenant = known("petra_incidents_raised_total", "tenant_id");
  const back = ` offset ${step}`;
  return `(
  clamp_min(${threeHourly(counter)} - ${threeHourly(counter, back)}, 0)
  or ${threeHourly(counter)} and on () ${wasBackfilled(back)}
    and on (tenant_id) (${threeHourly(tenant, back)} or ${threeHourly(tenant)} and on () ${wasBackfilled()})
)`;
}

function remediatedIn(step: string, more = ""): string {
  return grown(`petra_incident_dwell_time_seconds_bucket{${tenants}${more}}`, "tenant_id, live, le", step);
}

/** How many incidents were remediated in each step, by the buckets of their dwell time. */
export const remediatedPerStep = `sum by (le) (${remediatedIn("$__interval")})`;

/** Share of what was remediated in 7 days with a dwell time within the bucket le. */
export function trend(le: number): string {
  return `sum(${remediatedIn("7d", `,le=~"${le}([.]0)?"`)}) / (sum(${remediatedIn("7d", ',le="+Inf"')}) > 0)`;
}

/** How many incidents were raised in each step. */
export const raisedPerStep = `sum(${grown(`petra_incidents_raised_total{${tenants}}`, "tenant_id", "$__interval")})`;

/**
 * Open incidents in all over time. Before the first scrape: as the full hour had it, in
 * a backfilled history. An exporter that is gone was scraped: it leaves a gap.
 */
export const openOverTime = `${open}
or on () (
  last_over_time(sum(max by (tenant_id) (sum without (live) (petra_open_incidents{${tenants}})))[1h:1h])
  unless on () max(last_over_time(petra_exporter_build_info{${exporter}}[1h]))
)`;
