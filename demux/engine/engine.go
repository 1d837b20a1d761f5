// Package engine runs work that is parted into tasks: in this process (Local), or on
// a Hadoop cluster (package yarn).
//
// A task is a value, and all that it leaves behind are files under names that no
// other attempt uses. They are nobody's until whoever planned the work commits what
// the tasks' results name. So an attempt may fail, be repeated, or run beside another
// one, and the planner may die: nothing comes of it but files that a sweep removes.
package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Work is some tasks that need nothing of each other.
type Work struct {
	// Name is unique: of the kind, the data type and the run.
	Name string
	Type string // data type
	Kind string // of the tasks: which Doer does them
	// Shared is what all tasks need.
	Shared json.RawMessage
	Tasks  []json.RawMessage
}

var nameRE = regexp.MustCompile(`^[a-z0-9._-]{1,200}$`)

// Check refuses work whose names can't be those of files.
func (w *Work) Check() error {
	for _, s := range []string{w.Name, w.Type, w.Kind} {
		if !nameRE.MatchString(s) || s[0] == '.' {
			return fmt.Errorf("work %q of type %q and kind %q: a name must match %s", w.Name, w.Type, w.Kind, nameRE)
		}
	}
	return nil
}

// Doer does tasks of a kind. It is safe for concurrent use.
type Doer interface {
	// Do does one task. It may be called for a task again, and beside another call
	// for it elsewhere. After an error it has removed what it made, as far as it
	// could.
	Do(ctx context.Context, shared, task json.RawMessage) (result json.RawMessage, err error)
	// Discard removes what a result names: another attempt's counts, or none.
	Discard(ctx context.Context, result json.RawMessage)
}

// Engine runs work.
type Engine interface {
	// Run does all tasks, and returns their results in the order of the tasks. tell
	// is told how far they are, now and then, by one goroutine at a time. After an
	// error the results that there are come with it, nil for the others: they are
	// the caller's to use or to discard. Where ctx ends, the tasks are told to end.
	Run(ctx context.Context, w Work, tell func(Progress)) ([]json.RawMessage, error)
}

// Progress is how far some work is.
type Progress struct {
	Done int    // tasks
	Job  string // as a cluster calls it: YARN's id of the application; empty: not yet, or nowhere
}

// Local runs tasks in this process, as many at once as there are processors.
type Local struct {
	// Doers are the kinds of tasks.
	Doers map[string]Doer
}

// Run implements Engine. A task that fails ends the work: no other machine would
// fare better.
func (l Local) Run(ctx context.Context, w Work, tell func(Progress)) ([]json.RawMessage, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	doer := l.Doers[w.Kind]
	if doer == nil {
		return nil, fmt.Errorf("nobody does tasks of kind %q", w.Kind)
	}
	results := make([]json.RawMessage, len(w.Tasks))
	finished := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0) + 1)
	g.Go(func() error {
		for n := range w.Tasks {
			select {
			case <-finished:
				tell(Progress{Done: n + 1})
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for i, task := range w.Tasks {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if results[i], err = doer.Do(ctx, w.Shared, task); err != nil {
				return fmt.Errorf("task %d of %s: %w", i, w.Name, err)
			}
			select {
			case finished <- struct{}{}:
			case <-ctx.Done():
			}
			return nil
		})
	}
	return results, g.Wait()
}
