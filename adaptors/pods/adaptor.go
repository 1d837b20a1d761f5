package pods

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

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

// times are the waits that tests shorten.
type times struct {
	settle   time.Duration // a rotated file that may still be written to is still for so long before the next one is read
	still    time.Duration // the same for a deleted one, where nobody can tell who has it open
	linger   time.Duration // a deleted file that somebody has open is given up
	missing  time.Duration // a container whose files are not found for so long counts as deleted
	unseen   time.Duration // a file that is found under no name for so long counts as lost
	retry    time.Duration // after an error with one container
	poll     time.Duration // between scans when folders can't be watched
	throttle time.Duration // between looks at the watcher's events
	metadata time.Duration // an unknown pod's first chunk waits for its metadata
}

func defaultTimes() times {
	return times{
		settle: 500 * time.Millisecond, still: 5 * time.Second, linger: 10 * time.Minute,
		missing: time.Minute, unseen: 3 * time.Second, retry: time.Second,
		poll: time.Second, throttle: 5 * time.Millisecond, metadata: 2 * time.Second,
	}
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
