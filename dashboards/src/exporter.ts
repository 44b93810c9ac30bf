// For whoever operates petra_exporter.
import { at, colour, dashboard, from, lines, row, stat, steps, table, texts } from "./parts.ts";
import * as q from "./queries.ts";

const minute = 60;
const never = [from(1e9, "never", colour.fault)];
const target = (metric: string, by = "instance", more = "") => `max by (${by}) (${metric}{${q.exporter}${more}})`;
const perMinute = (metric: string, by: string) =>
  `60 * sum by (${by}) (max by (instance, ${by}) (rate(${metric}{${q.exporter}}[$__rate_interval])))`;
// Where it never was: since 1970, which the panels call never.
const since = (metric: string) => `time() - (${q.known(metric, "tenant_id")} or on (tenant_id) 0 * ${q.known("petra_tenant_up", "tenant_id")})`;
const latency = (p: number) =>
  `histogram_quantile(${p}, sum by (route, le) (max by (instance, route, le) (rate(petra_api_request_duration_seconds_bucket{${q.exporter}}[$__rate_interval]))))`;

export const exporter = dashboard("petra-exporter", "Petra: exporter",
  "Whether petra_exporter works, how fresh each tenant is, and what the API's budget is spent on.", "now-6h", "all tenants")
  .withPanel(stat({
    title: "Exporters", description: "Whether Prometheus can scrape each exporter.", pos: at(0, 0, 5, 4), none: "no target",
    colours: steps(colour.fault, [1, colour.calm]), mappings: [texts({ 0: ["down", colour.fault], 1: ["up", colour.calm] })],
    queries: [{ expr: target("up"), legend: "{{instance}}" }],
  }))
  .withPanel(stat({
    title: "Petra's API", description: "Whether a request for incidents succeeded in the last refresh that made any.", pos: at(5, 0, 4, 4), none: "not known",
    colours: steps(colour.fault, [1, colour.calm]), mappings: [texts({ 0: ["failing", colour.fault], 1: ["answers", colour.calm] })],
    queries: [{ expr: `max(petra_up{${q.exporter}})` }],
  }))
  .withPanel(stat({
    title: "Tenants not read", description: "Tenants whose incidents are not known, or that were not read in the last 5 minutes.", pos: at(9, 0, 4, 4), none: "not known", decimals: 0,
    colours: steps(colour.calm, [1, colour.fault]),
    queries: [{ expr: `count(${q.unreadTenants}) or on () 0 * count(${q.known("petra_open_incidents", "tenant_id")})` }],
  }))
  .withPanel(stat({
    title: "Read in full", description: "Share of the tenants that have been read in full and are fresh.", pos: at(13, 0, 4, 4), none: "not known", unit: "percentunit", decimals: 0,
    colours: steps(colour.fault, [1, colour.calm]),
    queries: [{ expr: `sum(${target("petra_tenants", "state", ',state="complete"')}) / (sum(${target("petra_tenants", "state")}) > 0)` }],
  }))
  .withPanel(stat({
    title: "Last good answer", description: "Time since a request for incidents last succeeded.", pos: at(17, 0, 4, 4), none: "not known", unit: "s", decimals: 0,
    colours: steps(colour.calm, [2 * minute, colour.late], [10 * minute, colour.fault]), mappings: never,
    queries: [{ expr: `time() - max(petra_api_last_success_timestamp_seconds{${q.exporter},route="incidents"})` }],
  }))
  .withPanel(stat({
    title: "Free requests", description: "Requests for incidents that the API's budget leaves now, of the exporter that has fewest.", pos: at(21, 0, 3, 4), none: "not known", decimals: 0,
    colours: steps(colour.late, [1, colour.calm]),
    queries: [{ expr: `min(${target("petra_api_budget_remaining_requests", "instance", ',route="incidents"')})` }],
  }))
  .withPanel(table({
    title: "Freshness of each tenant", pos: at(0, 4, 14, 8), none: "No tenant is known.", sort: "Last read",
    description: "When each tenant's newest incidents, and all of them, were last read; the worst first. Answer: whether its last request succeeded. Monitoring: whether Petra watches the tenant.",
    queries: [
      q.named(since("petra_tenant_last_refresh_timestamp_seconds")), since("petra_tenant_last_full_read_timestamp_seconds"),
      q.known("petra_tenant_up", "tenant_id"), q.known("petra_tenant_paused", "tenant_id"),
    ],
    columns: [
      { field: "tenant", name: "Tenant", link: "tenant" },
      { field: "Value #A", name: "Last read", unit: "s", decimals: 0, width: 120, mappings: never, colours: steps("text", [5 * minute, colour.fault]) },
      { field: "Value #B", name: "Last full read", unit: "s", decimals: 0, width: 140, mappings: never },
      { field: "Value #C", name: "Answer", width: 90, mappings: [texts({ 0: ["failed", colour.fault], 1: ["good", colour.calm] })] },
      { field: "Value #D", name: "Monitoring", width: 100, mappings: [texts({ 0: ["on", colour.calm], 1: ["paused", colour.late] })] },
      { field: "tenant_id", name: "ID", width: 100 },
    ],
  }))
  .withPanel(lines({
    title: "Requests by code", description: "Requests per minute to the API, by route and HTTP status; 'error' where no status came.", pos: at(14, 4, 10, 8),
    none: "No request is known.", unit: "reqpm", decimals: 1, queries: [{ expr: `${perMinute("petra_api_requests_total", "route, code")} > 0`, legend: "{{route}} {{code}}" }],
    colours: { "incidents 200": colour.calm, "tenants 200": colour.plain, "incidents 429": colour.late, "incidents 401": colour.open, "incidents error": colour.fault },
  }))
  .withPanel(lines({
    title: "Latency of the API", description: "Median and 95th percentile of the time from a request to the end of its answer.", pos: at(0, 12, 8, 7), none: "No request is known.", unit: "s",
    queries: [{ expr: latency(0.5), legend: "{{route}} P50" }, { expr: latency(0.95), legend: "{{route}} P95" }],
    colours: { "incidents P50": colour.calm, "incidents P95": colour.open, "tenants P50": colour.plain, "tenants P95": colour.late },
  }))
  .withPanel(lines({
    title: "Budget used", description: "Share of the requests that are allowed in any 60 s that are spent, by exporter and route; 100 % means that refreshes wait.", pos: at(8, 12, 8, 7), none: "not known",
    unit: "percentunit", max: 1, decimals: 0,
    queries: [{ expr: `1 - ${target("petra_api_budget_remaining_requests", "instance, route")} / ${target("petra_api_budget_limit_requests", "instance, route")}`, legend: "{{instance}} {{route}}" }],
  }))
  .withPanel(lines({
    title: "Deferred refreshes", description: "Scrapes per minute answered from memory because no API request was allowed: too_soon is normal with two Prometheus servers, no_budget and blocked are not.", pos: at(16, 12, 8, 7),
    none: "not known", decimals: 1, queries: [{ expr: perMinute("petra_refreshes_deferred_total", "reason"), legend: "{{reason}}" }],
    colours: { too_soon: colour.plain, no_budget: colour.late, blocked: colour.fault },
  }))
  .withRow(row("Data", 19))
  .withPanel(lines({
    title: "Full reads", description: "Tenants by state: complete (read in full and fresh), pending (not yet read in full), stale (no answer within max_staleness).", pos: at(0, 20, 8, 7),
    none: "not known", decimals: 0, queries: [{ expr: target("petra_tenants", "state"), legend: "{{state}}" }],
    colours: { complete: colour.calm, pending: colour.late, stale: colour.fault },
  }))
  .withPanel(lines({
    title: "Rejected", description: "Incidents, fields of them, and tenants that could not be used since the exporter started, by reason.", pos: at(8, 20, 8, 7), none: "not known", decimals: 0,
    queries: [
      { expr: target("petra_incidents_rejected_total", "reason"), legend: "{{reason}}" },
      { expr: target("petra_tenants_rejected_total", "reason"), legend: "tenants: {{reason}}" },
    ],
    colours: { no_id: colour.fault, bad_time: colour.late, bad_dwell: colour.open, wrong_tenant: colour.calm, bad_json: colour.other },
  }))
  .withPanel(stat({
    title: "Unreadable", pos: at(16, 20, 3, 7), none: "not known", decimals: 0, colours: steps(colour.plain, [1, colour.fault]),
    description: "Elements of the API's last answers that could not be assigned to an incident and a tenant: incidents among them are neither counted nor paged.",
    queries: [{ expr: q.unreadable }],
  }))
  .withPanel(stat({
    title: "Out of reach", pos: at(19, 20, 5, 7), none: "not known", decimals: 0, colours: steps(colour.plain, [1, colour.late]),
    description: "Tenants with more incidents than the API gives, incidents without series of their own, and statuses that nobody has classified: what the other panels cannot show.",
    queries: [
      { expr: `sum(${q.known("petra_tenant_incidents_truncated", "tenant_id")})`, legend: "truncated tenants" },
      { expr: `max(petra_recent_incidents_unlisted{${q.exporter}})`, legend: "recent, unlisted" },
      { expr: `sum(${q.known("petra_open_incidents_unlisted", "tenant_id")})`, legend: "open, unlisted" },
      { expr: `count(${target("petra_remediation_status_info", "remediation_status", ',meaning="unknown"')}) or on () 0 * max(petra_up{${q.exporter}})`, legend: "unknown statuses" },
    ],
  }))
  .withRow(row("Process", 27))
  .withPanel(stat({
    title: "Configuration", description: "Whether the last load of the configuration succeeded; a bad one leaves the old one in force.", pos: at(0, 28, 4, 7), none: "not known",
    colours: steps(colour.fault, [1, colour.calm]), mappings: [texts({ 0: ["reload failed", colour.fault], 1: ["loaded", colour.calm] })],
    queries: [{ expr: `min(${target("petra_exporter_config_last_reload_successful")})` }],
  }))
  .withPanel(stat({
    title: "State file", description: "Whether the last write of the state file succeeded; without --state.file there is none.", pos: at(4, 28, 4, 7), none: "none known", noneIsWell: true,
    colours: steps(colour.fault, [1, colour.calm]), mappings: [texts({ 0: ["not written", colour.fault], 1: ["written", colour.calm] })],
    queries: [{ expr: `min(${target("petra_state_last_save_successful")})` }],
  }))
  .withPanel(lines({
    title: "Scrapes", description: "How long Prometheus waited for each scrape, with the refresh in it.", pos: at(8, 28, 8, 7), none: "no target", unit: "s",
    queries: [{ expr: target("scrape_duration_seconds"), legend: "{{instance}}" }],
  }))
  .withPanel(lines({
    title: "Scrapes answered with older data", description: "Scrapes per minute whose refresh was not done in time: a longer scrape_timeout helps.", pos: at(16, 28, 8, 7), none: "not known", decimals: 1,
    queries: [{ expr: `60 * ${`max by (instance) (rate(petra_scrapes_deadline_exceeded_total{${q.exporter}}[$__rate_interval]))`}`, legend: "{{instance}}" }],
  }))
  .withPanel(lines({
    title: "Memory", description: "Resident memory of each exporter.", pos: at(0, 35, 12, 7), none: "not known", unit: "bytes",
    queries: [{ expr: target("process_resident_memory_bytes"), legend: "{{instance}}" }],
  }))
  .withPanel(lines({
    title: "Goroutines", description: "Goroutines of each exporter: a number that only grows is a leak.", pos: at(12, 35, 12, 7), none: "not known", decimals: 0,
    queries: [{ expr: target("go_goroutines"), legend: "{{instance}}" }],
  }));
