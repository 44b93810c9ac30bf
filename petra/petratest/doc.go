// Package petratest simulates the Petra API, for tests, for the demo and for
// benchmarks.
//
// An Organization holds tenants and incidents and what becomes of them as time passes;
// an API serves it with the documented parameters, errors and rate limit, and
// with faults that a test can switch on; a Server puts the API on loopback, and a
// Pipe on connections in memory, which testing/synctest can run on virtual time.
//
// The package shares no code with the client: it is a second reading of the same
// documentation.
package petratest
