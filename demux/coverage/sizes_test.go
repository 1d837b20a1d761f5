package coverage

import (
	"strings"
	"testing"
)

// The compressor's frames differ by the size of what is in them, and have
// edges at powers of two.
func TestSetsOfEverySizeAreReadBack(t *testing.T) {
	for n := range 1500 {
		s := Set{}
		s.Stream("id", "host", strings.Repeat("x", n))
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("a source of %d bytes: %v", n, err)
		}
		if len(got) != 1 || got["id"].Source != s["id"].Source {
			t.Fatalf("a source of %d bytes: got %+v", n, got)
		}
	}
}
