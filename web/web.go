// Package web is the REST API over a store: SQL, tables, runs, the audit, and
// the agents' own APIs passed on.
//
//	POST   /v1/query       SQL as text/plain, or {"sql": "…"} as application/json;
//	                       the answer by Accept: application/json (an array of objects),
//	                       application/x-ndjson, text/csv, application/vnd.apache.parquet
//	GET    /v1/tables      what tables there are, with columns, files, rows, times
//	GET    /v1/runs        what the demux did; without a demux what the tables remember
//	POST   /v1/runs        {"type": "…"} or nothing: start a demux run now
//	GET    /v1/schedules   when the demux runs
//	GET    /v1/jobs        the jobs on tables; POST and DELETE /v1/jobs/{name}?type=… start and stop one
//	GET    /v1/tables/{type}/columns   columns with ids and docs; POST renames, drops or documents one
//	GET    /v1/audit       what is covered and what is missing
//	GET    /v1/agents      the agents that are configured
//	ANY    /v1/agents/{host}/…   as the agent's own /v1/…: adaptors, streams, switches, config, drain
//	GET    /v1/config      the config that runs; POST /v1/config/reload reads it again
//	GET    /healthz /readyz /metrics
//
// Errors are {"error": "…"}. A result that fails when part of it is already
// sent ends in a broken connection, never as if it were whole.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/reach"
)

// Deps is what the web part is given by its process.
type Deps struct {
	FS       store.FS
	BaseURI  string        // of the store, as other engines name it
	Engine   *query.Engine // the caller closes it after Run
	CacheDir string        // where audits remember what they looked at; empty: nowhere
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: the web part makes its own
	Reloader *reload.Reloader     // reads the config again; nil: nobody does
	Reach    *reach.Reach         // whether the store answers; nil: it is not looked at
}

// Server is the web part.
type Server struct {
	cfg     Config
	deps    Deps
	health  *daemon.Health
	metrics *metrics
	busy    atomic.Int64 // queries that run
	live    atomic.Pointer[live]
	keeper  *daemon.Keeper // of the token
	server  *daemon.Server

	once   sync.Once
	listen chan struct{}
}

// live is what a reload may change.
type live struct {
	queries int       // at one time
	demux   *upstream // nil: there is none
	known   []Agent
	agents  map[string]*client.Client
}

func newLive(cfg *Config) (*live, error) {
	l := &live{queries: max(1, cfg.Queries), known: cfg.Agents, agents: map[string]*client.Client{}}
	if cfg.Demux != "" {
		l.demux = &upstream{"the demux", newNeighbour("http://"+string(cfg.Demux), cfg.DemuxTokenFile)}
		if network, address := cfg.Demux.Split(); network == "unix" {
			l.demux.api = newUnixNeighbour(address, cfg.DemuxTokenFile)
		}
	}
	for _, a := range cfg.Agents {
		c, err := client.New(a.options())
		if err != nil {
			return nil, fmt.Errorf("web.agents, host %s: %w", a.Host, err)
		}
		l.agents[a.Host] = c
	}
	return l, nil
}

// Section is the web part's in a config file.
const Section = "web"

// liveKeys are the keys that are applied while the web part runs. All others need a
// restart.
var liveKeys = []string{"queries", "demux", "demux_token_file", "agents"}

// part is the web part's share of a reload.
func (s *Server) part() reload.Part {
	return reload.Part{Section: Section, Live: liveKeys, Prepare: func(next any, _ []string) (reload.Change, error) {
		cfg, _ := next.(Config)
		l, err := newLive(&cfg)
		if err != nil {
			return reload.Change{}, err
		}
		return reload.Change{Apply: func() { s.live.Store(l) }}, nil
	}}
}

// New checks what it is given and starts nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.FS == nil || deps.Engine == nil || deps.Log == nil {
		return nil, errors.New("the web part needs a store, a query engine and a log")
	}
	if deps.Registry == nil {
		deps.Registry = daemon.NewRegistry()
	}
	s := &Server{
		cfg: cfg, deps: deps, health: daemon.NewHealth(), metrics: newMetrics(deps.Registry),
		listen: make(chan struct{}),
	}
	if s.deps.Reloader == nil {
		s.deps.Reloader = reload.New(nil, deps.Log)
	}
	l, err := newLive(&cfg)
	if err != nil {
		return nil, err
	}
	s.live.Store(l)
	s.keeper = daemon.NewKeeper(daemon.Access{TokenFile: cfg.TokenFile}, deps.Log)
	if deps.Reach != nil {
		s.health.AddCheck("store", deps.Reach.Ready)
		deps.Registry.MustRegister(deps.Reach.Metric())
	}
	deps.Registry.MustRegister(s.deps.Reloader.Metrics("web")...)
	network, address := cfg.Listen.Split()
	s.server = daemon.NewServer(daemon.ServerConfig{
		Name: "web", Network: network, Address: address, Handler: s.Handler(), Log: deps.Log, Health: s.health, Keeper: s.keeper,
		WriteTimeout: max(time.Minute, 2*cfg.Timeout.Std()),
	})
	return s, nil
}

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	if err := s.server.Listen(); err != nil {
		return err
	}
	s.once.Do(func() { close(s.listen) })
	leave := s.deps.Reloader.Join(s.part())
	defer leave()
	return s.server.Run(ctx)
}

// Listening is closed when requests are taken.
func (s *Server) Listening() <-chan struct{} { return s.listen }

// Addr is where the server listens, once Listening is closed.
func (s *Server) Addr() net.Addr { return s.server.Addr() }

// Handler returns all routes.
func (s *Server) Handler() http.Handler {
	e := rest.NewEngine(s.deps.Log)
	e.UseRawPath = true // an adaptor's name may hold an escaped slash
	e.UnescapePathValues = false
	e.Use(rest.Authorize(s.keeper))
	rest.Ops(e, s.deps.Registry, s.health)
	rest.Reload(e, s.deps.Reloader, Section, s.cfg)
	g := e.Group("", rest.Guard())
	g.GET("/", s.index)
	g.POST("/v1/query", s.query)
	g.GET("/v1/tables", s.tables)
	g.GET("/v1/tables/:type/columns", s.toColumns)
	g.POST("/v1/tables/:type/columns", s.toColumns)
	g.GET("/v1/runs", s.runs)
	g.POST("/v1/runs", s.startRun)
	g.GET("/v1/schedules", s.schedules)
	g.GET("/v1/jobs", func(c *gin.Context) { s.toDemux(c, "/v1/jobs") })
	g.POST("/v1/jobs/:name", s.toJob)
	g.DELETE("/v1/jobs/:name", s.toJob)
	g.GET("/v1/audit", s.audit)
	g.GET("/v1/agents", s.listAgents)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		g.Handle(method, "/v1/agents/:host/*rest", s.passToAgent)
	}
	return e
}

func (s *Server) index(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{
		"name": "akupara web",
		"endpoints": []string{
			"POST /v1/query", "GET /v1/tables", "GET /v1/tables/{type}/columns", "POST /v1/tables/{type}/columns", "GET /v1/runs", "POST /v1/runs", "GET /v1/schedules", "GET /v1/jobs", "POST /v1/jobs/{name}", "DELETE /v1/jobs/{name}", "GET /v1/audit",
			"GET /v1/agents", "GET /v1/agents/{host}/adaptors", "GET /v1/agents/{host}/streams", "GET /v1/config", "POST /v1/config/reload", "GET /healthz", "GET /readyz", "GET /metrics",
		},
		"example": `curl -d 'show tables' http://` + c.Request.Host + `/v1/query`,
	})
}

// metrics are the web part's own.
type metrics struct {
	queries *prometheus.CounterVec
	seconds prometheus.Histogram
	rows    prometheus.Counter
	fetched prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "akupara_web_queries_total", Help: "Queries by outcome: ok, refused (the statement's fault), busy, failed.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "akupara_web_query_seconds", Help: "How long queries took that succeeded.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 9),
		}),
		rows:    prometheus.NewCounter(prometheus.CounterOpts{Name: "akupara_web_query_rows_total", Help: "Rows of results."}),
		fetched: prometheus.NewCounter(prometheus.CounterOpts{Name: "akupara_web_query_fetched_files_total", Help: "Data files that had to be read from the store."}),
	}
	reg.MustRegister(m.queries, m.seconds, m.rows, m.fetched)
	return m
}
