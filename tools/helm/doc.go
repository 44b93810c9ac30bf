// Package helm holds what the Helm chart in deploy/helm promises: its values are
// checked, and what it renders is what Kubernetes and the Prometheus Operator take.
//
// Run the tests with -count=1: the chart lies outside this module, and Go's cache of
// test results does not see it change.
package helm
