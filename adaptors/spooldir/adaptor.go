package spooldir

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

// Adaptor reads whole files. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box
	cfg    Config
	cutter *cut.Cutter
	times  times
	board  *board
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	a.Take() // what was told to a run before
	a.board.clear()
	return newRun(a, env).loop(ctx)
}

// Status implements adaptors.Adaptor: the files that are waiting, being read or
// not settled. While Run is not running it is what it was last.
func (a *Adaptor) Status() adaptors.Status { return a.board.status() }

// maxListed bounds the sources and skipped files of a status.
const maxListed = 1000

// board holds what a status shows.
type board struct {
	mu      sync.Mutex
	streams map[*stream]string // that are not done, and their paths
	waiting map[string]int64   // files that no stream was opened for yet, and their sizes
	notes   map[string]string  // path to what is to be said of it
	lastErr string
}

func newBoard() *board {
	b := &board{}
	b.clear()
	return b
}

func (b *board) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams, b.waiting, b.notes, b.lastErr = map[*stream]string{}, map[string]int64{}, map[string]string{}, ""
}

func (b *board) show(s *stream, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[s] = path
	delete(b.waiting, path)
}

func (b *board) hide(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s)
}

// wait notes a file that is not read yet; a negative size takes the note away.
func (b *board) wait(path string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size < 0 {
		delete(b.waiting, path)
		return
	}
	b.waiting[path] = size
}

// note says something of a path; an empty reason takes it away. It tells
// whether that is news.
func (b *board) note(path, reason string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason == "" {
		delete(b.notes, path)
		return false
	}
	if b.notes[path] == reason || len(b.notes) >= 10*maxListed {
		return false
	}
	b.notes[path] = reason
	return true
}

// noted gives the paths that something is said of.
func (b *board) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]string, 0, len(b.notes))
	for path := range b.notes {
		out = append(out, path)
	}
	return out
}

// fail notes the last error, "" for none; it tells whether that is news.
func (b *board) fail(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := b.lastErr != text
	b.lastErr = text
	return news
}

func (b *board) status() adaptors.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := adaptors.Status{LastErr: b.lastErr}
	for s, path := range b.streams {
		src := adaptors.Source{Stream: s.id, Path: ident.Text(path), Size: s.size.Load(), Read: s.read.Load(), Settled: s.settled.Load()}
		src.Size = max(src.Size, src.Read)
		out.LagBytes += max(0, src.Size-src.Settled)
		out.Sources = append(out.Sources, src)
	}
	for path, size := range b.waiting {
		out.LagBytes += size
		out.Sources = append(out.Sources, adaptors.Source{Path: ident.Text(path), Size: size})
	}
	slices.SortFunc(out.Sources, func(a, b adaptors.Source) int {
		return cmp.Or(cmp.Compare(b.Size-b.Settled, a.Size-a.Settled), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Stream, b.Stream))
	})
	out.Sources = out.Sources[:min(len(out.Sources), maxListed)]
	for path, reason := range b.notes {
		out.Skipped = append(out.Skipped, adaptors.Skipped{Path: ident.Text(path), Reason: reason})
	}
	slices.SortFunc(out.Skipped, func(a, b adaptors.Skipped) int { return cmp.Compare(a.Path, b.Path) })
	out.Skipped = out.Skipped[:min(len(out.Skipped), maxListed)]
	return out
}
