package demux

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/store"
)

// Kinds of tasks.
const (
	kindRun     = "run"
	kindCompact = "compact"
	kindRedo    = "redo"
)

// Doers returns who does the tasks that a Demux on the store would plan, on whatever
// machine.
func Doers(st store.FS, baseURI string, log *slog.Logger) map[string]engine.Doer {
	n := node{st, baseURI, log}
	return map[string]engine.Doer{
		kindRun:     doer[rowsShared, runTask, runResult]{n.run, n.discardRows},
		kindRedo:    doer[rowsShared, redoTask, redoResult]{n.redo, n.discardRedone},
		kindCompact: doer[compact.Step, []compact.Task, []compact.Outcome]{n.compact, n.discardCompacted},
	}
}

// node is where tasks are done.
type node struct {
	fs      store.FS
	baseURI string
	log     *slog.Logger
}

// doer does the tasks of a kind: S is what they share, T a task, and R what comes of
// it. It implements engine.Doer.
type doer[S, T, R any] struct {
	do      func(context.Context, *S, *T) (*R, error)
	discard func(context.Context, *R)
}

func (d doer[S, T, R]) Do(ctx context.Context, shared, task json.RawMessage) (json.RawMessage, error) {
	var s S
	var t T
	if err := json.Unmarshal(shared, &s); err != nil {
		return nil, fmt.Errorf("read what the tasks share: %w", err)
	}
	if err := json.Unmarshal(task, &t); err != nil {
		return nil, fmt.Errorf("read task: %w", err)
	}
	r, err := d.do(ctx, &s, &t)
	if err != nil {
		return nil, err
	}
	return marshal(r), nil
}

func (d doer[S, T, R]) Discard(ctx context.Context, result json.RawMessage) {
	var r R
	if json.Unmarshal(result, &r) == nil {
		d.discard(ctx, &r)
	}
}

// work is what some tasks are for.
type work struct {
	kind, dataType string
	id             string // of the run
	round          int    // how often tasks of the run were done before, and one
}

// doTasks has the engine do tasks, and returns what came of them in their order, nil
// for those that failed, also beside an error: files that are named there are the
// caller's to use or to remove. Those of further attempts are orphans.
func doTasks[T, R any](ctx context.Context, d *Demux, w work, shared any, tasks []T) ([]*R, error) {
	out := make([]*R, len(tasks))
	if len(tasks) == 0 {
		return out, nil
	}
	e := engine.Work{
		Name: fmt.Sprintf("%s-%s-%s-%d", w.kind, w.dataType, w.id, w.round), Type: w.dataType, Kind: w.kind, Shared: marshal(shared),
		Tasks: encodeAll(tasks),
	}
	ctx, tell, end := d.running.begin(ctx, Running{
		Kind: w.kind, Type: w.dataType, ID: w.id, Name: e.Name, Started: time.Now().UTC(), Tasks: len(tasks),
	})
	defer end()
	d.log.Info("work is spread over tasks", "kind", w.kind, "type", w.dataType, "run", w.id, "tasks", len(tasks))
	results, err := d.engine.Run(ctx, e, tell)
	if bad := decodeAll(results, out); err == nil {
		err = bad
	}
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		d.orphaned.add(w.dataType) // attempts that failed may have left files
		return out, &engineError{fmt.Errorf("%s %s of table %s by tasks: %w", w.kind, w.id, w.dataType, err)}
	}
	return out, nil
}

// codedInRow is how many tasks, or their results, one encodes or decodes in a row. Together
// they are large: all processors do some.
const codedInRow = 64

func encodeAll[T any](tasks []T) []json.RawMessage {
	out := make([]json.RawMessage, len(tasks))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < len(tasks); from += codedInRow {
		g.Go(func() error {
			for i := from; i < min(from+codedInRow, len(tasks)); i++ {
				out[i] = marshal(&tasks[i])
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	return out
}

// decodeAll reads the results that there are.
func decodeAll[R any](results []json.RawMessage, out []*R) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < min(len(out), len(results)); from += codedInRow {
		g.Go(func() (err error) {
			for i := from; i < min(from+codedInRow, len(out), len(results)); i++ {
				if results[i] == nil {
					continue
				}
				r := new(R)
				if bad := json.Unmarshal(results[i], r); bad != nil {
					err = errors.Join(err, fmt.Errorf("read the result of task %d: %w", i, bad))
					continue
				}
				out[i] = r
			}
			return err
		})
	}
	return g.Wait()
}

// engineError is a failure of an engine: what a run takes has no part in it.
type engineError struct{ err error }

func (e *engineError) Error() string { return e.err.Error() }
func (e *engineError) Unwrap() error { return e.err }

// configOf decodes a section demux.
func configOf(text string) (Config, error) {
	c := DefaultConfig()
	n, problems := config.Parse("the task's config", []byte(text))
	if len(problems) == 0 && n.Given() {
		problems = config.Decode(n, &c)
	}
	return c, problems.Err()
}

// marshal makes JSON of a value of ours.
func marshal(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // it has no value that JSON has not
	}
	return bytes.TrimSpace(b.Bytes())
}
