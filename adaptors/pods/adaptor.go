package pods

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Adaptor collects the logs of pods. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells

	cfg   Config
	times times

	maxOpen int // files kept open; 0: what the agent allows, or half of the process's limit

	mu     sync.Mutex
	status adaptors.Status
	run    *run // nil while Run is not running
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// maxListed bounds the sources and skipped logs of a status.
const maxListed = 1000

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	r, err := newRun(a, env)
	if err != nil {
		return err
	}
	a.Take() // of an earlier run
	a.mu.Lock()
	a.run = r
	a.mu.Unlock()
	defer func() {
		status := a.Status()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.run, a.status = nil, status
	}()
	return r.loop(ctx)
}

// Status implements adaptors.Adaptor. While Run is not running it is what it
// was last.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == nil {
		return a.status
	}
	return a.run.board.status(a.run.metadataErr())
}

// board holds what a status shows. The run hangs instances up and takes them
// down; readers of it only read their atomic counters.
type board struct {
	mu      sync.Mutex
	root    string
	shown   map[*instance]bool
	skipped map[string]string // path to reason
	lastErr string
	errOf   *instance
}

func newBoard(root string) *board {
	return &board{root: root, shown: map[*instance]bool{}, skipped: map[string]string{}}
}

func (b *board) show(in *instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown[in] = true
}

func (b *board) hide(in *instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shown, in)
	delete(b.skipped, filepath.Join(b.root, in.key()))
	if b.errOf == in {
		b.lastErr, b.errOf = "", nil
	}
}

// skip notes why a log is not read.
func (b *board) skip(in *instance, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.skipped) < 10*maxListed {
		b.skipped[filepath.Join(b.root, in.key())] = reason
	}
}

// fail notes an error; in is nil where it is the adaptor's own. It tells
// whether that is news.
func (b *board) fail(in *instance, err error) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news = b.lastErr != err.Error()
	b.lastErr, b.errOf = err.Error(), in
	return news
}

func (b *board) well(in *instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errOf == in {
		b.lastErr, b.errOf = "", nil
	}
}

func (b *board) status(metadataErr string) adaptors.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := adaptors.Status{LastErr: cmp.Or(b.lastErr, metadataErr)}
	for in := range b.shown {
		src := adaptors.Source{
			Stream: in.idNow(), Path: filepath.Join(b.root, in.key()),
			Size: in.size.Load(), Read: in.read.Load(), Settled: in.settled.Load(),
		}
		out.LagBytes += max(0, src.Size-src.Settled)
		out.Sources = append(out.Sources, src)
	}
	slices.SortFunc(out.Sources, func(a, b adaptors.Source) int {
		return cmp.Or(cmp.Compare(b.Size-b.Settled, a.Size-a.Settled), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Stream, b.Stream))
	})
	out.Sources = out.Sources[:min(len(out.Sources), maxListed)]
	for path, reason := range b.skipped {
		out.Skipped = append(out.Skipped, adaptors.Skipped{Path: path, Reason: reason})
	}
	slices.SortFunc(out.Skipped, func(a, b adaptors.Skipped) int { return cmp.Compare(a.Path, b.Path) })
	out.Skipped = out.Skipped[:min(len(out.Skipped), maxListed)]
	return out
}
