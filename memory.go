package main

import (
	"errors"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// gcPercent is GOGC if the environment sets none. Most of the heap is garbage of
// the last scrape, which would double the peak.
const gcPercent = 50

// limitMemory makes the garbage collector respect the memory limit of the cgroup,
// such as a container's or a systemd unit's, unless GOMEMLIMIT is set.
func limitMemory(logger log.Logger) {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	limit, err := memlimit.Set()
	switch {
	case err != nil && !errors.Is(err, memlimit.ErrCgroupsNotSupported) && !errors.Is(err, memlimit.ErrNoCgroup):
		level.Warn(logger).Log("msg", "memory limit of the cgroup is unknown; set GOMEMLIMIT if there is one", "err", err)
	case limit < math.MaxInt64:
		level.Info(logger).Log("msg", "memory limit", "gomemlimit_bytes", limit)
	}
}
