package merge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/merge"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

const (
	start = int64(1_772_359_200_000_000)
	hour  = int64(3600 * 1_000_000)
)

// shop is a store with data files as the demux writes them.
type shop struct {
	t     testing.TB
	fs    store.FS
	dir   string
	cols  []schema.Column
	files []rows.File
	n     int // files that were ever added
}

func newShop(t testing.TB) *shop {
	dir := t.TempDir()
	fs, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t: t, fs: fs, dir: dir, cols: schema.Plan(nil, nil, 0)}
}

// add writes the builder's rows as files of the table.
func (s *shop) add(b *rows.Builder, l rows.Layout) {
	s.t.Helper()
	most := 0
	for _, c := range s.cols {
		most = max(most, c.ID, c.KeyID, c.ValueID)
	}
	s.cols = schema.Plan(s.cols, b.Columns(), most)
	files, err := b.WriteFiles(s.t.Context(), func(ctx context.Context, h int64, n int) (io.WriteCloser, string, error) {
		p := fmt.Sprintf("tables/x/data/h%d/%08d-in-%05d.parquet", h, s.n, n)
		w, err := s.fs.Create(ctx, p)
		return w, p, err
	}, s.cols, l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.files = append(s.files, files...)
	s.n += len(files)
}

func (s *shop) inputs() []merge.Input {
	var out []merge.Input
	for _, f := range s.files {
		out = append(out, merge.Input{Path: f.Path, MinTS: f.Stats.MinTS, Size: f.Stats.Size, Open: func(ctx context.Context, memory []byte) (*datafile.File, error) {
			return datafile.Open(ctx, s.fs, f.Path, nil, memory)
		}})
	}
	return out
}

// outPath is where all is merged to.
const outPath = "tables/x/data/h0/00000001-out-00000.parquet"

// merge merges all files into one, and checks it against its footer and its inputs.
func (s *shop) merge(o merge.Options) (merge.Result, *datafile.File) {
	s.t.Helper()
	return s.mergeTo(outPath, o)
}

func (s *shop) mergeTo(outPath string, o merge.Options) (merge.Result, *datafile.File) {
	s.t.Helper()
	m, err := merge.New()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(m.Close)
	o.Columns = s.cols
	if o.Ranges == nil {
		o.Ranges = s.ranges()
	}
	if err := s.fs.Remove(s.t.Context(), outPath); err != nil {
		s.t.Fatal(err)
	}
	w, err := s.fs.Create(s.t.Context(), outPath)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := m.Merge(s.t.Context(), w, outPath, s.inputs(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	f, err := datafile.Open(s.t.Context(), s.fs, outPath, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(f.Close)
	sum, err := m.Sum(s.t.Context(), outPath, f)
	if err != nil || sum != res.Sum {
		s.t.Errorf("sum of the output: got %x and %v, want %x", sum, err, res.Sum)
	}
	if f.Stats.Records != res.Rows || res.Stats.Records != res.Rows || f.Stats.MinTS != res.Stats.MinTS || f.Stats.MaxTS != res.Stats.MaxTS {
		s.t.Errorf("rows: got %d, the stats say %d, the inputs have %d; ts from %d to %d, the stats say %d to %d", f.Stats.Records,
			res.Stats.Records, res.Rows, f.Stats.MinTS, f.Stats.MaxTS, res.Stats.MinTS, res.Stats.MaxTS)
	}
	return res, f
}

func (s *shop) ranges() coverage.Set {
	set := coverage.Set{}
	for _, f := range s.files {
		info, err := datafile.Read(s.t.Context(), s.fs, f.Path)
		if err != nil {
			s.t.Fatal(err)
		}
		set.Merge(info.Ranges)
	}
	return set
}

// ask runs SQL in DuckDB, which is not ours, and returns what each statement gives:
// the texts of its rows' columns. The inputs are "a", the output is "b".
func (s *shop) ask(statements ...string) [][][]string {
	s.t.Helper()
	var paths []string
	for _, f := range s.files {
		paths = append(paths, filepath.Join(s.dir, f.Path))
	}
	in, err := json.Marshal(map[string]any{"a": paths, "b": filepath.Join(s.dir, outPath), "sql": statements})
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), python(s.t), "-c", `
import duckdb, json, sys
q = json.load(sys.stdin)
db = duckdb.connect(config={"threads": 2})
db.execute("SET enable_progress_bar = false") # it would go to stdout
db.execute("SET enable_progress_bar = false")
text = lambda p: "'" + p.replace("'", "''") + "'"
db.execute("CREATE VIEW a AS FROM read_parquet([" + ", ".join(map(text, q["a"])) + "], union_by_name = true)")
db.execute("CREATE VIEW b AS FROM read_parquet(" + text(q["b"]) + ")")
json.dump([[[str(v) for v in row] for row in db.execute(s.replace("$b", text(q["b"]))).fetchall()] for s in q["sql"]], sys.stdout)
`)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("duckdb: %v", err)
	}
	var got [][][]string
	if err := json.Unmarshal(out, &got); err != nil {
		s.t.Fatal(err)
	}
	return got
}

// python finds an interpreter with DuckDB.
func python(t testing.TB) string {
	t.Helper()
	for _, p := range []string{os.Getenv("AKUPARA_PYTHON"), "../../../.tools/venv/bin/python"} {
		if p != "" && exec.Command(p, "-c", "import duckdb").Run() == nil {
			return p
		}
	}
	t.Skip("no Python with duckdb: `make readers` installs one in .tools/venv")
	return ""
}

// same compares inputs and output, as multisets of rows, in DuckDB.
func (s *shop) same() {
	s.t.Helper()
	var cols []string
	for _, c := range s.cols {
		name := `"` + strings.ReplaceAll(c.Name, `"`, `""`) + `"`
		if c.Type == schema.Map {
			name += "::varchar AS " + name
		}
		cols = append(cols, name)
	}
	list := strings.Join(cols, ", ")
	queries := []string{
		"SELECT count(*) FROM (SELECT " + list + " FROM a EXCEPT ALL SELECT " + list + " FROM b)",
		"SELECT count(*) FROM (SELECT " + list + " FROM b EXCEPT ALL SELECT " + list + " FROM a)",
		"SELECT count(*) FROM (SELECT ts, lag(ts) OVER (ORDER BY file_row_number) AS before FROM read_parquet($b, file_row_number = true)) WHERE ts < before",
	}
	for i, rows := range s.ask(queries...) {
		if rows[0][0] != "0" {
			s.t.Errorf("%s rows differ: %s", rows[0][0], queries[i])
		}
	}
}

// mergeFrom merges what was added from the n-th file on into one, which takes its place.
func (s *shop) mergeFrom(n int, o merge.Options) {
	s.t.Helper()
	all := s.files
	s.files = all[n:]
	path := fmt.Sprintf("tables/x/data/h1/%08d-part-00000.parquet", s.n)
	res, f := s.mergeTo(path, o)
	f.Close()
	s.files = append(all[:n:n], rows.File{Path: path, Stats: res.Stats})
}

// messy fills a builder with rows of all types: columns that are full, sparse or
// missing, that repeat or don't, long texts, maps, nulls, NaN.
func messy(rnd *rand.Rand, n, no int, from, span int64) *rows.Builder {
	b := rows.NewBuilder(rows.Options{})
	has := func(name string) bool { return rnd.IntN(3) > 0 || name == "n" }
	var cols []string
	for _, c := range []string{"n", "few", "uniq", "f", "word", "ok", "big", "late"} {
		if has(c) {
			cols = append(cols, c)
		}
	}
	seq := int64(0)
	ordered := rnd.IntN(2) == 0
	for i := range n {
		if i%50 == 0 {
			tags := map[string]string{"pod": fmt.Sprint("p", i%7), "i": fmt.Sprint(i)}
			if i%100 == 0 {
				tags = nil
			}
			stream := fmt.Sprintf("s%d-%d", no, i/1000)
			if i/50%7 == 3 {
				stream += "~1"
			}
			b.Origin("h", "/f", stream, tags)
			seq = int64(i) * 10
			b.Covers(i, chunk.Ranges{{First: seq, Last: seq + 10*int64(min(50, n-i))}})
		}
		ts := from + rnd.Int64N(span)
		if ordered {
			ts = from + span*int64(i)/int64(n)
		}
		b.Row(ts, seq)
		seq += 10
		for _, c := range cols {
			switch c {
			case "n":
				b.Column(c).Long(rnd.Int64() - math.MaxInt64/2)
			case "few":
				b.Column(c).Long(rnd.Int64N(5))
			case "uniq":
				if i%11 > 0 {
					b.Column(c).String(fmt.Appendf(nil, "%032x", rnd.Uint64()))
				}
			case "f":
				if i%3 == 0 {
					f := float64(i) / 4
					if i%30 == 0 {
						f = math.NaN()
					}
					b.Column(c).Double(f, nil)
				}
			case "word":
				b.Column(c).String(fmt.Appendf(nil, "w%d", rnd.IntN(20+no)))
			case "ok":
				if i%5 == 0 {
					b.Column(c).Bool(i%2 == 0)
				}
			case "big":
				if i%40 == 0 {
					b.Column(c).String(bytes.Repeat([]byte("0123456789"), rnd.IntN(500)))
				}
			case "late":
				if i > n/2 {
					b.Column(c).String(fmt.Appendf(nil, "é%d", i))
				}
			}
		}
		if i%5 == 0 {
			b.Attr("x", fmt.Append(nil, i))
			b.Attr("y", nil)
		}
		if i%4 > 0 {
			b.SetLevel(rows.Level(1 + i%6))
		}
		if i%9 == 0 {
			b.Fail("broken")
		}
		b.Message([]byte(strings.Repeat("long ", rnd.IntN(60)) + fmt.Sprint(i)))
	}
	return b
}

func TestRowsAreTheSameAfterAMerge(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 11))
			s := newShop(t)
			span := hour / []int64{1, 20, 600}[seed%3]
			for i := range 2 + rnd.IntN(8) {
				n := 1 + rnd.IntN(1500)
				if rnd.IntN(5) == 0 {
					n *= 5
				}
				from := start + rnd.Int64N(hour-span+1)
				s.add(messy(rnd, n, i, from, span), rows.Layout{FileBytes: int64(1+rnd.IntN(300)) << 10, GroupRows: 500 + rnd.IntN(4000)})
			}
			res, f := s.merge(merge.Options{GroupRows: []int{0, 700, 5000}[seed%3], Bloom: []string{"n"}})
			s.same()
			if got, want := f.Ranges, s.ranges(); !sameRanges(got, want) {
				t.Errorf("ranges: got %v, want %v", got, want)
			}
			nulls := map[int]int64{}
			for _, in := range s.files {
				for _, c := range in.Stats.Columns {
					nulls[c.ID] += c.Nulls
				}
			}
			for _, c := range res.Stats.Columns {
				i := slices.IndexFunc(f.Stats.Columns, func(x schema.ColumnStats) bool { return x.ID == c.ID })
				if got := f.Stats.Columns[i]; got.Nulls != c.Nulls || got.Values != c.Values {
					t.Errorf("column %d: the footer says %d of %d are null, the stats %d of %d", c.ID, got.Nulls, got.Values, c.Nulls, c.Values)
				}
			}
		})
	}
}

// What was merged is merged again: row groups are copied where nothing lies between
// their rows, and the rows stay the same.
func TestRowsAreTheSameAfterMergesOfMerges(t *testing.T) {
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 12))
		s := newShop(t)
		const span = hour / 10
		o := merge.Options{GroupRows: 600}
		for i := range 5 {
			n := len(s.files)
			for k := range 3 {
				s.add(messy(rnd, 1+rnd.IntN(1500), 10*i+k, start+int64(i)*span, span), rows.Layout{})
			}
			s.mergeFrom(n, o)
		}
		if seed > 0 { // it lies across some
			s.add(messy(rnd, 300, 99, start+span/2, 2*span), rows.Layout{})
		}
		groups := 0
		before := map[string][]int64{} // bytes of row groups
		for _, f := range s.files {
			info, err := datafile.Open(t.Context(), s.fs, f.Path, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range info.Meta.RowGroups {
				groups++
				before[fmt.Sprint(g.NumRows, g.TotalCompressedSize)] = nil
			}
			info.Close()
		}
		res, f := s.merge(o)
		copied := 0
		for _, g := range f.Meta.RowGroups {
			if _, ok := before[fmt.Sprint(g.NumRows, g.TotalCompressedSize)]; ok {
				copied++
			}
		}
		t.Logf("%d row groups become %d, of which %d are the same; %d rows", groups, len(f.Meta.RowGroups), copied, res.Rows)
		if copied < groups/4 {
			t.Errorf("of %d row groups %d were copied", groups, copied)
		}
		s.same()
	}
}

// emptyFilters writes the output anew, for DuckDB, with filters of zeros.
func (s *shop) emptyFilters(f *datafile.File) {
	s.t.Helper()
	p := filepath.Join(s.dir, outPath)
	b, err := os.ReadFile(p)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, g := range f.Meta.RowGroups {
		for _, c := range g.Columns {
			if m := c.MetaData; m.BloomFilterLength > 0 {
				bits := int64(m.BloomFilterLength) / 32 * 32
				clear(b[m.BloomFilterOffset+int64(m.BloomFilterLength)-bits:][:bits])
			}
		}
	}
	if err := os.Remove(p); err != nil { // it is open
		s.t.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Engines find the filters and leave out row groups by them; all of what is there
// is found by each filter.
func TestOthersUseTheBloomFilters(t *testing.T) {
	s := newShop(t)
	const files, n = 4, 3000
	for i := range files {
		b := rows.NewBuilder(rows.Options{})
		b.Origin("h", "/f", fmt.Sprint("s", i), nil)
		for k := range n {
			b.Row(start+int64(i*n+k)*1000, int64(k))
			b.Message(fmt.Appendf(nil, "message %d", k))
			b.Column("trace").String(fmt.Appendf(nil, "%x", md5.Sum(fmt.Append(nil, i, k))))
			b.Column("user").String(fmt.Appendf(nil, "user-%d", (i*n+k)%2000))
			b.Column("word").String(fmt.Appendf(nil, "w%d", k%20))
			b.Column("num").Long(int64(i*n + k))
		}
		s.add(b, rows.Layout{})
	}
	for _, again := range []bool{false, true} {
		_, f := s.merge(merge.Options{Bloom: []string{"num"}, GroupRows: n})
		has := map[string]int{}
		sizes := int64(0)
		for _, g := range f.Meta.RowGroups {
			for _, c := range g.Columns {
				if m := c.MetaData; m.BloomFilterLength > 0 {
					has[m.PathInSchema[0]]++
					sizes += int64(m.BloomFilterLength)
				}
				if c.OffsetIndexLength == 0 {
					t.Errorf("column %v has no offset index", c.MetaData.PathInSchema)
				}
			}
		}
		if len(has) != 3 || has["trace"] != files || has["user"] != files || has["num"] != files || sizes > int64(files*(2*n+2000)*2) {
			t.Errorf("row groups with filters: got %v of %d bytes together, want those of trace, user and num", has, sizes)
		}
		needle := fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, 2, 77)))
		got := s.ask(
			"SELECT count(*) FROM b WHERE trace IN (SELECT trace FROM a)",
			"SELECT seq FROM b WHERE trace = '"+needle+"'",
			"SELECT count(*) FROM b WHERE num = 7",
		)
		if fmt.Sprint(got) != fmt.Sprintf("[[[%d]] [[77]] [[1]]]", files*n) {
			t.Errorf("got %v", got)
		}
		// DuckDB tells by parquet_bloom_probe whether filters exclude a value, but looks
		// at another column where maps are before it. That it believes them shows when
		// they say that nothing is there.
		s.emptyFilters(f)
		got = s.ask("SELECT count(*) FROM b WHERE trace = '"+needle+"'", "SELECT count(*) FROM b WHERE num = 7", "SELECT count(*) FROM b WHERE num % 100000 = 7")
		if fmt.Sprint(got) != "[[[0]] [[0]] [[1]]]" {
			t.Errorf("with empty filters: got %v", got)
		}
		pf, err := parquet.OpenFile(f, f.Stats.Size)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range pf.RowGroups() {
			leaf, _ := pf.Schema().Lookup("trace")
			filter := g.ColumnChunks()[leaf.ColumnIndex].BloomFilter()
			for k := range n {
				if ok, err := filter.Check(parquet.ByteArrayValue(fmt.Appendf(nil, "%x", md5.Sum(fmt.Append(nil, i, k))))); err != nil || !ok {
					t.Fatalf("row %d of file %d is not in the filter: %v", k, i, err)
				}
			}
		}
		if again {
			break
		}
		// Once more, from what was merged: row groups are copied with their filters.
		s.mergeFrom(0, merge.Options{Bloom: []string{"num"}, GroupRows: n})
	}
}

func sameRanges(a, b coverage.Set) bool {
	if len(a) != len(b) {
		return false
	}
	for id, st := range a {
		if b[id] == nil || !slices.Equal(st.Ranges, b[id].Ranges) {
			return false
		}
	}
	return true
}
