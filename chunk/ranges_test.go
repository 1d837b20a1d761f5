package chunk

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The model of a set of ranges is one boolean per offset.
func TestRangesThatTouchDoNotOverlap(t *testing.T) {
	s := Ranges{{10, 20}, {30, 40}}
	for r, want := range map[Range]bool{
		{0, 10}: false, {20, 30}: false, {40, 50}: false, {15, 15}: false, {30, 30}: false,
		{0, 11}: true, {19, 20}: true, {12, 13}: true, {0, 100}: true, {25, 31}: true,
	} {
		if got := s.Overlaps(r); got != want {
			t.Errorf("%v and %v: got %v, want %v", s, r, got, want)
		}
	}
}

func TestRangesAgreeWithABitmap(t *testing.T) {
	const size = 64
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	random := func() Range {
		a, b := rnd.Int64N(size), rnd.Int64N(size)
		return Range{min(a, b), max(a, b)}
	}
	for range 500 {
		var set Ranges
		var bits [size]bool
		for range 12 {
			r, add := random(), rnd.IntN(4) > 0
			if add {
				set = set.Add(r)
			} else {
				set = set.Remove(r)
			}
			for i := r.First; i < r.Last; i++ {
				bits[i] = add
			}
			checkDisjoint(t, set)
		}
		probe := random()
		var missing, covered Ranges
		for i := probe.First; i < probe.Last; i++ {
			if r := (Range{i, i + 1}); bits[i] {
				covered = covered.Add(r)
			} else {
				missing = missing.Add(r)
			}
		}
		if got := set.Missing(probe); !slices.Equal(got, missing) {
			t.Fatalf("%v.Missing(%v) = %v, want %v", set, probe, got, missing)
		}
		if got := set.Covered(probe); !slices.Equal(got, covered) {
			t.Fatalf("%v.Covered(%v) = %v, want %v", set, probe, got, covered)
		}
	}
}

func checkDisjoint(t *testing.T, s Ranges) {
	t.Helper()
	for i, r := range s {
		if r.Empty() || i > 0 && r.First <= s[i-1].Last {
			t.Fatalf("%v is not sorted, disjoint, non-empty and apart", s)
		}
	}
}

func TestRangesThatTouchBecomeOne(t *testing.T) {
	s := Ranges(nil).Add(Range{0, 10}).Add(Range{20, 30}).Add(Range{10, 20})
	if want := (Ranges{{0, 30}}); !slices.Equal(s, want) {
		t.Errorf("got %v, want %v", s, want)
	}
}

func TestManyRangesAddedAtOnceAreThoseAddedOneByOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		var a, b Ranges
		for range rnd.IntN(60) {
			first := rnd.Int64N(1000)
			a = a.Add(Range{first, first + rnd.Int64N(9)})
			first = rnd.Int64N(1000)
			b = b.Add(Range{first, first + rnd.Int64N(9)})
		}
		want := slices.Clone(a)
		for _, r := range b {
			want = want.Add(r)
		}
		before := slices.Clone(b)
		if got := slices.Clone(a).AddAll(b); !slices.Equal(got, want) {
			t.Fatalf("%v and %v: got %v, want %v", a, b, got, want)
		}
		if !slices.Equal(b, before) {
			t.Fatal("what was added changed")
		}
	}
}
