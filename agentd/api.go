package agentd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/gin-gonic/gin"
)

// What a request may take.
const (
	maxEntry   = 64 << 10         // bytes of an adaptor's entry
	stopWithin = 15 * time.Second // a stop waits for the adaptor so long
)

// server is the agent's REST API:
//
//	GET    /v1/adaptors               all adaptors, as a list
//	POST   /v1/adaptors               adds one: the keys of an entry of the config
//	GET    /v1/adaptors/NAME
//	DELETE /v1/adaptors/NAME          one that was added over REST
//	POST   /v1/adaptors/NAME/stop
//	POST   /v1/adaptors/NAME/start
//	GET    /healthz /readyz /metrics
//
// Errors are {"error": "…"}, with {"problems": […]} where an entry is wrong.
func (a *Agent) server(f *fleet, health *daemon.Health) *daemon.Server {
	network, address := a.cfg.Listen.Split()
	return daemon.NewServer(daemon.ServerConfig{
		Name: "agent", Network: network, Address: address, Handler: a.handler(f, health), Log: a.deps.Log, Health: health,
		ReadTimeout: 20 * time.Second, WriteTimeout: time.Minute, Drain: time.Second,
	})
}

func (a *Agent) handler(f *fleet, health *daemon.Health) http.Handler {
	e := daemon.NewEngine(a.deps.Log)
	e.Use(daemon.Guard())
	daemon.Ops(e, a.deps.Registry, health)
	h := handlers{f}
	e.GET("/v1/adaptors", h.list)
	e.POST("/v1/adaptors", h.add)
	e.GET("/v1/adaptors/:name", h.get)
	e.DELETE("/v1/adaptors/:name", h.remove)
	e.POST("/v1/adaptors/:name/stop", h.stop)
	e.POST("/v1/adaptors/:name/start", h.start)
	return e
}

type handlers struct{ fleet *fleet }

func (h handlers) list(c *gin.Context) { c.JSON(http.StatusOK, h.fleet.supervisor.List()) }

func (h handlers) get(c *gin.Context) { h.show(c, http.StatusOK) }

func (h handlers) show(c *gin.Context, status int) {
	view, err := h.fleet.supervisor.Get(c.Param("name"))
	if err != nil {
		refuse(c, err)
		return
	}
	c.JSON(status, view)
}

func (h handlers) add(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxEntry))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			daemon.Refuse(c, http.StatusRequestEntityTooLarge, "an adaptor's entry has at most %d bytes", maxEntry)
			return
		}
		daemon.Refuse(c, http.StatusBadRequest, "the request can't be read: %v", err)
		return
	}
	view, err := h.fleet.add(body)
	if err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusCreated, view)
}

func (h handlers) start(c *gin.Context) {
	if err := h.fleet.start(c.Param("name")); err != nil {
		refuse(c, err)
		return
	}
	h.show(c, http.StatusOK)
}

func (h handlers) stop(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), stopWithin)
	defer cancel()
	if err := h.fleet.stop(ctx, c.Param("name")); err != nil {
		refuse(c, err)
		return
	}
	h.show(c, http.StatusOK)
}

func (h handlers) remove(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), stopWithin)
	defer cancel()
	if err := h.fleet.remove(ctx, c.Param("name")); err != nil {
		refuse(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// refuse answers with the status that the error stands for.
func refuse(c *gin.Context, err error) {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = p.String()
		}
		c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": err.Error(), "problems": lines})
	case errors.Is(err, errForbidden):
		daemon.Refuse(c, http.StatusForbidden, "%v", err)
	case errors.Is(err, supervise.ErrUnknown):
		daemon.Refuse(c, http.StatusNotFound, "%v", err)
	case errors.Is(err, supervise.ErrExists), errors.Is(err, errInConfig):
		daemon.Refuse(c, http.StatusConflict, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		daemon.Refuse(c, http.StatusGatewayTimeout, "%v", err)
	default:
		daemon.Refuse(c, http.StatusInternalServerError, "%v", err)
	}
}
