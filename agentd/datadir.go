package agentd

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/checkpoints"
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
