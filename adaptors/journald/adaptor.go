package journald

import (
	"context"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// Adaptor reads the journal. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells
	cfg          Config
	times        times
	board        board.Board

	mu    sync.Mutex
	notes []adaptors.Skipped // the latest
}

var _ adaptors.Replayer = (*Adaptor)(nil)

// New makes an adaptor from what Decode found valid; it runs nothing.
func New(cfg Config) (*Adaptor, error) {
	return &Adaptor{cfg: cfg, times: defaultTimes()}, nil
}

// times are the waits that tests shorten.
type times struct {
	age   time.Duration // entries wait so long for others to go with
	retry time.Duration // after an error, at first; doubled up to slow
	slow  time.Duration
	poll  time.Duration // between runs where journalctl can't follow: single files
	share time.Duration // between looks whether another adaptor has let go of the entries
}

func defaultTimes() times {
	return times{age: 200 * time.Millisecond, retry: time.Second, slow: 10 * time.Second, poll: 2 * time.Second, share: time.Second}
}

// maxNotes bounds what is told of entries that are missing.
const maxNotes = 20

// Run implements adaptors.Adaptor. It fails when journalctl can't be run.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	a.Take() // what was told to a run before
	a.board.Clear()
	env.Out = &replay.Patient{Out: env.Out, First: a.times.retry, Last: a.times.retry, Note: func(err error) {
		if err == nil {
			a.board.Well(nil)
		} else if a.board.Fail(nil, err) {
			env.Log.Warn("entries could not be handed over; trying again", "error", err)
		}
	}}
	r := &run{Adaptor: a, env: env, byID: map[string]*stream{}}
	if err := r.loop(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	out := a.board.Status()
	a.mu.Lock()
	defer a.mu.Unlock()
	out.Skipped = append(out.Skipped, a.notes...)
	return out
}

// note says what is missing.
func (a *Adaptor) note(path, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, adaptors.Skipped{Path: path, Reason: reason})
	a.notes = a.notes[max(0, len(a.notes)-maxNotes):]
}
