package supervise

import (
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

func TestLossesAreCountedOnceAndTheNewestListed(t *testing.T) {
	var l losses
	fact := func(kind chunk.Kind, first, last int64) {
		l.note(&chunk.Chunk{Kind: kind, Stream: "s", Source: "/a.log", First: first, Last: last, Reason: "truncated"}, time.Unix(0, 0))
	}
	fact(chunk.Data, 0, 10)
	fact(chunk.Lost, 10, 30)
	fact(chunk.Lost, 10, 30) // sent again
	fact(chunk.End, 30, 30)
	want := LostRange{Stream: "s", Path: "/a.log", First: 10, Last: 30, Reason: "truncated", At: time.Unix(0, 0).UTC()}
	if got := l.view(); got.Bytes != 20 || len(got.Ranges) != 1 || got.Ranges[0] != want {
		t.Errorf("got %+v, want 20 bytes in %+v", got, want)
	}
	for i := range int64(2 * maxLost) {
		fact(chunk.Lost, 100+10*i, 105+10*i)
	}
	got := l.view()
	if got.Bytes != 20+5*2*maxLost || len(got.Ranges) != maxLost {
		t.Errorf("got %d bytes and %d ranges, want %d and the newest %d", got.Bytes, len(got.Ranges), 20+5*2*maxLost, maxLost)
	}
	if last := got.Ranges[maxLost-1].Last; last != 105+10*(2*maxLost-1) {
		t.Errorf("the last range ends at %d, want the newest", last)
	}
}
