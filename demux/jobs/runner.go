package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/akupara/akupara/config"
)

// Options are what a runner is given by its process.
type Options struct {
	// Types lists the data types that have tables.
	Types func(ctx context.Context) ([]string, error)
	// Schedule is when a job is due on a table; with an empty type, on those
	// without one of their own. Off is none.
	Schedule func(job, dataType string) config.Schedule
	// Own lists the data types for which Schedule has one of their own.
	Own func(job string) []string
	// Mark changes whenever a table may have something new to do.
	Mark func(ctx context.Context, dataType string) (string, error)
	// Tell is told when a job fails on a table for the second time in a row and
	// later, and when it does so no more, or did not the first time: with nil.
	Tell    func(ctx context.Context, dataType, job string, f *Failing)
	Log     *slog.Logger
	Metrics *Metrics
}

// Runner runs jobs. One job at a time works on a table.
type Runner struct {
	jobs    []Job
	opts    Options
	cron    *cron.Cron
	metrics *Metrics
	heavy   chan struct{} // one token
	again   time.Duration // after which a job that failed is tried once more

	mu      sync.Mutex
	entries map[key]cron.EntryID // with an empty type: of all tables without their own
	// followed are the schedules that have entries, and those that are off.
	followed map[key]string
	tables   map[key]*table
	locks    map[string]chan struct{} // by data type
	life     context.Context          // ends with Run
	running  sync.WaitGroup
}

type key struct{ job, dataType string }

// table is what is known of a job on a table.
type table struct {
	Table
	stop    context.CancelFunc // nil: idle
	stopped bool               // somebody asked for it
	failing *Failing
	told    bool // of failing, by this process
	quiet   quiet
}

const (
	// tellAfter is from how many failures in a row on a job is told as failing.
	tellAfter = 2
	// tryAgain is after how long a scheduled job that failed is tried once more,
	// before its next time.
	tryAgain = time.Minute
)

// New prepares the jobs; it starts nothing.
func New(jobs []Job, opts Options) *Runner {
	return &Runner{
		jobs: jobs, opts: opts, metrics: opts.Metrics, heavy: make(chan struct{}, 1), again: tryAgain,
		cron:    cron.New(cron.WithLocation(time.UTC), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger))),
		entries: map[key]cron.EntryID{}, followed: map[key]string{}, tables: map[key]*table{}, locks: map[string]chan struct{}{},
	}
}

// Run follows the schedules until ctx is done, and returns when no job is at work
// any more.
func (r *Runner) Run(ctx context.Context) {
	r.mu.Lock()
	r.life = ctx
	r.follow(ctx)
	r.mu.Unlock()
	r.cron.Start()
	<-ctx.Done()
	r.mu.Lock()
	r.life = nil // no job begins from now on
	r.mu.Unlock()
	<-r.cron.Stop().Done()
	r.running.Wait()
}

// Reschedule follows the schedules that Options tell now. What is at work goes on,
// and so does a schedule that is as it was.
func (r *Runner) Reschedule() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life != nil {
		r.follow(r.life)
	}
}

// follow makes the schedules what Options tell. r.mu is held.
func (r *Runner) follow(ctx context.Context) {
	gone := maps.Clone(r.followed)
	for _, j := range r.jobs {
		for _, dataType := range append([]string{""}, r.opts.Own(j.Name)...) {
			k := key{j.Name, dataType}
			s := r.opts.Schedule(j.Name, dataType)
			delete(gone, k)
			if before, there := r.followed[k]; there && before == s.String() {
				continue
			}
			r.leave(k)
			r.followed[k] = s.String()
			if dataType != "" {
				r.table(k).Schedule = cmp.Or(s.String(), "off")
			}
			if s.Schedule != nil {
				r.entries[k] = r.cron.Schedule(s, cron.FuncJob(func() { r.tick(ctx, j, dataType) }))
			}
		}
	}
	for k := range gone {
		r.leave(k)
		delete(r.followed, k)
		r.table(k).Schedule = ""
	}
}

// leave takes a schedule away.
func (r *Runner) leave(k key) {
	if id, there := r.entries[k]; there {
		r.cron.Remove(id)
		delete(r.entries, k)
	}
}

// tick runs a job on all tables that its schedule is for, one after the other.
func (r *Runner) tick(ctx context.Context, j Job, dataType string) {
	types := []string{dataType}
	if dataType == "" {
		all, err := r.opts.Types(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.opts.Log.Error("the tables can't be listed; jobs are tried at their next time", "job", j.Name, "error", err)
			}
			return
		}
		own := r.opts.Own(j.Name)
		types = slices.DeleteFunc(all, func(t string) bool { return slices.Contains(own, t) })
	}
	if failed := r.round(ctx, j, types); len(failed) > 0 {
		// A store that was away for a moment is no reason to wait for the next time.
		select {
		case <-time.After(r.again):
			r.round(ctx, j, failed)
		case <-ctx.Done():
		}
	}
}

// round runs a job on those tables that are due, and returns where it failed.
func (r *Runner) round(ctx context.Context, j Job, types []string) (failed []string) {
	for _, t := range types {
		if ctx.Err() != nil {
			return nil
		}
		k := key{j.Name, t}
		mark, due := r.due(ctx, k)
		if !due {
			continue
		}
		done, err := r.begin(j, Request{Type: t, Scheduled: true}, mark)
		if err != nil {
			continue
		}
		<-done
		r.mu.Lock()
		if last := r.tables[k].Last; last != nil && last.End == Failed {
			failed = append(failed, t)
		}
		r.mu.Unlock()
	}
	return failed
}

// Has reports whether there is a job of that name.
func (r *Runner) Has(job string) bool {
	return slices.ContainsFunc(r.jobs, func(j Job) bool { return j.Name == job })
}

// Start begins a job on a table now. done is closed when it has ended.
func (r *Runner) Start(job string, req Request) (done <-chan struct{}, err error) {
	for _, j := range r.jobs {
		if j.Name == job {
			return r.begin(j, req, "")
		}
	}
	return nil, fmt.Errorf("%s: %w", job, ErrUnknown)
}

// Stop ends a job on a table, or with an empty type on all; it returns how many
// were at work or waiting. They end in their own time.
func (r *Runner) Stop(job, dataType string) (n int, err error) {
	if !r.Has(job) {
		return 0, fmt.Errorf("%s: %w", job, ErrUnknown)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, t := range r.tables {
		if k.job == job && (dataType == "" || k.dataType == dataType) && t.stop != nil {
			t.stopped = true
			t.stop()
			n++
		}
	}
	return n, nil
}

// List returns all jobs.
func (r *Runner) List() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Status{}
	for _, j := range r.jobs {
		s := Status{Name: j.Name, About: j.About, Schedule: "on demand", Tables: []Table{}, Next: r.next(key{j.Name, ""})}
		if r.opts.Schedule != nil {
			s.Schedule = cmp.Or(r.opts.Schedule(j.Name, "").String(), s.Schedule)
		}
		for _, k := range slices.SortedFunc(maps.Keys(r.tables), func(a, b key) int { return cmp.Compare(a.dataType, b.dataType) }) {
			if k.job != j.Name {
				continue
			}
			t := r.tables[k].Table
			if t.Next = s.Next; t.Schedule != "" {
				t.Next = r.next(k)
			}
			s.Tables = append(s.Tables, t)
		}
		out = append(out, s)
	}
	return out
}

func (r *Runner) next(k key) time.Time {
	id, ok := r.entries[k]
	if !ok {
		return time.Time{}
	}
	return r.cron.Entry(id).Next
}

// table returns what is known of a job on a table, made if it is not there.
func (r *Runner) table(k key) *table {
	if r.tables[k] == nil {
		r.tables[k] = &table{Table: Table{Type: k.dataType, State: Idle}}
	}
	return r.tables[k]
}

// begin starts a job on a table, unless it is at work there.
func (r *Runner) begin(j Job, req Request, mark string) (<-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{j.Name, req.Type}
	t := r.table(k)
	switch {
	case r.life == nil:
		return nil, ErrOff
	case t.stop != nil:
		return nil, fmt.Errorf("%s of %s: %w", j.Name, req.Type, ErrRunning)
	}
	ctx, stop := context.WithCancel(r.life)
	t.stop, t.stopped = stop, false
	t.State, t.Since, t.Done, t.Total = Waiting, time.Now().UTC(), 0, 0
	lock := r.locks[req.Type]
	if lock == nil {
		lock = make(chan struct{}, 1)
		r.locks[req.Type] = lock
	}
	done := make(chan struct{})
	r.running.Go(func() {
		defer close(done)
		defer stop()
		r.work(ctx, j, req, t, lock, mark)
	})
	return done, nil
}

// work waits for the job's turn, runs it, and notes how it ended.
func (r *Runner) work(ctx context.Context, j Job, req Request, t *table, lock chan struct{}, mark string) {
	started := time.Now().UTC()
	var out Outcome
	err := func() error {
		for _, slot := range []chan struct{}{r.heavy, lock} {
			if slot == r.heavy && !j.Heavy {
				continue
			}
			select {
			case slot <- struct{}{}:
				defer func() { <-slot }()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		started = time.Now().UTC()
		r.mu.Lock()
		t.State, t.Since = Running, started
		r.mu.Unlock()
		gauge := r.metrics.running.WithLabelValues(j.Name, req.Type)
		gauge.Set(1)
		defer gauge.Set(0)
		var err error
		out, err = guarded(ctx, j, req, func(done, total int64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Done, t.Total = done, total
		})
		r.end(ctx, j, req, t, &Last{Started: started, Took: time.Since(started), Did: out.Did, Report: out.Report}, err, mark)
		return nil
	}()
	if err != nil { // its turn never came
		r.end(ctx, j, req, t, &Last{Started: started, Took: time.Since(started)}, err, mark)
	}
}

// panicked is the error of a job that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func guarded(ctx context.Context, j Job, req Request, tell func(done, total int64)) (out Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return j.Run(ctx, req, tell)
}

// end notes how a job ended, and tells of it.
func (r *Runner) end(ctx context.Context, j Job, req Request, t *table, last *Last, err error, mark string) {
	r.mu.Lock()
	stopped := t.stopped
	r.mu.Unlock()
	switch {
	case err == nil && last.Did == "":
		last.End = Nothing
	case err == nil:
		last.End = Done
	case stopped || ctx.Err() != nil:
		last.End = Stopped
	case errors.Is(err, ErrBusy):
		last.End, last.Error = Skipped, err.Error()
	default:
		last.End, last.Error = Failed, err.Error()
	}
	log := r.opts.Log.With("job", j.Name, "type", req.Type)
	failing := t.failing // of this job alone, which is at work until stop is nil
	switch last.End {
	case Failed:
		failing = &Failing{Since: last.Started, Times: 1, Error: last.Error}
		if t.failing != nil {
			failing.Since, failing.Times = t.failing.Since, t.failing.Times+1
		}
		args := []any{"took", last.Took, "times", failing.Times, "error", err}
		if p := (*panicked)(nil); errors.As(err, &p) {
			args = append(args, "stack", string(p.stack))
		}
		log.Error("a job failed; the table is as good as before, and the job is tried again", args...)
	case Done, Nothing:
		failing = nil
		if last.Did != "" {
			log.Info("a job is done", "did", last.Did, "took", last.Took)
		}
	default:
		log.Debug("a job ended early", "end", last.End, "error", err)
	}
	var news bool
	switch last.End {
	case Failed:
		news = failing.Times >= tellAfter
	case Done, Nothing:
		news = t.failing != nil || !t.told
	}
	if r.opts.Tell != nil && news {
		t.told = true
		r.opts.Tell(context.WithoutCancel(ctx), req.Type, j.Name, failing)
	}
	r.metrics.count(j.Name, req.Type, last, failing)
	last.Failing = failing
	r.mu.Lock()
	defer r.mu.Unlock()
	t.failing, t.Last = failing, last
	t.quiet.note(mark, last)
	t.State, t.Since, t.Done, t.Total, t.stop = Idle, time.Time{}, 0, 0, nil
}
