// For the account manager, and for the tenant's own report: one tenant.
import { dwellHeatmap, durationTable, longRun, newCount, newIncidents, openOverTime, openTable, slaLate, statePanel } from "./overview.ts";
import { at, colour, dashboard, ranking, row, stat, steps, table, texts } from "./parts.ts";
import * as q from "./queries.ts";

const minute = 60;
const day = 86400;

const lastRead = (metric: string) => `time() - max(petra_tenant_${metric}_timestamp_seconds{${q.tenants}})`;

export const tenant = dashboard("petra-tenant", "Petra: tenant",
  "One tenant: what is open, its history, its durations against the SLA, and when it was last read. Of petra_exporter.", "now-30d", "one tenant")
  .withPanel(statePanel(at(0, 0, 6, 4)))
  .withPanel(slaLate(at(6, 0, 3, 4)))
  .withPanel(newCount(at(9, 0, 3, 4)))
  .withPanel(stat({
    title: "Remediated in SLA", description: "Of what was remediated in the time range, the share with a dwell time (compromise to remediation) of at most the chosen SLA.",
    pos: at(12, 0, 4, 4), none: "none known", noneIsWell: true, unit: "percentunit", decimals: 0, colours: steps(colour.open, [0.5, colour.late], [0.9, colour.calm]),
    queries: [{ expr: q.within("$sla") }],
  }))
  .withPanel(stat({
    title: "Last read", description: "Time since the exporter last read the tenant's newest incidents.", pos: at(16, 0, 3, 4), none: "never",
    unit: "s", decimals: 0, colours: steps(colour.plain, [5 * minute, colour.fault]), queries: [{ expr: lastRead("last_refresh") }],
  }))
  .withPanel(stat({
    title: "Last full read", description: "Time since the exporter last read all of the tenant's incidents that the API returns.", pos: at(19, 0, 3, 4), none: "never",
    unit: "s", decimals: 0, colours: steps(colour.plain, [day, colour.fault]), queries: [{ expr: lastRead("last_full_read") }],
  }))
  .withPanel(stat({
    title: "Monitoring", description: "Whether Petra watches the tenant, or its monitoring is paused.", pos: at(22, 0, 2, 4), none: "not known",
    colours: steps(colour.plain), mappings: [texts({ 0: ["on", colour.plain], 1: ["paused", colour.late] })],
    queries: [{ expr: `max(petra_tenant_paused{${q.tenants}})` }],
  }))
  .withPanel(openTable(at(0, 4, 15, 8), true))
  .withPanel(durationTable(at(15, 4, 9, 8)))
  .withPanel(newIncidents(at(0, 12, 9, 7)))
  .withPanel(ranking({
    title: "Incidents by status", description: "All of the tenant's incidents that the API gives, by their remediation status.",
    pos: at(9, 12, 6, 7), none: "Not known: the tenant was not read in full.", decimals: 0, colours: steps(colour.plain),
    query: { expr: `sort_desc(sum by (remediation_status) (${q.known("petra_incidents", "tenant_id, remediation_status, live")}))`, legend: "{{remediation_status}}" },
  }))
  .withPanel(table({
    title: "Dwell time longer than the SLA", description: "What was remediated in the time range with a dwell time (compromise to remediation) above the chosen SLA.",
    pos: at(15, 12, 9, 7), none: "No incident is known that took longer than the SLA.", sort: "Dwell",
    queries: [q.live(`max by (incident_id, live) (${q.dwell}) > $sla`)],
    columns: [
      { field: "Value", name: "Dwell", unit: "s", decimals: 1, width: 110 },
      { field: "live", name: "Live", width: 70 },
      { field: "incident_id", name: "Incident" },
    ],
  }))
  .withRow(row("History", 19))
  .withPanel(table({
    title: "Recent incidents", pos: at(0, 20, 12, 9), none: "No recent incident is known.", sort: "Raised",
    description: "Incidents raised or remediated within recent_window (30 days by default), the newest first, with their dwell time if they are remediated.",
    queries: [
      q.live(`${q.known("petra_recent_incident_created_timestamp_seconds", "incident_id, live")} * 1000`),
      q.live(q.known("petra_recent_incident_dwell_time_seconds", "incident_id, live")),
    ],
    columns: [
      { field: "Value #A", name: "Raised", unit: "dateTimeAsIso", width: 170 },
      { field: "Value #B", name: "Dwell", unit: "s", decimals: 1, width: 110 },
      { field: "live", name: "Live", width: 70 },
      { field: "incident_id", name: "Incident" },
    ],
  }))
  .withPanel(dwellHeatmap(at(12, 20, 12, 9)))
  .withPanel(openOverTime(at(0, 29, 12, 7)))
  .withPanel(longRun(at(12, 29, 12, 7)));
