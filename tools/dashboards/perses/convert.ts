// A dashboard of Grafana as one of Perses, which is what can be drawn here without a
// server. It throws on whatever it does not know, so that nothing is left out silently.
//
// What Perses cannot draw: links of cells, colours and texts of single columns of a
// table, the colour of a stat's background, and heatmaps of classic histograms; those
// become bars, one for each bucket.
import type { DashboardResource, LayoutDefinition, PanelDefinition, VariableDefinition } from "@perses-dev/core";

type Json = any; // eslint-disable-line -- Grafana's JSON, whose form npm run check holds

function fail(what: string): never {
  throw new Error(`not known to the conversion: ${what}`);
}

const formats: Record<string, Json> = {
  none: { unit: "decimal" }, s: { unit: "seconds" }, percentunit: { unit: "percent-decimal" }, bytes: { unit: "bytes", shortValues: true },
  reqpm: { unit: "decimal" }, dateTimeAsIso: undefined,
};

function format({ unit = "none", decimals }: Json): Json {
  if (!(unit in formats)) fail(`unit ${unit}`);
  return formats[unit] && { ...formats[unit], decimalPlaces: decimals };
}

function thresholds(defaults: Json): Json {
  const [first, ...steps] = defaults.thresholds.steps;
  if (defaults.thresholds.mode !== "absolute" || first.value !== null) fail("thresholds");
  return { defaultColor: first.color, steps: steps.map((s: Json) => ({ value: s.value, color: s.color })) };
}

function mappings(list: Json[] = []): Json[] {
  return list.flatMap((m): Json[] => {
    const result = ({ text, color }: Json) => ({ value: text, color });
    if (m.type === "value") return Object.entries(m.options).map(([value, r]) => ({ kind: "Value", spec: { value, result: result(r) } }));
    if (m.type === "range") return [{ kind: "Range", spec: { from: m.options.from, to: m.options.to ?? undefined, result: result(m.options.result) } }];
    if (m.type === "special" && m.options.match === "null") return [{ kind: "Misc", spec: { value: "null", result: result(m.options.result) } }];
    return fail(`mapping ${m.type}`);
  });
}

/** The settings of the override by a name. */
function override(p: Json, name: string): Record<string, Json> {
  for (const o of p.fieldConfig.overrides) if (o.matcher.id !== "byName") fail(`matcher ${o.matcher.id}`);
  const properties: Json[] = p.fieldConfig.overrides.find((o: Json) => o.matcher.options === name)?.properties ?? [];
  const known = ["unit", "decimals", "noValue", "mappings", "links", "thresholds", "color", "custom.width", "custom.hidden", "custom.hideFrom.viz", "custom.cellOptions"];
  for (const { id } of properties) if (!known.includes(id)) fail(`override ${id}`);
  return Object.fromEntries(properties.map(({ id, value }) => [id, value]));
}

function stat(p: Json): Json {
  const { textMode, reduceOptions, colorMode } = p.options;
  if (!["name", "value", "value_and_name"].includes(textMode) || reduceOptions.calcs.join() !== "lastNotNull" || colorMode !== "background") fail("options of a stat");
  const { defaults } = p.fieldConfig;
  const label = textMode === "name" ? /^\{\{(\w+)\}\}$/.exec(p.targets[0].legendFormat)?.[1] ?? fail("a name that is not one label") : undefined;
  return { calculation: "last-number", format: format(defaults), metricLabel: label, thresholds: thresholds(defaults), mappings: mappings(defaults.mappings), valueFontSize: p.targets.length > 1 ? undefined : 30 };
}

function bargauge(p: Json): Json {
  if (p.options.orientation !== "horizontal") fail("orientation");
  return { calculation: "last-number", format: format(p.fieldConfig.defaults), sort: "desc", mode: "value" };
}

function timeseries(p: Json): Json {
  const { defaults, overrides } = p.fieldConfig;
  const { drawStyle, lineWidth, fillOpacity } = defaults.custom;
  if (!["line", "bars"].includes(drawStyle)) fail(`style ${drawStyle}`);
  for (const o of overrides) if (Object.keys(override(p, o.matcher.options)).join() !== "color") fail("override of a line");
  return {
    legend: p.options.legend.showLegend ? { position: "bottom", mode: "list", size: "small" } : undefined,
    yAxis: { format: format(defaults), min: defaults.min, max: defaults.max },
    visual: { display: drawStyle === "bars" ? "bar" : "line", lineWidth, areaOpacity: (fillOpacity ?? 0) / 100, palette: { mode: "categorical" } },
    // By query only: a colour for each name is not to be had.
    querySettings: p.targets.flatMap((t: Json, queryIndex: number) => {
      const fixed = override(p, t.legendFormat).color ?? (defaults.color.mode === "fixed" ? defaults.color : defaults.color.mode === "shades" ? undefined : fail("colours of lines"));
      return fixed ? [{ queryIndex, colorMode: "fixed", colorValue: fixed.fixedColor }] : [];
    }),
  };
}

function table(p: Json): Json {
  const organize = p.transformations.find((t: Json) => t.id === "organize")?.options ?? fail("a table that is not organized");
  for (const t of p.transformations) if (!["merge", "organize"].includes(t.id)) fail(`transformation ${t.id}`);
  const merged = p.transformations.some((t: Json) => t.id === "merge");
  const sort = p.options.sortBy?.[0];
  const letters = p.targets.map((t: Json) => t.refId);
  const columns = Object.entries(organize.renameByName as Record<string, string>).map(([field, header]) => {
    const query = /^Value(?: #(\w))?$/.exec(field);
    const set = override(p, header);
    // Perses puts the query's number behind each label; those in all queries are joined.
    const shared = !merged || p.targets.slice(1).every((t: Json) => new RegExp(`by \\([^)]*\\b${field}\\b`).test(t.expr) || t.expr.includes(`"${field}"`));
    return {
      name: query ? (query[1] ? `value #${letters.indexOf(query[1]) + 1}` : "value") : shared ? field : `${field} #1`,
      header, hide: set["custom.hidden"], width: set["custom.width"] ?? "auto", format: query ? format({ unit: set.unit, decimals: set.decimals }) : undefined,
      sort: sort?.displayName === header ? (sort.desc ? "desc" : "asc") : undefined, enableSorting: true, join: !query && shared && merged,
    };
  });
  const labels = columns.filter((c) => c.join).map((c) => c.name);
  const hidden = ["timestamp", ...p.targets.flatMap((_: Json, i: number) => ["tenant", "live", "measure"].map((l) => `${l} #${i + 1}`))].filter((name) => !columns.some((c) => c.name === name));
  return {
    density: "compact",
    columnSettings: [...columns.map(({ join: _, ...c }) => c), ...hidden.map((name) => ({ name, hide: true }))],
    cellSettings: mappings(p.fieldConfig.overrides.flatMap((o: Json) => override(p, o.matcher.options).mappings ?? []).filter((m: Json) => m.type === "range"))
      .map((m) => ({ condition: { kind: "Range", spec: { min: m.spec.from, max: m.spec.to } }, text: m.spec.result.value, textColor: m.spec.result.color })),
    transforms: labels.length === 0 ? [] : [
      ...labels.map((column) => ({ kind: "MergeIndexedColumns", spec: { column } })),
      { kind: "JoinByColumnValue", spec: { columns: labels } },
    ],
  };
}

function heatmap(p: Json): Json {
  if (p.targets.length !== 1 || p.targets[0].format !== "heatmap" || p.options.calculate) fail("heatmap");
  return { legend: { position: "right", mode: "list", size: "small" }, visual: { display: "bar" }, yAxis: { format: { unit: "decimal" }, min: 0 } };
}

const kinds: Record<string, [kind: string, spec: (p: Json) => Json, instant: boolean]> = {
  stat: ["StatChart", stat, true], bargauge: ["BarChart", bargauge, true], table: ["Table", table, true],
  timeseries: ["TimeSeriesChart", timeseries, false], heatmap: ["TimeSeriesChart", heatmap, false],
};

function panel(p: Json, step: (p: Json) => string | undefined): PanelDefinition {
  const [kind, spec, instant] = kinds[p.type] ?? fail(`panel ${p.type}`);
  return {
    kind: "Panel",
    spec: {
      display: { name: p.title, description: p.description },
      plugin: { kind, spec: JSON.parse(JSON.stringify(spec(p))) },
      queries: p.targets.map((t: Json) => {
        if (t.instant !== instant || t.range === instant) fail(`${p.title}: an instant query in a panel of range queries, or the other way round`);
        return { kind: "TimeSeriesQuery", spec: { plugin: { kind: "PrometheusTimeSeriesQuery", spec: { query: t.expr, seriesNameFormat: t.legendFormat || undefined, minStep: step(p) } } } };
      }),
    },
  };
}

/** Values to choose from; a query variable's are looked up before. */
export type Choice = { value: string; label: string };

function variable(v: Json, choices: Record<string, Choice[]>): VariableDefinition[] {
  if (v.type === "datasource") return []; // there is but one here
  const values = v.type === "query" ? choices[v.name] ?? fail(`variable ${v.name}`)
    : v.type === "custom" ? v.query.split(", ").map((o: string) => { const [label, value] = o.split(" : "); return { label, value }; })
    : fail(`variable of type ${v.type}`);
  return [{
    kind: "ListVariable",
    spec: {
      name: v.name, display: { name: v.label, description: v.description, hidden: v.hide === 2 }, allowMultiple: false, allowAllValue: v.includeAll, customAllValue: v.allValue,
      defaultValue: v.current?.value, plugin: { kind: "StaticListVariable", spec: { values } },
    },
  }];
}

export function convert(d: Json, choices: Record<string, Choice[]>, duration: string, step: (p: Json) => string | undefined): DashboardResource {
  const layouts: LayoutDefinition[] = [];
  const begin = (title?: string) => layouts.push({ kind: "Grid", spec: { display: title ? { title, collapse: { open: true } } : undefined, items: [] } });
  begin();
  let top = 0;
  for (const p of d.panels) {
    if (p.type === "row") {
      begin(p.title);
      top = p.gridPos.y + 1;
      continue;
    }
    layouts.at(-1)!.spec.items.push({ x: p.gridPos.x, y: p.gridPos.y - top, width: p.gridPos.w, height: p.gridPos.h, content: { $ref: `#/spec/panels/${p.id}` } });
  }
  return {
    kind: "Dashboard", metadata: { name: d.uid, project: "petra" } as Json,
    spec: {
      display: { name: d.title, description: d.description }, duration: duration as Json, refreshInterval: "0s" as Json, layouts,
      variables: d.templating.list.flatMap((v: Json) => variable(v, choices)),
      panels: Object.fromEntries(d.panels.filter((p: Json) => p.type !== "row").map((p: Json) => [p.id, panel(p, step)])),
    },
  };
}
