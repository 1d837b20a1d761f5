package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// What the ledger does for a batch of 16 chunks until it is settled, at each
// delivery level.
func BenchmarkLevel(b *testing.B) {
	for _, level := range []Level{EndToEnd, StoreOnFailure, BestEffort} {
		b.Run(level.String(), func(b *testing.B) {
			l := New(Config{Every: time.Second, ResendAfter: time.Hour}, slog.New(slog.DiscardHandler))
			src, w := quiet(level), newWorld("a")
			var batch []chunk.Entry
			for i := range 16 {
				id := fmt.Sprint("stream", i)
				l.Open(id, src, 0)
				batch = append(batch, chunk.Entry{Stream: id})
			}
			n := int64(0)
			for b.Loop() {
				for i := range batch {
					batch[i].First, batch[i].Last = n<<16, (n+1)<<16
				}
				l.Posting(batch)
				segment := fmt.Sprint("segment", n/128) // of 128 batches
				l.Accepted("a", "x", wire.Receipt{Segment: segment, Block: int(n % 128)}, batch)
				l.flush()
				if n++; n%128 == 0 {
					w.states["a "+segment] = wire.Settled
					l.Round(context.Background(), w)
				}
			}
		})
	}
}

// quiet is a source that does nothing with what it is told.
type quiet Level

func (quiet) Settled(string, int64) {}

func (quiet) Resend(string, chunk.Range) {}

func (quiet) Adaptor(string) string { return "" }

func (q quiet) Level() Level { return Level(q) }
