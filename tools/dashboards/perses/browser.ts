// Draws dashboards in Chromium, from the JSON that is shipped, and looks at what came:
//
//   node browser.mjs < job.json
//
// The job says which Prometheus to ask, and which views to draw. The exit status is 1
// where a panel is not as the view expects.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import * as esbuild from "esbuild";
import { chromium, type Page } from "playwright-core";
import { convert, type Choice } from "./convert.ts";

type Texts = Record<string, string[]>;

type View = {
  name: string;
  dashboard: string;
  duration: string; // of the time range: "15m", "6h", "7d"
  variables: Record<string, string>;
  empty?: string[]; // titles of panels that have no data
  texts?: Texts; // what stands in the panel of a title
  gone?: Texts; // what does not
  choose?: { tenant: string; queries: string; texts: Texts; gone: Texts }; // then: a tenant, by name
  picture?: string; // a file, for what fits on a screen; nothing is checked then
};
type Job = { prometheus: string; chromium: string; views: View[] };

const job: Job = JSON.parse(readFileSync(0, "utf8"));
const problems: string[] = [];

const bundle = (await esbuild.build({
  entryPoints: ["perses/page.tsx"], bundle: true, write: false, format: "esm", target: "es2022", jsx: "automatic", minify: true, logLevel: "error", outdir: "/", loader: { ".woff": "empty", ".woff2": "empty" },
  define: { global: "globalThis", "process.env.NODE_ENV": '"production"' },
  // One copy of what holds React contexts: the plugins' CommonJS parts ask for another.
  plugins: [{
    name: "one-perses",
    setup(build) {
      build.onResolve({ filter: /^@perses-dev\/(core|components|plugin-system|dashboards|explore)$/ }, (args) =>
        args.pluginData === "once" || args.kind === "import-statement" ? undefined
          : build.resolve(args.path, { kind: "import-statement", resolveDir: args.resolveDir, pluginData: "once" }));
    },
  }],
})).outputFiles.find((f) => f.path.endsWith(".js"))!.text;

const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Petra</title>
<style>html,body,#page{height:100%;margin:0} #by{font:12px sans-serif;position:fixed;left:40%;top:6px;z-index:2000;color:#555}</style>
<div id="by">Drawn by Perses from the Grafana JSON; Grafana looks different</div><div id="page"></div><script type="module" src="/page.js"></script>`;

function seconds(duration: string): number {
  return parseInt(duration) * { m: 60, h: 3600, d: 86400 }[duration.at(-1) as "m" | "h" | "d"];
}

async function api(path: string): Promise<any> {
  const answer: any = await (await fetch(`${job.prometheus}/api/v1/${path}`)).json();
  if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`);
  return answer.data;
}

/** A variable's values to choose from, as Grafana gets them: labels of the time range, or a query's result as text. */
async function choices(v: any, view: View): Promise<Choice[]> {
  const query = v.query.query.replace(/\$(job|instance)\b/g, (_: string, name: string) => view.variables[name] ?? ".+");
  const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
  if (metric) {
    const start = Date.now() / 1000 - seconds(view.duration);
    const values: string[] = await api(`label/${label}/values?${new URLSearchParams({ "match[]": metric, start: `${start}` })}`);
    return values.map((value) => ({ value, label: value }));
  }
  const { result } = await api(`query?${new URLSearchParams({ query: /^query_result\((.+)\)$/s.exec(query)![1] })}`);
  return result.map(({ metric, value }: any) => {
    const text = `{${Object.entries(metric).map(([k, v]) => `${k}="${v}"`).join(",")}} ${value[1]} ${value[0] * 1000}`;
    const groups = new RegExp(v.regex.slice(1, -1)).exec(text)?.groups ?? {};
    return { value: groups.value, label: groups.text };
  }).sort((a: Choice, b: Choice) => a.label.localeCompare(b.label));
}

let shown: View;
let pending = 0;
const asked: { query: string; status: string; error?: string }[] = [];

async function dashboard(): Promise<string> {
  const d = JSON.parse(readFileSync(`../../dashboards/${shown.dashboard}.json`, "utf8"));
  const values: Record<string, Choice[]> = {};
  for (const v of d.templating.list) if (v.type === "query") values[v.name] = await choices(v, shown);
  const span = seconds(shown.duration);
  return JSON.stringify(convert(d, values, shown.duration, (p) =>
    p.maxDataPoints ? `${Math.max(p.interval === "1h" ? 3600 : 5, Math.round(span / p.maxDataPoints))}s` : undefined));
}

/** Prometheus behind the page. Instant queries are of now: Perses would ask for a moment up to a step ago. */
async function ask(path: string, form: URLSearchParams): Promise<string> {
  if (path.endsWith("/query")) form.delete("time");
  pending++;
  try {
    const text = await (await fetch(`${job.prometheus}${path}`, { method: "POST", body: form })).text();
    const { status, error } = JSON.parse(text);
    asked.push({ query: form.get("query")!, status, error });
    return text;
  } finally {
    pending--;
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url!, "http://localhost");
  const send = (type: string, text: string) => response.setHeader("Content-Type", type).end(text);
  try {
    if (url.pathname === "/page.js") return send("text/javascript", bundle);
    if (url.pathname.startsWith("/dashboards/")) return send("application/json", await dashboard());
    if (!url.pathname.startsWith("/prometheus/")) return send("text/html", html);
    let body = "";
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(request.method === "POST" ? body : url.search);
    send("application/json", await ask(url.pathname.slice("/prometheus".length), form));
  } catch (error) {
    problems.push(`${shown.name}: ${url.pathname}: ${error}`);
    response.statusCode = 500;
    response.end();
  }
});
await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
const port = (server.address() as { port: number }).port;

/** Waits until nothing is asked any more, and what came is drawn. */
async function settled(page: Page): Promise<void> {
  let quiet = 0;
  for (let i = 0; i < 600 && quiet < 8; i++) {
    await page.waitForTimeout(100);
    const loading = await page.locator(".MuiSkeleton-root, [role=progressbar]").count();
    quiet = pending === 0 && loading === 0 ? quiet + 1 : 0;
  }
  if (quiet < 8) problems.push(`${shown.name}: it is still loading after a minute`);
}

/** The text of each panel, by its title. */
async function panels(page: Page): Promise<Record<string, string>> {
  return Object.fromEntries(await page.locator('[data-testid="panel"]').evaluateAll((all) =>
    all.map((e) => [e.querySelector("h2,h6,[id*=title],header .MuiTypography-root")?.textContent ?? "", (e as HTMLElement).innerText])));
}

/** Each text is a whole line or cell of its panel, or none is. */
function compare(got: Record<string, string>, texts: Texts = {}, gone: Texts = {}): void {
  for (const [wanted, shows] of [[texts, true], [gone, false]] as const) {
    for (const [title, list] of Object.entries(wanted)) {
      const parts = got[title]?.split(/[\n\t]/).map((part) => part.trim()) ?? [];
      for (const text of list) {
        if (parts.includes(text) !== shows) problems.push(`${shown.name}: ${title} shows ${JSON.stringify(parts.join("|").slice(0, 400))}, ${shows ? "not" : "and must not"} ${text}`);
      }
    }
  }
}

async function look(page: Page, view: View): Promise<void> {
  shown = view;
  asked.length = 0;
  const query = new URLSearchParams({ start: view.duration, ...Object.fromEntries(Object.entries(view.variables).map(([k, v]) => [`var-${k}`, v])) });
  await page.goto(`http://127.0.0.1:${port}/${view.dashboard}?${query}`);
  await settled(page);
  if (view.picture) return void (await page.screenshot({ path: view.picture }));
  const d = JSON.parse(readFileSync(`../../dashboards/${view.dashboard}.json`, "utf8"));
  const wanted = d.panels.filter((p: any) => p.type !== "row");
  const got = await panels(page);
  const empty = view.empty ?? [];
  for (const p of wanted) {
    const text = got[p.title];
    if (text === undefined) {
      problems.push(`${view.name}: no panel ${p.title} among ${Object.keys(got)}`);
    } else if ((/no data/i.test(text) || p.type === "table" && text.trim() === p.title) !== empty.includes(p.title)) {
      problems.push(`${view.name}: ${p.title} ${empty.includes(p.title) ? "has data" : "has no data"}: ${JSON.stringify(text)}`);
    } else if (/error/i.test(text.replaceAll("error", ""))) {
      problems.push(`${view.name}: ${p.title}: ${text}`);
    }
  }
  for (const a of asked) if (a.status !== "success") problems.push(`${view.name}: ${a.error}: ${a.query}`);
  const queries = wanted.flatMap((p: any) => p.targets).length;
  if (asked.length < queries) problems.push(`${view.name}: ${asked.length} queries were asked, of ${queries}`);
  compare(got, view.texts, view.gone);
  if (view.choose) {
    asked.length = 0;
    await page.getByRole("combobox", { name: "Tenant" }).click();
    await page.getByRole("option", { name: view.choose.tenant, exact: true }).click();
    await settled(page);
    const other = asked.filter((a) => a.query.includes("tenant_id=~") && !a.query.includes(view.choose!.queries));
    if (asked.length === 0 || other.length > 0) problems.push(`${view.name}: ${asked.length} queries after another choice, of which ${other.length} are not of ${view.choose.queries}`);
    compare(await panels(page), view.choose.texts, view.choose.gone);
  }
  console.log(`${view.name}: ${wanted.length} panels, ${asked.length} queries`);
}

const browser = await chromium.launch({ executablePath: job.chromium, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"] });
try {
  for (const view of job.views) {
    // Tall for what is checked: panels below the fold load late.
    const page = await browser.newPage({ viewport: { width: 1400, height: view.picture ? 900 : 1900 } });
    page.on("pageerror", (error) => problems.push(`${view.name}: ${error}`));
    await look(page, view);
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
for (const p of problems) console.error(p);
process.exit(problems.length > 0 ? 1 : 0);
