package replay

import (
	"context"
	"errors"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// Patient is an Output that tries again until a chunk is taken, for a source
// that has nothing else to do meanwhile. It gives up when ctx is done, and on a
// chunk that can't ever be taken.
type Patient struct {
	Out         adaptors.Output
	First, Last time.Duration // between two tries: at first, then doubled up to the last
	Note        func(error)   // of each try; nil: the chunk was taken
}

// Send implements adaptors.Output.
func (p *Patient) Send(ctx context.Context, c *chunk.Chunk) error {
	for pause := p.First; ; pause = min(2*pause, p.Last) {
		err := p.Out.Send(ctx, c)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if p.Note(err); err == nil || errors.Is(err, chunk.ErrInvalid) {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
