package chunk

import (
	"slices"
	"testing"
)

func TestRecordsEndAtBordersOrNewlines(t *testing.T) {
	tests := []struct {
		name string
		c    Chunk
		want []string
	}{
		{"lines", Chunk{Body: []byte("a\n\nbc\nd")}, []string{"a\n", "\n", "bc\n", "d"}},
		{"borders", Chunk{Body: []byte("a\nb\nc\n"), Borders: []int64{4, 6}}, []string{"a\nb\n", "c\n"}},
		{"UTF-16LE", Chunk{Body: []byte("a\x00\n\x00\n\x01\n\x00"), Encoding: "UTF-16LE"}, []string{"a\x00\n\x00", "\n\x01\n\x00"}},
		{"UTF-16BE", Chunk{Body: []byte("\x00a\x00\n\x0a\x00\x00b"), Encoding: "utf-16be"}, []string{"\x00a\x00\n", "\x0a\x00\x00b"}},
	}
	for _, tt := range tests {
		var got []string
		for first, last := range tt.c.Records() {
			got = append(got, string(tt.c.Body[first:last]))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
