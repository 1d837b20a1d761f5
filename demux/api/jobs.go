package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
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
func (a *api) startJob(c *gin.Context) {
	req, ok := jobRequest(c)
	if !ok {
		return
	}
	name := c.Param("name")
	started, err := a.scheduler.StartJob(c.Request.Context(), name, req)
	switch {
	case err == nil:
		c.JSON(http.StatusAccepted, gin.H{"job": name, "started": started})
	case errors.Is(err, jobs.ErrUnknown):
		rest.Refuse(c, http.StatusNotFound, "there is no job %q", name)
	case errors.Is(err, demux.ErrBounds):
		rest.Refuse(c, http.StatusBadRequest, "%v", err)
	case errors.Is(err, demux.ErrNoTable):
		rest.Refuse(c, http.StatusNotFound, "%v", err)
	case errors.Is(err, jobs.ErrRunning):
		rest.Refuse(c, http.StatusConflict, "%v", err)
	case errors.Is(err, jobs.ErrOff):
		rest.Refuse(c, http.StatusServiceUnavailable, "%v", err)
	default:
		rest.Refuse(c, http.StatusBadGateway, "%v", err)
	}
}

// stopJob stops a job on a table, or on all.
func (a *api) stopJob(c *gin.Context) {
	req, ok := jobRequest(c)
	if !ok {
		return
	}
	n, err := a.scheduler.StopJob(c.Param("name"), req.Type)
	if err != nil {
		rest.Refuse(c, http.StatusNotFound, "%v", err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"job": c.Param("name"), "stopped": n})
}
