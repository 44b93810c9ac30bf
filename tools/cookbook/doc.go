// Package cookbook holds the README's examples against Prometheus itself: its
// tests execute each query there on Prometheus' own engine, over what a whole
// exporter publishes.
//
// Run them with -count=1: the README lies outside this module, and Go's cache of
// test results does not see it change.
package cookbook
