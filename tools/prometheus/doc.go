// Package prometheus builds Prometheus and promtool, and holds what promtool does
// not ask of the rules in deploy/prometheus: that each alert is tested when it
// fires, when it nearly does and when it resolves, and has its section in the
// runbook. It also holds what the exporter's doctor makes of a real Prometheus,
// which make .cache/bin/prometheus builds.
//
// Run the tests with -count=1: the rules lie outside this module, and Go's cache
// of test results does not see them change.
package prometheus
