package cut

import (
	"bytes"
	"regexp"
	"testing"
)

func TestNext(t *testing.T) {
	start := regexp.MustCompile(`^#`)
	tests := []struct {
		name    string
		start   *regexp.Regexp
		data    string
		midLine bool
		flush   Flush
		n       int
		part    Part
		borders []int64
	}{
		{name: "whole lines", data: "a\nb\nc", n: 4},
		{name: "no line", data: "abc", n: 0},
		{name: "no line at the end of all", data: "abc", flush: Always, n: 3},
		{name: "a flush of lines keeps the rest", data: "a\nb", flush: Lines, n: 2},
		{name: "too long", data: "0123456789x", n: 10, part: First},
		{name: "the middle of a long line", data: "0123456789x", midLine: true, n: 10, part: Middle},
		{name: "the rest of a long line alone", data: "x\nb\n", midLine: true, n: 2, part: Last},
		{name: "the rest of a long line is awaited", data: "x", midLine: true, n: 0},
		{name: "nothing", data: "", n: 0},
		{name: "records", start: start, data: "#a\nb\n#c\n", n: 5, borders: []int64{5}},
		{name: "one record is not finished", start: start, data: "#a\nb\n", n: 0},
		{name: "a timeout ends it", start: start, data: "#a\nb\n#c\nd", flush: Lines, n: 8, borders: []int64{5, 8}},
		{name: "the end of all", start: start, data: "#a\nb\n#c\nd", flush: Always, n: 9, borders: []int64{5, 9}},
		{name: "what does not start a record may be one", start: start, data: "b\n#c\n", n: 2, borders: []int64{2}},
		{name: "a long record is cut at a line", start: start, data: "#a\nbbbbb\ncc", n: 9, part: First, borders: []int64{9}},
		{name: "a long line is cut", start: start, data: "#aaaaaaaaaaa", n: 10, part: First, borders: []int64{10}},
		{name: "a record before a long one", start: start, data: "#a\n#bbbbbbbbbb", n: 3, borders: []int64{3}},
		{name: "the rest of a cut line", start: start, data: "x\n#c\n", midLine: true, n: 2, part: Last, borders: []int64{2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Cutter{Start: tt.start, Max: 10}
			got := c.Next([]byte(tt.data), tt.midLine, tt.flush, nil)
			if got.N != tt.n || got.Part != tt.part || len(got.Borders) != len(tt.borders) {
				t.Fatalf("got %+v, want n %d part %q borders %v", got, tt.n, tt.part, tt.borders)
			}
			for i := range tt.borders {
				if got.Borders[i] != tt.borders[i] {
					t.Errorf("borders: got %v, want %v", got.Borders, tt.borders)
				}
			}
		})
	}
}

// FuzzNext makes sure that cutting makes progress, keeps within the data and
// gives borders as a chunk must have them.
func FuzzNext(f *testing.F) {
	f.Add([]byte("#a\nb\n#c"), true, true, byte(1))
	f.Add(bytes.Repeat([]byte("x"), 50), false, false, byte(0))
	f.Fuzz(func(t *testing.T, data []byte, multi, midLine bool, flush byte) {
		c := Cutter{Max: 16}
		if multi {
			c.Start = regexp.MustCompile(`^#`)
		}
		how := Flush(flush % 3)
		got := c.Next(data, midLine, how, nil)
		if got.N < 0 || got.N > len(data) {
			t.Fatalf("a cut of %d bytes in %d", got.N, len(data))
		}
		if got.N == 0 && (len(data) >= c.Max || how == Always && len(data) > 0) {
			t.Fatalf("no progress with %d bytes, flush %d", len(data), how)
		}
		if (got.N > 0) != (got.Borders != nil) && multi {
			t.Fatalf("borders %v of a cut of %d bytes", got.Borders, got.N)
		}
		last := int64(0)
		for _, b := range got.Borders {
			if b <= last {
				t.Fatalf("borders do not ascend: %v", got.Borders)
			}
			last = b
		}
		if got.Borders != nil && last != int64(got.N) {
			t.Fatalf("borders %v end before %d", got.Borders, got.N)
		}
	})
}
