// Package backfill holds what petra_exporter backfill promises against real
// servers: promtool makes blocks of its file, Prometheus answers queries over
// them while it scrapes an exporter, and the answers are what the simulated
// incidents say.
//
// It needs the built exporter, promtool and prometheus: make backfill.
package backfill
