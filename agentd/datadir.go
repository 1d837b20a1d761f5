package agentd

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/daemon"
	"golang.org/x/sys/unix"
)

// lookEvery is how often the agent looks whether its data directory is there.
const lookEvery = time.Second

// dataDir watches that the agent's data directory is the one that it writes to.
// If people remove it, or put another in its place, all that is written is gone
// when the process ends: then it is made anew from memory.
type dataDir struct {
	store *checkpoints.Store
	spool *spool.Spool
	log   *slog.Logger

	mended atomic.Int64
}

// whole reports what is wrong now. It costs a few system calls.
func (d *dataDir) whole() error { return errors.Join(d.store.Whole(), d.spool.Whole()) }

// lockPatience is how long the directory may be another process's: one that was
// just killed holds its lock until the kernel has taken it down.
const lockPatience = 3 * time.Second

// opened opens a part of the data directory. On a full disk it waits for room:
// an agent that ended there would have to be started by hand.
func opened[T any](ctx context.Context, log *slog.Logger, open func() (T, error)) (T, error) {
	var backoff daemon.Backoff
	told := false
	for until := time.Now().Add(lockPatience); ; {
		part, err := open()
		pause := 20 * time.Millisecond
		switch full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT); {
		case errors.Is(err, checkpoints.ErrLocked) && time.Now().Before(until):
		case full:
			if !told {
				log.Error("the disk of the data directory is full; the agent starts once there is room", "error", err)
			}
			told, pause = true, backoff.Next()
		default:
			return part, err
		}
		if err := daemon.Sleep(ctx, pause); err != nil {
			return part, err
		}
	}
}

// run looks until ctx is done.
func (d *dataDir) run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	said := ""
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if d.whole() == nil {
			continue
		}
		mended, err := d.store.Mend() // it says by itself what it does
		if err == nil {
			// Only who has the lock may write there.
			if err = d.spool.Mend(); err != nil && err.Error() != said {
				d.log.Error("the agent's spool can't be made anew; adaptors that need it wait", "error", err)
				said = err.Error()
			}
		}
		if mended || err == nil {
			d.mended.Add(1)
			said = ""
		}
	}
}
