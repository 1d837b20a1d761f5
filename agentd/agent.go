// Package agentd is the agent: it runs adaptors, batches and compresses what
// they read, posts it to a collector, and moves a checkpoint only over what a
// collector has told to be settled.
//
//	adaptor ─────────────► ship (batch, compress, post) ──► collector
//	   ▲  └─► spool ─────►   │ what was taken
//	   │        ▲            ▼
//	   └────────┴───────── ledger (asks for receipts) ────► checkpoints
//
// An adaptor whose sources can be read again (a Replayer) sends straight to
// the shipper; what the others emit goes through the agent's spool.
package agentd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/ship"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/daemon"
	"github.com/prometheus/client_golang/prometheus"
)

// Deps is what the agent is given by its process.
type Deps struct {
	Dir      string // the agent's own data directory: checkpoints and spool lie in it
	Kinds    []adaptors.Kind
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: the agent makes its own
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
	switch {
	case len(cfg.Collectors) == 0:
		return nil, errors.New("agent: no collectors are configured")
	case deps.Dir == "":
		return nil, errors.New("agent: no data directory is given")
	case !loopback(cfg.Listen):
		return nil, fmt.Errorf("agent: listen %q is open to other machines", cfg.Listen)
	case len(cfg.specs) != len(cfg.Adaptors):
		return nil, errors.New("agent: the config was not read by Decode")
	}
	if deps.Registry == nil {
		deps.Registry = daemon.NewRegistry()
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
	spoolOut    *supervise.SpoolOut
	client      *collectors.Client
	asker       asker
	ledger      *ledger.Ledger
	shipper     *ship.Shipper
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
	p, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	fleet := &fleet{cfg: &a.cfg, kinds: a.deps.Kinds, store: p.checkpoints, supervisor: p.supervisor, log: a.deps.Log}
	if err := fleet.restore(); err != nil {
		return err
	}
	health := daemon.NewHealth()
	server := a.server(fleet, health)
	if err := server.Listen(); err != nil {
		return err
	}
	unregister := register(a.deps.Registry, p)
	defer unregister()
	a.addr = server.Addr().String()
	close(a.listening)
	return a.run(ctx, p, server)
}

func (a *Agent) open() (*parts, error) {
	log := a.deps.Log
	store, err := checkpoints.Open(filepath.Join(a.deps.Dir, "checkpoints"), log)
	if err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	host := hostname(&a.cfg)
	sp, err := spool.Open(spool.Config{
		Dir: filepath.Join(a.deps.Dir, "spool"), Host: host,
		MaxBytes: int64(a.cfg.Spool.Bytes), KeepFree: float64(a.cfg.Spool.KeepFree),
	}, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	urls := make([]string, len(a.cfg.Collectors))
	for i, u := range a.cfg.Collectors {
		urls[i] = u.String()
	}
	p := &parts{checkpoints: store, spool: sp}
	p.client = collectors.NewClient(postTimeout, askTimeout, a.cfg.Posts)
	p.asker = asker{p.client, collectors.NewList(urls, rand.IntN(len(urls)))}
	p.ledger = ledger.New(ledger.Config{Every: a.cfg.Poll.Std(), ResendAfter: a.cfg.ResendAfter.Std()}, log)
	p.shipper = ship.New(ship.Config{Agent: store.AgentID(), Budget: int64(a.cfg.Buffer), Posts: a.cfg.Posts},
		p.client, p.asker.List, p.ledger, log)
	p.spoolOut = &supervise.SpoolOut{Output: p.shipper, Ledger: p.ledger, Spool: sp}
	p.supervisor = supervise.New(supervise.Env{
		Host: host, Log: log, Out: p.shipper, Spool: sp, Ledger: p.ledger, Checkpoints: store,
	})
	return p, nil
}

func (p *parts) close() error {
	p.client.Close()
	p.spool.Close()
	if err := p.checkpoints.Close(); err != nil {
		return fmt.Errorf("close checkpoints: %w", err)
	}
	return nil
}

// run starts everything from the way out to the way in, and stops it from the
// way in to the way out.
func (a *Agent) run(ctx context.Context, p *parts, server *daemon.Server) error {
	detached := context.WithoutCancel(ctx)
	start := func(f func(context.Context)) (stop func()) {
		own, cancel := context.WithCancel(detached)
		var wg sync.WaitGroup
		wg.Go(func() { f(own) })
		return sync.OnceFunc(func() { cancel(); wg.Wait() })
	}
	failed := make(chan error, 2)
	report := func(f func(context.Context) error) func(context.Context) {
		return func(ctx context.Context) {
			if err := f(ctx); err != nil {
				failed <- err
			}
		}
	}
	stopShipper := start(report(p.shipper.Run))
	defer stopShipper()
	stopLedger := start(func(ctx context.Context) { p.ledger.Run(ctx, p.asker) })
	defer stopLedger()
	stopSpool := start(func(ctx context.Context) { p.spool.Run(ctx, p.spoolOut) })
	defer stopSpool()
	stopAdaptors := start(p.supervisor.Run)
	defer stopAdaptors()
	stopServer := start(report(server.Run))
	defer stopServer()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	drain, cancel := context.WithTimeout(detached, a.cfg.DrainFor.Std()) // counts from the signal on
	defer cancel()
	stopServer()
	stopAdaptors()
	stopSpool()
	p.shipper.Drain(drain)
	stopLedger()
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
	for ctx.Err() == nil && !p.ledger.Idle() {
		p.ledger.Round(ctx, p.asker)
		_ = daemon.Sleep(ctx, 200*time.Millisecond)
	}
}
