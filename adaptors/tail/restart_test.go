package tail

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// stored gives the tailer real checkpoints.
type stored struct{ *checkpoints.Store }

func (s stored) Known() []adaptors.Stream {
	var out []adaptors.Stream
	for _, k := range s.Store.Streams("tail") {
		out = append(out, adaptors.Stream(k))
	}
	return out
}

func (s stored) Open(ctx context.Context, st adaptors.Stream) (adaptors.Stream, error) {
	k, err := s.Store.Open(ctx, checkpoints.Owner{Adaptor: "tail", Kind: "tail"}, checkpoints.Stream(st))
	return adaptors.Stream(k), err
}

func (s stored) Others() []adaptors.Stream { return nil }
func (s stored) Take(id string) (adaptors.Stream, error) {
	k, _ := s.Store.Stream(id)
	return adaptors.Stream(k), nil
}
func (s stored) Release(string) {}
func (s stored) Retype(string) (adaptors.Stream, error) {
	return adaptors.Stream{}, adaptors.ErrHeld
}

func (s stored) Update(st adaptors.Stream) error { return s.Store.Update(checkpoints.Stream(st)) }
func (s stored) Sent(id string, end int64, tail uint64) error {
	return s.Store.Sent(id, end, tail)
}
func (s stored) Forget(id string) error { return s.Store.Forget(id) }

// TestCheckpointsOnDiskAreEnoughToGoOn keeps nothing between two lives of the
// agent but the checkpoint directory and the files.
func TestCheckpointsOnDiskAreEnoughToGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	for i := range 6 {
		store, err := checkpoints.Open(dir, slog.New(slog.DiscardHandler))
		r.ok(err)
		out := adaptortest.NewOutput(r.rec)
		a, err := New(r.cfg)
		r.ok(err)
		a.times = testTimes()
		r.a = a
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		var n atomic.Int64
		if i == 2 {
			r.rec.Refuse(func(*chunk.Chunk) error {
				if n.Add(1) > 1 {
					return errors.New("not now")
				}
				return nil
			})
		}
		r.write("a.log", r.lines(100))
		if i == 3 {
			r.rename("a.log", "a.log.1")
			r.write("a.log", r.lines(10))
		}
		if i == 4 {
			r.write("a.log", r.lines(10))
			r.copyTruncate("a.log", "a.log.2")
		}
		env := adaptors.Env{Type: "test", Host: "h", Log: slog.New(slog.DiscardHandler), Out: out, Streams: stored{store}}
		go func() { done <- a.Run(ctx, env) }()
		if i == 2 {
			r.until("nothing was sent", func() bool { return n.Load() > 0 })
			r.rec.Refuse(nil)
		} else {
			r.arrived()
		}
		for _, k := range store.Streams("tail") {
			r.ok(store.Settled(k.ID, r.rec.Contiguous(k.ID, k.Settled)))
		}
		cancel()
		r.ok(<-done)
		r.ok(store.Close())
	}
}
