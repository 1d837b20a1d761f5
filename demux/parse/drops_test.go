package parse

import (
	"slices"
	"testing"
)

// What a filter dropped parts what is before it from what is behind it: lines of two
// records are not joined, and offsets are those of the source.
func TestRecordsDoNotGoOverWhatWasDropped(t *testing.T) {
	const head, more = "2026-01-02 03:04:05,678 ERROR [main] a.B: x\n", "\tat c.D\n"
	c := body("")
	for _, piece := range []struct {
		text string
		kept bool
	}{{"dropped\n", false}, {head, true}, {more, true}, {head + more, false}, {more, true}, {"dropped\n", false}, {head, true}} {
		if c.Last += int64(len(piece.text)); piece.kept {
			c.Body = append(c.Body, piece.text...)
		} else {
			c.AddDrop(c.Last)
		}
	}
	rows := parsed(t, "log4j", Options{}, c, nil)
	var got []string
	for _, r := range rows {
		got = append(got, r["seq"]+" "+r["message"])
	}
	want := []string{"8 x\n\tat c.D", "112 \tat c.D", "128 x"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var at []int64
	for _, r := range mustNew(t, "log4j", Options{}).Records(c) {
		at = append(at, r.First, r.Last)
	}
	if want := []int64{8, 60, 112, 120, 128, 172}; !slices.Equal(at, want) {
		t.Errorf("records at %v, want %v", at, want)
	}
}
