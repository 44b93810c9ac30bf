// Checks the JSON in dashboards/ as it is shipped: against strict schemas, made from
// Grafana's own types, and against rules of our own that no schema can see.
import { readdirSync, readFileSync } from "node:fs";
import { Ajv, type ValidateFunction } from "ajv";
import { createGenerator } from "ts-json-schema-generator";

const folder = "../../dashboards";
const raw = "node_modules/@grafana/schema/dist/types/raw";

function validator(path: string, type: string): ValidateFunction {
  const schema = createGenerator({ path: `${raw}/${path}/x/types.gen.d.ts`, type, skipTypeCheck: true, additionalProperties: false }).createSchema(type);
  // A part of the settings is enough: Grafana has a default for each.
  if (type === "FieldConfig") delete (schema.definitions!.FieldConfig as { required?: string[] }).required;
  return new Ajv({ allErrors: true, strict: false, allowUnionTypes: true }).compile(schema);
}

const dashboardSchema = validator("dashboard", "Dashboard");
const optionSchemas: Record<string, ValidateFunction> = Object.fromEntries(
  ["stat", "table", "timeseries", "bargauge", "heatmap"].map((type) => [type, validator(`composable/${type}/panelcfg`, "Options")]));
const fieldSchemas: Record<string, ValidateFunction> = Object.fromEntries(
  ["table", "timeseries", "heatmap"].map((type) => [type, validator(`composable/${type}/panelcfg`, "FieldConfig")]));

// What Grafana knows in links: its own variables, and those of the row or series.
const grafanaVariables = ["__all", "__url_time_range", "__interval", "__interval_ms", "__range_s", "__rate_interval"];
const safeColours = ["#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#009E73", "text"];
const units = ["none", "s", "percentunit", "bytes", "reqpm", "dateTimeAsIso"];

type Json = any; // eslint-disable-line -- what was generated is judged here, not trusted
const problems: string[] = [];
let where = "";
function must(holds: unknown, problem: string): void {
  if (!holds) problems.push(`${where}: ${problem}`);
}
function fits(schema: ValidateFunction, value: Json, what: string): void {
  if (schema(value)) return;
  for (const e of schema.errors!) must(false, `${what}${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
}
function unique(values: Json[], what: string): void {
  must(new Set(values).size === values.length, `${what} are not unique: ${values}`);
}

/** All strings in a value. */
function* strings(value: Json): Generator<string> {
  if (typeof value === "string") yield value;
  else if (value && typeof value === "object") for (const v of Object.values(value)) yield* strings(v);
}

function checkDashboard(d: Json, all: Map<string, Json>): void {
  fits(dashboardSchema, d, "");
  const variables: string[] = d.templating.list.map((v: Json) => v.name);
  unique(d.panels.map((p: Json) => p.id), "panel IDs");
  unique(d.panels.map((p: Json) => p.title), "panel titles");
  must(variables.join() === "datasource,job,instance,tenant,sla", `variables ${variables}`);
  for (const v of d.templating.list) {
    must(v.label && v.description, `variable ${v.name} has no label or description`);
    if (v.type === "query") must(v.datasource?.uid === "${datasource}", `variable ${v.name} has a data source of its own`);
  }
  // Nothing that is shipped names a data source, a host or a variable that is not there.
  for (const s of strings(d)) {
    for (const [, braced, plain] of s.matchAll(/\$(?:\{([\w.]+)[^}]*\}|([a-z_]\w*))/g)) {
      const name = braced ?? plain;
      must(variables.includes(name) || grafanaVariables.includes(name) || /^__(data|field)\./.test(name), `unknown variable $${name} in ${s}`);
    }
  }
  for (const link of d.links) {
    must(link.keepTime && link.includeVars, `link ${link.title} loses time range or variables`);
    must([...all.values()].every((other) => link.tags.every((t: string) => other.tags.includes(t))), `link ${link.title} does not find all dashboards`);
  }
  const answer = d.panels.findIndex((p: Json) => p.type === "row");
  const rows = d.panels.slice(0, answer);
  must(new Set(rows.map((p: Json) => p.gridPos.y)).size <= 3, "more than three rows to the answer");
  // 30 px a unit and 8 px between, below about 130 px of header and variables.
  must(Math.max(...rows.map((p: Json) => p.gridPos.y + p.gridPos.h)) * 38 + 130 <= 900, "the answer needs scrolling at 900 px");
  for (const [i, a] of d.panels.entries()) {
    must(a.gridPos.x + a.gridPos.w <= 24, `panel ${a.title} is too wide`);
    for (const b of d.panels.slice(i + 1)) {
      const apart = a.gridPos.x + a.gridPos.w <= b.gridPos.x || b.gridPos.x + b.gridPos.w <= a.gridPos.x ||
        a.gridPos.y + a.gridPos.h <= b.gridPos.y || b.gridPos.y + b.gridPos.h <= a.gridPos.y;
      must(apart, `panels ${a.title} and ${b.title} overlap`);
    }
  }
  for (const p of d.panels) {
    where = `${d.uid}: ${p.title}`;
    if (p.type !== "row") checkPanel(p, all);
  }
}

function checkPanel(p: Json, all: Map<string, Json>): void {
  must(/^[^.].*[.]$/.test(p.description ?? ""), "no description");
  must(p.datasource.uid === "${datasource}" && p.targets.every((t: Json) => t.datasource.uid === "${datasource}"), "a data source is hard-coded");
  unique(p.targets.map((t: Json) => t.refId), "queries");
  const { defaults, overrides } = p.fieldConfig;
  must(defaults.noValue, "nothing says why it is empty");
  must(defaults.thresholds?.steps.length > 0, "no thresholds");
  if (!optionSchemas[p.type]) return must(false, `a panel of type ${p.type}`);
  fits(optionSchemas[p.type], p.options, "options");
  const settings = [defaults, ...overrides.map((o: Json) => set(o.properties))];
  for (const s of settings) {
    must(s.unit === undefined || units.includes(s.unit), `unit ${s.unit}`);
    for (const { color } of s.thresholds?.steps ?? []) must(safeColours.includes(color), `colour ${color}`);
    for (const m of s.mappings ?? []) for (const t of strings(m)) must(!/^(green|red|yellow|#)/.test(t) || safeColours.includes(t), `colour ${t}`);
    if (s.color?.fixedColor) must(safeColours.includes(s.color.fixedColor), `colour ${s.color.fixedColor}`);
    const { hidden, "hideFrom.viz": hideFrom, ...custom } = s.custom ?? {};
    must(hidden === hideFrom, "hidden in one version of Grafana only");
    if (fieldSchemas[p.type]) fits(fieldSchemas[p.type], custom, "custom");
    else must(Object.keys(custom).length === 0, `custom ${Object.keys(custom)}`);
    for (const link of s.links ?? []) checkLink(link, p, all);
  }
  // A name that an override, a sort or a link looks for is one that the panel has.
  const rename = p.transformations?.find((t: Json) => t.id === "organize")?.options.renameByName;
  for (const t of p.transformations ?? []) must(["merge", "organize"].includes(t.id), `transformation ${t.id}`);
  if (rename) {
    const fields: string[] = Object.values(rename);
    unique(fields, "columns");
    for (const o of overrides) must(o.matcher.id === "byName" && fields.includes(o.matcher.options), `an override of no column: ${o.matcher.options}`);
    for (const s of p.options.sortBy ?? []) must(fields.includes(s.displayName), `sorted by no column: ${s.displayName}`);
    const values = p.targets.map((t: Json) => p.targets.length === 1 ? "Value" : `Value #${t.refId}`);
    for (const field of Object.keys(rename)) {
      must(values.includes(field) || p.targets.some((t: Json) => new RegExp(`\\b${field}\\b`).test(t.expr)), `no query gives the column ${field}`);
    }
    for (const v of values) must(rename[v], `the column ${v} has no name`);
  }
}

/** The settings that an override makes, as an object like the defaults. */
function set(properties: { id: string; value: Json }[]): Json {
  const all: Json = {};
  for (const { id, value } of properties) {
    if (id.startsWith("custom.")) (all.custom ??= {})[id.slice("custom.".length)] = value;
    else all[id] = value;
  }
  must(Object.keys(all).every((k) => ["unit", "decimals", "mappings", "noValue", "thresholds", "links", "color", "custom"].includes(k)), `override of ${Object.keys(all)}`);
  return all;
}

/** A link leads to one of the dashboards, with variables that it has, or to a page that a column holds. */
function checkLink(link: Json, p: Json, all: Map<string, Json>): void {
  must(link.title && link.url, "a link without title or URL");
  const columns = Object.values(p.transformations?.find((t: Json) => t.id === "organize")?.options.renameByName ?? {});
  for (const [, field] of link.url.matchAll(/\$\{__data\.fields\.([^}:]+)/g)) must(columns.includes(field), `a link with no column ${field}`);
  for (const [, name] of link.url.matchAll(/\$\{__field\.labels\.([^}:]+)/g)) {
    must(p.targets.every((t: Json) => t.expr.includes(name)), `a link with no label ${name}`);
  }
  const [, uid, query] = /^\/d\/([\w-]+)\?(.*)$/.exec(link.url) ?? [];
  if (!uid) return must(/^\$\{__data\.fields\.\w+:raw\}$/.test(link.url) && link.targetBlank, `a link to ${link.url}`);
  const other = all.get(uid);
  if (!other) return must(false, `a link to no dashboard: ${link.url}`);
  const names = other.templating.list.map((v: Json) => v.name);
  const passed = query.split("&").map((part) => /^\$\{(\w+)(:queryparam)?\}$/.exec(part)?.[1] ?? /^var-(\w+)=/.exec(part)?.[1]);
  for (const name of passed) must(name === "__url_time_range" || names.includes(name), `a link with an unknown variable: ${name}`);
  for (const name of ["__url_time_range", ...names]) must(passed.includes(name), `a link that loses ${name}`);
}

// Nothing else may lie there: Grafana's provisioning reads each JSON file of the folder.
const files = readdirSync(folder, { recursive: true }).map(String).filter((f) => f.endsWith(".json"));
const dashboards = new Map(files.map((file) => [file.replace(/\.json$/, ""), JSON.parse(readFileSync(`${folder}/${file}`, "utf8"))]));
where = folder;
must([...dashboards.keys()].sort().join() === "petra-exporter,petra-overview,petra-tenant", `it holds ${files}`);
unique([...dashboards.values()].map((d) => d.title), "titles");
for (const [uid, d] of dashboards) {
  where = uid;
  must(d.uid === uid, `its UID is ${d.uid}`);
  checkDashboard(d, dashboards);
}
for (const p of problems) console.error(p);
console.log(`${dashboards.size} dashboards, ${[...dashboards.values()].flatMap((d) => d.panels).length} panels, ${problems.length} problems`);
if (problems.length > 0) process.exit(1);
