// Package petra is a typed client of the Petra Security API: its two routes,
// tolerant decoding, typed errors and the request budget. It contains no
// Prometheus metrics about incidents.
//
// The facts of the API come from the vendor's public reference: incidents are
// ordered by creation, newest first, at most [MaxIncidents] an answer, without
// a cursor or an upper date bound, and each route takes 10 requests a minute.
package petra
