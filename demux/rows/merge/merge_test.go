package merge_test

import (
	"bytes"
	"context"
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
		p := fmt.Sprintf("tables/x/data/h%d/%08d-in-%05d.parquet", h, len(s.files), n)
		w, err := s.fs.Create(ctx, p)
		return w, p, err
	}, s.cols, l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.files = append(s.files, files...)
}

func (s *shop) inputs() []merge.Input {
	var out []merge.Input
	for _, f := range s.files {
		out = append(out, merge.Input{Path: f.Path, MinTS: f.Stats.MinTS, Open: func(ctx context.Context) (*datafile.File, error) {
			return datafile.Open(ctx, s.fs, f.Path)
		}})
	}
	return out
}

const outPath = "tables/x/data/h0/00000001-out-00000.parquet"

// merge merges all files into one, and checks it against its footer and its inputs.
func (s *shop) merge(o merge.Options) (merge.Result, *datafile.File) {
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
	f, err := datafile.Open(s.t.Context(), s.fs, outPath)
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
	stream := fmt.Sprintf("s%d", no)
	ts := from
	ordered := rnd.IntN(2) == 0
	for i := range n {
		if i%50 == 0 {
			tags := map[string]string{"pod": fmt.Sprint("p", i%7), "i": fmt.Sprint(i)}
			if i%100 == 0 {
				tags = nil
			}
			stream = fmt.Sprintf("s%d-%d", no, i/1000)
			if i/50%7 == 3 {
				stream += "~1"
			}
			b.Origin("h", "/f", stream, tags)
			seq = int64(i) * 10
			b.Covers(i, chunk.Ranges{{First: seq, Last: seq + 10*int64(min(50, n-i))}})
		}
		if ordered {
			ts = from + span*int64(i)/int64(n)
		} else {
			ts = from + rnd.Int64N(span)
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
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 11))
			s := newShop(t)
			span := hour / []int64{1, 20, 600}[seed%3]
			for i := range 2 + rnd.IntN(8) {
				n := 1 + rnd.IntN(3000)
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
