package demux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// state is what a process knows of the runs of one data type, from one to the
// next. It is used by one run at a time.
type state struct {
	isolation isolation
	aside     aside
	failing   trouble.Failing // Times is 0 while none fails
	ahead     time.Duration   // of the table's last commit before this clock
	isolated  int             // in the run that is under way
	told      string          // what was written of the trouble last
	looked    bool            // whether what another process wrote of it was removed
	waiting   *Waiting        // as of the last listing; nil: there was none yet
	table     *table.Table    // that a run committed last; nil: none, or it is gone
}

// states are those of all data types.
type states struct {
	mu     sync.Mutex
	byType map[string]*state
}

func (s *states) of(dataType string) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byType == nil {
		s.byType = map[string]*state{}
	}
	if s.byType[dataType] == nil {
		s.byType[dataType] = &state{aside: aside{}}
	}
	return s.byType[dataType]
}

// maxTables is of how many types what was committed last is kept in memory.
const maxTables = 64

// keep keeps the table that a run of a type committed, where types are few: it is the
// type's own goroutine that calls.
func (s *states) keep(dataType string, t *table.Table) {
	of := s.of(dataType)
	s.mu.Lock()
	few := len(s.byType) <= maxTables
	s.mu.Unlock()
	if of.table = nil; few {
		of.table = t
	}
}

// errAgain says that a run failed of something that the next one will leave out.
var errAgain = errors.New("planned anew")

// fileError is the error of one file of the store that can't be read.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// failed decides about a run that failed: whether what made it fail can be parted
// from the rest. store reports whether the store failed in it.
func (d *Demux) failed(ctx context.Context, r *run, err error, store bool) error {
	if ctx.Err() != nil || notInput(err) {
		return err
	}
	dataType := r.rep.Type
	var file *fileError
	if errors.As(err, &file) {
		for _, f := range r.files {
			if f.path == file.path {
				d.setAside(dataType, f.path, err, r.backlog.missing(f))
				return fmt.Errorf("%w: %w", errAgain, err)
			}
		}
		d.setAside(dataType, file.path, err, nil) // of the archive: it counts as gone some day
		return err
	}
	var input *inputError
	known := errors.As(err, &input)
	if store && !known {
		return err
	}
	if !known {
		input = &inputError{stage: r.stage, err: err}
	}
	var p *panicked
	if errors.As(err, &p) {
		d.log.Error("a run met a fault of the program; what it took when it did is taken apart", "type", dataType, "error", err, "stack", string(p.stack))
	}
	again, blamed := r.isolation.note(input, r.plan.spots())
	if blamed != nil {
		s := d.states.of(dataType)
		s.isolated++
		for _, f := range r.files {
			if f.path == blamed.path {
				fault := f.fault(*blamed, err)
				r.isolation.blamed[f.path] = append(r.isolation.blamed[f.path], fault)
				d.log.Error("a chunk makes runs fail; it is left out, and its sink file goes to quarantine when all else of it is in the table",
					"type", dataType, "file", f.path, "block", fault.Block, "chunk", fault.Chunk, "stream", fault.Stream, "error", err)
			}
		}
	}
	if again {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}

// setAside leaves a file alone for a while.
func (d *Demux) setAside(dataType, path string, err error, streams []trouble.Stream) {
	f := d.states.of(dataType).aside.set(path, err, streams, time.Now())
	if f.tries == 1 || f.tries == tellAfter {
		d.log.Warn("a file of the store can't be read; it is set aside and tried again, all else goes on", "type", dataType, "file", path, "tries", f.tries, "error", err)
	}
}

// tellAfter is from how many failures in a row on something is trouble.
const tellAfter = 2

// tell says of the type's trouble, in the report, by metrics and beside the table.
func (d *Demux) tell(ctx context.Context, dataType string, rep *Report, err error) {
	s := d.states.of(dataType)
	if errors.Is(err, lease.ErrHeld) || ctx.Err() != nil {
		return // nothing is known
	}
	if err != nil {
		if s.failing.Times == 0 {
			s.failing.Since = rep.Started
		}
		s.failing.Times++
		s.failing.Error = err.Error()
	} else {
		s.failing = trouble.Failing{}
	}
	if s.waiting != nil {
		d.metrics.tellWaiting(dataType, s.waiting)
	}
	if err != nil {
		rep.Waiting = s.waiting
	}
	all := s.aside.tell(1)
	rep.Isolated, rep.Aside, rep.Failing = s.isolated, len(all), s.failing.Times
	s.isolated = 0
	d.metrics.failing.WithLabelValues(dataType).Set(float64(s.failing.Times))
	d.metrics.aside.WithLabelValues(dataType).Set(float64(len(all)))
	d.metrics.behind.WithLabelValues(dataType).Set(s.ahead.Seconds())

	t := &trouble.Trouble{Aside: s.aside.tell(tellAfter)}
	if s.failing.Times >= tellAfter {
		t.Failing = &s.failing
	}
	if s.ahead > 0 {
		t.Ahead = s.ahead.Round(time.Second).String()
	}
	text, _ := json.Marshal(t) // of our own types
	switch {
	case t.None() && s.looked && s.told == "":
		return
	case !t.None() && string(text) == s.told:
		return
	}
	if err := trouble.Write(ctx, d.fs, dataType, store.NewID(), t); err != nil {
		d.log.Debug("the trouble of a type could not be written beside its table", "type", dataType, "error", err)
		return
	}
	s.looked, s.told = true, string(text)
	if t.None() {
		s.told = ""
	}
}

// wildClock is from when on a clock is not trusted with what has expired.
const wildClock = time.Hour

// clock compares this clock with the store's, by a lease, which was just written.
func (d *Demux) clock(ctx context.Context, lease string) error {
	info, err := d.fs.Stat(ctx, lease)
	if err != nil {
		return nil //nolint:nilerr // it is a comparison by the way
	}
	if off := time.Since(info.Mod); off > wildClock || off < -wildClock {
		return fmt.Errorf("this clock is %v off the store's: nothing expires", off.Round(time.Second))
	}
	return nil
}

// checkup looks at all files of the table, for the log and the metric.
func (d *Demux) checkup(ctx context.Context, dataType string) error {
	h, err := table.Check(ctx, d.fs, d.baseURI, dataType)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	needed := h.Needed()
	d.metrics.damaged.WithLabelValues(dataType).Set(float64(len(needed)))
	if len(needed) > 0 {
		d.log.Error("files of the table are damaged: akupara repair "+dataType, "type", dataType, "files", len(needed), "first", needed[0].String())
	}
	return nil
}
