package main

import (
	"context"
	"math"
	"runtime/debug"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/api"
	"github.com/gin-gonic/gin"
)

// demuxDaemon is the scheduler with its API, where it has one.
type demuxDaemon struct {
	scheduler *demux.Scheduler
	engine    *gin.Engine
	health    *daemon.Health
	server    *daemon.Server // nil: no API
}

func (d *demuxDaemon) run(ctx context.Context) error {
	if d.server == nil {
		return d.scheduler.Run(ctx)
	}
	api.Register(ctx, d.scheduler, d.engine)
	var g daemon.Group
	g.Add("scheduler", d.scheduler.Run)
	g.Add("API", d.server.Run)
	return g.Run(ctx)
}

// What a process that only demuxes may take before the garbage collector runs more
// often, in bytes. Rows in memory are bounded far below, and so are the indexes of the
// sink files that runs by tasks are planned from; this bounds what lies around between
// two collections.
const (
	demuxMemory   = 384 << 20
	plannerMemory = 3328 << 20
)

// What a process that does everything may take, to which DuckDB and what is mapped
// come, and of it the rows of runs, in bytes.
const (
	upMemory   = 336 << 20
	upRowBytes = 160 << 20
)

// limitMemory limits that of one that demuxes by itself, or of one that plans for a
// cluster, unless GOMEMLIMIT does.
func limitMemory(spreads bool, itself int64) {
	switch {
	case debug.SetMemoryLimit(-1) != math.MaxInt64:
	case spreads:
		debug.SetMemoryLimit(plannerMemory)
		debug.SetGCPercent(200) // what a run is planned from lives as long as it
	default:
		debug.SetMemoryLimit(itself)
	}
}
