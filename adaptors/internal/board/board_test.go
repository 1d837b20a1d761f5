package board_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

func stream(size, settled int64) *replay.Stream {
	s := replay.Restore(&adaptors.Env{}, adaptors.Stream{ID: fmt.Sprintf("s%d", size), Settled: settled})
	s.SetSize(size)
	return s
}

func TestStatusShowsTheFurthestBehindFirst(t *testing.T) {
	var b board.Board
	near, far := stream(10, 9), stream(30, 10)
	b.Show(near, "/a")
	b.Show(far, "/b\xff")
	b.Show(replay.New(&adaptors.Env{}), "/c")
	got := b.Status()
	if got.LagBytes != 21 || len(got.Sources) != 3 {
		t.Fatalf("got %+v", got)
	}
	if want := (adaptors.Source{Stream: "s30", Path: `/b\xff`, Size: 30, Read: 10, Settled: 10}); got.Sources[0] != want {
		t.Errorf("got %+v first, want %+v", got.Sources[0], want)
	}
	if lag, _ := b.Lag(); lag != 21 {
		t.Errorf("got a lag of %d, want 21", lag)
	}
	b.Hide(far)
	if got := b.Status(); got.LagBytes != 1 || len(got.Sources) != 2 {
		t.Errorf("got %+v after one was hidden", got)
	}
	b.Clear()
	if got := b.Status(); len(got.Sources) != 0 {
		t.Errorf("got %+v after all were", got)
	}
}

func TestStatusIsBounded(t *testing.T) {
	var b board.Board
	for i := range int64(1500) {
		b.Show(stream(i, 0), "/a")
		b.Skip(fmt.Sprintf("/skipped/%04d", i), "no reason")
	}
	got := b.Status()
	if len(got.Sources) != 1000 || len(got.Skipped) != 1000 || got.Sources[0].Size != 1499 || got.LagBytes != 1499*1500/2 {
		t.Errorf("got %d sources and %d skipped, the first %+v, a lag of %d", len(got.Sources), len(got.Skipped), got.Sources[0], got.LagBytes)
	}
}

func TestWhatIsSkippedIsNewsOnce(t *testing.T) {
	var b board.Board
	if !b.Skip("/a", "too old") || b.Skip("/a", "too old") || !b.Skip("/a", "a folder") || b.Skip("/a", "") {
		t.Error("news and what is known are mixed up")
	}
	b.Skip("/a", "too old")
	b.Skip("/b", "too old")
	b.Unskip(func(path string) bool { return path == "/a" })
	if got := b.Status().Skipped; len(got) != 1 || got[0] != (adaptors.Skipped{Path: "/b", Reason: "too old"}) {
		t.Errorf("got %+v", got)
	}
}

func TestTheLastErrorOfAStreamGoesWithIt(t *testing.T) {
	var b board.Board
	one, two := stream(1, 0), stream(2, 0)
	b.Show(one, "/a")
	b.Fail(one, errors.New("a"))
	b.Well(two)
	if _, err := b.Lag(); err != "a" || b.Status().LastErr != "a" {
		t.Errorf("got %q, want the error of the first", err)
	}
	b.Hide(one)
	if got := b.Status().LastErr; got != "" {
		t.Errorf("got %q of a stream that is gone", got)
	}
	b.Fail(nil, errors.New("all"))
	b.Well(one)
	if got := b.Status().LastErr; got != "all" {
		t.Errorf("got %q, want the error of no stream", got)
	}
	b.Well(nil)
	if got := b.Status().LastErr; got != "" {
		t.Errorf("got %q although it is well", got)
	}
}

func TestManyThatFailAtOnceAreNotOneWarningEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b board.Board
		var warned []string
		fail := func(s *replay.Stream, text string) {
			if b.Fail(s, errors.New(text)) {
				warned = append(warned, text)
			}
		}
		streams := []*replay.Stream{stream(1, 0), stream(2, 0), stream(3, 0)}
		for range 100 { // 10 s
			for i, s := range streams {
				fail(s, fmt.Sprint("disk full: ", i))
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(warned) != 2 {
			t.Errorf("got %v in 10 s, want one in 5 s", warned)
		}

		warned = nil
		for range 100 { // one that fails all the time is said once
			fail(streams[0], "disk full: 0")
			time.Sleep(100 * time.Millisecond)
		}
		if len(warned) > 1 {
			t.Errorf("got %v of one, want it once", warned)
		}

		b.Well(streams[0])
		time.Sleep(time.Minute)
		warned = nil
		fail(streams[0], "disk full: 0") // a new trouble
		fail(streams[1], "refused")      // soon after: it is said when it lasts
		time.Sleep(time.Minute)
		fail(streams[1], "refused")
		if got := strings.Join(warned, ", "); got != "disk full: 0, refused" {
			t.Errorf("got %s", got)
		}
	})
}
