package journald

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Adaptor reads the journal. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box
	cfg   Config
	times times

	mu      sync.Mutex
	streams map[*stream]bool
	notes   []adaptors.Skipped // the latest
	lastErr string
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// maxNotes bounds what is told of entries that are missing.
const maxNotes = 20

// Run implements adaptors.Adaptor. It fails when journalctl can't be run.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	a.Take() // what was told to a run before
	a.mu.Lock()
	a.streams, a.lastErr = map[*stream]bool{}, ""
	a.mu.Unlock()
	r := &run{Adaptor: a, env: env, byID: map[string]*stream{}}
	if err := r.loop(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := adaptors.Status{LastErr: a.lastErr, Skipped: slices.Clone(a.notes)}
	for s := range a.streams {
		src := adaptors.Source{Stream: s.id, Path: s.source, Read: s.read.Load(), Settled: s.settled.Load()}
		src.Size = max(src.Read, src.Settled)
		out.LagBytes += src.Size - src.Settled
		out.Sources = append(out.Sources, src)
	}
	slices.SortFunc(out.Sources, func(a, b adaptors.Source) int { return cmp.Compare(a.Stream, b.Stream) })
	return out
}

func (a *Adaptor) show(s *stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams[s] = true
}

func (a *Adaptor) hide(s *stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.streams, s)
}

// fail notes the last error, "" for none; it tells whether that is news.
func (a *Adaptor) fail(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := a.lastErr != text
	a.lastErr = text
	return news
}

// note says what is missing.
func (a *Adaptor) note(path, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, adaptors.Skipped{Path: path, Reason: reason})
	a.notes = a.notes[max(0, len(a.notes)-maxNotes):]
}
