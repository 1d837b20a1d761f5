package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// Names of the jobs.
const (
	jobCompact = "compact"
	jobExpire  = "expire"
	jobRetain  = "retain"
	jobRegroup = "regroup"
	jobRedo    = "redo" // on demand alone
)

// jobSchedules are when jobs are due where the config says nothing: a look costs
// little, and what finds nothing to do is put off.
var jobSchedules = map[string]string{
	jobCompact: "*/5 * * * *",
	jobExpire:  "2-59/5 * * * *", // after the merges
	jobRetain:  "23 * * * *",
	jobRegroup: "41 * * * *",
}

// JobNames returns the names of all jobs.
func JobNames() []string { return append(slices.Sorted(maps.Keys(jobSchedules)), jobRedo) }

// jobList returns all jobs.
func (d *Demux) jobList() []jobs.Job {
	return []jobs.Job{
		{
			Name: jobCompact, About: "merges small data files into few large ones, sorted by time, with bloom filters",
			Heavy: true, Run: d.alone(d.compact),
		},
		{
			Name: jobExpire, About: "removes what no version of a table needs: files of runs that died, old metadata",
			Run: d.alone(d.expire),
		},
		{
			Name: jobRetain, About: "drops rows and archived sink files that are older, or more, than the config keeps",
			Run: d.alone(d.retain),
		},
		{
			Name: jobRegroup, About: "puts the small archived sink files of old days into few large ones",
			Run: d.alone(d.regroup),
		},
		{
			Name: jobRedo, About: "parses rows again from the archive, by today's parser",
			Heavy: true, Run: d.alone(d.redoJob),
		},
	}
}

// newJobs makes the runner of the jobs, for the data type only, or for all.
func (d *Demux) newJobs(only string) *jobs.Runner {
	return jobs.New(d.jobList(), jobs.Options{
		Types: func(ctx context.Context) ([]string, error) {
			if only != "" {
				return []string{only}, nil
			}
			return d.tables(ctx)
		},
		Schedule: func(job, dataType string) config.Schedule { return d.now().cfg.jobSchedule(job, dataType) },
		Own: func(job string) (types []string) {
			all := d.now().cfg.Types
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if all[name].Jobs[job].Given() && (only == "" || only == name) {
					types = append(types, name)
				}
			}
			return types
		},
		Mark: d.mark,
		Tell: d.tellJob,
		Log:  d.log, Metrics: d.jobMetrics,
	})
}

// jobSchedule returns when a job is due: on a type's table, where that has a
// schedule of its own, or on all others.
func (c *Config) jobSchedule(job, dataType string) config.Schedule {
	schedules := c.Jobs
	if dataType != "" {
		schedules = c.Types[dataType].Jobs
	}
	if s := schedules[job]; s.Given() {
		return s.V.Schedule
	}
	text, scheduled := jobSchedules[job]
	if !scheduled {
		return config.Schedule{}
	}
	s, err := config.NewSchedule(text)
	if err != nil {
		panic(err) // our own constant
	}
	return s
}

// tables lists the data types that have something below tables/.
func (d *Demux) tables(ctx context.Context) ([]string, error) {
	dirs, err := d.fs.List(ctx, store.Tables)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var types []string
	for _, dir := range dirs {
		if name := path.Base(dir.Path); dir.IsDir && chunk.CheckType(name) == nil {
			types = append(types, name)
		}
	}
	return types, nil
}

// known reports whether there is anything of a data type below tables/: else a job's
// lease would be the first.
func (d *Demux) known(ctx context.Context, dataType string) (bool, error) {
	_, err := d.fs.Stat(ctx, path.Join(store.Tables, dataType))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mark changes with each commit to a table, and when a run leaves files behind: it
// is one look at one file.
func (d *Demux) mark(ctx context.Context, dataType string) (string, error) {
	info, err := d.fs.Stat(ctx, path.Join(store.Tables, dataType, "metadata", "version-hint.text"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return fmt.Sprintf("%d/%d/%d", info.Mod.UnixNano(), info.Size, d.orphaned.of(dataType)), nil
}

// tellJob writes beside a table that a job fails on it, or no more.
func (d *Demux) tellJob(ctx context.Context, dataType, job string, f *jobs.Failing) {
	var told *trouble.Failing
	if f != nil {
		told = &trouble.Failing{Since: f.Since, Times: f.Times, Error: f.Error}
	}
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	if err := trouble.WriteJob(ctx, d.fs, dataType, store.NewID(), job, told); err != nil {
		d.log.Debug("the trouble of a job could not be written beside its table", "type", dataType, "job", job, "error", err)
	}
}

// alone makes a job one that no other process does on a table at the same time.
func (d *Demux) alone(run func(context.Context, jobs.Request, func(done, total int64)) (jobs.Outcome, error)) func(context.Context, jobs.Request, func(done, total int64)) (jobs.Outcome, error) {
	return func(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
		release, err := d.leases.Take(ctx, lease.JobPath(req.Type))
		if err != nil {
			return jobs.Outcome{}, busy(err)
		}
		defer release()
		out, err := run(ctx, req, tell)
		return out, busy(err)
	}
}

// busy makes ErrBusy of what says that others are at work on a table.
func busy(err error) error {
	if errors.Is(err, lease.ErrHeld) || errors.Is(err, table.ErrConflict) {
		return fmt.Errorf("%w: %w", jobs.ErrBusy, err)
	}
	return err
}

// holdWait is how long a job waits for another process that commits to the table.
const holdWait = time.Minute

// hold takes a table for a job's commit: its runs, of whatever process, wait until
// release is called.
func (d *Demux) hold(ctx context.Context, dataType string) (release func(), err error) {
	unlock, err := d.types.ask(ctx, dataType)
	if err != nil {
		return nil, err
	}
	free, err := d.Hold(ctx, dataType, holdWait)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		free()
		unlock()
	}, nil
}

// commitTries is how often a job's commit is tried while others come first.
const commitTries = 8

// change opens the table while nobody else works on it, and has do commit to it.
func (d *Demux) change(ctx context.Context, dataType string, do func(context.Context, *table.Table) error) error {
	return d.changeOr(ctx, dataType, false, do)
}

// changeOr is change; orNew says that a table that is not there is made.
func (d *Demux) changeOr(ctx context.Context, dataType string, orNew bool, do func(context.Context, *table.Table) error) error {
	for tries := 1; ; tries++ {
		err := func() error {
			release, err := d.hold(ctx, dataType)
			if err != nil {
				return err
			}
			defer release()
			t, err := d.open(ctx, dataType)
			if orNew && errors.Is(err, fs.ErrNotExist) {
				t, err = table.New(d.fs, d.baseURI, dataType)
			}
			if err != nil {
				return err
			}
			return do(ctx, t)
		}()
		if !errors.Is(err, table.ErrConflict) || tries == commitTries {
			return err
		}
	}
}

// expire removes what a table does not need any more.
func (d *Demux) expire(ctx context.Context, req jobs.Request, _ func(done, total int64)) (jobs.Outcome, error) {
	last, left := d.expired.of(req.Type), d.orphaned.of(req.Type)
	all := !req.Scheduled || time.Since(last.at) >= lookAtAll || last.orphaned != left
	if all {
		if err := d.checkup(ctx, req.Type); err != nil && ctx.Err() == nil {
			d.log.Warn("the table's files could not be looked at", "type", req.Type, "error", err)
		}
	}
	n, err := d.expireTable(ctx, req.Type, all)
	if all && err == nil {
		*last = lastLook{time.Now(), left}
	}
	var out jobs.Outcome
	if n > 0 {
		out.Did = fmt.Sprintf("removed %s", count(n, "file"))
		out.Report = map[string]int{"removed": n}
	}
	return out, err
}

// lookAtAll is how often the job looks at all that a table may not need: in between
// it removes what was replaced.
const lookAtAll = time.Hour

// lastLook is when all of a table was last looked at, and how many runs had left files
// behind by then.
type lastLook struct {
	at       time.Time
	orphaned int
}

// Expire removes what no version of a table needs, and returns how many files
// that were: none while a job is at work on the table, whose files they may be.
func (d *Demux) Expire(ctx context.Context, dataType string) (n int, err error) {
	release, err := d.leases.Take(ctx, lease.JobPath(dataType))
	if errors.Is(err, lease.ErrHeld) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer release()
	return d.expireTable(ctx, dataType, true)
}

// expireTable removes all that a table does not need, or what was replaced alone.
func (d *Demux) expireTable(ctx context.Context, dataType string, all bool) (n int, err error) {
	more := true
	sweep := func(ctx context.Context, t *table.Table) error {
		if err := d.clock(ctx, lease.Path(dataType)); err != nil {
			return err
		}
		swept, err := t.Sweep(ctx, table.SweepOptions{Grace: d.cfg.ReadersGrace.Std(), Replaced: !all})
		n += swept.Removed()
		more = swept.More
		if err != nil || !all {
			return err
		}
		_, err = d.removeEmptyDays(ctx, dataType, time.Now())
		return err
	}
	for more && err == nil { // runs commit between the steps
		err = d.change(ctx, dataType, sweep)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return n, err
	}
	release, err := d.hold(ctx, dataType) // there is no table yet
	if err != nil {
		return n, err
	}
	defer release()
	_, err = d.removeEmptyDays(ctx, dataType, time.Now())
	return n, err
}

// count is "1 file" or "2 files".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// skips are what a job remembers of each table, from turn to turn.
type skips[T any] struct {
	mu     sync.Mutex
	byType map[string]*T
}

func (s *skips[T]) of(dataType string) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byType == nil {
		s.byType = map[string]*T{}
	}
	if s.byType[dataType] == nil {
		s.byType[dataType] = new(T)
	}
	return s.byType[dataType]
}

// counts count something by name.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
}

func (c *counts) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}
