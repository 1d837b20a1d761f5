package generate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// patience bounds every wait, on a machine that has other work.
const patience = 90 * time.Second

func TestConformance(t *testing.T) {
	const made = "all can be made again"
	t.Run("for ever", func(t *testing.T) {
		adaptortest.Test(t, adaptortest.Kind{Lossless: made, Endless: "no total is given", New: func(t *testing.T) adaptors.Adaptor {
			cfg := DefaultConfig()
			cfg.Rate, cfg.Streams = Rate{Lines: 200}, 2
			return mustNew(t, cfg)
		}})
	})
	t.Run("up to a total", func(t *testing.T) {
		adaptortest.Test(t, adaptortest.Kind{Lossless: made, Finish: func(*testing.T) {}, New: func(t *testing.T) adaptors.Adaptor {
			cfg := DefaultConfig()
			cfg.Rate, cfg.Streams, cfg.Total = Rate{}, 2, 64<<10
			return mustNew(t, cfg)
		}})
	})
}

func mustNew(t testing.TB, cfg Config) *Adaptor {
	t.Helper()
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs the adaptor until stop is called.
func run(t *testing.T, a *Adaptor, rec *adaptortest.Recorder) (stop func()) {
	t.Helper()
	env := rec.Env()
	env.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, env) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !strings.Contains(err.Error(), "was killed") { // by rec.Kill, before the context was done
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Fatalf("Run did not return")
		}
		for _, p := range rec.Problems() {
			t.Error(p)
		}
	})
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, rec *adaptortest.Recorder, what string, is func() bool) {
	t.Helper()
	for deadline := time.After(patience); ; {
		changed := rec.Changed()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("after %v: %s", patience, what)
		}
	}
}

func ends(rec *adaptortest.Recorder) int { return len(rec.Facts(chunk.End)) }

func TestExampleInTheReadmeMakesWhatItSays(t *testing.T) {
	cfg := *adaptortest.Example(t, Kind(), "rate: 1000 lines/s", "rate: 0", "total: 1MiB", "total: 300KB").(*Config)
	rec := adaptortest.NewRecorder()
	stop := run(t, mustNew(t, cfg), rec)
	wait(t, rec, "two streams did not end", func() bool { return ends(rec) == 2 })
	stop()
	streams := rec.Streams()
	if len(streams) != 2 {
		t.Fatalf("got %d streams, want 2", len(streams))
	}
	for i, id := range streams {
		body := rec.Bytes(id)
		if want := (300000 + 255) / 256 * 256; len(body) != want {
			t.Errorf("stream %d has %d bytes, want %d", i, len(body), want)
		}
		if err := Verify(cfg.Content(i), 0, body); err != nil {
			t.Errorf("stream %d: %v", i, err)
		}
	}
	var line struct {
		N, AtOffset, Seed int64
		TS, Level         string
		Message           string
	}
	second := bytes.ReplaceAll(rec.Bytes(streams[1])[256:512], []byte("at_offset"), []byte("atoffset"))
	if err := json.Unmarshal(second, &line); err != nil {
		t.Fatalf("%v in %q", err, second)
	}
	if line.N != 1 || line.AtOffset != 256 || line.Seed != 2 || line.TS != "2026-01-01T00:00:00.001000Z" || line.Level == "" || len(line.Message) < 50 {
		t.Errorf("the second line is %s, want n 1, at_offset 256, seed 2 and a ts 1 ms after the start", second)
	}
}

func TestVerifyTakesTheRightBytesAnywhereAndNoOthers(t *testing.T) {
	c := Content{Seed: 7, LineBytes: 200}
	all := c.Append(nil, 0, 20000)
	for _, r := range [][2]int{{0, 20000}, {1, 2}, {199, 401}, {333, 19999}, {5000, 5000}} {
		if err := Verify(c, int64(r[0]), all[r[0]:r[1]]); err != nil {
			t.Errorf("bytes %v: %v", r, err)
		}
	}
	bad := bytes.Clone(all[333:19999])
	bad[10001] ^= 1
	if err := Verify(c, 333, bad); err == nil || !strings.Contains(err.Error(), "at offset 10334 ") {
		t.Errorf("a changed byte: got %v, want an error at offset 10334", err)
	}
	if err := Verify(c, 0, all[200:]); err == nil {
		t.Error("bytes of another offset were taken")
	}
	if err := Verify(Content{Seed: 8, LineBytes: 200}, 0, all); err == nil {
		t.Error("bytes of another seed were taken")
	}
	if err := Verify(Content{Seed: 8}, 0, all); err == nil {
		t.Error("a content without a line's length was taken")
	}
}

func TestEveryLineIsJSONOfItsLength(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 999_999_000, time.UTC)
	for _, c := range []Content{
		{Seed: 0, LineBytes: MinLine},
		{Seed: maxSeed, LineBytes: MinLine, Start: start, Step: maxStep},
		{Seed: maxSeed, LineBytes: MaxLine, Start: start, Step: 1},
	} {
		for _, n := range []int64{0, 1, 9, 1 << 20, math.MaxInt64/c.LineBytes - 2} {
			line := c.Append(nil, n*c.LineBytes, (n+1)*c.LineBytes)
			var row struct {
				N    int64  `json:"n"`
				At   int64  `json:"at_offset"`
				Seed int64  `json:"seed"`
				TS   string `json:"ts"`
			}
			if err := json.Unmarshal(line, &row); err != nil || int64(len(line)) != c.LineBytes || bytes.IndexByte(line, '\n') != len(line)-1 {
				t.Errorf("%+v, line %d: %d bytes, %v: %q", c, n, len(line), err, line)
			}
			if row.N != n || row.At != n*c.LineBytes || row.Seed != c.Seed {
				t.Errorf("line %d says %+v", n, row)
			}
			if n == 1<<20 && c.Step == maxStep && row.TS != start.Add(time.Duration(n)*maxStep).Format("2006-01-02T15:04:05.000000Z") {
				t.Errorf("line %d is of %s, want %v", n, row.TS, start.Add(time.Duration(n)*maxStep))
			}
		}
	}
}

func TestStreamGoesOnWhereItIsSettledAfterACrash(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Total = Rate{Bytes: 20 << 20}, 8<<20
	rec := adaptortest.NewRecorder()
	for i := range 6 {
		a := mustNew(t, cfg)
		before := len(rec.Chunks())
		stop := run(t, a, rec)
		wait(t, rec, "nothing came", func() bool { return len(rec.Chunks()) >= before+3 })
		if i%2 == 0 {
			rec.Settle(a)
		}
		rec.Kill()
		stop()
	}
	a := mustNew(t, cfg)
	stop := run(t, a, rec)
	wait(t, rec, "the stream did not end", func() bool { return ends(rec) > 0 })
	rec.Settle(a)
	wait(t, rec, "the end was not stored as secured", func() bool {
		return bytes.Contains(rec.Known()[0].Identity, []byte("EndSecured"))
	})
	stop()
	if n := len(rec.Known()); n != 1 {
		t.Fatalf("%d streams were opened, want 1", n)
	}
	body := rec.Bytes(rec.Known()[0].ID)
	if err := Verify(cfg.Content(0), 0, body); err != nil || len(body) != 8<<20 {
		t.Errorf("%d bytes came, want %d: %v", len(body), 8<<20, err)
	}
	first := slices.IndexFunc(rec.Chunks(), func(c chunk.Chunk) bool { return c.First > 0 && c.First%256 != 0 })
	if first >= 0 {
		t.Errorf("chunk %+v does not start at a line", rec.Chunks()[first])
	}
}

func TestEndedStreamStaysEndedAndCanBeRewound(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Total = Rate{}, 100*256
	rec := adaptortest.NewRecorder()
	a := mustNew(t, cfg)
	stop := run(t, a, rec)
	wait(t, rec, "the stream did not end", func() bool { return ends(rec) == 1 })
	rec.Settle(a)
	wait(t, rec, "the end was not stored as secured", func() bool {
		return bytes.Contains(rec.Known()[0].Identity, []byte("EndSecured"))
	})
	stop()

	known := rec.Known()[0]
	again := func(settled int64, bound time.Duration) []chunk.Chunk {
		known.Settled = settled
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		out := &silent{end: cancel}
		env := adaptors.Env{Type: "t", Host: "h", Log: slog.New(slog.DiscardHandler), Out: out, Streams: &kept{known: []adaptors.Stream{known}}}
		if err := mustNew(t, cfg).Run(ctx, env); err != nil {
			t.Fatal(err)
		}
		return out.got
	}
	if got := again(100*256, 300*time.Millisecond); len(got) != 0 {
		t.Errorf("a stream that is done sent %v again", got)
	}
	got := again(256*50+7, patience)
	if len(got) != 2 || got[0].First != 256*50 || got[0].Last != 256*100 || got[1].Kind != chunk.End || got[1].First != 256*100 {
		t.Errorf("rewound to 12807, it sent %v, want [12800,25600) and the end", got)
	}
}

// silent is an Output that takes all, up to the End.
type silent struct {
	got []chunk.Chunk
	end func()
}

func (s *silent) Send(_ context.Context, c *chunk.Chunk) error {
	s.got = append(s.got, *c)
	if c.Kind == chunk.End {
		s.end()
	}
	return nil
}

// kept are Streams that are known and do not change.
type kept struct {
	adaptors.Streams
	known     []adaptors.Stream
	forgotten []string
}

func (k *kept) Known() []adaptors.Stream         { return k.known }
func (k *kept) Others() []adaptors.Stream        { return nil }
func (k *kept) Update(adaptors.Stream) error     { return nil }
func (k *kept) Sent(string, int64, uint64) error { return nil }
func (k *kept) Forget(id string) error           { k.forgotten = append(k.forgotten, id); return nil }

func TestWhatNobodyHoldsIsMadeAgain(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Total = Rate{}, 1<<20
	rec := adaptortest.NewRecorder()
	a := mustNew(t, cfg)
	stop := run(t, a, rec)
	wait(t, rec, "the stream did not end", func() bool { return ends(rec) == 1 })
	id := rec.Streams()[0]
	lost := chunk.Range{First: 256 * 3, Last: 256 * 2000}
	rec.Forgive(id, lost)
	a.Resend(id, lost)
	a.Resend(id, chunk.Range{First: 1 << 20, Last: 1 << 20})
	a.Resend("unknown", lost)
	wait(t, rec, "it did not come again", func() bool { return rec.Contiguous(id, 0) == 1<<20 && ends(rec) == 2 })
	stop()
}

func TestStreamsOfAnotherContentEndWhereTheyAreAndAreForgotten(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Streams = Rate{Lines: 1000}, 2
	rec := adaptortest.NewRecorder()
	a := mustNew(t, cfg)
	stop := run(t, a, rec)
	wait(t, rec, "nothing came", func() bool { return len(rec.Streams()) == 2 })
	stop()
	old := rec.Streams()

	cfg.LineBytes, cfg.Streams = 1024, 1
	a = mustNew(t, cfg)
	stop = run(t, a, rec)
	wait(t, rec, "the new stream and the old ones' ends did not come", func() bool { return len(rec.Streams()) == 3 && ends(rec) == 2 })
	for _, f := range rec.Facts(chunk.End) {
		if n := len(rec.Bytes(f.Stream)); !slices.Contains(old, f.Stream) || f.First != int64(n) {
			t.Errorf("stream %s ends at %d, want one of %v, at its %d bytes", f.Stream, f.First, old, n)
		}
	}
	rec.Settle(a)
	wait(t, rec, "the old streams were not forgotten", func() bool { return len(rec.Known()) == 1 })
	stop()
	if known := rec.Known()[0]; slices.Contains(old, known.ID) {
		t.Errorf("stream %s is known, want the new one", known.ID)
	}
}

func TestRateIsKept(t *testing.T) {
	for _, c := range []struct {
		rate    Rate
		streams int
	}{{Rate{Lines: 500}, 1}, {Rate{Bytes: 500 * 256}, 2}} {
		cfg := DefaultConfig()
		cfg.Rate, cfg.Streams = c.rate, c.streams
		rec := adaptortest.NewRecorder()
		started := time.Now()
		stop := run(t, mustNew(t, cfg), rec)
		var lines int
		wait(t, rec, "500 lines did not come", func() bool {
			lines = 0
			for _, n := range rec.Lines() {
				lines += n
			}
			return lines >= 500
		})
		took := time.Since(started)
		stop()
		// A loaded machine may be late, never early.
		if took < 700*time.Millisecond {
			t.Errorf("%v: %d lines came within %v, want a second", c.rate, lines, took)
		}
	}
}

func TestJournalThatFailsIsAnError(t *testing.T) {
	rec := adaptortest.NewRecorder()
	rec.FailOpen(errors.New("disk full"))
	env := rec.Env()
	env.Log = slog.New(slog.DiscardHandler)
	err := mustNew(t, DefaultConfig()).Run(context.Background(), env)
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Run: got %v, want disk full", err)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{rate: fast}":                   `rate: "fast" is not a rate, such as 100 lines/s, 10MiB/s, or 0 for as fast as it is taken`,
		"{rate: -1 lines/s}":             "is no number of lines",
		"{rate: 1B/s}":                   "at least one every 1m0s is needed",
		"{rate: 1 line/s, streams: 100}": "at least one every 1m0s is needed",
		"{streams: 0}":                   "from 1 to 256",
		"{line_bytes: 100}":              "from 192 to 64KiB",
		"{seed: -1}":                     "from 0 to",
		"{start_time: yesterday}":        "such as 2026-01-31T12:00:00Z",
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := Kind().New(3); err == nil {
		t.Error("a config of another type was taken")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(int64(1), int64(192), int64(0), []byte(`{"n":0`))
	f.Add(int64(1<<53-1), int64(70000), int64(1<<62), []byte("\n"))
	f.Fuzz(func(t *testing.T, seed, line, offset int64, body []byte) {
		c := Content{Seed: seed, LineBytes: line}
		if Verify(c, offset, body) == nil && len(body) > 0 {
			first := offset - offset%line
			if all := c.Append(nil, first, offset+int64(len(body))); !bytes.HasPrefix(all[offset-first:], body) {
				t.Errorf("%q was taken at %d", body, offset)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	c := Content{Seed: 1, LineBytes: 256}
	buf := make([]byte, 0, 1<<20)
	b.SetBytes(1 << 20)
	for i := 0; b.Loop(); i++ {
		buf = c.Append(buf[:0], int64(i)<<20, int64(i+1)<<20)
	}
	_ = fmt.Sprint(len(buf))
}

func TestStreamsOfTheSameContentHaveTheSameIdsAfterTheStateIsLost(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Total, cfg.Streams = Rate{}, 100*256, 2
	rec := adaptortest.NewRecorder()
	for range 2 {
		before := ends(rec)
		stop := run(t, mustNew(t, cfg), rec)
		wait(t, rec, "the streams did not end", func() bool { return ends(rec) == before+2 })
		stop()
		rec.Lose()
	}
	if n := len(rec.Streams()); n != 2 {
		t.Errorf("%d streams came, want 2", n)
	}
}

func TestTwoAdaptorsOfTheSameContentMakeItTwice(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rate, cfg.Total = Rate{}, 100*256
	rec := adaptortest.NewRecorder()
	a := run(t, mustNew(t, cfg), rec)
	wait(t, rec, "the first did not end", func() bool { return ends(rec) == 1 })
	env := rec.EnvOf("b")
	env.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mustNew(t, cfg).Run(ctx, env) }()
	wait(t, rec, "the second did not end", func() bool { return ends(rec) == 2 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	a()
	if n := len(rec.Streams()); n != 2 {
		t.Errorf("%d streams came, want one of each", n)
	}
}
