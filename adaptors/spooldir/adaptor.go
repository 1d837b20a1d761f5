package spooldir

import (
	"context"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Adaptor reads whole files. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells
	cfg          Config
	cutter       *cut.Cutter
	times        times
	nameless     bool // in tests: as if no file system told births and generations
	board        board.Board
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	a.Take() // what was told to a run before
	a.board.Clear()
	return newRun(a, env).loop(ctx)
}

// Status implements adaptors.Adaptor: the files that are waiting, being read or
// not settled. While Run is not running it is what it was last.
func (a *Adaptor) Status() adaptors.Status { return a.board.Status() }
