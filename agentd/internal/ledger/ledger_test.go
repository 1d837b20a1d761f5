package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// source notes what it is told.
type source struct {
	level atomic.Int32
	mu    sync.Mutex
	told  []string
}

func (s *source) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func (s *source) Settled(stream string, upTo int64) {
	s.note("%s settled %d", stream, upTo)
}

func (s *source) Resend(stream string, r chunk.Range) {
	s.note("%s resend %v", stream, r)
}

func (s *source) Adaptor(stream string) string { return "adaptor of " + stream[:1] }

func (s *source) Level() Level { return Level(s.level.Load()) }

func (s *source) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.told)
	out := s.told
	s.told = nil
	return out
}

// world is the collectors as the ledger sees them: by collector and segment.
type world struct {
	states map[string]wire.State
	away   map[string]bool
	all    []string
	during func() // called within a question
}

func newWorld(collectors ...string) *world {
	return &world{states: map[string]wire.State{}, away: map[string]bool{}, all: collectors}
}

func (w *world) States(_ context.Context, collector string, queries []wire.Query) ([]wire.State, error) {
	if w.during != nil {
		w.during()
	}
	if w.away[collector] {
		return nil, errors.New("connection refused")
	}
	var out []wire.State
	for _, q := range queries {
		s, ok := w.states[collector+" "+q.Segment]
		if !ok {
			s = wire.Unknown
		}
		out = append(out, s)
	}
	return out, nil
}

func (w *world) Others(collector string) []string {
	return slices.DeleteFunc(slices.Clone(w.all), func(c string) bool { return c == collector })
}

func newLedger() *Ledger {
	return New(Config{Every: time.Second, ResendAfter: 30 * time.Second}, slog.New(slog.DiscardHandler))
}

func data(stream string, first, last int64) chunk.Entry {
	return chunk.Entry{Stream: stream, First: first, Last: last}
}

func receipt(segment string, block int) wire.Receipt {
	return wire.Receipt{Segment: segment, Block: block, State: wire.Spooled}
}

func expect(t *testing.T, s *source, want ...string) {
	t.Helper()
	if got := s.take(); !slices.Equal(got, want) {
		t.Errorf("the source was told %q, want %q", got, want)
	}
}

func TestPositionMovesOnlyOverContiguousSettledRanges(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 100)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 100, 200)})
	l.Accepted("a", "x", receipt("two", 0), []chunk.Entry{data("s", 200, 300)})
	l.Accepted("a", "x", receipt("three", 0), []chunk.Entry{data("s", 300, 400)})
	w.states["a one"], w.states["a two"], w.states["a three"] = wire.Spooled, wire.Settled, wire.Spooled
	l.Round(context.Background(), w)
	expect(t, src) // [200,300) alone moves nothing
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 300")
	w.states["a three"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 400")
	if !l.Idle() {
		t.Error("all is settled, but the ledger is not idle")
	}
}

func TestUnknownIsSentAgainAndNeverSettled(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10), data("s", 20, 30)})
	l.Accepted("a", "x", receipt("two", 0), []chunk.Entry{data("s", 5, 10)})
	w.states["a two"] = wire.Settled
	l.Round(context.Background(), w)
	l.Round(context.Background(), w)
	got := src.take()
	// What was settled by another sending is not asked for, where that was
	// known in time.
	ok := slices.Equal(got, []string{"s resend [0,10)", "s resend [20,30)"}) ||
		slices.Equal(got, []string{"s resend [0,5)", "s resend [20,30)"})
	if !ok {
		t.Errorf("told %q, want the unknown ranges to be sent again", got)
	}
	l.Accepted("a", "x", receipt("three", 0), []chunk.Entry{data("s", 0, 30)})
	w.states["a three"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 30")
}

func TestFactHoldsThePositionBack(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	end := chunk.Chunk{Kind: chunk.End, Stream: "s", First: 10, Last: 10}
	if err := l.Sending(&end); err != nil {
		t.Fatal(err)
	}
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src) // its End is on the way
	l.Accepted("a", "x", receipt("two", 0), []chunk.Entry{{Kind: chunk.End, Stream: "s", First: 10, Last: 10}})
	l.Round(context.Background(), w) // two is unknown
	expect(t, src, "s resend [10,10)")
	l.Accepted("a", "x", receipt("three", 0), []chunk.Entry{{Kind: chunk.End, Stream: "s", First: 10, Last: 10}})
	w.states["a three"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 10")
}

func TestDoubtSecuresNoBytesAndHoldsThePositionBack(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	doubt := chunk.Chunk{Kind: chunk.Doubtful, Stream: "s", Last: 100}
	if err := l.Sending(&doubt); err != nil {
		t.Fatal(err)
	}
	told := []chunk.Entry{{Kind: chunk.Doubtful, Stream: "s", Last: 100}}
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
	l.Accepted("a", "x", receipt("two", 0), told)
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s resend [0,0)") // two is unknown
	l.Accepted("a", "x", receipt("three", 0), told)
	w.states["a three"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 10")
}

func TestSettledFactIsToldThoughThePositionStays(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	end := chunk.Chunk{Kind: chunk.End, Stream: "s"}
	if err := l.Sending(&end); err != nil {
		t.Fatal(err)
	}
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{{Kind: chunk.End, Stream: "s"}})
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 0")
}

func TestLostAndDroppedRangesCountAsSettled(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10), {Kind: chunk.Lost, Stream: "s", First: 10, Last: 15},
		{Kind: chunk.Dropped, Stream: "s", First: 15, Last: 20}, data("s", 20, 30)})
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	expect(t, src, "s settled 30")
}

func TestBlockTakenWhileItsSegmentWasAskedForIsNotSettledByTheAnswer(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
	w.states["a one"] = wire.Settled
	w.during = func() { l.Accepted("a", "x", receipt("one", 1), []chunk.Entry{data("s", 10, 20)}) }
	l.Round(context.Background(), w)
	expect(t, src)
	w.during = nil
	l.Round(context.Background(), w)
	expect(t, src, "s settled 20")
}

func TestCollectorThatIsAwayForTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		away  []string   // beside a
		state wire.State // at b
		told  []string
	}{
		"another tells that it is settled": {state: wire.Settled, told: []string{"s settled 10"}},
		"another does not know it":         {state: wire.Unknown, told: []string{"s resend [0,10)"}},
		"nobody can be asked":              {away: []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, src, w := newLedger(), &source{}, newWorld("a", "b")
				w.states["b one"] = test.state
				w.away["a"] = true
				for _, b := range test.away {
					w.away[b] = true
				}
				l.Open("s", src, 0)
				l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
				ctx, cancel := context.WithCancel(context.Background())
				go l.Run(ctx, w)
				time.Sleep(29 * time.Second) // of the bubble's clock
				synctest.Wait()
				expect(t, src) // not before 30 s
				time.Sleep(5 * time.Second)
				synctest.Wait()
				cancel()
				synctest.Wait()
				expect(t, src, test.told...)
			})
		})
	}
}

func TestAnswersThatMakeNoSenseAreNoAnswers(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
	w.states["a one"] = "perhaps"
	l.Round(context.Background(), w)
	expect(t, src)
	if l.Idle() {
		t.Error("the segment is forgotten")
	}
}

func TestForgottenStreamIsNotTold(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 10)})
	l.Close("s")
	l.Round(context.Background(), w)
	expect(t, src)
	if err := l.Sending(&chunk.Chunk{Stream: "s"}); err == nil || !strings.Contains(err.Error(), "not opened") {
		t.Errorf("a chunk of a closed stream: %v, want an error", err)
	}
}

func TestLedgerIsFullAtItsBound(t *testing.T) {
	l := New(Config{MaxEntries: 3}, slog.New(slog.DiscardHandler))
	w := newWorld("a")
	for i := range 3 {
		id := fmt.Sprint("s", i)
		l.Open(id, &source{}, 0)
		if _, full := l.Full(); full {
			t.Errorf("full with %d entries, want 3", i)
		}
		l.Accepted("a", "x", receipt("one", i), []chunk.Entry{data(id, 0, 10)})
	}
	wait, full := l.Full()
	if !full {
		t.Fatal("not full at its bound")
	}
	w.states["a one"] = wire.Settled
	l.Round(context.Background(), w)
	select {
	case <-wait:
	default:
		t.Error("nobody is told that there is room again")
	}
	if _, full := l.Full(); full {
		t.Error("full although all is settled")
	}
}

func TestSendingAgainIsToldOnceAnAdaptorAndRound(t *testing.T) {
	var log strings.Builder
	src, w := &source{}, newWorld("a", "b")
	l := New(Config{Every: time.Second, ResendAfter: 30 * time.Second}, slog.New(slog.NewTextHandler(&log, nil)))
	l.Open("one", src, 0)
	l.Open("two", src, 0)
	for i := range int64(100) {
		segment := fmt.Sprint("segment ", i)
		l.Accepted("a", "x", receipt(segment, 0), []chunk.Entry{data("one", 20*i, 20*i+10), data("two", 20*i, 20*i+10)})
		l.Accepted("b", "x", receipt(segment, 0), []chunk.Entry{data("one", 20*i+10, 20*i+20)})
	}
	l.Round(context.Background(), w)
	if got := len(src.take()); got != 300 {
		t.Errorf("%d ranges are sent again, want 300", got)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	slices.Sort(lines)
	if len(lines) != 2 || !strings.Contains(log.String(), `adaptor="adaptor of o" ranges=200 bytes=2000 collectors="[a b]"`) ||
		!strings.Contains(log.String(), `adaptor="adaptor of t" ranges=100 bytes=1000 collectors=[a]`) {
		t.Errorf("the log says %q, want one line for each adaptor with its ranges and bytes", lines)
	}
}

func (s *source) at(level Level) *source { s.level.Store(int32(level)); return s }

func end(stream string, at int64) chunk.Entry {
	return chunk.Entry{Kind: chunk.End, Stream: stream, First: at, Last: at}
}

func sending(t *testing.T, l *Ledger, entries ...chunk.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Sending(&chunk.Chunk{Kind: e.Kind, Stream: e.Stream, First: e.First, Last: e.Last}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachLevelSettlesWhenItsWordIsKept(t *testing.T) {
	for _, level := range []Level{EndToEnd, StoreOnFailure, BestEffort} {
		t.Run(level.String(), func(t *testing.T) {
			l, src, w := newLedger(), (&source{}).at(level), newWorld("a")
			l.Open("s", src, 0)
			batch := []chunk.Entry{data("s", 0, 100), {Kind: chunk.Dropped, Stream: "s", First: 100, Last: 120}, end("s", 120)}
			told := func(when string, want bool) {
				t.Helper()
				l.flush()
				if got := len(src.take()) > 0; got != want {
					t.Errorf("%s: told %t, want %t", when, got, want)
				}
			}
			sending(t, l, batch...)
			told("when it is sent", false)
			l.Posting(batch)
			told("when it is posted", level == BestEffort)
			l.Accepted("a", "x", receipt("one", 0), batch)
			told("when it is taken", level == StoreOnFailure)
			if idle := l.Idle(); idle != (level != EndToEnd) {
				t.Errorf("idle: %t", idle)
			}
			w.states["a one"] = wire.Settled
			l.Round(context.Background(), w)
			told("when it is published", level == EndToEnd)
			if l.streams["s"].prefix != 120 {
				t.Errorf("in the end the position is %d, want 120", l.streams["s"].prefix)
			}
		})
	}
}

func TestLowerLevelsMoveOnlyOverWhatJoinsUp(t *testing.T) {
	for _, level := range []Level{StoreOnFailure, BestEffort} {
		l, src := newLedger(), (&source{}).at(level)
		l.Open("s", src, 0)
		secure := func(e ...chunk.Entry) {
			sending(t, l, e...)
			l.Posting(e)
			l.Accepted("a", "x", receipt("one", 0), e)
			l.flush()
		}
		secure(data("s", 100, 200))
		expect(t, src)
		waiting := end("s", 50)
		sending(t, l, waiting)
		secure(data("s", 0, 100))
		expect(t, src) // a fact at 50 is not secured
		secure(waiting)
		if got := src.take(); len(got) == 0 || got[len(got)-1] != "s settled 200" {
			t.Errorf("%v: told %q, want settled 200", level, got)
		}
	}
}

func TestChangedLevelHoldsForWhatWaitsAndForWhatComes(t *testing.T) {
	l, src, other, w := newLedger(), &source{}, &source{}, newWorld("a")
	l.Open("s", src, 0)
	l.Open("t", other, 0)
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 100), data("t", 0, 100)})
	src.at(StoreOnFailure)
	l.Relevel()
	l.flush()
	expect(t, src, "s settled 100")
	expect(t, other)
	src.at(EndToEnd)
	l.Relevel()
	l.Accepted("a", "x", receipt("one", 1), []chunk.Entry{data("s", 100, 200)})
	l.flush()
	expect(t, src)
	l.Round(context.Background(), w) // unknown: lost
	expect(t, src, "s resend [100,200)")
	expect(t, other, "t resend [0,100)")
	if l.entries != 0 || !l.Idle() {
		t.Errorf("%d entries are left, idle %t", l.entries, l.Idle())
	}
}

func TestWhatWasGivenUpIsAskedForAgain(t *testing.T) {
	l, src := newLedger(), &source{}
	l.Open("s", src, 50)
	e := end("s", 200)
	sending(t, l, e)
	l.GaveUp([]chunk.Entry{data("s", 0, 100), data("s", 100, 200), e, data("gone", 0, 5)})
	l.flush()
	expect(t, src, "s resend [200,200)", "s resend [50,200)")
}

func TestRunTellsAtOnceWhatNeedsNoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Every: time.Hour, ResendAfter: time.Hour}, slog.New(slog.DiscardHandler))
		src := (&source{}).at(StoreOnFailure)
		l.Open("s", src, 0)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { l.Run(ctx, newWorld("a")); close(done) }()
		l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 100)})
		synctest.Wait()
		expect(t, src, "s settled 100")
		cancel()
		<-done
	})
}

// A stream may take another way for a while, through another ledger, and come
// back: what this one never had must not hold it up for ever.
func TestStreamThatCameFurtherElsewhereGoesOnFromThere(t *testing.T) {
	l, src, w := newLedger(), &source{}, newWorld("a")
	l.Open("s", src, 0)
	sending(t, l, end("s", 50))
	l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 100), data("s", 200, 300), data("s", 400, 600)})
	w.states["a one"], w.states["a two"] = wire.Settled, wire.Settled
	l.Round(context.Background(), w)
	expect(t, src) // a fact holds it back
	if got := l.Open("s", src, 500); got != 500 {
		t.Errorf("the position is %d, want the 500 that were settled elsewhere", got)
	}
	l.Accepted("a", "x", receipt("two", 0), []chunk.Entry{data("s", 600, 700)})
	l.Round(context.Background(), w)
	expect(t, src, "s settled 700")
	if got := l.Open("s", src, 500); got != 700 {
		t.Errorf("the position is %d, want 700: it never moves back", got)
	}
}

func TestReceiptsOfAStreamsFormerLifeSayNothingOfTheNext(t *testing.T) {
	for _, state := range []wire.State{wire.Settled, wire.Unknown} {
		l, src, w := newLedger(), &source{}, newWorld("a")
		l.Open("s", src, 0)
		l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 100)})
		l.Close("s")
		l.Open("s", src, 0)
		l.Relevel()
		w.states["a one"] = state
		l.Round(context.Background(), w)
		expect(t, src)
		l.Accepted("a", "x", receipt("one", 0), []chunk.Entry{data("s", 0, 100)})
		l.Close("s")
		l.Open("s", src, 0)
		l.Accepted("a", "x", receipt("one", 1), []chunk.Entry{data("s", 0, 10)})
		if w.states["a one"] = wire.Settled; l.entries != 1 {
			t.Errorf("%d entries, want 1", l.entries)
		}
		l.Round(context.Background(), w)
		expect(t, src, "s settled 10")
	}
}
