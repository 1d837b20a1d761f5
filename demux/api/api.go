// Package api serves the runs, schedules and jobs of a demux, and the columns of its
// tables, by REST.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
	"github.com/gin-gonic/gin"
)

// Register has r serve what is asked of a scheduler. Runs that are started and not
// waited for end with life.
//
//	GET  /v1/runs?limit=N   the newest reports, newest first; running: those that tasks are at work on
//	POST /v1/runs           {"type": "…"}, ?type=… or nothing: run now; ?wait=true answers with the reports
//	GET  /v1/schedules
//	GET  /v1/config                 the config that runs; POST /v1/config/reload reads it again
//	GET  /v1/jobs                   the jobs on tables: state, progress, last outcome, next time; running: those, and runs, that tasks are at work on
//	POST /v1/jobs/NAME?type=…       work on the table now, or on all: ?since=…&until=… (RFC 3339) where the job knows bounds
//	DELETE /v1/jobs/NAME?type=…     stop, on the table or on all; NAME may be run: those that tasks are at work on
//	GET  /v1/tables/TYPE/columns    ids, names, types, docs, nulls
//	POST /v1/tables/TYPE/columns    {"column": …} with "name", "doc" or "drop": change it; "dry_run": true shows what would be
func Register(life context.Context, s *demux.Scheduler, r gin.IRoutes) {
	a := &api{scheduler: s, life: life}
	r.GET("/v1/runs", a.list)
	r.POST("/v1/runs", a.start)
	r.GET("/v1/jobs", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"jobs": s.Jobs(), "running": s.Running()})
	})
	r.POST("/v1/jobs/:name", a.startJob)
	r.DELETE("/v1/jobs/:name", a.stopJob)
	r.GET("/v1/tables/:type/columns", a.columns)
	r.POST("/v1/tables/:type/columns", a.alter)
	rest.Reload(r, s.Reloader(), demux.Section, s.Config())
	r.GET("/v1/schedules", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"schedules": s.Schedules()}) })
}

type api struct {
	scheduler *demux.Scheduler
	life      context.Context // of runs
}

const maxRunsBody = 4096 // bytes of a POST's body

func (a *api) list(c *gin.Context) {
	limit, err := strconv.Atoi(c.DefaultQuery("limit", "100"))
	if err != nil || limit < 1 {
		rest.Refuse(c, http.StatusBadRequest, "limit: %q is not a number from 1 on", c.Query("limit"))
		return
	}
	c.JSON(http.StatusOK, gin.H{
		"runs": a.scheduler.Newest(limit), "running": a.scheduler.Running(),
	})
}

func (a *api) start(c *gin.Context) {
	var req struct {
		Type string `json:"type"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxRunsBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil && !errors.Is(err, io.EOF) {
		rest.Refuse(c, http.StatusBadRequest, `the body is not {"type": "TYPE"}: %v`, err)
		return
	}
	if req.Type == "" {
		req.Type = c.Query("type")
	}
	if req.Type != "" {
		if err := chunk.CheckType(req.Type); err != nil {
			rest.Refuse(c, http.StatusBadRequest, "%v", err)
			return
		}
	}
	wait := c.Query("wait") == "true"
	ctx, cancel := context.WithCancel(a.life)
	if wait {
		context.AfterFunc(c.Request.Context(), cancel)
	}
	var reports []demux.Report
	var err error
	done := make(chan struct{})
	// What is not waited for is in the history; errors are logged, too.
	if !a.scheduler.RunNow(ctx, req.Type, func(all []demux.Report, failed error) {
		defer close(done)
		defer cancel()
		reports, err = all, failed
	}) {
		cancel()
		rest.Refuse(c, http.StatusServiceUnavailable, "no runs are begun any more: the demux is about to end")
		return
	}
	if !wait {
		c.JSON(http.StatusAccepted, gin.H{"started": true, "type": req.Type})
		return
	}
	<-done
	status := http.StatusOK
	if err != nil {
		status = http.StatusBadGateway
	}
	c.JSON(status, gin.H{"runs": reports})
}
