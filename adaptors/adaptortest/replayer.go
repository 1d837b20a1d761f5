package adaptortest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// testReplayer holds an adaptor against the contract of adaptors.Replayer.
func testReplayer(t *testing.T, k Kind) {
	t.Run("WhatWasRefusedIsSentAgain", func(t *testing.T) {
		l := prepare(t, k)
		var refused atomic.Pointer[chunk.Range]
		l.block = func(_ context.Context, c *chunk.Chunk) error {
			if c.Kind == chunk.Data && refused.Load() == nil {
				r := c.Range()
				refused.Store(&r)
				return errors.New("not now")
			}
			return nil
		}
		l.run()
		l.feedUntil("the refused bytes did not come again", func() bool {
			r := refused.Load()
			for _, c := range l.rec.Chunks() {
				if r != nil && c.Kind == chunk.Data && c.First <= r.First && c.Last >= r.Last {
					return true
				}
			}
			return false
		})
		l.stop()
	})
	t.Run("WhatIsAskedForIsSentAgain", func(t *testing.T) {
		l := prepare(t, k)
		var refuse atomic.Bool // also where it is refused at first
		l.block = func(context.Context, *chunk.Chunk) error {
			if refuse.Swap(false) {
				return errors.New("not now")
			}
			return nil
		}
		l.run()
		c := l.first()
		before := len(l.rec.Chunks())
		refuse.Store(true)
		l.replayer().Resend(c.Stream, c.Range())
		l.wait("what was asked for did not come again", func() bool { return !refuse.Load() && l.came(before, chunk.Data, c) })
		l.stop()
	})
	t.Run("AnotherRunSendsWhatIsNotSettledAgain", func(t *testing.T) {
		l := launch(t, k)
		c := l.first()
		l.stop()
		before := len(l.rec.Chunks())
		l.run()
		l.wait("what is not settled did not come again", func() bool { return l.came(before, chunk.Data, c) })
		l.stop()
	})
	t.Run("ItsStreamsGoOnUnderAnotherName", func(t *testing.T) {
		l := launch(t, k)
		c := l.first()
		l.stop()
		l.rec.Stop(l.name)
		streams, before := l.streams(), len(l.rec.Chunks())
		l.name = "another"
		l.run()
		l.wait("what is not settled did not come again", func() bool { return l.came(before, chunk.Data, c) })
		if n := l.streams(); n != streams {
			t.Errorf("there are %d streams, want the %d that there were", n, streams)
		}
		l.stop()
	})
	t.Run("ItsStreamsHaveTheirIdsAgainAfterTheStateIsLost", func(t *testing.T) {
		l := launch(t, k)
		c := l.first()
		l.stop()
		l.rec.Lose()
		before := len(l.rec.Chunks())
		l.run()
		l.wait("what was sent did not come again as the same stream", func() bool { return l.came(before, chunk.Data, c) })
		l.stop()
	})
	if k.Lose != nil {
		t.Run("WhatTheSourceDestroyedIsReportedAsLost", func(t *testing.T) {
			l := launch(t, k)
			c := l.first()
			l.stop()
			k.Lose(t)
			before := len(l.rec.Chunks())
			l.run()
			l.wait("what is lost was not reported", func() bool { return l.came(before, chunk.Lost, c) })
			l.stop()
		})
	} else if k.Lossless == "" {
		t.Error("the kind says neither how its source is destroyed nor why it can't be")
	}
	if k.Finish != nil {
		t.Run("TheEndIsStoredAndSentUntilItIsSettled", func(t *testing.T) { testEnd(t, k) })
	} else if k.Endless == "" {
		t.Error("the kind says neither how its source ends nor why it doesn't")
	}
}

func testEnd(t *testing.T, k Kind) {
	l := prepare(t, k)
	l.block = func(_ context.Context, c *chunk.Chunk) error {
		if c.Kind != chunk.End {
			return nil
		}
		for _, s := range l.rec.Known() {
			if s.ID == c.Stream && (!s.Ended || s.Sent != c.First) {
				t.Errorf("the End at %d was sent of a stream that is stored as %+v", c.First, s)
			}
		}
		return nil
	}
	l.run()
	of := l.first().Stream
	k.Finish(t)
	ends := func() (out []chunk.Chunk) {
		for _, c := range l.rec.Facts(chunk.End) {
			if c.Stream == of {
				out = append(out, c)
			}
		}
		return out
	}
	l.wait("no End came", func() bool { return len(ends()) > 0 })
	end := ends()[0]
	if got := l.rec.Contiguous(of, 0); got != end.First {
		t.Errorf("the End is at %d, the stream came up to %d", end.First, got)
	}
	l.replayer().Resend(of, end.Range())
	l.wait("the End that was asked for did not come again", func() bool { return len(ends()) >= 2 })
	l.stop()
	l.run()
	l.wait("the End did not come again in another run", func() bool { return len(ends()) >= 3 })
	l.wait("the stream is neither forgotten nor stored as ended", func() bool {
		l.rec.Settle(l.replayer())
		for _, s := range l.rec.Known() {
			if s.ID == of {
				return s.Ended && s.Settled == s.Sent
			}
		}
		return true
	})
	l.stop()
}

func (l *life) replayer() adaptors.Replayer { return l.a.(adaptors.Replayer) }

// streams counts those that are stored, without what a kind notes for itself.
func (l *life) streams() (n int) {
	for _, s := range l.rec.Known() {
		if len(s.Identity) > 0 {
			n++
		}
	}
	return n
}

// first feeds the adaptor and waits for the first data.
func (l *life) first() (c chunk.Chunk) {
	l.t.Helper()
	l.feedUntil("no data came", func() bool {
		for _, c = range l.rec.Chunks() {
			if c.Kind == chunk.Data {
				return true
			}
		}
		return false
	})
	return c
}

// came reports whether a chunk's range was sent as a kind after the first n
// chunks.
func (l *life) came(n int, kind chunk.Kind, c chunk.Chunk) bool {
	var have chunk.Ranges
	for _, d := range l.rec.Chunks()[n:] {
		if d.Kind == kind && d.Stream == c.Stream {
			have = have.Add(d.Range())
		}
	}
	return len(have.Missing(c.Range())) == 0
}
