package tail

import (
	"context"
	"time"

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

	gate     func() // called before anything is looked at; tests stop the run there; nil: never
	nameless bool   // in tests: as if no file system told births and generations
	maxOpen  int    // files kept open, at most; 0: as many as the process's limit allows

	board board.Board
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// New makes an adaptor from what Decode found valid; it touches nothing outside.
func New(cfg Config) (*Adaptor, error) {
	cutter, err := cfg.Cutter("", int(cfg.MaxRecord))
	if err != nil {
		return nil, err
	}
	return &Adaptor{cfg: cfg, cutter: cutter, times: defaultTimes()}, nil
}

// times are the waits that tests shorten.
type times struct {
	still    time.Duration // a renamed or unlinked file's last line is taken as it is (rule 6)
	linger   time.Duration // an unlinked file that somebody may still write to is given up
	copies   time.Duration // a still copy of a file is taken for a file of its own
	missing  time.Duration // a file not found for so long: what was not settled of it counts as lost
	forget   time.Duration // and then its stream is forgotten
	retry    time.Duration // after an error with one file
	poll     time.Duration // between scans when folders can't be watched
	throttle time.Duration // between looks at the watcher's events
	gather   time.Duration // a file that was read just now and has grown waits so long, at most: it may grow on
}

func defaultTimes() times {
	return times{
		still: 5 * time.Second, linger: time.Hour, copies: 5 * time.Second,
		missing: 10 * time.Minute, forget: 7 * 24 * time.Hour,
		retry: time.Second, poll: time.Second, throttle: 20 * time.Millisecond,
		gather: 400 * time.Millisecond,
	}
}

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

// Lag implements adaptors.Lagger.
func (a *Adaptor) Lag() (bytes int64, lastErr string) { return a.board.Lag() }
