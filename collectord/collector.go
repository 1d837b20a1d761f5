// Package collectord is the collector: it takes batches from agents, keeps
// them in a spool on its own disk until they lie in the store as sink files,
// and tells agents how far each batch has come.
//
//	POST /v1/batches   validate → append to the type's open segment → fsync → "spooled"
//	clock              seal by size, age or idleness
//	uploads            sealed segment → sink file → remove the segment: "settled"
//
// It remembers nothing but its spool: what was published, the store tells.
package collectord

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/akupara/akupara/collectord/internal/identity"
	"github.com/akupara/akupara/collectord/internal/published"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/collectord/internal/upload"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/reach"
)

// Options are what a collector is given beside its config.
type Options struct {
	Reloader *reload.Reloader // reads the config again; nil: nobody does
	Reach    *reach.Reach     // whether the store answers; nil: it is not looked at
	Warmup   Warmup
}

// Warmup makes the first minutes of a new installation lively: until For has
// passed, segments are sealed when they are as old as Seal, or idle for so long.
type Warmup struct{ Seal, For time.Duration }

// Collector is one collector over one data directory.
type Collector struct {
	cfg     atomic.Pointer[Config]
	opts    Options
	warm    atomic.Bool
	fs      store.FS
	dir     string
	disk    disk.Disk
	log     *slog.Logger
	reg     *prometheus.Registry
	metrics *metrics
	memory  *semaphore.Weighted // bodies, in bytes
	large   *semaphore.Weighted // bodies too large to keep the buffers of
	buffers buffers
	started chan struct{}
	parts   atomic.Pointer[parts] // set when started is closed
}

// parts are what exists only while the collector runs.
type parts struct {
	identity identity.Identity
	spool    *spool.Spool
	uploader *upload.Uploader
	files    *published.Files
	server   *daemon.Server
}

// New prepares a collector that keeps its spool in dataDir/collector and
// publishes into fs. It validates, touches nothing outside and starts nothing.
// Metrics are registered in reg, which is also what /metrics serves.
func New(cfg Config, fs store.FS, dataDir string, log *slog.Logger, reg *prometheus.Registry, opts Options) (*Collector, error) {
	if fs == nil {
		return nil, errors.New("collector: no store")
	}
	if dataDir == "" {
		return nil, errors.New("collector: no data_dir")
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	c := &Collector{
		opts: opts, fs: fs, dir: filepath.Join(dataDir, "collector"), disk: disk.Local{}, log: log, reg: reg,
		memory:  semaphore.NewWeighted(int64(cfg.MaxInFlight)),
		large:   semaphore.NewWeighted(1),
		started: make(chan struct{}),
	}
	c.cfg.Store(&cfg)
	c.warm.Store(opts.Warmup.Seal > 0)
	if c.opts.Reloader == nil {
		c.opts.Reloader = reload.New(nil, log)
	}
	c.metrics = newMetrics(reg, c.Status)
	if opts.Reach != nil {
		reg.MustRegister(opts.Reach.Metric())
	}
	reg.MustRegister(c.opts.Reloader.Metrics("collector")...)
	return c, nil
}

// Run opens the spool, repairs what a crash left, listens and works until ctx
// is done. Then it fails readyz, refuses new work, finishes what is in flight,
// seals, uploads under a deadline and returns nil; the rest stays in the spool.
// It fails when the data directory is in use or broken, or the address is
// taken; never because the store is away. Call it once.
func (c *Collector) Run(ctx context.Context) error {
	cfg := c.cfg.Load()
	lock, err := daemon.LockDir(c.dir, "akupara collector")
	if err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // the file is closed, whatever it says
	id, changed, err := identity.Next(c.disk, c.dir, identity.MachineID())
	if err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	if changed != "" {
		c.log.Warn("the collector got a new id", "id", id.ID, "reason", changed)
	}
	p := &parts{identity: id, files: published.New(c.fs)}
	p.uploader = upload.New(upload.Options{
		FS: c.fs, Collector: id.ID, Instance: id.Instance(), Workers: cfg.Uploads,
		Drain: func() time.Duration { return c.cfg.Load().Drain.Std() },
		Log:   c.log, Metrics: c.metrics.upload, Published: p.files.Put,
	})
	p.spool, err = spool.Open(spool.Options{
		Dir: c.dir, Collector: id.Instance(), Rules: c.rules(), Disk: c.disk, Log: c.log, Metrics: c.metrics.spool, OnSealed: p.uploader.Add,
	})
	if err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	health := daemon.NewHealth()
	health.AddCheck("collector", p.spool.Ready)
	p.server = daemon.NewServer(daemon.ServerConfig{
		Name: "collector", Address: cfg.Listen, Handler: c.routes(p, health), Log: c.log, Health: health,
		MaxHeader: 16 << 10,
	})
	if err := p.server.Listen(); err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	c.parts.Store(p)
	close(c.started)
	st := p.spool.Status()
	c.log.Info("collector started", "id", id.ID, "dir", c.dir, "found_segments", st.Sealed, "found_bytes", st.Bytes)
	var g daemon.Group // stopped last to first
	g.Add("upload", func(ctx context.Context) error { return p.uploader.Run(ctx, p.spool) })
	g.Add("spool", p.spool.Run)
	g.Add("warm-up", func(ctx context.Context) error { return c.warmUp(ctx, p.spool) })
	g.Add("server", p.server.Run)
	leave := c.opts.Reloader.Join(c.part(p.spool))
	defer leave()
	if err := g.Run(ctx); err != nil {
		return fmt.Errorf("run the collector: %w", err)
	}
	if left := p.spool.Status(); left.Bytes > 0 {
		c.log.Info("collector stopped; the rest of its spool is uploaded by its next start", "segments", left.Sealed+left.Open, "bytes", left.Bytes)
	}
	return nil
}

// Section is the collector's in a config file.
const Section = "collector"

// liveKeys are the keys that are applied while the collector runs. All others need
// a restart.
var liveKeys = []string{"seal", "spool", "max_types", "drain"}

// part is the collector's share of a reload.
func (c *Collector) part(s *spool.Spool) reload.Part {
	return reload.Part{Section: Section, Live: liveKeys, Prepare: func(next any, _ []string) (reload.Change, error) {
		cfg, _ := next.(Config)
		return reload.Change{Apply: func() {
			c.cfg.Store(&cfg)
			s.SetRules(c.rules())
		}}, nil
	}}
}

// rules are those of the spool, as the config and the warm-up have them.
func (c *Collector) rules() spool.Rules {
	cfg := c.cfg.Load()
	r := spool.Rules{
		MaxBytes: int64(cfg.Spool.Bytes), KeepFree: float64(cfg.Spool.KeepFree),
		SealBytes: int64(cfg.Seal.Bytes), SealAge: cfg.Seal.Age.Std(), SealIdle: cfg.Seal.Idle.Std(), MaxOpen: cfg.MaxTypes,
	}
	if c.warm.Load() {
		r.SealAge, r.SealIdle = min(r.SealAge, c.opts.Warmup.Seal), min(r.SealIdle, c.opts.Warmup.Seal)
	}
	return r
}

// warmUp ends the warm-up when its time has passed.
func (c *Collector) warmUp(ctx context.Context, s *spool.Spool) error {
	if !c.warm.Load() || daemon.Sleep(ctx, c.opts.Warmup.For) != nil {
		return nil //nolint:nilerr // the collector is about to end
	}
	c.warm.Store(false)
	s.SetRules(c.rules())
	return nil
}

// Started is closed once the collector listens.
func (c *Collector) Started() <-chan struct{} { return c.started }

// Addr is the address that the collector listens on, "" before Started.
func (c *Collector) Addr() string {
	if p := c.parts.Load(); p != nil {
		return p.server.Addr().String()
	}
	return ""
}

// Status tells what a collector has taken and not yet published.
type Status struct {
	Collector        string  `json:"collector"`
	Ready            string  `json:"ready"` // "ok", or why no data is taken
	OpenSegments     int     `json:"open_segments"`
	SealedSegments   int     `json:"sealed_segments"`    // waiting for the store
	WaitingBytes     int64   `json:"waiting_bytes"`      // in open and sealed segments
	OldestAgeSeconds float64 `json:"oldest_age_seconds"` // since the oldest of them was opened
	QuarantinedBytes int64   `json:"quarantined_bytes"`  // in the quarantine directory
	LastUploadError  string  `json:"last_upload_error,omitempty"`
	// Store is "ok", or why the store can't be reached: a collector takes data all the
	// same while its spool has room.
	Store string `json:"store"`
	// Types have one of the places for data types (collector.max_types);
	// RefusedTypes found none and are refused alone.
	Types        int      `json:"types"`
	RefusedTypes []string `json:"refused_types"`
}

// Status is what the spool holds now. It is also served at GET /v1/status.
func (c *Collector) Status() Status {
	p := c.parts.Load()
	if p == nil {
		return Status{Ready: "not started", RefusedTypes: []string{}}
	}
	held := p.spool.Status()
	st := Status{
		Collector: p.identity.ID, Ready: "ok",
		OpenSegments: held.Open, SealedSegments: held.Sealed,
		WaitingBytes: held.Bytes, QuarantinedBytes: held.Quarantined,
		Types: held.Types, RefusedTypes: held.Refused,
	}
	if err := p.spool.Ready(); err != nil {
		st.Ready = err.Error()
	}
	st.Store = "ok"
	if c.opts.Reach != nil {
		if err := c.opts.Reach.Ready(); err != nil {
			st.Store = err.Error()
		}
	}
	if !held.Oldest.IsZero() {
		st.OldestAgeSeconds = max(0, time.Since(held.Oldest).Seconds())
	}
	if err := p.uploader.LastError(); err != nil {
		st.LastUploadError = err.Error()
	}
	return st
}
