// Package compose holds what the files for Docker Compose in deploy promise, read
// as Compose reads them.
//
// Run the tests with -count=1: the files lie outside this module, and Go's cache of
// test results does not see them change.
package compose
