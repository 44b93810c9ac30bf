// For the security lead of an MSP: what is open, where, since when; and how fast it ends.
import { at, bars, colour, dashboard, heatmap, lines, ranking, row, stat, steps, table } from "./parts.ts";
import * as q from "./queries.ts";

const hour = 3600;
const day = 86400;

/** The panel that says calm only where all is known. */
export const statePanel = (pos: ReturnType<typeof at>) => stat({
  title: "State",
  description: "'Nothing open' appears only while every tenant has been read in full within the last 5 minutes; otherwise the panel counts those that have not. A tenant that has left counts for an hour. Petra raises no incidents for a paused tenant.",
  pos, none: "unknown: Prometheus does not answer", names: true,
  queries: [{ expr: q.state, legend: "{{state}}" }], colours: steps(colour.calm, [0.5, colour.late], [1, colour.open], [2, colour.fault]),
});

export const openTable = (pos: ReturnType<typeof at>, oneTenant: boolean) => table({
  title: "Open incidents",
  description: "Each incident that is neither remediated nor closed, the longest since its compromise first; live is Petra's flag, which reads as 'caught while it happened'.",
  pos, none: "No open incident is known. The panel State says whether all tenants were read.",
  queries: q.openTable, sort: "Since compromise",
  columns: [
    { field: "tenant", name: "Tenant", link: "tenant", hidden: oneTenant },
    { field: "Value #B", name: "Since compromise", unit: "s", decimals: 1, width: 150, colours: steps("text", [4 * hour, colour.late], [day, colour.open]) },
    { field: "Value #A", name: "Since raised", unit: "s", decimals: 1, width: 130 },
    { field: "live", name: "Live", width: 60 },
    { field: "remediation_status", name: "Status", width: 130 },
    { field: "incident_id", name: "Incident", link: "incident" },
    { field: "tenant_id", name: "ID", hidden: true },
    { field: "url", name: "Page", hidden: true },
  ],
});

export const newIncidents = (pos: ReturnType<typeof at>) => bars({
  title: "New incidents",
  description: "Incidents raised in each step of the time range, from what is known now: at most the last 30 days.",
  pos, none: "Not known: no tenant was read in full.", points: 120, interval: "1h", decimals: 0, queries: [{ expr: q.newPerStep }],
});

export const durationTable = (pos: ReturnType<typeof at>) => table({
  title: "Median and 95th percentile",
  description: "Detection: compromise to the raising of the incident. Remediation: from there on. Dwell: both. Of what was raised or remediated in the time range, with the share that took at most the chosen SLA; live apart from what a look back found.",
  pos, none: "Nothing was raised or remediated in the time range, or no tenant was read.",
  sort: "Interval", ascending: true,
  queries: [
    ...[0.5, 0.95].map((p) => q.durations((times) => `quantile by (live) (${p}, ${times})`)),
    q.durations((times) => `avg by (live) (${times} <= bool $sla)`),
  ],
  columns: [
    { field: "measure", name: "Interval" },
    { field: "live", name: "Live", width: 70 },
    { field: "Value #A", name: "P50", unit: "s", decimals: 1, width: 110 },
    { field: "Value #B", name: "P95", unit: "s", decimals: 1, width: 110 },
    { field: "Value #C", name: "In SLA", unit: "percentunit", decimals: 0, width: 80 },
  ],
});

export const dwellHeatmap = (pos: ReturnType<typeof at>) => heatmap({
  title: "Dwell time of what was remediated",
  description: "How many incidents were remediated in each step, by their dwell time, at full three hours of UTC. It comes from Prometheus' history: from the first scrape on, or all that was backfilled.",
  pos, none: "No history yet, or nothing was remediated.", expr: q.remediatedPerStep, points: 60, interval: "3h",
});

export const trend = (pos: ReturnType<typeof at>) => lines({
  title: "Share remediated in time, over 7 days each",
  description: "Of what was remediated in the 7 days before each point, the share with a dwell time of at most 1 h, 4 h, 24 h. It needs 7 days of Prometheus' history, scraped or backfilled.",
  pos, none: "It needs 7 days of history.", unit: "percentunit", max: 1, points: 200, interval: "3h",
  queries: [[hour, "1 h"], [4 * hour, "4 h"], [day, "24 h"]].map(([le, legend]) => ({ expr: q.trend(le as number), legend: legend as string })),
  colours: { "1 h": colour.calm, "4 h": colour.late, "24 h": colour.other },
});

export const openOverTime = (pos: ReturnType<typeof at>) => lines({
  title: "Open incidents over time",
  description: "How many incidents were open at each moment, in the tenants that were known then; a gap means that nothing was known.",
  pos, none: "Not known: no tenant was read.", decimals: 0, queries: [{ expr: q.openOverTime }],
});

export const longRun = (pos: ReturnType<typeof at>) => bars({
  title: "New incidents in the long run",
  description: "Incidents raised in each step, from Prometheus' history and so beyond the last 30 days: from the first scrape on, or all that was backfilled, at full three hours of UTC.",
  pos, none: "No history yet.", points: 60, interval: "3h", decimals: 0, before: true, queries: [{ expr: q.raisedPerStep }],
});

export const slaLate = (pos: ReturnType<typeof at>) => stat({
  title: "Past the SLA",
  description: "Open incidents that were raised longer ago than the chosen SLA.",
  pos, none: "not known", decimals: 0, colours: steps(colour.plain, [1, colour.open]),
  queries: [{ expr: `count(time() - ${q.openCreated} > $sla) or on () 0 * ${q.open}` }],
});

export const newCount = (pos: ReturnType<typeof at>) => stat({
  title: "New in range",
  description: "Incidents raised in the time range, at most within recent_window (30 days by default).",
  pos, none: "not known", decimals: 0, colours: steps(colour.plain), queries: [{ expr: `sum(${q.raisedByTenant})` }],
});

export const overview = dashboard("petra-overview", "Petra: overview",
  "What is open in which tenant and since when, and how fast incidents end. Of petra_exporter.", "now-30d", "all tenants")
  .withPanel(statePanel(at(0, 0, 7, 4)))
  .withPanel(stat({
    title: "Open now", description: "Incidents that are neither remediated nor closed, in the tenants that are known.",
    pos: at(7, 0, 4, 4), none: "not known", decimals: 0, colours: steps(colour.plain, [1, colour.open]), queries: [{ expr: q.open }],
  }))
  .withPanel(slaLate(at(11, 0, 3, 4)))
  .withPanel(stat({
    title: "Longest open", description: "Time since the compromise of the open incident that began first.",
    pos: at(14, 0, 4, 4), none: "none known", noneIsWell: true, unit: "s", decimals: 1, colours: steps(colour.plain, [4 * hour, colour.late], [day, colour.open]),
    queries: [{ expr: `max(time() - ${q.openOccurred})` }],
  }))
  .withPanel(newCount(at(18, 0, 3, 4)))
  .withPanel(stat({
    title: "Paused tenants", description: "Tenants whose monitoring is paused in Petra: Petra raises no incidents for them, so their 0 is not calm. The exporter dashboard shows which.",
    pos: at(21, 0, 3, 4), none: "not known", decimals: 0, colours: steps(colour.plain, [1, colour.late]), queries: [{ expr: q.paused }],
  }))
  .withPanel(openTable(at(0, 4, 15, 8), false))
  .withPanel(durationTable(at(15, 4, 9, 8)))
  .withPanel(newIncidents(at(0, 12, 8, 7)))
  .withPanel(stat({
    title: "Remediated within", pos: at(8, 12, 6, 7),
    description: "Of what was remediated in the time range, the share with a dwell time (compromise to remediation) of at most 1 h, 4 h, 24 h.",
    none: "none known", noneIsWell: true, unit: "percentunit", decimals: 0, colours: steps(colour.open, [0.5, colour.late], [0.9, colour.calm]),
    queries: [[hour, "1 h"], [4 * hour, "4 h"], [day, "24 h"]].map(([s, legend]) => ({ expr: q.within(String(s)), legend: legend as string })),
  }))
  .withPanel(ranking({
    title: "Most incidents", description: "The 10 tenants with the most incidents raised in the time range.", pos: at(14, 12, 5, 7), decimals: 0,
    none: "No new incident is known.", colours: steps(colour.plain), tenants: true,
    query: { expr: `sort_desc(${q.named(`topk(10, count by (tenant_id) (${q.raised}))`)})`, legend: "{{tenant}}" },
  }))
  .withPanel(ranking({
    title: "Worst dwell", description: "The 10 tenants with the longest dwell time: of what was remediated in the time range, or is open (so far).",
    pos: at(19, 12, 5, 7), unit: "s", decimals: 1, none: "No incident is known to be open or remediated.", tenants: true,
    colours: steps(colour.plain, [4 * hour, colour.late], [day, colour.open]),
    query: { expr: `sort_desc(${q.named(`topk(10, ${q.worstDwell})`)})`, legend: "{{tenant}}" },
  }))
  .withRow(row("Over time", 19))
  .withPanel(dwellHeatmap(at(0, 20, 12, 9)))
  .withPanel(trend(at(12, 20, 12, 9)))
  .withPanel(openOverTime(at(0, 29, 12, 7)))
  .withPanel(longRun(at(12, 29, 12, 7)));
