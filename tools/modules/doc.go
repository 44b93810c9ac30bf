// Package modules has a test only: each module that a go.mod of this repository
// requires directly has its reason in CONTRIBUTING.md, and none stands there
// that nobody requires.
package modules
