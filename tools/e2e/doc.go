// Package e2e runs what is shipped as a whole: the exporter, Prometheus and
// Alertmanager with the files in deploy, against the simulated API, down to the
// message that a person gets.
//
// So that a day's waiting ends in minutes, a program divides all durations by one
// factor; see [Scale].
//
// Run the tests with -count=1: binaries and files lie outside this module, and
// Go's cache of test results does not see them change.
package e2e
