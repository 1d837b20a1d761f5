package agentd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/gin-gonic/gin"
)

// What a request may take.
const (
	maxEntry     = 64 << 10         // bytes of a body
	stopWithin   = 15 * time.Second // a stop waits for the adaptor so long
	maxDrain     = 10 * time.Minute // that a drain may be told to wait
	defaultDrain = 30 * time.Second
	maxPage      = 100_000
	defaultPage  = 1000
)

// server is the agent's REST API, which openapi.yaml describes.
func (a *Agent) server(h handlers, health *daemon.Health) *daemon.Server {
	network, address := a.cfg.Listen.Split()
	keeper := daemon.NewKeeper(a.cfg.access(), a.deps.Log)
	return daemon.NewServer(daemon.ServerConfig{
		Name: "agent", Network: network, Address: address, Handler: a.handler(h, keeper, health), Log: a.deps.Log, Health: health,
		Keeper: keeper, ReadTimeout: 20 * time.Second, WriteTimeout: maxDrain + time.Minute, Drain: time.Second,
	})
}

func (a *Agent) handler(h handlers, keeper *daemon.Keeper, health *daemon.Health) *gin.Engine {
	e := daemon.NewEngine(a.deps.Log)
	e.Use(h.guard, keeper.Authorize("/healthz", "/readyz"))
	daemon.Ops(e, a.deps.Registry, health)
	v1 := e.Group("/v1")
	v1.GET("/adaptors", h.list)
	v1.POST("/adaptors", h.add)
	v1.GET("/adaptors/:name", h.get)
	v1.PUT("/adaptors/:name", h.update)
	v1.DELETE("/adaptors/:name", h.remove)
	v1.POST("/adaptors/:name/stop", h.stop)
	v1.POST("/adaptors/:name/start", h.start)
	v1.POST("/adaptors/:name/rewind", h.rewind)
	v1.GET("/streams", h.streams)
	v1.GET("/checkpoints", h.checkpoints)
	v1.GET("/switches", h.listSwitches)
	v1.GET("/switches/:name", h.getSwitch)
	v1.PUT("/switches/:name", h.putSwitch)
	v1.DELETE("/switches/:name", h.removeSwitch)
	v1.GET("/personas", h.listPersonas)
	v1.GET("/config", h.config)
	v1.POST("/config/reload", h.reload)
	v1.GET("/drain", h.drained)
	v1.POST("/drain", h.drain)
	v1.DELETE("/drain", h.resume)
	v1.GET("/openapi.yaml", describeYAML)
	v1.GET("/openapi.json", describeJSON)
	return e
}

type handlers struct {
	fleet    *fleet
	reloader *reloader
	idle     func() bool          // nothing that was posted waits to be settled
	personas func() []personaView // by name
}

// guard refuses what browsers send for other sites.
func (h handlers) guard(c *gin.Context) {
	if err := daemon.CheckOrigin(c.Request, h.fleet.names()...); err != nil {
		daemon.Refuse(c, http.StatusForbidden, "%v", err)
	}
}

func (h handlers) list(c *gin.Context) { c.JSON(http.StatusOK, h.fleet.supervisor.List()) }

func (h handlers) get(c *gin.Context) { h.show(c, http.StatusOK) }

func (h handlers) show(c *gin.Context, status int) {
	view, err := h.fleet.get(c.Param("name"))
	answer(c, status, view, err)
}

func (h handlers) add(c *gin.Context) {
	if body, ok := read(c); ok {
		view, err := h.fleet.add(body)
		answer(c, http.StatusCreated, view, err)
	}
}

func (h handlers) update(c *gin.Context) {
	if body, ok := read(c); ok {
		view, err := h.fleet.update(c.Param("name"), body)
		answer(c, http.StatusOK, view, err)
	}
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
	answer(c, http.StatusNoContent, nil, h.fleet.remove(ctx, c.Param("name")))
}

// rewindBody says which streams are set back, and to where.
type rewindBody struct {
	Stream string          `json:"stream"`
	Path   string          `json:"path"`
	All    bool            `json:"all"`
	Offset json.RawMessage `json:"offset"` // a number, or "beginning", the default
}

func (b *rewindBody) decode() (supervise.Rewind, error) {
	r := supervise.Rewind{Stream: b.Stream, Path: b.Path, All: b.All}
	ways := 0
	for _, given := range []bool{b.Stream != "", b.Path != "", b.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return r, errors.New(`one of "stream", "path" and "all": true is required, to say which streams`)
	}
	switch text := string(b.Offset); text {
	case "", "null", `"beginning"`:
		r.Beginning = true
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return r, fmt.Errorf(`"offset" is %.40s; want a number of bytes from 0 up, or "beginning"`, text)
		}
		r.Offset = n
	}
	return r, nil
}

func (h handlers) rewind(c *gin.Context) {
	var body rewindBody
	if !readJSON(c, &body) {
		return
	}
	r, err := body.decode()
	if err != nil {
		daemon.Refuse(c, http.StatusBadRequest, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), stopWithin)
	defer cancel()
	out, err := h.fleet.supervisor.Rewind(ctx, c.Param("name"), r)
	answer(c, http.StatusOK, out, err)
}

func (h handlers) streams(c *gin.Context) {
	if p, ok := readPage(c); ok {
		c.JSON(http.StatusOK, h.fleet.streams(p))
	}
}

func (h handlers) checkpoints(c *gin.Context) {
	if p, ok := readPage(c); ok {
		c.JSON(http.StatusOK, h.fleet.checkpoints(p))
	}
}

func (h handlers) listSwitches(c *gin.Context) { c.JSON(http.StatusOK, h.fleet.switches.List()) }

func (h handlers) getSwitch(c *gin.Context) {
	v, err := h.fleet.switches.Get(c.Param("name"))
	answer(c, http.StatusOK, v, err)
}

func (h handlers) putSwitch(c *gin.Context) {
	if body, ok := read(c); ok {
		v, err := h.fleet.putSwitch(c.Param("name"), body)
		answer(c, http.StatusOK, v, err)
	}
}

func (h handlers) removeSwitch(c *gin.Context) {
	answer(c, http.StatusNoContent, nil, h.fleet.removeSwitch(c.Param("name")))
}

func (h handlers) listPersonas(c *gin.Context) { c.JSON(http.StatusOK, h.personas()) }

func (h handlers) config(c *gin.Context) { c.JSON(http.StatusOK, h.reloader.view()) }

func (h handlers) reload(c *gin.Context) {
	done, err := h.reloader.reload("REST")
	if err != nil {
		refuse(c, err)
		return
	}
	v := h.reloader.view()
	v.Changed = done
	c.JSON(http.StatusOK, v)
}

func (h handlers) drained(c *gin.Context) { c.JSON(http.StatusOK, h.fleet.left(h.idle)) }

func (h handlers) drain(c *gin.Context) {
	body := struct {
		Timeout *config.Duration `json:"timeout"`
	}{}
	if c.Request.ContentLength != 0 && !readJSON(c, &body) {
		return
	}
	within := defaultDrain
	if body.Timeout != nil {
		within = body.Timeout.Std()
	}
	if within > maxDrain {
		daemon.Refuse(c, http.StatusBadRequest, "\"timeout\" is %v; at most %v are allowed", within, maxDrain)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), within)
	defer cancel()
	v, err := h.fleet.drain(ctx, h.idle)
	answer(c, http.StatusOK, v, err)
}

func (h handlers) resume(c *gin.Context) {
	answer(c, http.StatusNoContent, nil, h.fleet.supervisor.Hold(c.Request.Context(), false))
}

// read gives the request's body, or answers why not.
func read(c *gin.Context) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxEntry))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			daemon.Refuse(c, http.StatusRequestEntityTooLarge, "the body has more than %d bytes; at most that many are allowed", maxEntry)
		} else {
			daemon.Refuse(c, http.StatusBadRequest, "the request can't be read: %v", err)
		}
		return nil, false
	}
	return body, true
}

// readJSON decodes the request's body strictly, or answers why not.
func readJSON(c *gin.Context, into any) bool {
	body, ok := read(c)
	if !ok {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("there is more than one value")
	}
	if err != nil {
		daemon.Refuse(c, http.StatusBadRequest, "the body is not what is wanted: %v", err)
		return false
	}
	return true
}

// readPage decodes the query of a list, or answers why not.
func readPage(c *gin.Context) (page, bool) {
	p := page{adaptor: c.Query("adaptor"), limit: defaultPage}
	for _, q := range []struct {
		name     string
		into     *int
		min, max int
	}{{"limit", &p.limit, 1, maxPage}, {"offset", &p.offset, 0, 1 << 30}} {
		text, given := c.GetQuery(q.name)
		if !given {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < q.min || n > q.max {
			daemon.Refuse(c, http.StatusBadRequest, "%s is %.40q; want a number from %d to %d", q.name, text, q.min, q.max)
			return p, false
		}
		*q.into = n
	}
	return p, true
}

// answer answers with v, or with what the error stands for.
func answer(c *gin.Context, status int, v any, err error) {
	switch {
	case err != nil:
		refuse(c, err)
	case v == nil:
		c.Status(status)
	default:
		c.JSON(status, v)
	}
}

// refuse answers with the status that the error stands for.
func refuse(c *gin.Context, err error) {
	body := gin.H{"error": err.Error()}
	if problems := lines(err); len(problems) > 0 {
		body["problems"] = problems
	}
	c.AbortWithStatusJSON(statusOf(err), body)
}

func statusOf(err error) int {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var restart restartError
	var problems config.Problems
	switch {
	case errors.As(err, &restart):
		return http.StatusConflict
	case errors.As(err, &problems), is(supervise.ErrMake):
		return http.StatusBadRequest
	case is(errForbidden):
		return http.StatusForbidden
	case is(supervise.ErrUnknown, supervise.ErrNoStream, filter.ErrNoSwitch):
		return http.StatusNotFound
	case is(supervise.ErrExists, supervise.ErrKind, supervise.ErrNotRewindable, errInConfig, errRenamed, errNoFile, errUnread,
		filter.ErrSwitchInConfig, filter.ErrManySwitches):
		return http.StatusConflict
	case is(context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
