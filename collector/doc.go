// Package collector turns what the Petra API says of incidents into metrics.
// Data goes one way: the plan says what to ask, the refresher asks, the store
// keeps what is known, and the collector publishes it.
package collector
