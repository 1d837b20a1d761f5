package demux

import (
	"errors"
	"net/http"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/gin-gonic/gin"
)

// jobRequest reads the query of a request about a job; it has refused the request
// where that is wrong.
func jobRequest(c *gin.Context) (req jobs.Request, ok bool) {
	if req.Type = c.Query("type"); req.Type != "" {
		if err := chunk.CheckType(req.Type); err != nil {
			rest.Refuse(c, http.StatusBadRequest, "type: %v", err)
			return req, false
		}
	}
	for key, at := range map[string]*time.Time{"since": &req.Since, "until": &req.Until} {
		text := c.Query(key)
		if text == "" {
			continue
		}
		var err error
		if *at, err = time.Parse(time.RFC3339, text); err != nil {
			rest.Refuse(c, http.StatusBadRequest, "%s: %q is not a time such as 2026-01-02T15:04:05Z", key, text)
			return req, false
		}
	}
	return req, true
}

// startJob starts a job on a table, or on all where it is not at work.
func (a *API) startJob(c *gin.Context) {
	req, ok := jobRequest(c)
	if !ok {
		return
	}
	runner, name := a.scheduler.jobs, c.Param("name")
	if !runner.Has(name) {
		rest.Refuse(c, http.StatusNotFound, "there is no job %q", name)
		return
	}
	if name == jobRedo && (req.Type == "" || req.Since.IsZero() && req.Until.IsZero()) {
		rest.Refuse(c, http.StatusBadRequest, "redo needs type, and since or until: which rows are to be parsed again")
		return
	}
	types := []string{req.Type}
	if req.Type != "" {
		known, err := a.scheduler.demux.known(c.Request.Context(), req.Type)
		switch {
		case err != nil:
			rest.Refuse(c, http.StatusBadGateway, "%v", err)
			return
		case !known:
			rest.Refuse(c, http.StatusNotFound, "there is no table %s", req.Type)
			return
		}
	} else {
		var err error
		if types, err = a.scheduler.demux.tables(c.Request.Context()); err != nil {
			rest.Refuse(c, http.StatusBadGateway, "%v", err)
			return
		}
	}
	started := []string{}
	for _, t := range types {
		one := req
		one.Type = t
		_, err := runner.Start(name, one)
		switch {
		case err == nil:
			started = append(started, t)
		case req.Type != "" && errors.Is(err, jobs.ErrRunning):
			rest.Refuse(c, http.StatusConflict, "%v", err)
			return
		case !errors.Is(err, jobs.ErrRunning):
			rest.Refuse(c, http.StatusServiceUnavailable, "%v", err)
			return
		}
	}
	c.JSON(http.StatusAccepted, gin.H{"job": name, "started": started})
}

func (a *API) stopJob(c *gin.Context) {
	req, ok := jobRequest(c)
	if !ok {
		return
	}
	if c.Param("name") == kindRun {
		c.JSON(http.StatusOK, gin.H{"job": kindRun, "stopped": a.scheduler.demux.running.stop(kindRun, req.Type)})
		return
	}
	n, err := a.scheduler.jobs.Stop(c.Param("name"), req.Type)
	if err != nil {
		rest.Refuse(c, http.StatusNotFound, "%v", err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"job": c.Param("name"), "stopped": n})
}
