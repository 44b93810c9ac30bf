// Package collector turns the incidents of the Petra API into metrics. Data goes
// one way: the plan decides what to request, the refresher requests it, the store
// keeps the state, and the collector publishes it.
package collector
