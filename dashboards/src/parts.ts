// What the three dashboards have in common: variables, links, colours and panels.
import * as common from "@grafana/grafana-foundation-sdk/common";
import {
  CustomVariableBuilder, DashboardBuilder, DashboardCursorSync, DashboardLinkBuilder, DashboardLinkType,
  DatasourceVariableBuilder, FieldColorBuilder, FieldColorModeId, MappingType, QueryVariableBuilder, RowBuilder,
  SpecialValueMatch, ThresholdsConfigBuilder, ThresholdsMode, VariableHide, VariableRefresh, VariableSort,
  type DynamicConfigValue, type GridPos, type Threshold, type ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import * as bargauge from "@grafana/grafana-foundation-sdk/bargauge";
import * as heat from "@grafana/grafana-foundation-sdk/heatmap";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import * as stats from "@grafana/grafana-foundation-sdk/stat";
import * as tables from "@grafana/grafana-foundation-sdk/table";
import * as series from "@grafana/grafana-foundation-sdk/timeseries";
import { tenantChoice } from "./queries.ts";

/** Okabe and Ito's colours, told apart with every kind of colour vision, on light and dark. */
export const colour = { calm: "#0072B2", open: "#D55E00", fault: "#CC79A7", late: "#E69F00", plain: "#56B4E9", other: "#009E73" };

const datasource = { type: "prometheus", uid: "${datasource}" };
// What an exporter publishes of itself, and what a backfilled history has: a time range may end before the first scrape.
const published = '{__name__=~"petra_exporter_build_info|petra_incidents_raised_total"}';
const all = { text: "All", value: "$__all" };
const slas = "15 min : 900, 1 h : 3600, 4 h : 14400, 8 h : 28800, 24 h : 86400, 3 d : 259200";

/** A dashboard with everything but its panels. */
export function dashboard(uid: string, title: string, description: string, range: string, one: "one tenant" | "all tenants"): DashboardBuilder {
  const query = (name: string, text: string, description: string, what: string) =>
    new QueryVariableBuilder(name).label(text).description(description).datasource(datasource)
      .query({ query: what, refId: `variable-${name}` })
      .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalCaseInsensitiveAsc);
  const tenant = query("tenant", "Tenant", "The tenant, by its name; its value is the ID, which survives a rename.", tenantChoice)
    .regex('/tenant="(?<text>.*?)",? *tenant_id="(?<value>[^"]+)"/');
  if (one === "all tenants") tenant.includeAll(true).allValue(".+").current(all);
  return new DashboardBuilder(title).uid(uid).description(description).tags(["petra"]).editable()
    .time({ from: range, to: "now" }).refresh("1m").timezone("browser").tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder("Petra").type(DashboardLinkType.Dashboards).tags(["petra"]).icon("external link")
      .tooltip("The other Petra dashboards, with this time range and tenant").keepTime(true).includeVars(true))
    .withVariable(new DatasourceVariableBuilder("datasource").label("Data source").description("The Prometheus that scrapes petra_exporter.").type("prometheus"))
    .withVariable(query("job", "Job", "The scrape job of petra_exporter.", `label_values(${published}, job)`).includeAll(true).current(all))
    .withVariable(query("instance", "Instance", "One exporter, or all.", `label_values(${published.replace("}", ',job=~"$job"}')}, instance)`)
      .includeAll(true).allValue(".+").current(all))
    .withVariable(tenant)
    .withVariable(new CustomVariableBuilder("sla").label("SLA").description("How long an incident may last.").values(slas).current({ text: "4 h", value: "14400" })
      .hide(uid === "petra-exporter" ? VariableHide.HideVariable : VariableHide.DontHide));
}

export const at = (x: number, y: number, w: number, h: number): GridPos => ({ x, y, w, h });

export function row(title: string, y: number): RowBuilder {
  return new RowBuilder(title).gridPos(at(0, y, 24, 1));
}

/** Steps of colour: the first holds from the least value on. */
export function steps(first: string, ...others: [from: number, colour: string][]): ThresholdsConfigBuilder {
  const list: Threshold[] = [{ value: null, color: first }, ...others.map(([value, color]) => ({ value, color }))];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(list);
}

const fixed = (color: string) => new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color);
// For names that nobody knows before: one hue, told apart by lightness.
const shades = () => new FieldColorBuilder().mode(FieldColorModeId.Shades).fixedColor(colour.calm);
const byThresholds = () => new FieldColorBuilder().mode(FieldColorModeId.Thresholds);

type Query = { expr: string; legend?: string };

function instant(q: Query, i: number): DataqueryBuilder {
  return target(q, i).instant().format(PromQueryFormat.TimeSeries);
}

function range(q: Query, i: number): DataqueryBuilder {
  return target(q, i).range().format(PromQueryFormat.TimeSeries);
}

function target({ expr, legend }: Query, i: number): DataqueryBuilder {
  return new DataqueryBuilder().datasource(datasource).expr(expr).legendFormat(legend ?? "").refId("ABCDEFGH"[i]);
}

type Panel = { title: string; description: string; pos: GridPos; none: string; unit?: string; decimals?: number };

/**
 * Numbers of now, on the colour of the threshold. Where there is none it says so, as a
 * fault, unless that is well.
 */
export function stat(p: Panel & { queries: Query[]; colours: ThresholdsConfigBuilder; names?: boolean; mappings?: ValueMapping[]; noneIsWell?: boolean }): stats.PanelBuilder {
  const panel = new stats.PanelBuilder().title(p.title).description(p.description).gridPos(p.pos).datasource(datasource)
    .targets(p.queries.map(instant)).reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).fields("").values(false))
    .colorMode(common.BigValueColorMode.Background).graphMode(common.BigValueGraphMode.None)
    .textMode(p.names ? common.BigValueTextMode.Name : p.queries.some((q) => q.legend) ? common.BigValueTextMode.ValueAndName : common.BigValueTextMode.Value)
    .justifyMode(common.BigValueJustifyMode.Center).colorScheme(byThresholds()).thresholds(p.colours)
    .unit(p.unit ?? "none").noValue(p.none)
    .mappings([...p.mappings ?? [], {
      type: MappingType.SpecialValue,
      options: { match: SpecialValueMatch.Null, result: { text: p.none, color: p.noneIsWell ? colour.plain : colour.fault, index: 9 } },
    }]);
  if (p.decimals !== undefined) panel.decimals(p.decimals);
  return panel;
}

/** A text in place of the values from a number on. */
export function from(value: number, text: string, color: string): ValueMapping {
  return { type: MappingType.RangeToText, options: { from: value, to: null as unknown as number, result: { text, color, index: 0 } } };
}

/** A text in place of single values. */
export function texts(values: Record<string, [text: string, color: string]>): ValueMapping {
  return {
    type: MappingType.ValueToText,
    options: Object.fromEntries(Object.entries(values).map(([value, [text, color]], index) => [value, { text, color, index }])),
  };
}

/** Bars of now, the largest first, each with a link to its tenant. */
export function ranking(p: Panel & { query: Query; colours: ThresholdsConfigBuilder; tenants?: boolean }): bargauge.PanelBuilder {
  const panel = new bargauge.PanelBuilder().title(p.title).description(p.description).gridPos(p.pos).datasource(datasource)
    .targets([instant(p.query, 0)]).reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).fields("").values(false))
    .orientation(common.VizOrientation.Horizontal).displayMode(common.BarGaugeDisplayMode.Basic).valueMode(common.BarGaugeValueMode.Text)
    .colorScheme(byThresholds()).thresholds(p.colours).unit(p.unit ?? "none").noValue(p.none).min(0);
  if (p.decimals !== undefined) panel.decimals(p.decimals);
  if (p.tenants) panel.dataLinks([tenantLink("${__field.labels.tenant_id}")]);
  return panel;
}

const variables = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${sla:queryparam}&${__url_time_range}";

function tenantLink(id: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder("Open the tenant").url(`/d/petra-tenant?var-tenant=${id}&${variables}`);
}

type Column = {
  field: string; name: string; unit?: string; decimals?: number; width?: number; hidden?: boolean;
  link?: "tenant" | "incident"; colours?: ThresholdsConfigBuilder; mappings?: ValueMapping[];
};

/** Instant queries as one table: their rows are joined by the labels that they share. */
export function table(p: Panel & { queries: string[]; columns: Column[]; sort?: string; ascending?: boolean }): tables.PanelBuilder {
  const panel = new tables.PanelBuilder().title(p.title).description(p.description).gridPos(p.pos).datasource(datasource)
    .targets(p.queries.map((expr, i) => instant({ expr }, i).format(PromQueryFormat.Table)))
    .cellHeight(common.TableCellHeight.Sm).showHeader(true).noValue(p.none).thresholds(steps("text"));
  if (p.queries.length > 1) panel.withTransformation({ id: "merge", options: {} });
  panel.withTransformation({
    id: "organize",
    options: {
      excludeByName: { Time: true },
      indexByName: Object.fromEntries(p.columns.map((c, i) => [c.field, i])),
      renameByName: Object.fromEntries(p.columns.map((c) => [c.field, c.name])),
    },
  });
  if (p.sort) panel.sortBy([new common.TableSortByFieldStateBuilder().displayName(p.sort).desc(!p.ascending)]);
  for (const c of p.columns) {
    const properties: DynamicConfigValue[] = [{ id: "noValue", value: "-" }]; // a cell; the panel's own says why it is empty
    if (c.unit) properties.push({ id: "unit", value: c.unit });
    if (c.decimals !== undefined) properties.push({ id: "decimals", value: c.decimals });
    if (c.width) properties.push({ id: "custom.width", value: c.width });
    if (c.mappings) properties.push({ id: "mappings", value: c.mappings });
    // The first is the name of before Grafana 12.2. A hidden column is still there for links.
    if (c.hidden) properties.push({ id: "custom.hidden", value: true }, { id: "custom.hideFrom.viz", value: true });
    if (c.colours) properties.push({ id: "thresholds", value: c.colours.build() }, { id: "custom.cellOptions", value: { type: "color-text" } });
    if (c.link === "tenant") properties.push({ id: "links", value: [{ title: "Open the tenant", url: tenantLink("${__data.fields.ID}").build().url }] });
    if (c.link === "incident") {
      properties.push({ id: "links", value: [{ title: "Open the incident in Petra's app", url: "${__data.fields.Page:raw}", targetBlank: true }] });
    }
    panel.overrideByName(c.name, properties);
  }
  return panel;
}

type Over = Panel & { queries: Query[]; points?: number; min?: number; max?: number; colours?: Record<string, string>; interval?: string };

/** Lines over time. */
export function lines(p: Over): series.PanelBuilder {
  return graph(p).drawStyle(common.GraphDrawStyle.Line).lineWidth(2).fillOpacity(0).showPoints(common.VisibilityMode.Auto);
}

/** Bars over time, each for the step that begins there, or for the one before. */
export function bars(p: Over & { before?: boolean }): series.PanelBuilder {
  return graph(p).drawStyle(common.GraphDrawStyle.Bars).lineWidth(1).fillOpacity(100)
    .barAlignment(p.before ? common.BarAlignment.Before : common.BarAlignment.After);
}

function graph(p: Over): series.PanelBuilder {
  const panel = new series.PanelBuilder().title(p.title).description(p.description).gridPos(p.pos).datasource(datasource)
    .targets(p.queries.map((q, i) => range({ legend: p.title, ...q }, i))).unit(p.unit ?? "none").noValue(p.none).min(p.min ?? 0)
    .thresholds(steps("text")).colorScheme(p.queries.some((q) => q.legend) ? shades() : fixed(colour.plain))
    .legend(new common.VizLegendOptionsBuilder().showLegend(p.queries.some((q) => q.legend)).displayMode(common.LegendDisplayMode.List)
      .placement(common.LegendPlacement.Bottom).calcs([]))
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
  if (p.points) panel.maxDataPoints(p.points);
  if (p.interval) panel.interval(p.interval);
  if (p.max !== undefined) panel.max(p.max);
  if (p.decimals !== undefined) panel.decimals(p.decimals);
  for (const [name, color] of Object.entries(p.colours ?? {})) {
    panel.overrideByName(name, [{ id: "color", value: { mode: "fixed", fixedColor: color } }]);
  }
  return panel;
}

/** How many durations fell into each bucket of a classic histogram, over time. */
export function heatmap(p: Panel & { expr: string; points: number; interval: string }): heat.PanelBuilder {
  return new heat.PanelBuilder().title(p.title).description(p.description).gridPos(p.pos).datasource(datasource)
    .targets([range({ expr: p.expr, legend: "{{le}}" }, 0).format(PromQueryFormat.Heatmap)]).maxDataPoints(p.points).interval(p.interval)
    .calculate(false).noValue(p.none).thresholds(steps("text")).unit("none")
    .color(new heat.HeatmapColorOptionsBuilder().mode(heat.HeatmapColorMode.Scheme).scheme("Cividis").steps(32).exponent(0.5).fill(colour.open).reverse(true))
    .yAxis(new heat.YAxisConfigBuilder().unit("s")).rowsFrame(new heat.RowsHeatmapOptionsBuilder().layout(common.HeatmapCellLayout.Le))
    .filterValues(new heat.FilterValueRangeBuilder().le(0)).cellGap(1).showLegend()
    .tooltip(new heat.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(false));
}
