package coverage

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
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

// A filter that drops every other line makes as many ranges as there are lines:
// each may cost few bytes, and what judges them must not take a step for each
// pair of them.
func TestEveryOtherLineDroppedCostsFewBytesEach(t *testing.T) {
	const lines = 400_000
	rnd := rand.New(rand.NewPCG(9, 10))
	base, delta := Set{}, Set{}
	at := int64(0)
	for i := range lines {
		n := at + 200 + rnd.Int64N(200)
		set := base
		if i%1000 >= 500 { // as parallel posts publish them
			set = delta
		}
		st := set.Stream("0000000000000000000000000000000001", "web-1", "/var/log/app.log")
		if x := (chunk.Range{First: at, Last: n}); i%2 == 0 {
			st.Cover(x, rnd.Uint32())
		} else {
			st.Tell(chunk.Dropped, x)
		}
		at = n
	}
	base.Merge(delta)
	if gaps := base["0000000000000000000000000000000001"].Gaps(); len(gaps) != 0 {
		t.Errorf("%d gaps, want none", len(gaps))
	}
	b, err := base.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const dropped = lines / 2
	t.Logf("%.1f bytes a dropped range, %d in all", float64(len(b))/dropped, len(b))
	if len(b) > 10*dropped {
		t.Errorf("%d bytes for %d dropped ranges and those between them, want 10 each at most", len(b), dropped)
	}
}
