package tail

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Adaptor follows files. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells

	cfg    Config
	cutter *cut.Cutter // not to be used itself: readers have their own
	times  times

	gate    func() // called before anything is looked at; tests stop the run there; nil: never
	maxOpen int    // files kept open, at most; 0: as many as the process's limit allows

	mu     sync.Mutex
	status adaptors.Status
	run    *run // nil while Run is not running
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// maxListed bounds the sources and skipped files of a status.
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
	return a.run.board.status()
}

// board holds what a status shows. The run hangs streams up and takes them
// down; readers only move the atomic counters in them.
type board struct {
	mu      sync.Mutex
	streams map[*stream]string // and their paths
	skipped map[string]string  // path to reason
	lastErr string
	errOf   *stream
}

func newBoard() *board {
	return &board{streams: map[*stream]string{}, skipped: map[string]string{}}
}

func (b *board) show(s *stream, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[s] = path
}

func (b *board) hide(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s)
}

// skip notes why a path is not read; an empty reason takes the note away. It
// tells whether that is news.
func (b *board) skip(path, reason string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason == "" {
		delete(b.skipped, path)
		return false
	}
	if b.skipped[path] == reason || len(b.skipped) >= 10*maxListed {
		return false
	}
	b.skipped[path] = reason
	return true
}

// skippedBut takes down the notes of paths that are not there any more.
func (b *board) skippedBut(away func(path string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path := range b.skipped {
		if away(path) {
			delete(b.skipped, path)
		}
	}
}

func (b *board) fail(s *stream, err error) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news = b.lastErr != err.Error()
	b.lastErr, b.errOf = err.Error(), s
	return news
}

func (b *board) well(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errOf == s {
		b.lastErr, b.errOf = "", nil
	}
}

func (b *board) status() adaptors.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := adaptors.Status{LastErr: b.lastErr}
	for s, path := range b.streams {
		src := adaptors.Source{Stream: s.idNow(), Path: ident.Text(path), Size: s.size.Load(), Read: s.read.Load(), Settled: s.settled.Load()}
		out.LagBytes += max(0, src.Size-src.Settled)
		out.Sources = append(out.Sources, src)
	}
	slices.SortFunc(out.Sources, func(a, b adaptors.Source) int {
		return cmp.Or(cmp.Compare(b.Size-b.Settled, a.Size-a.Settled), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Stream, b.Stream))
	})
	out.Sources = out.Sources[:min(len(out.Sources), maxListed)]
	for path, reason := range b.skipped {
		out.Skipped = append(out.Skipped, adaptors.Skipped{Path: ident.Text(path), Reason: reason})
	}
	slices.SortFunc(out.Skipped, func(a, b adaptors.Skipped) int { return cmp.Compare(a.Path, b.Path) })
	out.Skipped = out.Skipped[:min(len(out.Skipped), maxListed)]
	return out
}
