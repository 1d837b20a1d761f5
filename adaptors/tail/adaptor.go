package tail

import (
	"context"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/cut"
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

	board board.Board
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	r, err := newRun(a, env)
	if err != nil {
		return err
	}
	a.Take() // of an earlier run
	a.board.Clear()
	return r.loop(ctx)
}

// Status implements adaptors.Adaptor. While Run is not running it is what it
// was last.
func (a *Adaptor) Status() adaptors.Status { return a.board.Status() }
