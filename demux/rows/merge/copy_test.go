package merge_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/merge"
)

// wide fills a builder with the rows of a minute, of which the last lie in the next
// one: columns whose pages can be copied, and some whose can't be.
func wide(rnd *rand.Rand, no, n int) *rows.Builder {
	b := rows.NewBuilder(rows.Options{})
	b.Origin("h", "/f", fmt.Sprint("s", no), map[string]string{"pod": "p"})
	b.Covers(0, chunk.Ranges{{First: 0, Last: int64(10 * n)}})
	for i := range n {
		b.Row(start+int64(no)*60e6+int64(i)*61e6/int64(n), int64(10*i))
		b.Message(fmt.Appendf(nil, "request %d took %d", i, rnd.IntN(1e6)))
		b.Column("id").String(fmt.Appendf(nil, "%016x", rnd.Uint64()))
		b.Column("user").String(fmt.Appendf(nil, "user-%d", rnd.IntN(n/4)))
		b.Column("service").String(fmt.Appendf(nil, "svc-%d", i%4)) // the same dictionary each time
		b.Column("status").Long([]int64{200, 404, 500}[i%3])
		b.Column("size").Long(rnd.Int64N(1e9))
		b.Column("took").Double(rnd.Float64(), nil)
		b.Column("ok").Bool(rnd.IntN(2) == 0)
		b.Column("empty").String(fmt.Appendf(nil, "%.*s", rnd.IntN(30), "a text that is cut off in some place"))
		b.Column("odd").Double([]float64{math.NaN(), -1, math.Copysign(0, -1), 5}[i%4], nil)
		nan := rnd.NormFloat64()
		if i%1000 == 7 {
			nan = math.NaN()
		}
		b.Column("nan").Double(nan, nil)
		if i%3 > 0 {
			b.Column("sparse").Long(rnd.Int64())
			b.Column("word").String(fmt.Appendf(nil, "%x", rnd.Uint64()))
		}
		if no%2 == 0 {
			b.Column("half").String(fmt.Appendf(nil, "%020d", rnd.Uint64()))
			b.Column("long").String(bytes.Repeat(fmt.Appendf(nil, "%016x", rnd.Uint64()), 5))
		}
	}
	return b
}

// Pages are copied where no other file's rows lie between theirs: the rows are the
// same, engines read them, and what is said of the values is as exact as before.
func TestPagesAreCopiedAndSaidTheSameOf(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 9))
	s := newShop(t)
	for i := range 4 {
		s.add(wide(rnd, i, 5000+rnd.IntN(7000)), rows.Layout{})
	}
	before := s.pages()
	res, _ := s.merge(merge.Options{GroupRows: 15_000})
	s.same()
	s.exact(res)
	copied := 0
	body, err := os.ReadFile(filepath.Join(s.dir, outPath))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range before {
		if bytes.Contains(body, p) {
			copied++
		}
	}
	t.Logf("%d of %d pages are copied", copied, len(before))
	if copied < len(before)/4 {
		t.Errorf("%d of %d pages are copied", copied, len(before))
	}
	// Once more: row groups are copied.
	s.mergeFrom(0, merge.Options{GroupRows: 15_000})
	res, _ = s.merge(merge.Options{GroupRows: 15_000})
	s.same()
	s.exact(res)
}

// pages returns the larger pages of the inputs, as they are in the files.
func (s *shop) pages() (out [][]byte) {
	s.t.Helper()
	for _, in := range s.files {
		f, err := datafile.Open(s.t.Context(), s.fs, in.Path, nil, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		all := make([]byte, f.Data)
		if _, err := f.ReadAt(all, 0); err != nil && !errors.Is(err, io.EOF) {
			s.t.Fatal(err)
		}
		f.Close()
		// A frame with a checksum starts a page.
		for _, frame := range bytes.Split(all, []byte{0x28, 0xB5, 0x2F, 0xFD}) {
			if len(frame) > 4<<10 {
				out = append(out, frame[:len(frame)-100])
			}
		}
	}
	return out
}

// exact compares what the footer of the output says of each column with its values,
// as PyArrow reads them, with the checksums of pages compared; and the number of NaN
// with those of the inputs.
func (s *shop) exact(res merge.Result) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), python(s.t), "-c", `
import math, sys
import pyarrow.parquet as pq, pyarrow.compute as pc
f = pq.ParquetFile(sys.argv[1], page_checksum_verification=True)
for g in range(f.metadata.num_row_groups):
    t = f.read_row_group(g)
    for i in range(f.metadata.num_columns):
        c = f.metadata.row_group(g).column(i)
        if "." in c.path_in_schema: continue
        v, st = t[c.path_in_schema], c.statistics
        if st.null_count != v.null_count: print(g, c.path_in_schema, "has", v.null_count, "nulls, says", st.null_count)
        nan = "double" in str(v.type) and pc.any(pc.is_nan(v)).as_py()
        if nan and st.has_min_max: print(g, c.path_in_schema, "has bounds beside NaN")
        if v.null_count == len(v) or nan or not st.has_min_max: continue
        m = pc.min_max(v).as_py()
        if (m["min"], m["max"]) != (st.min, st.max): print(g, c.path_in_schema, "has", m, "says", st.min, st.max)
        if c.path_in_schema in ("ts", "seq", "size", "took", "sparse", "id", "user") and not c.has_column_index: print(g, c.path_in_schema, "has no index")
`, filepath.Join(s.dir, outPath)).CombinedOutput()
	if err != nil || len(out) > 0 {
		s.t.Errorf("%v: %s", err, out)
	}
	nans := map[int]int64{}
	for _, in := range s.files {
		for _, c := range in.Stats.Columns {
			nans[c.ID] += c.NaNs
		}
	}
	for _, c := range res.Stats.Columns {
		name := s.name(c.ID)
		if c.NaNs != nans[c.ID] {
			s.t.Errorf("column %s: got %d NaN, want %d", name, c.NaNs, nans[c.ID])
		}
		if (name == "nan" || name == "odd") && (nans[c.ID] == 0 || len(c.Lower) == 0 || len(c.Upper) == 0) {
			s.t.Errorf("column %s has %d NaN and no bounds of its other values", name, c.NaNs)
		}
	}
}

func (s *shop) name(id int) string {
	for _, c := range s.cols {
		if c.ID == id {
			return c.Name
		}
	}
	return fmt.Sprint(id)
}

// A bit that flipped is found, wherever it is: no page is copied with it.
func TestNoFlippedBitIsCopied(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 9))
	s := newShop(t)
	for i := range 2 {
		s.add(wide(rnd, i, 5000), rows.Layout{})
	}
	m, err := merge.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := filepath.Join(s.dir, s.files[1].Path)
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		at := rnd.IntN(len(whole))
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << rnd.IntN(8)
		if err := os.Remove(p); err != nil { // it may be open
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := m.Merge(t.Context(), io.Discard, outPath, s.inputs(), merge.Options{Columns: s.cols})
		if in := (*merge.InputError)(nil); !errors.As(err, &in) || !errors.Is(err, datafile.ErrDamaged) || !strings.HasSuffix(p, in.Path) {
			t.Fatalf("byte %d is another: got %v, want an error of the file", at, err)
		}
	}
}
