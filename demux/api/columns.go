package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/schema"
)

// maxColumnBody bounds the body of a request that changes a column, in bytes.
const maxColumnBody = 16 << 10

func (a *api) columns(c *gin.Context) {
	a.answerColumns(c, func(dataType string) (demux.TableColumns, error) {
		return a.scheduler.Columns(c.Request.Context(), dataType)
	})
}

// alter changes a column: to another name, another doc, or its end.
func (a *api) alter(c *gin.Context) {
	var req struct {
		Column string  `json:"column"`
		Name   *string `json:"name"`
		Doc    *string `json:"doc"`
		Drop   bool    `json:"drop"`
		DryRun bool    `json:"dry_run"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxColumnBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&req)
	wanted := 0
	for _, given := range []bool{req.Name != nil, req.Doc != nil, req.Drop} {
		if given {
			wanted++
		}
	}
	if err != nil || req.Column == "" || wanted != 1 {
		why := `want {"column": NAME} with one of "name": NEW, "doc": TEXT and "drop": true; "dry_run": true changes nothing`
		if err != nil {
			why += ": " + err.Error()
		}
		rest.Refuse(c, http.StatusBadRequest, "the body: %s", why)
		return
	}
	change := schema.Change{Column: req.Column, Doc: req.Doc, Drop: req.Drop}
	if req.Name != nil {
		change.Name = *req.Name
	}
	a.answerColumns(c, func(dataType string) (demux.TableColumns, error) {
		return a.scheduler.Alter(c.Request.Context(), dataType, change, req.DryRun)
	})
}

func (a *api) answerColumns(c *gin.Context, ask func(dataType string) (demux.TableColumns, error)) {
	dataType := c.Param("type")
	if err := chunk.CheckType(dataType); err != nil {
		rest.Refuse(c, http.StatusBadRequest, "%v", err)
		return
	}
	cols, err := ask(dataType)
	var refused *schema.ChangeError
	switch {
	case err == nil:
		c.JSON(http.StatusOK, cols)
	case errors.Is(err, demux.ErrNoTable), errors.As(err, &refused) && refused.Missing:
		rest.Refuse(c, http.StatusNotFound, "%v", err)
	case refused != nil:
		rest.Refuse(c, http.StatusConflict, "%v", err)
	case errors.Is(err, lease.ErrHeld):
		rest.Refuse(c, http.StatusServiceUnavailable, "%v", err)
	default:
		rest.Refuse(c, http.StatusBadGateway, "%v", err)
	}
}
