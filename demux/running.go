package demux

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/demux/engine"
)

// Running is work that the tasks of an engine are at.
type Running struct {
	Kind        string    `json:"kind"` // run, compact, redo
	Type        string    `json:"type"`
	ID          string    `json:"id"`   // of the run
	Name        string    `json:"name"` // of the work, as the engine knows it
	Started     time.Time `json:"started"`
	Tasks       int       `json:"tasks"`
	Done        int       `json:"done"`
	Application string    `json:"application,omitempty"` // as YARN calls it
}

// errStopped says that somebody stopped some work.
var errStopped = errors.New("it was stopped")

// running is what tasks of a process are at work on.
type running struct {
	mu   sync.Mutex
	work map[string]*atWork // by name
}

type atWork struct {
	Running
	stop context.CancelCauseFunc
}

// begin notes some work until end is called. It ends with the context.
func (r *running) begin(ctx context.Context, x Running) (_ context.Context, tell func(engine.Progress), end func()) {
	ctx, stop := context.WithCancelCause(ctx)
	w := &atWork{x, stop}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.work == nil {
		r.work = map[string]*atWork{}
	}
	r.work[x.Name] = w
	tell = func(p engine.Progress) {
		r.mu.Lock()
		defer r.mu.Unlock()
		w.Done, w.Application = p.Done, p.Job
	}
	return ctx, tell, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.work, x.Name)
		stop(nil)
	}
}

// stop ends the work of a kind, of a data type or with an empty one of all, and
// returns how much that is.
func (r *running) stop(kind, dataType string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.work {
		if w.Kind == kind && (dataType == "" || w.Type == dataType) {
			w.stop(errStopped)
			n++
		}
	}
	return n
}

// list returns what is at work, by name.
func (r *running) list() []Running {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Running{}
	for _, name := range slices.Sorted(maps.Keys(r.work)) {
		out = append(out, r.work[name].Running)
	}
	return out
}
