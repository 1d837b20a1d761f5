package replay_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

const text = "one\ntwo\nthree\nfour\n" // borders at 4, 8, 14, 19

// rig is a stream with its agent.
type rig struct {
	*testing.T
	rec *adaptortest.Recorder
	env adaptors.Env
	s   *replay.Stream
}

func newRig(t *testing.T, st adaptors.Stream) *rig {
	r := &rig{T: t, rec: adaptortest.NewRecorder()}
	t.Cleanup(func() {
		for _, p := range r.rec.Problems() {
			t.Error(p)
		}
	})
	r.env = r.rec.Env()
	r.env.Log = slog.New(slog.DiscardHandler)
	r.s = replay.New(&r.env)
	r.ok(r.s.Open(t.Context(), st))
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) data(first, last int64) error {
	return r.s.Data(r.Context(), chunk.Chunk{First: first, Last: last, Body: []byte(text[first:last])}, uint64(last))
}

// again is how a kind sends a range again.
func (r *rig) again(_ context.Context, rg chunk.Range) error { return r.data(rg.First, rg.Last) }

func (r *rig) ask(ranges ...chunk.Range) { r.s.Take(&receipts.Letter{Resend: ranges}) }

func (r *rig) settle(upTo int64) { r.s.Take(&receipts.Letter{Settled: upTo, Receipts: 1}) }

// restart makes the stream anew from its checkpoint.
func (r *rig) restart(change func(k *adaptors.Stream)) {
	r.Helper()
	k := r.stored()
	if change != nil {
		change(&k)
	}
	r.s = replay.Restore(&r.env, k)
}

func (r *rig) stored() adaptors.Stream {
	r.Helper()
	known := r.rec.Known()
	if len(known) != 1 {
		r.Fatalf("got %d streams, want 1", len(known))
	}
	return known[0]
}

// came is what was sent, in order: a kind and a range each.
type came struct {
	kind chunk.Kind
	rg   chunk.Range
}

func (r *rig) want(want ...came) {
	r.Helper()
	var got []came
	for _, c := range r.rec.Chunks() {
		got = append(got, came{c.Kind, c.Range()})
	}
	if len(got) != len(want) {
		r.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			r.Errorf("sent as number %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func span(first, last int64) chunk.Range { return chunk.Range{First: first, Last: last} }

var errFull = errors.New("no space left on device")

func TestWhatIsNotTakenIsJournalledAndSentAgain(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	r.rec.Refuse(func(*chunk.Chunk) error { return errFull })
	if err := r.data(4, 14); !errors.Is(err, errFull) {
		t.Fatalf("got %v, want the output's error", err)
	}
	if k := r.stored(); k.Sent != 14 || k.Tail != 14 || r.s.Sent() != 14 {
		t.Errorf("journalled up to %d with %d, the stream says %d; want 14", k.Sent, k.Tail, r.s.Sent())
	}
	if r.s.Off() != 4 {
		t.Errorf("the stream is at %d, want 4", r.s.Off())
	}
	r.rec.Refuse(nil)
	r.ok(r.data(4, 8)) // with other borders
	if k := r.stored(); k.Sent != 14 || k.Tail != 14 {
		t.Errorf("journalled up to %d with %d after a shorter piece, want 14", k.Sent, k.Tail)
	}
	r.want(came{chunk.Data, span(0, 4)}, came{chunk.Data, span(4, 8)})
}

// failing is a journal on a full disk.
type failing struct{ adaptors.Streams }

func (failing) Sent(string, int64, uint64) error { return errFull }
func (failing) Update(adaptors.Stream) error     { return errFull }

func TestNothingIsSentThatIsNotJournalled(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	streams := r.env.Streams
	r.env.Streams = failing{streams}
	for what, err := range map[string]error{
		"data": r.data(4, 8),
		"lost": r.s.Lost(t.Context(), span(4, 8), "gone"),
		"end":  r.s.End(t.Context(), "over"),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want the journal's error", what, err)
		}
	}
	if r.s.Ended() || r.s.Off() != 4 || r.s.Sent() != 4 {
		t.Errorf("the stream is at %d of %d, ended: %v", r.s.Off(), r.s.Sent(), r.s.Ended())
	}
	r.want(came{chunk.Data, span(0, 4)})
	r.env.Streams = streams
	r.ok(r.data(4, 8))
	r.ok(r.s.End(t.Context(), "over"))
}

func TestTheBeginningIsToldFirstAndUntilItIsSettled(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a", Begin: 4, Tail: 4})
	if r.s.Off() != 4 || r.s.Settled() != 4 || r.s.Tail() != 4 {
		t.Fatalf("the stream starts at %d, settled %d", r.s.Off(), r.s.Settled())
	}
	r.rec.Refuse(func(*chunk.Chunk) error { return errFull })
	if err := r.data(4, 8); !errors.Is(err, errFull) {
		t.Fatalf("got %v, want the output's error", err)
	}
	r.rec.Refuse(nil)
	r.ok(r.data(4, 8))
	begin := came{chunk.Begin, span(4, 4)}
	want := []came{begin, {chunk.Data, span(4, 8)}}
	r.want(want...)

	r.ask(span(4, 4))
	r.ok(r.s.Resend(t.Context(), r.again))
	want = append(want, begin)
	r.want(want...)

	r.restart(nil)
	r.ok(r.s.Announce(t.Context()))
	r.ok(r.s.Announce(t.Context()))
	want = append(want, begin)
	r.want(want...)

	r.restart(func(k *adaptors.Stream) { k.Settled = 8 })
	r.ok(r.s.Announce(t.Context()))
	r.want(want...)
}

func TestDoubtIsToldFirstAndUntilItIsSettled(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a", Doubt: 8})
	r.ok(r.data(0, 4))
	doubt := came{chunk.Doubtful, span(0, 8)}
	want := []came{doubt, {chunk.Data, span(0, 4)}}
	r.want(want...)

	r.ask(span(0, 0))
	r.ok(r.s.Resend(t.Context(), r.again))
	r.restart(nil)
	r.ok(r.s.Announce(t.Context()))
	want = append(want, doubt, doubt)
	r.want(want...)

	r.restart(func(k *adaptors.Stream) { k.Settled = 4 })
	r.ok(r.s.Announce(t.Context()))
	r.want(want...)
}

func TestWhatCouldNotBeSentAgainIsStillAskedFor(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 14))
	r.ask(span(0, 4), span(4, 8), span(8, 19))
	r.rec.Refuse(func(c *chunk.Chunk) error {
		if c.First >= 4 {
			return errFull
		}
		return nil
	})
	if err := r.s.Resend(t.Context(), r.again); !errors.Is(err, errFull) || !r.s.Asked() {
		t.Fatalf("got %v, still asked: %v", err, r.s.Asked())
	}
	r.rec.Refuse(nil)
	r.ok(r.s.Resend(t.Context(), func(ctx context.Context, rg chunk.Range) error {
		if rg.First == 4 {
			return r.s.Lost(ctx, rg, "the source destroyed it before it was secured")
		}
		return r.again(ctx, rg)
	}))
	if r.s.Asked() {
		t.Error("it is still asked for")
	}
	// What is behind the stream's position is read anyway.
	r.want(came{chunk.Data, span(0, 14)}, came{chunk.Data, span(0, 4)}, came{chunk.Lost, span(4, 8)}, came{chunk.Data, span(8, 14)})
	if r.s.Off() != 14 || r.s.Sent() != 14 {
		t.Errorf("the stream is at %d, journalled %d; want 14", r.s.Off(), r.s.Sent())
	}
}

func TestTheEndIsStoredThenSentOnce(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	r.rec.Refuse(func(c *chunk.Chunk) error {
		if c.Kind == chunk.End && !r.stored().Ended {
			t.Error("the End was sent before it was stored")
		}
		return errFull
	})
	if err := r.s.End(t.Context(), "over"); !errors.Is(err, errFull) || !r.s.Ended() || r.s.EndSent() {
		t.Fatalf("got %v, ended %v, sent %v", err, r.s.Ended(), r.s.EndSent())
	}
	r.rec.Refuse(nil)
	r.ok(r.s.End(t.Context(), "over"))
	r.ok(r.s.End(t.Context(), "over"))
	r.want(came{chunk.Data, span(0, 4)}, came{chunk.End, span(4, 4)})
	if r.data(4, 8) == nil || r.s.Lost(t.Context(), span(4, 8), "gone") == nil {
		t.Error("a stream that has ended took more")
	}
}

func TestAStreamIsDoneWhenItsEndIsSettled(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	r.settle(4)
	r.ok(r.s.End(t.Context(), "over"))
	if r.s.Done() {
		t.Error("done by a receipt that came before the End")
	}
	r.settle(4)
	if !r.s.Done() {
		t.Error("not done although the End is settled")
	}
	r.ask(span(4, 4))
	if r.s.Done() {
		t.Error("done although the End is asked for")
	}
	r.ok(r.s.Resend(t.Context(), r.again))
	if r.s.Done() {
		t.Error("done although the End that was sent again is not settled")
	}
	r.ask(span(0, 4))
	r.settle(4)
	if r.s.Done() {
		t.Error("done although bytes are asked for")
	}
	r.ok(r.s.Resend(t.Context(), r.again))
	if !r.s.Done() {
		t.Error("not done although all is settled")
	}
	if end := r.rec.Facts(chunk.End); len(end) != 2 || end[1].Reason != "over" {
		t.Errorf("got the ends %v, want two with their reason", end)
	}
	r.s.Forget()
	if n := len(r.rec.Known()); n != 0 {
		t.Errorf("%d streams are stored, want none", n)
	}
}

func TestAnEndWhoseReceiptIsFasterThanSendIsSettled(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	r.rec.Refuse(func(c *chunk.Chunk) error {
		if c.Kind == chunk.End {
			r.settle(4)
		}
		return nil
	})
	r.ok(r.s.End(t.Context(), "over"))
	if !r.s.Done() {
		t.Error("the receipt of the End was missed")
	}
}

func TestAnEndedStreamThatComesBackGoesOn(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a", Identity: []byte("here")})
	r.ok(r.data(0, 4))
	r.ok(r.s.End(t.Context(), "over"))
	r.settle(4)
	r.s.Reopen()
	if r.s.Done() || r.s.Ended() {
		t.Fatal("it has still ended")
	}
	r.ok(r.s.Update([]byte("there")))
	if k := r.stored(); k.Ended || string(k.Identity) != "there" {
		t.Errorf("stored as %+v", k)
	}
	r.ok(r.data(4, 8))
	r.ok(r.s.End(t.Context(), "over again"))
	r.want(came{chunk.Data, span(0, 4)}, came{chunk.End, span(4, 4)}, came{chunk.Data, span(4, 8)}, came{chunk.End, span(8, 8)})
}

func TestAnEndedStreamIsSentFromWhereItIsSettledAfterAStart(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 8))
	r.ok(r.s.End(t.Context(), "over"))
	r.restart(func(k *adaptors.Stream) { k.Settled = 4 })
	if !r.s.Ended() || r.s.EndSent() || r.s.Off() != 4 || r.s.Sent() != 8 {
		t.Fatalf("the stream is at %d of %d", r.s.Off(), r.s.Sent())
	}
	r.ok(r.data(4, 8))
	r.ok(r.s.End(t.Context(), "over"))
	r.settle(8)
	if !r.s.Done() {
		t.Error("it is not done")
	}
}

func TestALossMovesTheStreamUnlessItsSourceMayComeBack(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	r.ok(r.data(0, 4))
	r.ok(r.s.Missing(t.Context(), 8, "not found"))
	if r.s.Off() != 4 || r.stored().Sent != 4 {
		t.Errorf("the stream is at %d, journalled %d; want 4", r.s.Off(), r.stored().Sent)
	}
	r.ok(r.s.Lost(t.Context(), span(4, 8), "deleted"))
	r.ok(r.s.Lost(t.Context(), span(8, 8), "nothing"))
	if r.s.Off() != 8 || r.stored().Sent != 8 {
		t.Errorf("the stream is at %d, journalled %d; want 8", r.s.Off(), r.stored().Sent)
	}
	r.s.Rewind(4)
	r.ok(r.data(4, 8))
	r.want(came{chunk.Data, span(0, 4)}, came{chunk.Lost, span(4, 8)}, came{chunk.Lost, span(4, 8)}, came{chunk.Data, span(4, 8)})
}
