package demux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/robfig/cron/v3"
)

// Schedule is one entry of the scheduler: a type's own, or that of all types
// which have none.
type Schedule struct {
	Type     string    `json:"type"` // empty: all types without a schedule of their own
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next"`
	Previous time.Time `json:"previous,omitzero"`
}

// Warmup makes the first minutes of a new installation lively: until For has
// passed, all types run every Every, whatever their schedules.
type Warmup struct{ Every, For time.Duration }

// Options of a scheduler.
type Options struct {
	Only   string // the one data type that is run; empty: all
	Warmup Warmup
	// RowBytes bounds the rows in memory of all runs, in bytes; 0: to what a process
	// that only demuxes has.
	RowBytes int64
	Reloader *reload.Reloader // reads the config again; nil: nobody does
}

// Scheduler runs the schedules of a Demux.
type Scheduler struct {
	demux *Demux
	opts  Options
	cron  *cron.Cron
	jobs  *jobs.Runner

	mu    sync.Mutex
	specs map[string]followed // by data type; "" is that of all types without their own
	// loops are the data types that are under way. What is sent to one says that
	// its schedule came round again.
	loops   map[string]chan struct{}
	running sync.WaitGroup // the loops, and what was begun aside
	over    bool           // nothing is begun any more
	// unlisted is how often in a row the data types could not be listed.
	unlisted int
}

// followed is a schedule that has an entry.
type followed struct {
	id   cron.EntryID
	text string
}

// NewScheduler prepares the schedules of d's config; it starts nothing.
func NewScheduler(d *Demux, opts Options) *Scheduler {
	logger := cronLogger{d.log}
	if opts.Reloader == nil {
		opts.Reloader = reload.New(nil, d.log)
	}
	if opts.RowBytes > 0 {
		d.workers.bytes = opts.RowBytes
	}
	return &Scheduler{
		demux: d, opts: opts, jobs: d.newJobs(opts.Only), specs: map[string]followed{}, loops: map[string]chan struct{}{},
		cron: cron.New(cron.WithLocation(time.UTC), cron.WithLogger(logger),
			cron.WithChain(cron.Recover(logger), cron.SkipIfStillRunning(logger))),
	}
}

// Run follows the schedules of runs and jobs until ctx is done, and returns when
// none is under way any more. Each type has a loop of its own: none waits for another. A run
// that fails is tried again, with pauses.
func (s *Scheduler) Run(ctx context.Context) error {
	s.follow(ctx)
	leave := s.opts.Reloader.Join(s.part(ctx))
	defer leave()
	var beside sync.WaitGroup
	beside.Go(func() { s.jobs.Run(ctx) })
	s.cron.Start()
	s.warmUp(ctx)
	<-ctx.Done()
	<-s.cron.Stop().Done()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.running.Wait()
	beside.Wait()
	return nil
}

func (s *Scheduler) runs(dataType string) bool { return s.opts.Only == "" || s.opts.Only == dataType }

// Section is the demux' in a config file.
const Section = "demux"

// liveKeys are the keys that are applied while the demux runs: work that begins
// goes by them, and what is under way keeps to those it began with. All others need
// a restart.
var liveKeys = []string{"schedule", "types", "run_bytes", "keep_archive", "retention", "regroup_after", "jobs", "oldest", "future"}

// part is the demux' share of a reload.
func (s *Scheduler) part(ctx context.Context) reload.Part {
	return reload.Part{Section: Section, Live: liveKeys, Prepare: func(next any, _ []string) (reload.Change, error) {
		cfg, _ := next.(Config)
		return reload.Change{Apply: func() {
			s.demux.current.Store(&cfg)
			s.follow(ctx)
			s.jobs.Reschedule()
		}}, nil
	}}
}

// follow makes the schedules those of the newest config. One that is as it was
// goes on.
func (s *Scheduler) follow(ctx context.Context) {
	cfg := s.demux.current.Load()
	wanted := map[string]config.Schedule{}
	for name, t := range cfg.Types {
		if t.Schedule.Given() && s.runs(name) {
			wanted[name] = t.Schedule.V
		}
	}
	if s.opts.Only == "" {
		wanted[""] = cfg.Schedule
	} else if len(wanted) == 0 {
		wanted[s.opts.Only] = cfg.Schedule
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, before := range s.specs {
		if sched, stays := wanted[name]; !stays || sched.String() != before.text {
			s.cron.Remove(before.id)
			delete(s.specs, name)
		}
	}
	for name, sched := range wanted {
		if _, there := s.specs[name]; there {
			continue
		}
		job := func() { s.start(ctx, name) }
		if name == "" {
			job = func() { s.startAll(ctx, s.own()) }
		}
		s.specs[name] = followed{s.cron.Schedule(sched, cron.FuncJob(job)), sched.String()}
	}
}

// own returns the types that have a schedule of their own.
func (s *Scheduler) own() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(s.specs)), func(name string) bool { return name == "" })
}

func (s *Scheduler) warmUp(ctx context.Context) {
	if s.opts.Warmup.Every <= 0 {
		return
	}
	for until := time.Now().Add(s.opts.Warmup.For); time.Now().Before(until); {
		if daemon.Sleep(ctx, s.opts.Warmup.Every) != nil {
			return
		}
		s.startAll(ctx, nil)
	}
}

// aside has do run beside the schedules, and reports whether it does: Run does not
// return before it. It is not begun when Run is about to return.
func (s *Scheduler) aside(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.running.Go(do)
	return true
}

// startAll starts all types but those named.
func (s *Scheduler) startAll(ctx context.Context, without []string) {
	started := time.Now().UTC()
	types, err := s.demux.Types(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.demux.log.Error("the store can't be read; trying again at the next schedule", "error", err)
			n := s.missed(true)
			s.demux.history.add(Report{Started: started, Took: time.Since(started), Failing: n, Error: err.Error()})
		}
		return
	}
	s.missed(false)
	for _, name := range types {
		if !slices.Contains(without, name) && s.runs(name) {
			s.start(ctx, name)
		}
	}
}

// missed notes whether the data types could be listed, and returns how often in a row
// they could not.
func (s *Scheduler) missed(failed bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unlisted++; !failed {
		s.unlisted = 0
	}
	s.demux.metrics.failing.WithLabelValues("").Set(float64(s.unlisted))
	return s.unlisted
}

// start starts a type's loop, or tells the one that is under way.
func (s *Scheduler) start(ctx context.Context, dataType string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again := s.loops[dataType]; again != nil {
		select {
		case again <- struct{}{}:
		default: // it knows
		}
		return
	}
	again := make(chan struct{}, 1)
	s.loops[dataType] = again
	s.running.Go(func() {
		for more := true; more; {
			s.insist(ctx, dataType, again)
			s.mu.Lock()
			select {
			case <-again: // after the loop's last look, perhaps
				more = ctx.Err() == nil
			default:
				more = false
			}
			if !more {
				delete(s.loops, dataType)
			}
			s.mu.Unlock()
		}
	})
}

// insist runs one type until it succeeds or another process works on it: one
// that lives, and not one that died with the lease in its hands.
func (s *Scheduler) insist(ctx context.Context, dataType string, again <-chan struct{}) {
	var pause daemon.Backoff
	patience := time.Now().Add(lease.Dead + lease.Renew)
	for ctx.Err() == nil {
		select {
		case <-again: // this is it
		default:
		}
		rep, err := s.demux.RunType(ctx, dataType)
		switch {
		case err == nil:
			if rep.Commits > 0 {
				s.demux.log.Info("committed", "type", dataType, "records", rep.Records, "version", rep.Version,
					"files", rep.Files, "parse_errors", rep.ParseErrors, "took", rep.Took)
			}
			return
		case errors.Is(err, lease.ErrHeld) && time.Now().Before(patience):
			_ = daemon.Sleep(ctx, lease.Renew/2) // the loop looks at ctx
			continue
		case errors.Is(err, lease.ErrHeld):
			s.demux.log.Debug("skipped", "type", dataType, "because", err)
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, errStopped):
			s.demux.log.Info("a run was stopped; its schedule goes on", "type", dataType)
			return
		}
		wait := pause.Next()
		s.demux.log.Error("a run failed; nothing is lost, it is tried again", "type", dataType, "in", wait, "error", err)
		if daemon.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// Newest returns the newest reports of runs, at most so many, the newest first.
func (s *Scheduler) Newest(limit int) []Report { return s.demux.history.newest(limit) }

// Reloader returns what reads the config again.
func (s *Scheduler) Reloader() *reload.Reloader { return s.opts.Reloader }

// Config returns the newest config.
func (s *Scheduler) Config() Config { return *s.demux.current.Load() }

// Schedules tells what is due when.
func (s *Scheduler) Schedules() []Schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Schedule{}
	for _, name := range slices.Sorted(maps.Keys(s.specs)) {
		spec := s.specs[name]
		e := s.cron.Entry(spec.id)
		out = append(out, Schedule{Type: name, Schedule: spec.text, Next: e.Next, Previous: e.Prev})
	}
	return out
}

// cronLogger passes on what the cron library has to say.
type cronLogger struct{ log *slog.Logger }

func (l cronLogger) Info(msg string, kv ...any) { l.log.Debug("scheduler: "+msg, kv...) }
func (l cronLogger) Error(err error, msg string, kv ...any) {
	l.log.Error("scheduler: "+msg, append(kv, "error", fmt.Sprint(err))...)
}
