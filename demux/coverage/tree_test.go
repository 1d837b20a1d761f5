package coverage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

// written is a file of a tree in memory.
type written struct {
	b   []byte
	crc uint32
}

func write(t testing.TB, src Source) written {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	size, crc, err := w.Finish()
	if err != nil || size != int64(buf.Len()) {
		t.Fatalf("finish: got %d bytes, %v, want %d", size, err, buf.Len())
	}
	return written{buf.Bytes(), crc}
}

func (w written) open(t testing.TB) *File {
	t.Helper()
	f, err := OpenFile(bytes.NewReader(w.b), int64(len(w.b)), w.crc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func (w written) source(t testing.TB) Source {
	t.Helper()
	s, err := w.open(t).Source("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func collect(t testing.TB, src Source) Set {
	t.Helper()
	all := Set{}
	last := ""
	err := EachFamily(src, func(root string, family Set) error {
		if last != "" && root <= last {
			t.Errorf("family %s comes after %s", root, last)
		}
		last = root
		for id, st := range family {
			if Root(id) != root {
				t.Errorf("stream %s is told as of family %s", id, root)
			}
			all[id] = st
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// like compares all but checksums, of which a tree may keep fewer.
func like(a, b Set) bool {
	bare := func(s Set) Set {
		s = s.Clone()
		for _, st := range s {
			st.Sums = nil
			st.Seen = st.Seen.Truncate(time.Second).UTC()
		}
		return s
	}
	return len(a) == len(b) && equal(bare(a), bare(b))
}

// many is a set as a run adds it: with forks, and streams of very many ranges.
func many(rnd *rand.Rand, families int) Set {
	set := Set{}
	for range 1 + rnd.IntN(40) {
		id := fmt.Sprintf("%04x", rnd.IntN(families))
		if rnd.IntN(4) == 0 {
			id += fmt.Sprintf("~%d", rnd.IntN(3))
		}
		if rnd.IntN(30) == 0 {
			id += "!" // sorts between a stream and its forks
		}
		s := set.Stream(id, fmt.Sprintf("host-%d", rnd.IntN(3)), "/var/log/"+id)
		for range rnd.IntN(8) {
			first := rnd.Int64N(1 << (4 + rnd.IntN(14)))
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
		if rnd.IntN(10) == 0 {
			at := rnd.Int64N(1000)
			for range rnd.IntN(4 * maxSegments) {
				n := at + 1 + rnd.Int64N(300)
				if rnd.IntN(2) == 0 {
					s.Cover(r(at, n), rnd.Uint32())
				} else {
					s.Tell(chunk.Dropped, r(at, n))
				}
				at = n + rnd.Int64N(2)
			}
		}
		s.Seen = time.Unix(1+rnd.Int64N(1<<33), 0).UTC()
		s.Since = s.Seen
		if Base(id) != "" {
			s.Cause = "cause"
		}
	}
	return set
}

func TestATreeTellsWhatASetWould(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 12 {
		model := Set{}
		var files []written // oldest first
		families := 1 + rnd.IntN(60)
		for range 1 + rnd.IntN(12) {
			delta := many(rnd, families)
			model.Merge(delta)
			// Some of what is known wholly is written so.
			out, whole := delta.Clone(), map[string]bool{}
			for id := range delta {
				forked := slices.ContainsFunc(model.IDs(), func(other string) bool { return other != id && Root(other) == Root(id) })
				if Base(id) == "" && !forked && rnd.IntN(2) == 0 {
					out[id], whole[id] = model[id].Clone(), true
				}
			}
			files = append(files, write(t, SetSource(out, func(root string) bool { return whole[root] })))
			if i := rnd.IntN(len(files)); rnd.IntN(2) == 0 && i+2 <= len(files) {
				j := i + 2 + rnd.IntN(len(files)-i-1)
				var sources []Source
				for _, f := range files[i:j] {
					sources = append(sources, f.source(t))
				}
				files = slices.Replace(files, i, j, write(t, NewMerger(sources...)))
			}
		}
		var sources []Source
		for _, f := range files {
			sources = append(sources, f.source(t))
			if err := f.open(t).Verify(); err != nil {
				t.Fatal(err)
			}
		}
		if got := collect(t, NewMerger(sources...)); !like(got, model) {
			t.Fatalf("got %d streams, want %d as the model has them", len(got), len(model))
		}
		for range 30 {
			wantFamily(t, rnd, files, model, fmt.Sprintf("%04x", rnd.IntN(families+3)))
		}
	}
}

// wantFamily looks a family up, wholly and near a place.
func wantFamily(t *testing.T, rnd *rand.Rand, files []written, model Set, root string) {
	t.Helper()
	first := rnd.Int64N(1 << 18)
	near := &chunk.Range{First: first, Last: first + rnd.Int64N(5000)}
	if rnd.IntN(2) == 0 {
		near = nil
	}
	got, partial := Set{}, false
	var found []Found
	for _, f := range slices.Backward(files) {
		file := f.open(t)
		may, err := file.MayHold([]string{root, "other"})
		if err != nil {
			t.Fatal(err)
		}
		x, err := file.Family(root, near)
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Set) > 0 && !may[0] {
			t.Fatalf("the filter denies %s, which is there", root)
		}
		found = append(found, x)
		if x.Whole {
			break
		}
	}
	for _, x := range slices.Backward(found) {
		got.Merge(x.Set)
		partial = partial || x.Partial
	}
	want := Set{}
	for id, st := range model {
		if Root(id) == root {
			want[id] = st.Clone()
		}
	}
	if near == nil && partial {
		t.Fatalf("of %s not all was read", root)
	}
	if partial {
		for _, s := range []Set{got, want} {
			for _, st := range s {
				for _, l := range st.lists() {
					*l = l.Covered(r(near.First-1, near.Last))
				}
			}
		}
	}
	if !like(got, want) {
		t.Fatalf("family %s near %v (partly: %v): got %v, want %v", root, near, partial, got, want)
	}
}

func TestEachFlippedBitOfATreeIsFound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	good := write(t, SetSource(many(rnd, 20), nil))
	check := func(b []byte) error {
		f, err := OpenFile(bytes.NewReader(b), int64(len(b)), good.crc)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Verify()
	}
	if err := check(good.b); err != nil {
		t.Fatal(err)
	}
	for n := range good.b {
		if n%16 == 0 {
			if err := check(good.b[:n]); !errors.Is(err, chunk.ErrInvalid) {
				t.Fatalf("cut at %d of %d: got %v, want ErrInvalid", n, len(good.b), err)
			}
		}
		bad := slices.Clone(good.b)
		bad[n] ^= 1 << rnd.IntN(8)
		if err := check(bad); !errors.Is(err, chunk.ErrInvalid) {
			t.Fatalf("byte %d of %d flipped: got %v, want ErrInvalid", n, len(good.b), err)
		}
	}
	other := write(t, SetSource(many(rnd, 20), nil))
	if err := check(other.b); !errors.Is(err, chunk.ErrInvalid) {
		t.Fatalf("another file: got %v, want ErrInvalid", err)
	}
}

// A file with a bad block gives an error or the truth, whatever is asked.
func TestADamagedBlockIsNeverBelieved(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	set := many(rnd, 400)
	for range 60 {
		set.Merge(many(rnd, 400))
	}
	good := write(t, SetSource(set, nil))
	for range 60 {
		bad := written{slices.Clone(good.b), good.crc}
		bad.b[rnd.IntN(len(bad.b))] ^= 1 << rnd.IntN(8)
		f, err := OpenFile(bytes.NewReader(bad.b), int64(len(bad.b)), bad.crc)
		if err != nil {
			continue
		}
		for range 20 {
			root := fmt.Sprintf("%04x", rnd.IntN(400))
			may, err := f.MayHold([]string{root})
			if errors.Is(err, chunk.ErrInvalid) {
				continue
			}
			x, err := f.Family(root, nil)
			want := Set{}
			for id, st := range set {
				if Root(id) == root {
					want[id] = st
				}
			}
			if err == nil && (!like(x.Set, want) || len(want) > 0 && !may[0]) || err != nil && !errors.Is(err, chunk.ErrInvalid) {
				t.Fatalf("family %s: got %v, %v, want %v or ErrInvalid", root, x.Set, err, want)
			}
		}
		f.Close()
	}
}

func TestAnOldSetIsASource(t *testing.T) {
	rnd := rand.New(rand.NewPCG(17, 18))
	for range 8 {
		set := many(rnd, 200)
		for range rnd.IntN(10) {
			set.Merge(many(rnd, 200))
		}
		for _, st := range set {
			if n := len(st.Sums) - MaxSums; n > 0 {
				st.Sums = st.Sums[n:]
			}
		}
		b, err := set.Encode()
		if err != nil {
			t.Fatal(err)
		}
		from := ""
		if rnd.IntN(2) == 0 {
			from = fmt.Sprintf("%04x", rnd.IntN(200))
		}
		want := Set{}
		for id, st := range set {
			if Root(id) >= from {
				want[id] = st
			}
		}
		for _, small := range []uint64{0, 1 << 30} {
			f, crc, err := openSet(bytes.NewReader(b), int64(len(b)), small)
			if err != nil {
				t.Fatal(err)
			}
			if crc != chunk.CRC(b) {
				t.Errorf("CRC: got %08x, want %08x", crc, chunk.CRC(b))
			}
			src, err := f.Source(from)
			if err != nil {
				t.Fatal(err)
			}
			if got := collect(t, src); !equal(got, want) {
				t.Fatalf("up to %d bytes at once: got %d streams, want %d", small, len(got), len(want))
			}
		}
		bad := slices.Clone(b)
		bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
		for _, small := range []uint64{0, 1 << 30} {
			if _, crc, err := openSet(bytes.NewReader(bad), int64(len(bad)), small); err == nil || !errors.Is(err, chunk.ErrInvalid) {
				t.Errorf("a flipped bit: got %v, CRC %08x, want ErrInvalid", err, crc)
			}
		}
	}
}

func TestSettledStreamsLoseTheirChecksums(t *testing.T) {
	now := time.Unix(1e9, 0)
	set := Set{}
	for i, id := range []string{"settled", "new", "open", "gap"} {
		s := set.Stream(id, "h", "/log")
		s.Seen = now.Add(-time.Hour)
		if id == "new" {
			s.Seen = now
		}
		s.Cover(r(0, 10), uint32(i))
		if id != "open" {
			s.Tell(chunk.End, r(10, 10))
		}
		if id == "gap" {
			s.Tell(chunk.End, r(20, 20))
		}
	}
	m := NewMerger(SetSource(set, nil))
	m.Settled = now.Add(-time.Minute)
	got := collect(t, m)
	for id, st := range got {
		if has := len(st.Sums) > 0; has == (id == "settled") {
			t.Errorf("stream %s has checksums: %v", id, has)
		}
		if !slices.Equal(st.Ranges, set[id].Ranges) || st.End != set[id].End {
			t.Errorf("stream %s: got %+v, want %+v", id, st, set[id])
		}
	}
}

// A filter that drops every other line costs few bytes for each.
func TestEveryOtherLineDroppedCostsFewBytesInATree(t *testing.T) {
	const lines = 200_000
	rnd := rand.New(rand.NewPCG(9, 10))
	set := Set{}
	st := set.Stream("0000000000000000000000000000000001", "web-1", "/var/log/app.log")
	at := int64(0)
	for i := range lines {
		n := at + 200 + rnd.Int64N(200)
		if x := r(at, n); i%2 == 0 {
			st.Cover(x, rnd.Uint32())
		} else {
			st.Tell(chunk.Dropped, x)
		}
		at = n
	}
	w := write(t, SetSource(set, nil))
	f := w.open(t)
	t.Logf("%.1f bytes a dropped range, %d blocks", float64(len(w.b))/(lines/2), len(f.blocks))
	if len(w.b) > 4*lines/2 {
		t.Errorf("%d bytes for %d dropped ranges and those between them, want 4 each at most", len(w.b), lines/2)
	}
	// Where it goes on, little is read.
	counted := &counter{r: bytes.NewReader(w.b)}
	g, err := OpenFile(counted, int64(len(w.b)), w.crc)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	counted.n = 0
	x, err := g.Family("0000000000000000000000000000000001", &chunk.Range{First: at, Last: at + 1000})
	if err != nil || !x.Partial || counted.n > 6*blockBytes || !x.Set["0000000000000000000000000000000001"].Ranges.Overlaps(r(at-1000, at)) {
		t.Errorf("near its end: got %d bytes read, partly: %v, %v, want little, and the end", counted.n, x.Partial, err)
	}
}

type counter struct {
	r io.ReaderAt
	n int
}

func (c *counter) ReadAt(b []byte, at int64) (int, error) {
	c.n += len(b)
	return c.r.ReadAt(b, at)
}

func TestKeysBetweenIDsAreShort(t *testing.T) {
	for _, x := range []struct{ a, b, want string }{
		{"aaaa", "abcd", "ab"}, {"aaaa", "aaab", "aaab"}, {"a", "ab", "ab"}, {"a~1", "a~2", "a~2"}, {"a~1", "b", "b"}, {"a", "a~1", "a~"}, {"a~1", "a!", "a!"},
	} {
		got := between(x.a, x.b)
		if got != x.want || compareIDs(x.a, got) >= 0 || compareIDs(got, x.b) > 0 {
			t.Errorf("between %s and %s: got %s, want %s", x.a, x.b, got, x.want)
		}
	}
}

// FuzzBlock decodes what is in a block, which checksums keep random bytes from.
func FuzzBlock(f *testing.F) {
	rnd := rand.New(rand.NewPCG(19, 20))
	for range 5 {
		w := write(f, SetSource(many(rnd, 20), nil))
		file := w.open(f)
		frame, err := file.read(file.blocks[0].offset, file.blocks[0].length)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := file.zstd.DecodeAll(frame, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b block
		if b.start(raw) != nil {
			return
		}
		for b.next() == nil {
			p, err := b.piece()
			if err != nil {
				return
			}
			if p.Stream.Ranges.Len() < 0 || len(p.Sums) > MaxSums || p.Begin < Unknown || p.End < Unknown || p.From < 0 {
				t.Fatalf("piece %+v", p)
			}
			p.settle()
			if strings.Contains(p.ID, "\x00") || p.From > 0 {
				continue
			}
			again := collect(t, write(t, &setSource{Set{p.ID: p.Stream}, []string{p.ID}, nil}).source(t))
			if p.Seen.IsZero() { // written as none
				continue
			}
			if !equal(again, Set{p.ID: p.Stream}) {
				t.Fatalf("written and read again: got %+v, want %+v", again[p.ID], p.Stream)
			}
		}
	})
}
