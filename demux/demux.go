// Package demux turns sink files into rows of tables: on a schedule it plans
// from the files' indexes what the tables do not hold yet, parses it, writes
// Parquet and commits, once a run and table.
package demux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/engine/yarn"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/regroup"
	"github.com/akupara/akupara/demux/retain"
	"github.com/akupara/akupara/store"
	"github.com/prometheus/client_golang/prometheus"
)

// Demux brings the sink files of one store into its tables. It is safe for
// concurrent use; any number of them, in any number of processes, may share a
// store.
type Demux struct {
	*shared
	// cfg is the config that work goes by which began with this Demux: see now.
	cfg *Config
}

// shared is what a Demux is whatever its config.
type shared struct {
	current atomic.Pointer[Config] // the newest
	fs      *watched
	baseURI string
	log     *slog.Logger
	metrics *metrics
	// jobMetrics are those of the jobs on tables.
	jobMetrics *jobs.Metrics
	leases     *lease.Leases
	// patience is for how long a commit whose outcome is unclear is looked
	// into; the next run finds out anyway.
	patience time.Duration
	// near is how many archived files are looked into at once for what came again.
	near int
	// partWeight is what a part of a run weighs that is parsed beside others.
	partWeight int64
	// mostHours is how many hours the rows of a run may lie in.
	mostHours int

	looking *looks
	workers *workers

	types     keyed // one call at a time for each data type
	skips     skips[compact.Skip]
	regrouped skips[regroup.Skip]
	expired   skips[lastLook]
	sizes     skips[retain.Sizes]
	tidied    skips[time.Time] // when empty days were looked for of types without a table
	orphaned  counts           // of runs that left files behind, by data type
	archived  archiveIndexes
	history   history
	states    states
	told      told
	running   running
	// engine does the tasks of large runs; nil: runs are made in this process.
	engine engine.Engine
	tasks  taskBounds
	// parser makes the parser of a type in place of the config, in tests.
	parser func(dataType string, now time.Time) (parse.Parser, error)
}

// now returns the Demux with the newest config. Work begins with it and keeps to it,
// whatever config comes meanwhile.
func (d *Demux) now() *Demux { return &Demux{d.shared, d.current.Load()} }

// New makes a Demux. baseURI is the store's root as other engines name it.
func New(cfg Config, st store.FS, baseURI string, log *slog.Logger, reg prometheus.Registerer) *Demux {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	d := &Demux{cfg: &cfg, shared: &shared{
		fs: watch(st), baseURI: baseURI, log: log, metrics: newMetrics(reg), jobMetrics: jobs.NewMetrics(reg),
		leases: lease.New(st, host, os.Getpid()), patience: 30 * time.Second, near: maxPast, partWeight: partWeight, mostHours: maxHours,
		looking: newLooks(), workers: newWorkers(),
	}}
	d.current.Store(d.cfg)
	if cfg.Engine == engineYarn {
		d.spreadBy(&yarn.Engine{Config: cfg.Yarn, FS: d.fs, BaseURI: baseURI, Log: log, Args: []string{"mapper"}})
	}
	return d
}

// Types returns the data types that have sink files to be looked at.
func (d *Demux) Types(ctx context.Context) ([]string, error) {
	dirs, err := d.fs.List(ctx, store.Raw)
	if err != nil {
		return nil, fmt.Errorf("list data types: %w", err)
	}
	var types []string
	for _, dir := range dirs {
		if name := path.Base(dir.Path); dir.IsDir && chunk.CheckType(name) == nil {
			types = append(types, name)
		}
	}
	return types, nil
}

// RunType brings all sink files of a data type into its table, and tells what
// it did, also beside an error. The error is lease.ErrHeld when another demux is at
// work on that table.
func (d *Demux) RunType(ctx context.Context, dataType string) (Report, error) {
	rep := Report{Type: dataType, Started: time.Now().UTC()}
	for {
		unlock, err := d.types.lock(ctx, dataType)
		if err != nil {
			return rep, err
		}
		err = d.turn(ctx, dataType, &rep)
		unlock()
		if !errors.Is(err, errYield) {
			return rep, err
		}
	}
}

// turn runs until all sink files are in the table, or a job wants to commit.
func (d *Demux) turn(ctx context.Context, dataType string, rep *Report) error {
	err := guard(func() error { return d.runType(ctx, dataType, rep) })
	if errors.Is(err, errYield) {
		return err
	}
	if p := (*panicked)(nil); errors.As(err, &p) && rep.Error == "" {
		rep.Took, rep.Error = time.Since(rep.Started), err.Error()
		d.log.Error("a run met a fault of the program", "type", dataType, "error", err, "stack", string(p.stack))
	}
	d.tell(ctx, dataType, rep, err)
	d.metrics.count(*rep)
	if err != nil || rep.Commits > 0 || rep.Quarantined > 0 {
		d.history.add(*rep)
	}
	return err
}

// RunOnce runs every data type, or the one named, waiting up to wait for
// another demux that is at work on it. Each report goes to done as it comes,
// one at a time. A type that fails, or waits, keeps no other from running.
func (d *Demux) RunOnce(ctx context.Context, only string, wait time.Duration, done func(Report)) error {
	types := []string{only}
	if only == "" {
		var err error
		if types, err = d.Types(ctx); err != nil {
			return err
		}
	}
	failed := make([]error, len(types))
	var running sync.WaitGroup
	var one sync.Mutex // calls done
	for i, name := range types {
		running.Go(func() {
			rep, err := d.RunType(ctx, name)
			for until := time.Now().Add(wait); errors.Is(err, lease.ErrHeld) && time.Now().Before(until); {
				if daemon.Sleep(ctx, time.Second/2) != nil {
					break
				}
				rep, err = d.RunType(ctx, name)
			}
			if err != nil {
				failed[i] = fmt.Errorf("demux type %s: %w", name, err)
			}
			one.Lock()
			defer one.Unlock()
			done(rep)
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// HoldAll is Hold that keeps jobs from the table, and from its archive, too.
func (d *Demux) HoldAll(ctx context.Context, dataType string, wait time.Duration) (release func(), err error) {
	jobs, err := d.leases.Wait(ctx, lease.JobPath(dataType), wait)
	if err != nil {
		return nil, err
	}
	runs, err := d.Hold(ctx, dataType, wait)
	if err != nil {
		jobs()
		return nil, err
	}
	return func() {
		runs()
		jobs()
	}, nil
}

// Hold takes the lease of a data type's table, so that no demux works on it until
// release is called. It waits up to wait, then fails with lease.ErrHeld.
func (d *Demux) Hold(ctx context.Context, dataType string, wait time.Duration) (release func(), err error) {
	return d.leases.Wait(ctx, lease.Path(dataType), wait)
}

// keyed is a lock for each name.
type keyed struct {
	mu    sync.Mutex
	locks map[string]slots
	asks  map[string]int
}

func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]slots{}
	}
	l := k.locks[name]
	if l == nil {
		l = make(slots, 1)
		k.locks[name] = l
	}
	k.mu.Unlock()
	return l.take(ctx)
}

// ask is lock of one whom the holder may let pass: it sees by asked that somebody
// waits.
func (k *keyed) ask(ctx context.Context, name string) (unlock func(), err error) {
	count := func(n int) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.asks == nil {
			k.asks = map[string]int{}
		}
		if k.asks[name] += n; k.asks[name] == 0 {
			delete(k.asks, name)
		}
	}
	count(1)
	defer count(-1)
	return k.lock(ctx, name)
}

func (k *keyed) asked(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asks[name] > 0
}

// history keeps the newest reports.
type history struct {
	mu   sync.Mutex
	runs []Report // newest last
}

const maxHistory = 1000

func (h *history) add(r Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.runs) >= maxHistory {
		h.runs = slices.Delete(h.runs, 0, len(h.runs)-maxHistory+1)
	}
	h.runs = append(h.runs, r)
}

// newest returns at most n reports, newest first.
func (h *history) newest(n int) []Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	runs := slices.Clone(h.runs[max(0, len(h.runs)-n):])
	slices.Reverse(runs)
	return runs
}

type metrics struct {
	runs                                               *prometheus.CounterVec
	records, bytes, repeated, parseErrors, quarantined *prometheus.CounterVec
	forks, forkedBytes                                 *prometheus.CounterVec
	failing, aside, damaged, behind                    *prometheus.GaugeVec
	waitingFiles, waitingBytes, oldestWaiting          *prometheus.GaugeVec
	seconds                                            *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "akupara", Subsystem: "demux", Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		runs:        counter("runs_total", "Runs that committed, found nothing, or failed.", "type", "outcome"),
		records:     counter("records_total", "Rows committed.", "type"),
		bytes:       counter("raw_bytes_total", "Bytes of raw log that became rows.", "type"),
		repeated:    counter("repeated_bytes_total", "Bytes that came again and were dropped.", "type"),
		parseErrors: counter("parse_errors_total", "Rows whose record could not be parsed.", "type"),
		forks:       counter("forks_total", "Forks of streams that began: other bytes came than the table has at the same offsets.", "type"),
		forkedBytes: counter("forked_bytes_total", "Bytes of raw log that became rows of forks.", "type"),
		quarantined: counter("quarantined_sink_files_total", "Sink files that could not be used whole.", "type"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "akupara", Subsystem: "demux", Name: "run_seconds", Help: "Time a run took.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 8),
		}, []string{"type"}),
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "akupara", Subsystem: "demux", Name: name, Help: help}, []string{"type"})
		reg.MustRegister(g)
		return g
	}
	m.failing = gauge("failing", "How many runs have failed since the last one that did not.")
	m.aside = gauge("set_aside_sink_files", "Sink files that can't be read for now; all else goes on.")
	m.damaged = gauge("damaged_files", "Damaged files that the table needs, as of the last look, an hour ago at most.")
	m.behind = gauge("clock_behind_seconds", "How far the clock is behind the table's last commit, where that is over a minute.")
	m.waitingFiles = gauge("waiting_sink_files", "Sink files in raw/ that the table does not hold, after the last run.")
	m.waitingBytes = gauge("waiting_bytes", "Bytes of these files.")
	m.oldestWaiting = gauge("oldest_waiting_timestamp_seconds", "When the oldest of them was written; 0 without any.")
	reg.MustRegister(m.seconds)
	return m
}

func (m *metrics) tellWaiting(dataType string, w *Waiting) {
	oldest := 0.0
	if !w.Oldest.IsZero() {
		oldest = float64(w.Oldest.UnixMilli()) / 1000
	}
	m.waitingFiles.WithLabelValues(dataType).Set(float64(w.Files))
	m.waitingBytes.WithLabelValues(dataType).Set(float64(w.Bytes))
	m.oldestWaiting.WithLabelValues(dataType).Set(oldest)
}

func (m *metrics) count(r Report) {
	outcome := "idle"
	switch {
	case r.Error != "":
		outcome = "failed"
	case r.Commits > 0:
		outcome = "committed"
	}
	m.runs.WithLabelValues(r.Type, outcome).Inc()
	m.records.WithLabelValues(r.Type).Add(float64(r.Records))
	m.bytes.WithLabelValues(r.Type).Add(float64(r.Bytes))
	m.repeated.WithLabelValues(r.Type).Add(float64(r.Repeated))
	m.parseErrors.WithLabelValues(r.Type).Add(float64(r.ParseErrors))
	m.forks.WithLabelValues(r.Type).Add(float64(r.Forks))
	m.forkedBytes.WithLabelValues(r.Type).Add(float64(r.ForkedBytes))
	m.quarantined.WithLabelValues(r.Type).Add(float64(r.Quarantined))
	m.seconds.WithLabelValues(r.Type).Observe(r.Took.Seconds())
}
