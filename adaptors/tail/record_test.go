package tail

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// records returns what came, cut at the borders that the chunks carry, or at
// newlines.
func (r *rig) records(stream string) []string {
	content := r.rec.Bytes(stream)
	var out []string
	for _, c := range r.rec.Chunks() {
		if c.Stream != stream || c.Kind != chunk.Data {
			continue
		}
		c.Body = content[c.First:c.Last]
		for first, last := range c.Records() {
			out = append(out, string(c.Body[first:last]))
		}
	}
	return out
}

func TestMultiLineRecordIsNeverCut(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^\d{4}-`)}
		r.cfg.RecordTimeout = config.Duration(3 * time.Second)
		one := "2026-01-01 a failure\n\tat x\n\tat y\n"
		two := "2026-01-02 fine\n"
		three := "2026-01-03 another\n\tat z\n"
		r.write("a.log", r.expect(one+two+"2026-01-03 another\n"))
		r.start()
		r.until("two records", func() bool { return len(r.rec.Streams()) == 1 && len(r.records(r.rec.Streams()[0])) >= 2 })
		r.write("a.log", r.expect("\tat z\n"))
		r.arrived()
		stream := r.rec.Streams()[0]
		if got, want := strings.Join(r.records(stream), "|"), one+"|"+two+"|"+three; got != want {
			t.Errorf("records:\n got %q\nwant %q", got, want)
		}
		r.exactly()
	})
}

func TestLineOverTheLimitIsKeptInPiecesAndItsNeighboursWhole(t *testing.T) {
	each(t, lineOverTheLimitIsKeptInPiecesAndItsNeighboursWhole)
}

func lineOverTheLimitIsKeptInPiecesAndItsNeighboursWhole(t *testing.T, watch string) {
	for i := range 4 {
		multi, watch := i%2 == 0, []string{"auto", "poll"}[i/2]
		r := newRig(t).with(watch).with(watch)
		r.cfg.MaxRecord = 1 << 20
		if multi {
			r.cfg.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^[a-z]`)}
			r.cfg.RecordTimeout = config.Duration(50 * time.Millisecond)
		}
		fits := strings.Repeat("f", 900<<10) + "\n" // longer than a read
		long := strings.Repeat("l", 5<<20/2) + "\n"
		r.write("a.log", r.expect("before\n"+fits+long+"after\n"))
		r.start()
		r.arrived()
		parts := []string{}
		for _, c := range r.rec.Chunks() {
			if p := c.Tags["part"]; p != "" {
				parts = append(parts, p)
			}
			if c.Last-c.First > 1<<20+512<<10 {
				t.Errorf("a chunk of %d bytes, want at most a read or a record", c.Last-c.First)
			}
		}
		if got, want := strings.Join(parts, " "), "first middle last"; got != want {
			t.Errorf("multi-line %v: parts: got %q, want %q", multi, got, want)
		}
		r.exactly()
		if got := r.rec.Lines()[strings.TrimSuffix(fits, "\n")]; got != 1 {
			t.Errorf("the line that fits came %d times whole, want 1", got)
		}
		r.stop()
	}
}

func TestBytesArriveAsTheyAre(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		text := "crlf\r\n\xff\xfe invalid UTF-8 \x80\na NUL \x00 inside, and more text that is long enough\n\n\nempty lines before\n"
		r.write("a.log", text)
		r.start()
		r.until("not all came", func() bool { return r.rec.Content() == text })
	})
}

func TestChunksHoldWholeLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("a.log", r.lines(60_000)) // several reads
	r.start()
	r.arrived()
	stream := r.rec.Streams()[0]
	content := r.rec.Bytes(stream)
	n := 0
	for _, c := range r.rec.Chunks() {
		n++
		if content[c.Last-1] != '\n' {
			t.Errorf("chunk %v does not end at a newline", c.Range())
		}
	}
	if n < 3 {
		t.Errorf("%d chunks, want several", n)
	}
	r.exactly()
}

func TestRefusedOutputMovesNothing(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		var refusals atomic.Int64
		refuse := func(*chunk.Chunk) error { refusals.Add(1); return errors.New("503") }
		r.rec.Refuse(refuse)
		r.write("a.log", r.lines(3))
		r.start()
		r.until("the refusal is not shown", func() bool { return strings.Contains(r.a.Status().LastErr, "503") })
		if got := r.a.Status().Sources[0]; got.Read != 0 {
			t.Errorf("read: got %d although nothing was taken, want 0", got.Read)
		}
		r.rename("a.log", "a.log.1") // rotation goes on meanwhile
		r.write("a.log", r.lines(3))
		r.until("no second try", func() bool { return refusals.Load() > 5 })
		r.rec.Refuse(nil)
		r.exactly()
		r.until("the error is still shown", func() bool { return r.a.Status().LastErr == "" })
	})
}

func TestBlockedOutputHoldsReadersAndStopsPromptly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered := make(chan struct{}, 100)
	release := make(chan struct{})
	r.rec.Refuse(func(*chunk.Chunk) error {
		entered <- struct{}{}
		<-release
		return context.Canceled
	})
	for _, name := range []string{"a.log", "b.log", "c.log"} {
		r.write(name, r.lines(3))
	}
	r.start()
	<-entered
	close(release)
	r.rec.Refuse(nil)
	r.exactly()
}

func TestKilledAtAnyMomentEveryLineComesOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		for i := range 40 {
			// A kill in the middle of the sending: between journal and output,
			// after the output, or before either.
			left := int64(i % 4)
			var n atomic.Int64
			r.rec.Refuse(func(*chunk.Chunk) error {
				if n.Add(1) > left {
					return errors.New("about to be killed")
				}
				return nil
			})
			r.write("a.log", r.lines(2))
			switch i % 8 {
			case 3:
				r.rename("a.log", "a.log."+string(rune('a'+i%26)))
			case 5:
				r.copyTruncate("a.log", "a.log.copy"+string(rune('a'+i%26)))
			case 6:
				r.write("b.log", r.lines(1))
			}
			r.start()
			if left < 2 {
				r.until("nothing to send", func() bool { return n.Load() > 0 })
			}
			if i%3 == 0 {
				r.rec.Settle(r.a)
			}
			r.kill()
		}
		r.rec.Refuse(nil)
		r.start()
		r.arrived()
		r.calm()
	})
}

func TestReadingGoesOnAtTheSettledPosition(t *testing.T) { each(t, readingGoesOnAtTheSettledPosition) }

func readingGoesOnAtTheSettledPosition(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("a.log", r.lines(3))
	r.start()
	r.arrived()
	r.rec.Settle(r.a)
	r.write("a.log", r.lines(3))
	r.arrived()
	settled := int64(0)
	for _, k := range r.rec.Known() {
		settled = max(settled, k.Settled)
	}
	r.kill()
	before := len(r.rec.Chunks())
	r.start()
	r.until("nothing was sent again", func() bool { return len(r.rec.Chunks()) > before })
	if got := r.rec.Chunks()[before]; got.First != settled || settled == 0 {
		t.Errorf("after the kill reading went on at %d, want %d", got.First, settled)
	}
	r.exactly()
}

func TestResendSendsTheSameBytesAgain(t *testing.T) { each(t, resendSendsTheSameBytesAgain) }

func resendSendsTheSameBytesAgain(t *testing.T, watch string) {
	for _, how := range []string{"there", "renamed", "unlinked"} {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(40_000))
		r.start()
		r.arrived()
		switch how {
		case "renamed":
			r.rename("a.log", "b.log")
		case "unlinked":
			r.remove("a.log")
		}
		stream := r.rec.Streams()[0]
		var gone []chunk.Range
		for i, c := range r.rec.Chunks() {
			if i%2 == 0 {
				gone = append(gone, c.Range())
				r.rec.Forgive(stream, c.Range())
			}
		}
		for _, rg := range gone {
			r.a.Resend(stream, rg)
		}
		r.exactly()
		r.stop()
	}
}

func TestResendOfDestroyedBytesIsALostFact(t *testing.T) { each(t, resendOfDestroyedBytesIsALostFact) }

func resendOfDestroyedBytesIsALostFact(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("a.log", r.lines(10))
	r.start()
	r.arrived()
	first := r.rec.Chunks()[0]
	r.ok(os.Truncate(r.path("a.log"), 0))
	r.write("a.log", r.lines(1))
	r.arrived()
	r.a.Resend(first.Stream, first.Range())
	r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) == 1 })
	if got := r.rec.Facts(chunk.Lost)[0]; got.Range() != first.Range() || got.Stream != first.Stream || got.Reason == "" {
		t.Errorf("lost: got %s %v %q, want %s %v and a reason", got.Stream, got.Range(), got.Reason, first.Stream, first.Range())
	}
}

func TestBytesTruncatedBeforeTheyWereReadAreALostFact(t *testing.T) {
	each(t, bytesTruncatedBeforeTheyWereReadAreALostFact)
}

func bytesTruncatedBeforeTheyWereReadAreALostFact(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("a.log", r.lines(10))
	r.start()
	r.arrived()
	r.stop()
	r.rec.Refuse(func(c *chunk.Chunk) error { return errors.New("503") })
	r.start()
	r.until("no refusal", func() bool { return r.a.Status().LastErr != "" })
	sent := r.rec.Chunks()[0].Last
	r.ok(os.Truncate(r.path("a.log"), 0))
	r.write("a.log", r.lines(1))
	r.rec.Refuse(nil)
	r.arrived()
	r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) == 1 })
	if got := r.rec.Facts(chunk.Lost)[0]; got.First != 0 || got.Last != sent {
		t.Errorf("lost: got %v, want [0,%d), which was sent and never settled", got.Range(), sent)
	}
}

func TestDeletedFileIsEndedAndForgottenOnceSettled(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		text := r.lines(5)
		r.write("a.log", text)
		r.start()
		r.arrived()
		r.remove("a.log")
		r.until("no end", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		if got := r.rec.Facts(chunk.End)[0]; got.First != int64(len(text)) {
			t.Errorf("the end is told at %d, want %d", got.First, len(text))
		}
		if n := len(r.rec.Known()); n != 2 {
			t.Errorf("%d streams are stored before it is settled, want the marker and this one", n)
		}
		r.rec.Settle(r.a)
		r.until("the stream is not forgotten", func() bool { return len(r.rec.Known()) == 1 && len(r.a.Status().Sources) == 0 })
		if n := openFiles(t, r.dir); n != 0 {
			t.Errorf("%d files are still open, want none", n)
		}
		r.exactly()
	})
}

func TestEndIsToldAgainAfterAKill(t *testing.T) { each(t, endIsToldAgainAfterAKill) }

func endIsToldAgainAfterAKill(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("a.log", r.lines(5))
	r.start()
	r.arrived()
	r.rec.Settle(r.a)
	r.rec.Refuse(func(c *chunk.Chunk) error {
		if c.Kind == chunk.End {
			return errors.New("not now")
		}
		return nil
	})
	r.remove("a.log")
	r.until("no try to tell the end", func() bool { return r.a.Status().LastErr != "" })
	r.kill()
	r.rec.Refuse(nil)
	r.start()
	r.until("no end", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
	r.rec.Settle(r.a)
	r.until("the stream is not forgotten", func() bool { return len(r.rec.Known()) == 1 })
	r.exactly()
}

func TestFileThatIsAwayForLongIsLostAndMayComeBack(t *testing.T) {
	each(t, fileThatIsAwayForLongIsLostAndMayComeBack)
}

func fileThatIsAwayForLongIsLostAndMayComeBack(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("a.log", r.lines(5))
	r.start()
	r.arrived()
	r.kill()
	r.mkdir("away")
	r.rename("a.log", "away/no")
	times := testTimes()
	times.missing = 50 * time.Millisecond
	r.startWith(times)
	r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) >= 1 })
	r.rename("away/no", "a.log")
	r.write("a.log", r.lines(5))
	r.arrived()
	r.calm()
	if n := len(r.rec.Streams()); n != 1 {
		t.Errorf("%d streams, want the one of before", n)
	}
}

func TestLagIsWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text := r.lines(5)
	r.write("a.log", text+"half")
	r.start()
	r.arrived()
	want := int64(len(text) + 4)
	r.until("lag is not size", func() bool { return r.a.Status().LagBytes == want })
	r.rec.Settle(r.a)
	r.until("lag is not the rest", func() bool { return r.a.Status().LagBytes == 4 })
	if got := r.a.Status().Sources; len(got) != 1 || got[0] != (adaptors.Source{
		Stream: r.rec.Streams()[0], Path: r.path("a.log"), Size: want, Read: want - 4, Settled: want - 4,
	}) {
		t.Errorf("sources: %+v", got)
	}
}
