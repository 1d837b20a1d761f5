package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/chunk"
)

var key = Key{Adaptor: "disk", Type: "df"}

// out keeps what the spool sends.
type out struct {
	mu     sync.Mutex
	chunks []chunk.Chunk
	opened map[string]int64
	more   chan struct{}
}

func newOut() *out { return &out{opened: map[string]int64{}, more: make(chan struct{}, 1)} }

func (o *out) Open(_ Key, stream string, from int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened[stream] = from
}

func (o *out) Send(_ context.Context, c *chunk.Chunk) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := c.Check(); err != nil {
		return err
	}
	if _, ok := o.opened[c.Stream]; !ok {
		return errors.New("not opened")
	}
	own := *c
	own.Body, own.Tags = bytes.Clone(c.Body), maps.Clone(c.Tags)
	o.chunks = append(o.chunks, own)
	token(o.more)
	return nil
}

// wait waits until what was sent is as ok wants it.
func (o *out) wait(t *testing.T, what string, ok func([]chunk.Chunk) bool) []chunk.Chunk {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		o.mu.Lock()
		got := slices.Clone(o.chunks)
		o.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-o.more:
		case <-deadline:
			t.Fatalf("%s: not sent; sent was %s", what, show(got))
		}
	}
}

func show(chunks []chunk.Chunk) string {
	var b bytes.Buffer
	for _, c := range chunks {
		fmt.Fprintf(&b, "%v %s %v %q; ", c.Kind, c.Stream[len(c.Stream)-4:], c.Range(), c.Body)
	}
	return b.String()
}

// bodies are the data records in order of their offsets, without repetition.
func bodies(chunks []chunk.Chunk) []string {
	seen := map[string]bool{}
	var out []string
	for _, c := range chunks {
		id := fmt.Sprint(c.Stream, c.Range())
		if c.Kind == chunk.Data && !seen[id] {
			seen[id] = true
			out = append(out, string(c.Body))
		}
	}
	return out
}

func data(n int) func([]chunk.Chunk) bool {
	return func(c []chunk.Chunk) bool { return len(bodies(c)) >= n }
}

func ended(n int) func([]chunk.Chunk) bool {
	return func(all []chunk.Chunk) bool {
		for _, c := range all {
			if c.Kind == chunk.End {
				n--
			}
		}
		return n <= 0
	}
}

func open(t *testing.T, cfg Config) *Spool {
	t.Helper()
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	cfg.Host = "h"
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// start runs the spool's sending until the test ends or stop is called.
func start(t *testing.T, s *Spool, o Out) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx, o); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func record(body string) *chunk.Chunk {
	return &chunk.Chunk{Type: "df", Host: "h", Source: "df -Pk", Time: time.UnixMicro(1e15).UTC(),
		Tags: map[string]string{"a": "b"}, Borders: []int64{int64(len(body))}, Body: []byte(body)}
}

func add(t *testing.T, s *Spool, full WhenFull, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := s.Append(ctx, key, full, true, record(b))
		cancel()
		if err != nil {
			t.Fatalf("append %q: %v", b, err)
		}
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "disk", "df", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRecordsAreSentWholeAndInOrder(t *testing.T) {
	s, o := open(t, Config{Dir: t.TempDir()}), newOut()
	start(t, s, o)
	add(t, s, Block, "one", "two\n", "three")
	got := o.wait(t, "three records", data(3))
	if want := []string{"one", "two\n", "three"}; !slices.Equal(bodies(got), want) {
		t.Errorf("sent %q, want %q", bodies(got), want)
	}
	want := record("two\n")
	want.Stream, want.First, want.Last = got[1].Stream, 3, 7
	if fmt.Sprint(got[1]) != fmt.Sprint(*want) {
		t.Errorf("sent %+v, want %+v", got[1], *want)
	}
	if lag := s.Lag("disk"); lag != 12 {
		t.Errorf("lag %d, want 12", lag)
	}
	s.Settled(got[0].Stream, 7)
	if lag := s.Lag("disk"); lag != 5 {
		t.Errorf("lag %d after 7 bytes were settled, want 5", lag)
	}
}

func TestOlderStreamIsSentFirstAndEnds(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Config{Dir: dir})
	add(t, first, Block, "one", "two")
	first.Close()

	s, o := open(t, Config{Dir: dir}), newOut()
	add(t, s, Block, "new")
	start(t, s, o)
	got := o.wait(t, "both streams", func(c []chunk.Chunk) bool { return data(3)(c) && ended(1)(c) })
	if want := []string{"one", "two", "new"}; !slices.Equal(bodies(got), want) {
		t.Errorf("sent %q, want %q", bodies(got), want)
	}
	end := got[2]
	if end.Kind != chunk.End || end.First != 6 || end.Stream == got[3].Stream {
		t.Errorf("want the older stream's End at 6 before the new stream, got %s", show(got))
	}
	if s.Settled(end.Stream, 5) {
		t.Error("the stream is finished although its last byte is not settled")
	}
	if !s.Settled(end.Stream, 6) {
		t.Error("the stream is not finished although all of it is settled")
	}
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files are left, want the new stream's alone", n)
	}
}

func TestStreamIsNotFinishedBeforeItsEndWasSent(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Config{Dir: dir})
	add(t, first, Block, "one")
	first.Close()
	s := open(t, Config{Dir: dir})
	for id := range s.streams {
		if s.Settled(id, 3) {
			t.Error("finished without an End")
		}
	}
	o := newOut()
	start(t, s, o)
	got := o.wait(t, "the End", ended(1))
	for deadline := time.Now().Add(time.Minute); !s.Settled(got[0].Stream, 3); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not finished after its End was settled")
		}
	}
}

func TestSettledSegmentsAreDeleted(t *testing.T) {
	dir := t.TempDir()
	s, o := open(t, Config{Dir: dir, SegmentBytes: 1}), newOut()
	start(t, s, o)
	for i := range 10 {
		add(t, s, Block, fmt.Sprintf("record %d", i))
	}
	got := o.wait(t, "ten records", data(10))
	if n := len(files(t, dir)); n != 10 {
		t.Fatalf("%d segments, want 10", n)
	}
	s.Settled(got[0].Stream, 8*8+3)
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d segments after eight and a half records were settled, want 2", n)
	}
	if used := s.Stats().Bytes; used <= 0 || used > 200 {
		t.Errorf("%d bytes are counted for two segments", used)
	}
}

func TestResendReadsAgain(t *testing.T) {
	s, o := open(t, Config{Dir: t.TempDir(), SegmentBytes: 150}), newOut()
	start(t, s, o)
	add(t, s, Block, "aa", "bb", "cc", "dd")
	id := o.wait(t, "four records", data(4))[0].Stream
	s.Resend(id, chunk.Range{First: 3, Last: 6})
	got := o.wait(t, "two again", func(c []chunk.Chunk) bool { return len(c) == 6 })
	if string(got[4].Body) != "bb" || string(got[5].Body) != "cc" {
		t.Errorf("sent again %s, want bb and cc", show(got[4:]))
	}
	add(t, s, Block, "ee")
	got = o.wait(t, "what follows", func(c []chunk.Chunk) bool { return len(c) == 7 })
	if string(got[6].Body) != "ee" {
		t.Errorf("then sent %s, want ee", show(got[6:]))
	}
}

func TestFullSpoolMakesItsAdaptorWait(t *testing.T) {
	s, o := open(t, Config{Dir: t.TempDir(), MaxBytes: 400, SegmentBytes: 150}), newOut()
	start(t, s, o)
	var full bool
	for i := 0; i < 50 && !full; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		err := s.Append(ctx, key, Block, true, record("0123456789"))
		cancel()
		full = errors.Is(err, context.DeadlineExceeded)
	}
	if used := s.Stats().Bytes; !full || used > 400 {
		t.Fatalf("full: %t with %d bytes, want it full within 400", full, used)
	}
	got := o.wait(t, "what fitted", data(2))
	done := make(chan error, 1)
	go func() { done <- s.Append(context.Background(), key, Block, true, record("later")) }()
	s.Settled(got[0].Stream, got[len(got)-1].Last)
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("append after room was made: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("append still waits after room was made")
	}
}

func TestDropOldestTellsEveryDroppedByte(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, MaxBytes: 600, SegmentBytes: 150})
	for i := range 40 {
		add(t, s, DropOldest, fmt.Sprintf("record %02d", i))
	}
	if used := s.Stats().Bytes; used > 600 {
		t.Errorf("%d bytes are used, at most 600 are allowed", used)
	}
	check := func(s *Spool) {
		t.Helper()
		o := newOut()
		stop := start(t, s, o)
		defer stop()
		total := int64(40 * 9)
		whole := func(all []chunk.Chunk) bool {
			var covered chunk.Ranges
			for _, c := range all {
				covered = covered.Add(c.Range())
			}
			return covered.Len() == total
		}
		got := o.wait(t, "all offsets, as data or as dropped", whole)
		var kept, dropped chunk.Ranges
		for _, c := range got {
			switch c.Kind {
			case chunk.Data:
				kept = kept.Add(c.Range())
			case chunk.Dropped:
				dropped = dropped.Add(c.Range())
			case chunk.End:
			default:
				t.Errorf("a %v fact", c.Kind)
			}
		}
		if kept.Len()+dropped.Len() != total || kept.Len() == 0 {
			t.Errorf("kept %v and dropped %v, want them to share %d bytes", kept, dropped, total)
		}
		for id, from := range o.opened {
			if from != 0 {
				t.Errorf("stream %s opened from %d, want 0: its dropped bytes are to be told", id, from)
			}
		}
	}
	check(s)
	s.Close()
	check(open(t, Config{Dir: dir, MaxBytes: 600, SegmentBytes: 150})) // told again after a restart
}

func TestRecordThatNeverFitsIsDroppedAndTold(t *testing.T) {
	s, o := open(t, Config{Dir: t.TempDir(), MaxBytes: 300}), newOut()
	start(t, s, o)
	add(t, s, DropOldest, "before", string(make([]byte, 1000)), "after")
	got := o.wait(t, "what fits and the facts", func(c []chunk.Chunk) bool {
		var r chunk.Ranges
		for _, c := range c {
			r = r.Add(c.Range())
		}
		return r.Len() == 1011
	})
	if b := bodies(got); b[len(b)-1] != "after" {
		t.Errorf("sent %q, want after at the end", b)
	}
}

func TestFullDiskIsWaitedFor(t *testing.T) {
	writes := 0
	cfg := Config{Dir: t.TempDir(), Retry: time.Millisecond, Disk: failing(t, func(op string) error {
		if op == "write" {
			if writes++; writes < 5 {
				return unix.ENOSPC
			}
		}
		return nil
	})}
	s, o := open(t, cfg), newOut()
	start(t, s, o)
	add(t, s, Block, "one", "two")
	if got := bodies(o.wait(t, "both", data(2))); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("sent %q, want each once", got)
	}
}

var discard = slog.New(slog.DiscardHandler)

// What a full spool drops may be on its way, and no collector's yet: if the
// agent is killed then, the next start tells of it.
func TestDropOldestTellsAfterACrashOfWhatWasSentAndNotSettled(t *testing.T) {
	dir := t.TempDir()
	s, o := open(t, Config{Dir: dir, MaxBytes: 600, SegmentBytes: 150}), newOut()
	stop := start(t, s, o)
	for i := range 40 {
		add(t, s, DropOldest, fmt.Sprintf("record %02d", i))
		o.wait(t, "the record", data(i+1))
	}
	if n := s.Stats().Dropped; n != 0 {
		t.Errorf("%d bytes count as dropped, want none: all were sent", n)
	}
	// A resend of what is gone is told at once.
	id := o.chunks[0].Stream
	s.Resend(id, chunk.Range{First: 0, Last: 9})
	o.wait(t, "the fact", func(all []chunk.Chunk) bool {
		last := all[len(all)-1]
		return last.Kind == chunk.Dropped && last.Range() == chunk.Range{First: 0, Last: 9}
	})
	s.Settled(id, 180)
	add(t, s, DropOldest, "record 40", "record 41")
	stop()
	s.Close()

	again, o := open(t, Config{Dir: dir, MaxBytes: 600, SegmentBytes: 150}), newOut()
	start(t, again, o)
	var covered chunk.Ranges
	o.wait(t, "all that was not settled, as data or as dropped", func(all []chunk.Chunk) bool {
		covered = nil
		for _, c := range all {
			covered = covered.Add(c.Range())
		}
		return covered.Contains(chunk.Range{First: 180, Last: 42 * 9})
	})
}
