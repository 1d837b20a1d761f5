package pods

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Adaptor collects the logs of pods. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells

	cfg     Config
	times   times
	maxOpen int // files kept open; 0: what the agent allows, or half of the process's limit

	board board.Board
	run   atomic.Pointer[run] // the last
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// New makes an adaptor from what Decode found valid; it touches nothing outside.
func New(cfg Config) (*Adaptor, error) {
	return &Adaptor{cfg: cfg, times: defaultTimes()}, nil
}

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	r, err := newRun(&a.cfg, a.times, a.maxOpen, env)
	if err != nil {
		return err
	}
	r.box, r.board = &a.Box, &a.board
	a.Take() // of an earlier run
	a.board.Clear()
	a.run.Store(r)
	return r.loop(ctx)
}

// Status implements adaptors.Adaptor. While Run is not running it is what it
// was last.
func (a *Adaptor) Status() adaptors.Status {
	s := a.board.Status()
	if r := a.run.Load(); r != nil {
		s.LastErr = cmp.Or(s.LastErr, r.metadataErr())
	}
	return s
}
