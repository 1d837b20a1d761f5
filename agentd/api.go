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
	"strings"
	"time"

	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
)

// What a request may take.
const (
	maxEntry     = 64 << 10         // bytes of a body
	stopWithin   = 15 * time.Second // a stop waits for the adaptor so long
	maxDrain     = 10 * time.Minute // that a drain may be told to wait
	defaultDrain = 30 * time.Second
	maxPage      = 100_000
	defaultPage  = 1000
	maxConns     = 256
)

// server is the agent's REST API, which openapi.yaml describes.
func (a *Agent) server(h handlers, health *daemon.Health) *daemon.Server {
	network, address := a.cfg.Listen.Split()
	keeper := daemon.NewKeeper(a.cfg.access(), a.deps.Log)
	return daemon.NewServer(daemon.ServerConfig{
		Name: "agent", Network: network, Address: address, Handler: a.handler(h, keeper, health), Log: a.deps.Log, Health: health,
		Keeper: keeper, ReadTimeout: 20 * time.Second, WriteTimeout: maxDrain + time.Minute, Drain: time.Second,
		MaxConns: maxConns,
	})
}

func (a *Agent) handler(h handlers, keeper *daemon.Keeper, health *daemon.Health) *daemon.Mux {
	m := daemon.NewMux(a.deps.Log)
	m.Before(daemon.Guard(h.fleet.names))
	m.Before(keeper.Authorize("/healthz", "/readyz"))
	for path, handler := range daemon.OpsHandlers(a.deps.Registry, health) {
		m.Handle(http.MethodGet, path, handler.ServeHTTP)
	}
	for _, route := range []struct {
		method, path string
		handle       http.HandlerFunc
	}{
		{http.MethodGet, "/v1/adaptors", h.list},
		{http.MethodPost, "/v1/adaptors", h.add},
		{http.MethodGet, "/v1/adaptors/{name}", h.get},
		{http.MethodPut, "/v1/adaptors/{name}", h.update},
		{http.MethodDelete, "/v1/adaptors/{name}", h.remove},
		{http.MethodPost, "/v1/adaptors/{name}/stop", h.stop},
		{http.MethodPost, "/v1/adaptors/{name}/start", h.start},
		{http.MethodPost, "/v1/adaptors/{name}/rewind", h.rewind},
		{http.MethodGet, "/v1/streams", h.streams},
		{http.MethodGet, "/v1/checkpoints", h.checkpoints},
		{http.MethodGet, "/v1/switches", h.listSwitches},
		{http.MethodGet, "/v1/switches/{name}", h.getSwitch},
		{http.MethodPut, "/v1/switches/{name}", h.putSwitch},
		{http.MethodDelete, "/v1/switches/{name}", h.removeSwitch},
		{http.MethodGet, "/v1/personas", h.listPersonas},
		{http.MethodGet, "/v1/config", h.config},
		{http.MethodPost, "/v1/config/reload", h.reload},
		{http.MethodGet, "/v1/drain", h.drained},
		{http.MethodPost, "/v1/drain", h.drain},
		{http.MethodDelete, "/v1/drain", h.resume},
		{http.MethodGet, "/v1/openapi.yaml", describeYAML},
		{http.MethodGet, "/v1/openapi.json", describeJSON},
	} {
		m.Handle(route.method, route.path, route.handle)
	}
	return m
}

type handlers struct {
	fleet    *fleet
	reloader *reload.Reloader
	idle     func() bool          // nothing that was taken in waits to be posted or settled
	personas func() []personaView // by name
}

func (h handlers) list(w http.ResponseWriter, _ *http.Request) {
	daemon.Reply(w, http.StatusOK, h.fleet.supervisor.List())
}

func (h handlers) get(w http.ResponseWriter, r *http.Request) { h.show(w, r, http.StatusOK) }

func (h handlers) show(w http.ResponseWriter, r *http.Request, status int) {
	view, err := h.fleet.get(r.PathValue("name"))
	answer(w, status, view, err)
}

func (h handlers) add(w http.ResponseWriter, r *http.Request) {
	if body, ok := read(w, r); ok {
		view, err := h.fleet.add(body)
		answer(w, http.StatusCreated, view, err)
	}
}

func (h handlers) update(w http.ResponseWriter, r *http.Request) {
	if body, ok := read(w, r); ok {
		view, err := h.fleet.update(r.PathValue("name"), body)
		answer(w, http.StatusOK, view, err)
	}
}

func (h handlers) start(w http.ResponseWriter, r *http.Request) {
	if err := h.fleet.start(r.PathValue("name")); err != nil {
		refuse(w, err)
		return
	}
	h.show(w, r, http.StatusOK)
}

func (h handlers) stop(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), stopWithin)
	defer cancel()
	if err := h.fleet.stop(ctx, r.PathValue("name")); err != nil {
		refuse(w, err)
		return
	}
	h.show(w, r, http.StatusOK)
}

func (h handlers) remove(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), stopWithin)
	defer cancel()
	answer(w, http.StatusNoContent, nil, h.fleet.remove(ctx, r.PathValue("name")))
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

func (h handlers) rewind(w http.ResponseWriter, r *http.Request) {
	var body rewindBody
	if !readJSON(w, r, &body) {
		return
	}
	back, err := body.decode()
	if err != nil {
		daemon.Refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), stopWithin)
	defer cancel()
	out, err := h.fleet.supervisor.Rewind(ctx, r.PathValue("name"), back)
	answer(w, http.StatusOK, out, err)
}

func (h handlers) streams(w http.ResponseWriter, r *http.Request) {
	if p, ok := readPage(w, r); ok {
		daemon.Reply(w, http.StatusOK, h.fleet.streams(p))
	}
}

func (h handlers) checkpoints(w http.ResponseWriter, r *http.Request) {
	if p, ok := readPage(w, r); ok {
		daemon.Reply(w, http.StatusOK, h.fleet.checkpoints(p))
	}
}

func (h handlers) listSwitches(w http.ResponseWriter, _ *http.Request) {
	daemon.Reply(w, http.StatusOK, h.fleet.switches.List())
}

func (h handlers) getSwitch(w http.ResponseWriter, r *http.Request) {
	v, err := h.fleet.switches.Get(r.PathValue("name"))
	answer(w, http.StatusOK, v, err)
}

func (h handlers) putSwitch(w http.ResponseWriter, r *http.Request) {
	if body, ok := read(w, r); ok {
		v, err := h.fleet.putSwitch(r.PathValue("name"), body)
		answer(w, http.StatusOK, v, err)
	}
}

func (h handlers) removeSwitch(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusNoContent, nil, h.fleet.removeSwitch(r.PathValue("name")))
}

func (h handlers) listPersonas(w http.ResponseWriter, _ *http.Request) {
	daemon.Reply(w, http.StatusOK, h.personas())
}

func (h handlers) config(w http.ResponseWriter, _ *http.Request) {
	daemon.Reply(w, http.StatusOK, h.configView())
}

func (h handlers) reload(w http.ResponseWriter, _ *http.Request) {
	done, err := h.reloader.Reload("REST")
	if err != nil {
		reload.Refuse(w, err)
		return
	}
	v := h.configView()
	told, ok := done[Section].Told.(changed)
	if !ok { // the file is as it was
		told = nothingChanged()
	}
	v.Changed = &told
	daemon.Reply(w, http.StatusOK, v)
}

func (h handlers) drained(w http.ResponseWriter, _ *http.Request) {
	daemon.Reply(w, http.StatusOK, h.fleet.left(h.idle))
}

func (h handlers) drain(w http.ResponseWriter, r *http.Request) {
	body := struct {
		Timeout *config.Duration `json:"timeout"`
	}{}
	if r.ContentLength != 0 && !readJSON(w, r, &body) {
		return
	}
	within := defaultDrain
	if body.Timeout != nil {
		within = body.Timeout.Std()
	}
	if within > maxDrain {
		daemon.Refuse(w, http.StatusBadRequest, "\"timeout\" is %v; at most %v are allowed", within, maxDrain)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	v, err := h.fleet.drain(ctx, h.idle)
	answer(w, http.StatusOK, v, err)
}

func (h handlers) resume(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusNoContent, nil, h.fleet.supervisor.Hold(r.Context(), false))
}

// read returns the request's body, or answers why not.
func read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEntry))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			daemon.Refuse(w, http.StatusRequestEntityTooLarge, "the body has more than %d bytes; at most that many are allowed", maxEntry)
		} else {
			daemon.Refuse(w, http.StatusBadRequest, "the request can't be read: %v", err)
		}
		return nil, false
	}
	return body, true
}

// readJSON decodes the request's body strictly, or answers why not.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	body, ok := read(w, r)
	if !ok {
		return false
	}
	if err := decodeJSON(body, into); err != nil {
		daemon.Refuse(w, http.StatusBadRequest, "the body is not what is wanted: %v", err)
		return false
	}
	return true
}

// decodeJSON decodes one object, and says what is wrong in the words of JSON.
func decodeJSON(body []byte, into any) error {
	if text := bytes.TrimSpace(body); len(text) == 0 {
		return errors.New("it is empty; want an object in JSON")
	} else if text[0] != '{' {
		return errors.New("want an object in JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%q must not be a %s", strings.TrimPrefix(wrong.Field, "."), wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early to be JSON")
	case err != nil:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something stands behind the object")
	}
	return nil
}

// readPage decodes the query of a list, or answers why not.
func readPage(w http.ResponseWriter, r *http.Request) (page, bool) {
	p := page{adaptor: r.URL.Query().Get("adaptor"), limit: defaultPage}
	for _, q := range []struct {
		name     string
		into     *int
		min, max int
	}{{"limit", &p.limit, 1, maxPage}, {"offset", &p.offset, 0, 1 << 30}} {
		text := r.URL.Query().Get(q.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < q.min || n > q.max {
			daemon.Refuse(w, http.StatusBadRequest, "%s is %.40q; want a number from %d to %d", q.name, text, q.min, q.max)
			return p, false
		}
		*q.into = n
	}
	return p, true
}

// answer answers with v, or with what the error stands for.
func answer(w http.ResponseWriter, status int, v any, err error) {
	switch {
	case err != nil:
		refuse(w, err)
	case v == nil:
		w.WriteHeader(status)
	default:
		daemon.Reply(w, status, v)
	}
}

// refuse answers with the status that the error stands for.
func refuse(w http.ResponseWriter, err error) {
	body := map[string]any{"error": err.Error()}
	if problems := reload.Lines(err); len(problems) > 0 {
		body["problems"] = problems
	}
	daemon.Reply(w, statusOf(err), body)
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
	var problems config.Problems
	switch {
	case errors.As(err, &problems), is(supervise.ErrMake):
		return http.StatusBadRequest
	case is(errForbidden):
		return http.StatusForbidden
	case is(supervise.ErrUnknown, supervise.ErrNoStream, filter.ErrNoSwitch):
		return http.StatusNotFound
	case is(supervise.ErrExists, supervise.ErrKind, supervise.ErrNotRewindable, errInConfig, errRenamed, errManyAdded,
		filter.ErrSwitchInConfig, filter.ErrManySwitches):
		return http.StatusConflict
	case is(context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
