package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

const maxConflicts = 8

// errYield ends the runs of a call between two commits: a job waits for the table.
var errYield = errors.New("a job has its turn")

// runType brings all sink files of a data type into its table, in as many
// commits as memory demands. The report is good also beside an error.
func (d *Demux) runType(ctx context.Context, dataType string, rep *Report) (err error) {
	var q *queue
	defer func() {
		if q != nil {
			d.states.of(dataType).waiting = waiting(q.left())
		}
		rep.Took = time.Since(rep.Started)
		if n := rep.Forks - maxForksTold; n > 0 {
			d.log.Warn("more streams were forked; the audit lists them", "type", dataType, "forks", n)
		}
		if errors.Is(err, table.ErrDamaged) {
			err = fmt.Errorf("%w (akupara repair %s shows what would mend it)", err, dataType)
		}
		if err != nil && !errors.Is(err, errYield) {
			rep.Error = err.Error()
		}
	}()
	// Looking comes before the lease: most looks find nothing.
	sinks, bad, err := listSinks(ctx, d.fs, dataType)
	if err != nil {
		return err
	}
	if q = newQueue(sinks); len(sinks) == 0 && len(bad) == 0 {
		return d.tidyUnknown(ctx, dataType)
	}
	release, err := d.leases.Take(ctx, lease.Path(dataType))
	if err != nil {
		return err
	}
	defer release()
	next, err := d.list(ctx, dataType)
	if err == nil {
		q = next
	}
	for conflicts := 0; err == nil && len(q.sinks) > 0; {
		err = d.runSinks(ctx, dataType, q, rep)
		switch {
		case errors.Is(err, table.ErrConflict) && conflicts < maxConflicts:
			// The table moved: everything is planned anew from what it is now.
			conflicts++
			d.log.Info("another commit came first, planning anew", "type", dataType)
			if next, err = d.list(ctx, dataType); err == nil {
				q = next
			}
		case errors.Is(err, errAgain):
			d.log.Debug("planning anew without what is in the way", "type", dataType, "because", err)
			err = nil
		}
	}
	return err
}

// list lists the type's sink files, once for each call. A day that can't be listed
// is set aside, as a file is that can't be read.
func (d *Demux) list(ctx context.Context, dataType string) (*queue, error) {
	sinks, bad, err := listSinks(ctx, d.fs, dataType)
	if err != nil {
		return nil, err
	}
	d.states.of(dataType).aside.keep(sinks, bad, time.Now())
	for _, day := range bad {
		d.setAside(dataType, day.path, day.err, nil)
	}
	return newQueue(sinks), nil
}

func (d *Demux) open(ctx context.Context, dataType string) (*table.Table, error) {
	t, err := table.Open(ctx, d.fs, d.baseURI, dataType)
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", dataType, err)
	}
	return t.Patient(d.patience), nil
}

// openForRun opens a type's table, or makes one of no version. What the last run left
// is not parsed again: of a table of 500 columns that is a third of a commit.
func (d *Demux) openForRun(ctx context.Context, s *state, dataType string) (*table.Table, error) {
	if s.table != nil {
		t, err := s.table.Again(ctx)
		s.table = t
		if err == nil {
			return t.Patient(d.patience), nil
		}
	}
	t, err := d.open(ctx, dataType)
	if errors.Is(err, fs.ErrNotExist) {
		return table.New(d.fs, d.baseURI, dataType)
	}
	return t, err
}

// runSinks takes the oldest sink files of the queue, and takes them out of it when
// all of them are done with.
func (d *Demux) runSinks(ctx context.Context, dataType string, q *queue, rep *Report) error {
	release, err := d.looking.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	s := d.states.of(dataType)
	q.order(&s.isolation)
	t, err := d.openForRun(ctx, s, dataType)
	if err != nil {
		return err
	}
	s.ahead = t.Ahead()
	files, n, err := d.window(ctx, dataType, q, rep)
	if err != nil {
		return err
	}
	if len(files) == 0 { // all of them are set aside, or in quarantine
		q.sinks = q.sinks[n:]
		return nil
	}
	sinks, err := t.Sinks()
	if err != nil {
		return err
	}
	known, err := t.CoverageOf(ctx, wanted(files))
	if err != nil {
		return fmt.Errorf("read coverage of table %s: %w", dataType, err)
	}
	b := newBacklog(known.Set, &s.isolation)
	b.families.known, b.files = known, files
	recall(files, sinks)
	for _, f := range files {
		f.faults = append(f.faults, s.isolation.blamed[f.path]...)
	}
	rep.Sinks += len(files)
	b.past = &past{
		fs: d.fs, log: d.log, dataType: dataType, archive: d.archived.of(dataType), families: b.families, files: slices.Clone(b.files), near: d.near,
		gone: func(p string) bool { return s.aside.gone(p, time.Now()) },
	}
	if err := d.runBacklog(ctx, t, b, q, rep); err != nil {
		return err
	}
	q.sinks = q.sinks[n:]
	return nil
}

// runBacklog plans, runs and commits until nothing of the backlog is left, and
// moves each sink file away that is finished.
func (d *Demux) runBacklog(ctx context.Context, t *table.Table, b *backlog, q *queue, rep *Report) error {
	for {
		d = d.now()
		p, apart := d.plan(b)
		if err := d.retire(ctx, rep, b, q, p.finished); err != nil {
			return err
		}
		if p.empty() {
			return nil
		}
		r := &run{Demux: d, backlog: b, id: newRunID(t), table: t, plan: p, rep: rep}
		failures := d.fs.failures(rep.Type)
		do := r.do
		if apart {
			do = r.spread
		}
		next, err := do(ctx)
		if err != nil {
			return d.failed(ctx, r, err, d.fs.failures(rep.Type) > failures)
		}
		b.isolation.committed(p)
		t = next
		d.states.keep(rep.Type, t)
		if b.left() { // what is committed is asked for by another plan alone
			b.families.commit()
		}
		if d.types.asked(rep.Type) {
			return errYield
		}
	}
}

// plan cuts a plan from the backlog; apart says that it is one for tasks.
func (d *Demux) plan(b *backlog) (p *plan, apart bool) {
	if d.engine != nil && b.isolation.calm() {
		p := b.cut(d.tasks.bounds)
		if len(p.tasks) > 0 && p.raw >= d.tasks.least {
			return p, true
		}
	}
	return b.plan(int64(d.cfg.RunBytes)), false
}

// newRunID makes the id of a run planned from t. It starts with the version
// that the run is to become, so that ids tell their order.
func newRunID(t *table.Table) string { return fmt.Sprintf("%08d-%s", t.Version()+1, store.NewID()) }

func (d *Demux) quarantine(ctx context.Context, rep *Report, f *sinkFile) error {
	if err := quarantine.Put(ctx, d.fs, rep.Type, f.path, store.NewID(), f.faults); err != nil {
		return err
	}
	rep.Quarantined++
	d.log.Error("a sink file could not be used whole; it lies in quarantine, with the reasons beside it",
		"file", f.path, "faults", len(f.faults), "first", f.faults[0].Reason)
	return nil
}
