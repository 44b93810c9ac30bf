// Package dashboards holds the dashboards in /dashboards against Prometheus and in a
// browser: its tests start exporters and a Prometheus, execute each query of each
// panel and variable there, and render the dashboards in Chromium. What makes and
// checks their JSON stands beside it, in TypeScript.
//
// Run the tests with -count=1: the dashboards lie outside this module, and Go's cache
// of test results does not see them change.
package dashboards
