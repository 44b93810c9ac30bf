// Package alertmanager names the Alertmanager that the Makefile builds, and holds
// what deploy/alertmanager promises, on that program itself: who is told of what,
// what is silent, and how it reads.
//
// Run the tests with -count=1: the configuration lies outside this module, and
// Go's cache of test results does not see it change.
package alertmanager
