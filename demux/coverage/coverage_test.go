package coverage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
)

func r(first, last int64) chunk.Range { return chunk.Range{First: first, Last: last} }

func TestLaterRangeDoesNotHideAHole(t *testing.T) {
	s := NewStream("h", "x")
	s.Cover(r(100, 200), 1)
	if got, want := s.Gaps(), (chunk.Ranges{r(0, 100)}); !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
	s.Cover(r(0, 50), 2)
	if got, want := s.Gaps(), (chunk.Ranges{r(50, 100)}); !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
}

func TestFactsExplainHolesAndDoNotFillThem(t *testing.T) {
	s := NewStream("h", "x")
	s.Cover(r(30, 40), 1)
	s.Tell(chunk.Begin, r(10, 10))
	s.Tell(chunk.Lost, r(10, 20))
	s.Tell(chunk.Dropped, r(15, 30))
	if got := s.Gaps(); len(got) != 0 {
		t.Errorf("gaps: got %v, want none", got)
	}
	if got, want := s.Ranges, (chunk.Ranges{r(30, 40)}); !slices.Equal(got, want) {
		t.Errorf("ranges: got %v, want %v", got, want)
	}
	if s.Complete() {
		t.Error("complete, but no end was told")
	}
	s.Tell(chunk.End, r(50, 50))
	if got, want := s.Gaps(), (chunk.Ranges{r(40, 50)}); !slices.Equal(got, want) || s.Complete() {
		t.Errorf("gaps below the end: got %v, complete %v, want %v", got, s.Complete(), want)
	}
	s.Cover(r(40, 50), 2)
	if !s.Complete() {
		t.Error("not complete, though ended and without gaps")
	}
}

func TestStartAboveZeroIsAGapUnlessTold(t *testing.T) {
	s := NewStream("h", "x")
	s.Cover(r(10, 20), 1)
	if got, want := s.Gaps(), (chunk.Ranges{r(0, 10)}); !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
	s.Tell(chunk.Begin, r(10, 10))
	if got := s.Gaps(); len(got) != 0 {
		t.Errorf("gaps after the begin was told: got %v, want none", got)
	}
}

func TestSumsKeepTheNewest(t *testing.T) {
	s := NewStream("h", "x")
	for i := range int64(MaxSums + 10) {
		s.Cover(r(i, i+1), uint32(i))
		s.Cover(r(i, i+1), uint32(i)) // a repetition takes no place
	}
	if len(s.Sums) != MaxSums || s.Sums[0].First != 10 || s.Sums[MaxSums-1].First != MaxSums+9 {
		t.Errorf("got %d sums from %v to %v, want the newest %d", len(s.Sums), s.Sums[0], s.Sums[len(s.Sums)-1], MaxSums)
	}
}

func TestTrimBoundsTheWholeSet(t *testing.T) {
	set := Set{}
	for i := range 20_000 {
		s := set.Stream(fmt.Sprint(i), "h", "x")
		for j := range int64(60) {
			s.Sums = append(s.Sums, Sum{j, j + 1, 1})
		}
	}
	set.Trim()
	total := 0
	for _, s := range set {
		total += len(s.Sums)
		if last := s.Sums[len(s.Sums)-1]; last.First != 59 {
			t.Fatalf("the newest sum was trimmed away: %v is left", last)
		}
	}
	if total > maxTotalSums {
		t.Errorf("got %d sums, want at most %d", total, maxTotalSums)
	}
}

func TestMergeSharesNoMemory(t *testing.T) {
	base, delta := Set{}, Set{}
	base.Stream("a", "h", "x").Cover(r(0, 10), 1)
	delta.Stream("a", "h", "x").Cover(r(20, 30), 2)
	delta.Stream("b", "h", "y").Cover(r(0, 5), 3)
	before := base.Clone()
	merged := base.Clone()
	merged.Merge(delta)
	wantDelta := delta.Clone()
	merged["a"].Cover(r(5, 25), 4)
	merged["b"].Cover(r(5, 15), 4)
	if !reflect.DeepEqual(base, before) || !reflect.DeepEqual(delta, wantDelta) {
		t.Errorf("changing the merged set changed base or delta: %v, %v", base["a"], delta["b"])
	}
	if got, want := merged["a"].Ranges, (chunk.Ranges{r(0, 30)}); !slices.Equal(got, want) {
		t.Errorf("merged: got %v, want %v", got, want)
	}
}

// random returns a set as many commits could have left it.
func random(rnd *rand.Rand) Set {
	set := Set{}
	for range rnd.IntN(20) {
		s := set.Stream(fmt.Sprintf("stream-%d", rnd.IntN(30)), fmt.Sprintf("host-%d", rnd.IntN(3)), "/var/log/ü")
		for range rnd.IntN(40) {
			first := rnd.Int64N(1 << rnd.IntN(62))
			x := r(first, first+1+rnd.Int64N(1000))
			switch kind := chunk.Kind(rnd.IntN(6)); kind {
			case chunk.Data:
				s.Cover(x, rnd.Uint32())
			case chunk.Begin, chunk.End:
				s.Tell(kind, r(x.First, x.First))
			default:
				s.Tell(kind, x)
			}
		}
		s.Seen = time.Unix(rnd.Int64N(1<<33), 0).UTC()
		if rnd.IntN(2) == 0 {
			s.Since = time.Unix(1+rnd.Int64N(1<<33), 0).UTC()
			s.Cause = fmt.Sprint("cause ", rnd.IntN(3))
		}
	}
	return set
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		want := random(rnd)
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// equal takes nil and empty lists for the same.
func equal(a, b Set) bool {
	return maps.EqualFunc(a, b, func(x, y *Stream) bool {
		return x.Host == y.Host && x.Source == y.Source && x.Begin == y.Begin && x.End == y.End && x.Seen.Equal(y.Seen) &&
			x.Since.Equal(y.Since) && x.Cause == y.Cause && slices.Equal(x.Doubtful, y.Doubtful) &&
			slices.Equal(x.Ranges, y.Ranges) && slices.Equal(x.Lost, y.Lost) && slices.Equal(x.Dropped, y.Dropped) && slices.Equal(x.Sums, y.Sums)
	})
}

func TestDamagedFileIsRefused(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	set := random(rnd)
	good, err := set.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := Decode(good[:n]); !errors.Is(err, chunk.ErrInvalid) {
			t.Fatalf("cut at %d of %d: got %v, want ErrInvalid", n, len(good), err)
		}
		bad := slices.Clone(good)
		bad[n] ^= 1 << rnd.IntN(8)
		if _, err := Decode(bad); !errors.Is(err, chunk.ErrInvalid) {
			t.Fatalf("byte %d of %d flipped: got %v, want ErrInvalid", n, len(good), err)
		}
	}
}

func TestDeltasMergeOntoTheBase(t *testing.T) {
	want, got := Set{}, Set{}
	for i := range int64(4) {
		set := Set{}
		set.Stream("s", "h", "x").Cover(r(i*10, i*10+10), uint32(i))
		set.Stream(fmt.Sprint(i), "h", "y").Tell(chunk.End, r(i, i))
		b, err := set.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want.Merge(set)
		part, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		got.Merge(part)
	}
	for _, s := range want {
		s.Seen = time.Unix(s.Seen.Unix(), 0).UTC()
	}
	if !equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Tables that were written before streams had doubtful ranges, causes and a time
// of their beginning.
func TestAFileOfVersion1IsRead(t *testing.T) {
	b, err := os.ReadFile("testdata/version-1.cov")
	if err != nil {
		t.Fatal(err)
	}
	j, err := os.ReadFile("testdata/version-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var want Set
	if err := json.Unmarshal(j, &want); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil || !equal(got, want) {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
	if b, err = got.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err = Decode(b); err != nil || !equal(got, want) {
		t.Errorf("written anew: got %v, %v, want %v", got, err, want)
	}
}

func TestDoubtfulIsNoHoleAndFillsNone(t *testing.T) {
	s := NewStream("h", "x")
	s.Cover(r(0, 10), 1)
	s.Tell(chunk.Doubtful, r(0, 30))
	s.Cover(r(20, 25), 2)
	if got, want := s.Gaps(), (chunk.Ranges{r(10, 20)}); !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
	other := NewStream("h", "x")
	other.merge(s)
	if got, want := other.Doubtful, (chunk.Ranges{r(0, 30)}); !slices.Equal(got, want) {
		t.Errorf("doubtful: got %v, want %v", got, want)
	}
}

// unpacked returns what is compressed in a coverage file.
func unpacked(t testing.TB, b []byte) []byte {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(b[fixed:], nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// FuzzDecode skips the CRC, which random bytes never pass.
func FuzzDecode(f *testing.F) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 5 {
		set := random(rnd)
		raw := []byte{byte(len(set))}
		for _, id := range set.IDs() {
			raw = appendStream(raw, id, set[id])
		}
		f.Add(raw, true)
	}
	old, err := os.ReadFile("testdata/version-1.cov")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unpacked(f, old), false)
	f.Fuzz(func(t *testing.T, raw []byte, newer bool) {
		_, _ = Decode(raw)
		version := 1
		if newer {
			version = 2
		}
		set, err := decodeRaw(raw, version)
		if err != nil {
			return
		}
		for id, s := range set {
			if s.Ranges.Len() < 0 || len(s.Sums) > MaxSums || s.Begin < Unknown || s.End < Unknown {
				t.Fatalf("stream %q: %+v", id, s)
			}
		}
		b, err := set.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(b)
		if err != nil || !equal(again, set) {
			t.Fatalf("encoded and decoded again: got %v, %v, want %v", again, err, set)
		}
	})
}
