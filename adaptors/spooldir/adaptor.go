package spooldir

import (
	"context"
	"path/filepath"
	"time"

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

// New makes an adaptor from what Decode found valid; it touches nothing outside.
func New(cfg Config) (*Adaptor, error) {
	folders := make([]string, len(cfg.Folders))
	for i, dir := range cfg.Folders {
		folders[i] = filepath.Clean(dir)
	}
	cfg.Folders = folders
	cutter, err := cfg.Cutter("", int(cfg.MaxRecord))
	if err != nil {
		return nil, err
	}
	return &Adaptor{cfg: cfg, cutter: cutter, times: defaultTimes()}, nil
}

// times are the waits that tests shorten.
type times struct {
	missing time.Duration // a file not found for so long is gone
	retry   time.Duration // after an error
	poll    time.Duration // between scans when folders can't be watched
}

func defaultTimes() times {
	return times{missing: 10 * time.Minute, retry: time.Second, poll: time.Second}
}

// Run implements adaptors.Adaptor.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	a.Take() // what was told to a run before
	a.board.Clear()
	return newRun(a, env).loop(ctx)
}

// Status implements adaptors.Adaptor: the files that are waiting, being read or
// not settled. While Run is not running it is what it was last.
func (a *Adaptor) Status() adaptors.Status { return a.board.Status() }
