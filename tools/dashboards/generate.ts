// Makes the JSON that Grafana imports out of dashboards/src: into dashboards/, or,
// with --check, says where the files there are not what the source makes.
import { readFileSync, writeFileSync } from "node:fs";
import type { Dashboard, DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { exporter } from "../../dashboards/src/exporter.ts";
import { overview } from "../../dashboards/src/overview.ts";
import { tenant } from "../../dashboards/src/tenant.ts";

const folder = "../../dashboards";
const check = process.argv.includes("--check");

/** The JSON of a dashboard, without what the SDK leaves behind. */
function json(builder: DashboardBuilder): string {
  const dashboard = JSON.parse(JSON.stringify(builder.build())) as Dashboard;
  dashboard.annotations = { list: [] };
  dashboard.panels!.forEach((panel, i) => { panel.id = i + 1; });
  for (const panel of dashboard.panels!) {
    if (panel.type === "row") continue;
    const { options, fieldConfig } = panel as { options?: Record<string, unknown>; fieldConfig?: { defaults: { mappings?: unknown[] } } };
    if (panel.type === "table") delete options?.footer;
    if (fieldConfig?.defaults.mappings?.length === 0) delete fieldConfig.defaults.mappings;
  }
  for (const variable of dashboard.templating!.list!) {
    for (const key of ["auto", "auto_min", "auto_count"] as const) delete (variable as unknown as Record<string, unknown>)[key];
  }
  for (const link of dashboard.links!) delete (link as unknown as Record<string, unknown>).placement;
  return JSON.stringify(dashboard, null, 2) + "\n";
}

let drift = false;
for (const builder of [overview, tenant, exporter]) {
  const text = json(builder);
  const file = `${folder}/${(JSON.parse(text) as Dashboard).uid}.json`;
  if (!check) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`${file} is not what dashboards/src makes: run make dashboards`);
    drift = true;
  }
}
if (drift) process.exit(1);
