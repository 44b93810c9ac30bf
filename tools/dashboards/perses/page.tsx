// The page that shows a converted dashboard, with Perses' own components and plugins,
// all of them in one file and without Perses' server.
import { CssBaseline, ThemeProvider } from "@mui/material";
import { ChartsProvider, SnackbarProvider, generateChartsTheme, getTheme } from "@perses-dev/components";
import type { DashboardResource, GlobalDatasourceResource } from "@perses-dev/core";
import { ViewDashboard } from "@perses-dev/dashboards";
import { PluginRegistry, dynamicImportPluginLoader } from "@perses-dev/plugin-system";
import * as bar from "@perses-dev/bar-chart-plugin";
import * as prometheus from "@perses-dev/prometheus-plugin";
import * as stat from "@perses-dev/stat-chart-plugin";
import * as list from "@perses-dev/static-list-variable-plugin";
import * as table from "@perses-dev/table-plugin";
import * as series from "@perses-dev/timeseries-chart-plugin";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router-dom";
import { QueryParamProvider } from "use-query-params";
import { ReactRouter6Adapter } from "use-query-params/adapters/react-router-6";

// Numbers of now are asked for as such: Perses would take the last of a time range.
const now = { queryOptions: { mode: "instant" as const } };
const plugins = [
  prometheus, series, list, table,
  { ...stat, StatChart: { ...stat.StatChart, ...now } }, { ...bar, BarChart: { ...bar.BarChart, ...now } },
];

const datasource: GlobalDatasourceResource = {
  kind: "GlobalDatasource", metadata: { name: "prometheus" } as never,
  spec: { default: true, plugin: { kind: "PrometheusDatasource", spec: { directUrl: "/prometheus", scrapeInterval: "5s" } } },
};

const theme = getTheme("light");

function Page({ dashboard }: { dashboard: DashboardResource }) {
  return (
    <ThemeProvider theme={theme}>
      <CssBaseline />
      <ChartsProvider chartsTheme={generateChartsTheme(theme, {})}>
        <SnackbarProvider>
          <PluginRegistry
            pluginLoader={dynamicImportPluginLoader(plugins.map((p) => ({ resource: p.getPluginModule() as never, importPlugin: async () => p })))}
            defaultPluginKinds={{ Panel: "TimeSeriesChart", TimeSeriesQuery: "PrometheusTimeSeriesQuery" }}
          >
            <ViewDashboard
              dashboardResource={dashboard} isReadonly isVariableEnabled isDatasourceEnabled={false}
              datasourceApi={{
                getDatasource: async () => undefined, getGlobalDatasource: async () => datasource,
                listDatasources: async () => [], listGlobalDatasources: async () => [datasource],
              }}
            />
          </PluginRegistry>
        </SnackbarProvider>
      </ChartsProvider>
    </ThemeProvider>
  );
}

const dashboard = await (await fetch(`/dashboards/${location.pathname.slice(1)}.json`)).json();
createRoot(document.getElementById("page")!).render(
  <BrowserRouter>
    <QueryParamProvider adapter={ReactRouter6Adapter}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false } } })}>
        <Page dashboard={dashboard} />
      </QueryClientProvider>
    </QueryParamProvider>
  </BrowserRouter>,
);
