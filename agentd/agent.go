// Package agentd is the agent: it runs adaptors, batches and compresses what
// they read, posts it to a collector, and moves a checkpoint only over what a
// collector has told to be settled.
//
//	adaptor ─► filter ─────────────► ship (batch, compress, post) ──► collector
//	   ▲           └─► spool ─────►   │ what was taken
//	   │                 ▲            ▼
//	   └─────────────────┴───────── ledger (asks for receipts) ────► checkpoints
//
// An adaptor whose sources can be read again (a Replayer) sends straight to
// the shipper; what the others emit goes through the agent's spool. Shipper and
// ledger are there once for each persona, as a lane.
package agentd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/prometheus/client_golang/prometheus"
)

// Deps is what the agent is given by its process.
type Deps struct {
	Dir      string // the agent's own data directory: checkpoints and spool lie in it
	Kinds    []adaptors.Kind
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: the agent makes its own
	Reloader *reload.Reloader     // reads the config again; nil: nobody does
}

// Agent is one agent.
type Agent struct {
	cfg       Config
	deps      Deps
	listening chan struct{}
	addr      string // set before listening is closed
}

// New checks what it is given and starts nothing. cfg is what Decode gave.
func New(cfg Config, deps Deps) (*Agent, error) {
	exposed := cfg.access().Check(cfg.Listen.Split())
	switch {
	case len(cfg.Collectors) == 0:
		return nil, errors.New("agent: no collectors are configured")
	case deps.Dir == "":
		return nil, errors.New("agent: no data directory is given")
	case exposed != nil:
		return nil, fmt.Errorf("agent: listen: %w", exposed)
	case len(cfg.specs) != len(cfg.Adaptors):
		return nil, errors.New("agent: the config was not read by Decode")
	}
	if deps.Registry == nil {
		deps.Registry = daemon.NewRegistry()
	}
	if deps.Reloader == nil {
		deps.Reloader = reload.New(nil, deps.Log)
	}
	return &Agent{cfg: cfg, deps: deps, listening: make(chan struct{})}, nil
}

// Listening is closed when the REST API takes requests.
func (a *Agent) Listening() <-chan struct{} { return a.listening }

// Addr is where the REST API listens, once Listening is closed: it tells the
// port where the config says 0.
func (a *Agent) Addr() string { return a.addr }

// How long one post and one question for receipts may take.
const (
	postTimeout = 30 * time.Second
	askTimeout  = 5 * time.Second
)

// parts are what a running agent is made of.
type parts struct {
	checkpoints *checkpoints.Store
	spool       *spool.Spool
	dataDir     *dataDir
	spoolOut    *supervise.SpoolOut
	lanes       *lanes
	supervisor  *supervise.Supervisor
}

// asker is who the ledger asks.
type asker struct {
	*collectors.Client
	*collectors.List
}

// Run works until ctx is done; then it drains, writes its checkpoints and
// returns. It waits for collectors that are away, however long.
func (a *Agent) Run(ctx context.Context) (err error) {
	p, err := a.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while it waited
		}
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	fleet := &fleet{cfg: &a.cfg, generation: 1, kinds: a.deps.Kinds, store: p.checkpoints, supervisor: p.supervisor,
		switches: p.lanes.switches, configure: p.configure, log: a.deps.Log}
	for i := range a.cfg.specs {
		a.cfg.specs[i].Generation = 1
	}
	fleet.restore()
	health := daemon.NewHealth()
	health.AddCheck("data_dir", p.dataDir.whole)
	server := a.server(handlers{fleet: fleet, reloader: a.deps.Reloader, idle: p.lanes.idle, personas: p.personas}, health)
	if err := server.Listen(); err != nil {
		return err
	}
	unregister := register(a.deps.Registry, p, a.deps.Reloader)
	defer unregister()
	a.addr = server.Addr().String()
	close(a.listening)
	return a.run(ctx, p, fleet, server)
}

// configure applies what of a new config is not the adaptors'.
func (p *parts) configure(cfg *Config) {
	p.lanes.apply(cfg)
	p.spool.SetBounds(int64(cfg.Spool.Bytes), cfg.spoolShares())
}

func (p *parts) personas() []personaView {
	return p.lanes.views(p.supervisor.List(), p.spool.Used)
}

func (a *Agent) open(ctx context.Context) (*parts, error) {
	log := a.deps.Log
	store, err := opened(ctx, log, func() (*checkpoints.Store, error) {
		return checkpoints.Open(filepath.Join(a.deps.Dir, "checkpoints"), log)
	})
	if err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	host := hostname(&a.cfg)
	sp, err := opened(ctx, log, func() (*spool.Spool, error) {
		return spool.Open(spool.Config{
			Dir: filepath.Join(a.deps.Dir, "spool"), Host: host,
			MaxBytes: int64(a.cfg.Spool.Bytes), KeepFree: float64(a.cfg.Spool.KeepFree), Shares: a.cfg.spoolShares(),
		}, log)
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	p := &parts{checkpoints: store, spool: sp, dataDir: &dataDir{store: store, spool: sp, log: log}, lanes: newLanes(&a.cfg, store, log)}
	p.supervisor = supervise.New(supervise.Env{
		Host: host, Log: log, Spool: sp, Checkpoints: store, Switches: p.lanes.switches, Route: p.lanes.route,
		Close: p.lanes.close,
	})
	p.spoolOut = &supervise.SpoolOut{Spool: sp, Route: p.lanes.route, Level: p.supervisor.Level}
	return p, nil
}

func (p *parts) close() error {
	p.lanes.client.Close()
	p.spool.Close()
	if err := p.checkpoints.Close(); err != nil {
		return fmt.Errorf("close checkpoints: %w", err)
	}
	return nil
}

// run starts everything from the way out to the way in, and stops it from the
// way in to the way out.
func (a *Agent) run(ctx context.Context, p *parts, fleet *fleet, server *daemon.Server) error {
	detached := context.WithoutCancel(ctx)
	start := func(f func(context.Context)) (stop func()) {
		own, cancel := context.WithCancel(detached)
		var wg sync.WaitGroup
		wg.Go(func() { f(own) })
		return sync.OnceFunc(func() { cancel(); wg.Wait() })
	}
	failed := make(chan error, 1)
	report := func(f func(context.Context) error) func(context.Context) {
		return func(ctx context.Context) {
			if err := f(ctx); err != nil {
				select {
				case failed <- err:
				default: // one is enough to stop
				}
			}
		}
	}
	stopLanes := start(func(ctx context.Context) {
		p.lanes.run(ctx, func(ctx context.Context, ln *lane) { report(ln.run)(ctx) })
	})
	defer stopLanes()
	stopSpool := start(func(ctx context.Context) { p.spool.Run(ctx, p.spoolOut) })
	defer stopSpool()
	stopWatch := start(p.dataDir.run)
	defer stopWatch()
	stopAdaptors := start(p.supervisor.Run)
	defer stopAdaptors()
	stopServer := start(report(server.Run))
	defer stopServer()
	leave := sync.OnceFunc(a.deps.Reloader.Join(fleet.part()))
	defer leave()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	leave()
	cfg, _ := fleet.config()
	drain, cancel := context.WithTimeout(detached, cfg.DrainFor.Std()) // counts from the signal on
	defer cancel()
	stopServer()
	stopAdaptors()
	stopSpool()
	stopWatch()
	p.lanes.each(func(ln *lane) { ln.shipper.Drain(drain) })
	a.lastReceipts(drain, p)
	if drain.Err() != nil {
		a.deps.Log.Info("not all that was read is settled; the rest is sent again after the next start")
	}
	return err
}

// lastReceipts waits shortly for what may settle at any moment: the less is
// sent again after the next start.
func (a *Agent) lastReceipts(ctx context.Context, p *parts) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil && !p.lanes.told() {
		p.lanes.each(func(ln *lane) { ln.ledger.Hurry() })
		_ = daemon.Sleep(ctx, 200*time.Millisecond)
	}
}
