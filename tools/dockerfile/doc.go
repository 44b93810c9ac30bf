// Package dockerfile checks the Dockerfile as docker build --check does, without
// Docker.
//
// Run the tests with -count=1: the Dockerfile lies outside this module, and Go's cache
// of test results does not see it change.
package dockerfile
