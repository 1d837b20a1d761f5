package rows

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
)

type memFile struct {
	bytes.Buffer
	hour   int64
	closed int
}

func (m *memFile) Close() error { m.closed++; return nil }

// writeAll writes b's rows into memory.
func writeAll(t testing.TB, b *Builder, cols []schema.Column, l Layout) ([]File, []*memFile) {
	t.Helper()
	var mem []*memFile
	files, err := b.WriteFiles(context.Background(), func(_ context.Context, hour int64, n int) (io.WriteCloser, string, error) {
		if n != len(mem) {
			t.Errorf("file number: got %d, want %d", n, len(mem))
		}
		f := &memFile{hour: hour}
		mem = append(mem, f)
		return f, fmt.Sprintf("f%d.parquet", n), nil
	}, cols, l)
	if err != nil {
		t.Fatalf("write files: %v", err)
	}
	for i, m := range mem {
		if m.closed != 1 {
			t.Errorf("file %d was closed %d times, want once", i, m.closed)
		}
		if got, want := files[i].Stats.Size, int64(m.Len()); got != want {
			t.Errorf("file %d: stats say %d bytes, it has %d", i, got, want)
		}
	}
	return files, mem
}

func read(t testing.TB, m *memFile) []map[string]string {
	t.Helper()
	out, err := rowstest.Read(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func plan(b *Builder) []schema.Column { return schema.Plan(nil, b.Columns(), 0) }

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	b := NewBuilder(Options{})
	b.Origin("h1", "/a", "s1", map[string]string{"pod": "x", "zone": "eu"})
	b.Row(2_000_000, 10)
	b.SetLevel(Warn)
	b.Message([]byte("second"))
	b.Column("n").Long(7)
	b.Column("f").Double(1.5, []byte("1.5"))
	b.Column("ok").Bool(true)
	b.Column("name").String([]byte("anna"))
	b.Attr("k", []byte("v"))
	b.Attr("k", []byte("w"))
	b.Origin("h2", "/b", "s2", nil)
	b.Row(1_000_000, 0)
	b.Fail("broken")
	b.Message([]byte("a\xffb\\"))
	cols := plan(b)
	files, mem := writeAll(t, b, cols, Layout{})
	if len(mem) != 1 {
		t.Fatalf("got %d files, want 1", len(mem))
	}
	got := read(t, mem[0])
	if len(got) != 2 {
		t.Fatalf("got %d rows, want 2", len(got))
	}
	for i, want := range []map[string]string{
		{"ts": "1000000", "host": "h2", "source": "/b", "stream": "s2", "seq": "0", "message": `a\xffb\\`,
			"parse_error": `broken; message is not UTF-8: its bytes that are none stand as \xNN, its backslashes doubled`,
			"level":       "<null>", "n": "<null>"},
		{"ts": "2000000", "host": "h1", "level": "WARN", "n": "7", "f": "1.5", "ok": "true", "name": "anna", "parse_error": "<null>",
			"attributes": "k=v k#2=w ", "tags": "pod=x zone=eu "},
	} {
		for k, v := range want {
			if s := got[i][k]; s != v {
				t.Errorf("row %d, %s: got %s, want %s", i, k, s, v)
			}
		}
	}
	st := files[0].Stats
	if st.Records != 2 || st.MinTS != 1_000_000 || st.MaxTS != 2_000_000 || b.Failed() != 1 {
		t.Errorf("stats: got %+v and %d failed", st, b.Failed())
	}
	n := st.Columns[slices.IndexFunc(st.Columns, func(c schema.ColumnStats) bool { return c.ID == cols[schema.Find(cols, "n")].ID })]
	if n.Values != 2 || n.Nulls != 1 || !bytes.Equal(n.Lower, schema.LongBound(7)) || !bytes.Equal(n.Upper, schema.LongBound(7)) {
		t.Errorf("statistics of n: got %+v", n)
	}
}

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// A table may have columns whose names are folded alike, from before they were:
// what is in one does not go to the other, nor does the other's type stop the run.
func TestColumnsThatAreFoldedAlikeKeepTheirOwn(t *testing.T) {
	for _, names := range [][2]string{{"s", "\u017f"}, {"\u017f", "s"}} {
		cols := schema.Plan(nil, nil, 0)
		for i, n := range names {
			cols = append(cols, schema.Column{ID: 100 + i, Name: n, Type: [...]schema.Type{schema.Long, schema.String}[i]})
		}
		b := NewBuilder(Options{Existing: cols})
		b.Origin("h", "/s", "x", nil)
		b.Row(0, 0)
		b.Column(names[0]).Long(7)
		if b.Column(names[1]) != nil {
			t.Errorf("%q has a column beside %q", names[1], names[0])
		}
		b.Attr(names[1], []byte("v"))
		_, mem := writeAll(t, b, schema.Plan(cols, b.Columns(), 101), Layout{})
		got := read(t, mem[0])[0]
		if got[names[0]] != "7" || got[names[1]] != "<null>" || got["attributes"] != names[1]+"=v " {
			t.Errorf("%q: got %v", names, got)
		}
	}
}

func TestEveryLeafCarriesItsFieldID(t *testing.T) {
	b := NewBuilder(Options{})
	b.Origin("h", "s", "x", nil)
	b.Row(0, 0)
	b.Column("n").Long(1)
	cols := plan(b)
	_, mem := writeAll(t, b, cols, Layout{})
	f, err := parquet.OpenFile(bytes.NewReader(mem[0].Bytes()), int64(mem[0].Len()))
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		if id := c.ID(); id != 0 {
			got = append(got, id)
		}
		for _, k := range c.Columns() {
			walk(k)
		}
	}
	walk(f.Root())
	var want []int
	for _, c := range cols {
		want = append(want, c.ID)
		if c.Type == schema.Map {
			want = append(want, c.KeyID, c.ValueID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("field ids: got %v, want %v", got, want)
	}
}

func TestFilesAreSortedAndDoNotOverlap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	b := NewBuilder(Options{})
	const n = 20000
	type key struct {
		ts, seq int64
		stream  string
	}
	var want []key
	for i := range n {
		if i%100 == 0 {
			b.Origin("h", "/x", fmt.Sprintf("s%d", rnd.IntN(5)), nil)
		}
		k := key{rnd.Int64N(3*hourMicros/1000) * 1000, int64(i), string(b.origins.get(int(b.runs[len(b.runs)-1].stream)))}
		if i%3 == 0 {
			k.ts = 5_000_000_000 // many rows of one time
		}
		b.Row(k.ts-hourMicros, k.seq)
		b.Column("n").Long(k.seq)
		if i%7 == 0 {
			b.Column("sparse").String(fmt.Appendf(nil, "v%d", i))
		}
		k.ts -= hourMicros
		want = append(want, k)
	}
	slices.SortFunc(want, func(x, y key) int {
		if x.ts != y.ts {
			return int(x.ts - y.ts)
		}
		if c := strings.Compare(x.stream, y.stream); c != 0 {
			return c
		}
		return int(x.seq - y.seq)
	})
	files, mem := writeAll(t, b, plan(b), Layout{FileBytes: 8 << 10, GroupRows: 500})
	if len(files) < 6 {
		t.Errorf("got %d files, want several an hour", len(files))
	}
	at := 0
	for i, m := range mem {
		if i > 0 && files[i].Stats.MinTS <= files[i-1].Stats.MaxTS {
			t.Errorf("file %d starts at %d, the one before ends at %d", i, files[i].Stats.MinTS, files[i-1].Stats.MaxTS)
		}
		for _, row := range read(t, m) {
			w := want[at]
			at++
			got := key{atoi(row["ts"]), atoi(row["seq"]), row["stream"]}
			if got != w || atoi(row["n"]) != w.seq || Hour(got.ts) != files[i].Hour {
				t.Fatalf("row %d in hour %d: got %+v and n %v, want %+v", at, files[i].Hour, got, row["n"], w)
			}
			wantSparse := "<null>"
			if w.seq%7 == 0 {
				wantSparse = fmt.Sprintf("v%d", w.seq)
			}
			if s := row["sparse"]; s != wantSparse {
				t.Fatalf("row %d: sparse is %s, want %s", at, s, wantSparse)
			}
		}
	}
	if at != n {
		t.Errorf("got %d rows, want %d", at, n)
	}
}

func TestColumnsAreBounded(t *testing.T) {
	b := NewBuilder(Options{MaxColumns: 12})
	b.Origin("h", "s", "x", nil)
	b.Row(0, 0)
	for i := range 5 {
		if c := b.Column(fmt.Sprint("c", i)); (c != nil) != (i < 2) {
			t.Errorf("column %d beside ten common ones, of 12: got %v", i, c)
		} else if c != nil {
			c.Long(1)
		}
	}
	if got := len(b.Columns()); got != 2 {
		t.Errorf("got %d columns, want 2", got)
	}
}

func TestResetStartsAnew(t *testing.T) {
	b := NewBuilder(Options{})
	for range 3 {
		b.Reset()
		b.Origin("h", "s", "x", nil)
		for i := range 3000 {
			b.Row(int64(i), int64(i))
			b.Message(fmt.Appendf(nil, "m%d", i))
			b.Column("c").String(fmt.Appendf(nil, "v%d", i%5))
		}
		_, mem := writeAll(t, b, plan(b), Layout{})
		for i, r := range read(t, mem[0]) {
			if m, c := r["message"], r["c"]; m != fmt.Sprint("m", i) || c != fmt.Sprint("v", i%5) {
				t.Fatalf("row %d: got %s and %s", i, m, c)
			}
		}
	}
}

func TestAFailingFileIsReported(t *testing.T) {
	b := NewBuilder(Options{})
	b.Origin("h", "s", "x", nil)
	b.Row(0, 0)
	files, err := b.WriteFiles(context.Background(), func(context.Context, int64, int) (io.WriteCloser, string, error) {
		return failing{}, "p", nil
	}, plan(b), Layout{})
	if err == nil || !strings.Contains(err.Error(), "p: disk full") || len(files) != 1 {
		t.Errorf("got %v and %v, want the disk's error and the file that was begun", files, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }
func (failing) Close() error              { return nil }

func TestManyOriginsAndTags(t *testing.T) {
	b := NewBuilder(Options{})
	for i := range 300 {
		b.Origin("h", fmt.Sprint("/f", i), fmt.Sprint("s", i), map[string]string{"n": strconv.Itoa(i), fmt.Sprint("k", i): "v"})
		b.Row(int64(1000-i), 0)
		b.Attr("a", fmt.Appendf(nil, "%d", i))
	}
	_, mem := writeAll(t, b, plan(b), Layout{GroupRows: 100})
	for i, r := range read(t, mem[0]) {
		n := 299 - i
		want := fmt.Sprintf("k%d=v n=%d ", n, n)
		if r["stream"] != fmt.Sprint("s", n) || r["source"] != fmt.Sprint("/f", n) || r["tags"] != want || r["attributes"] != fmt.Sprintf("a=%d ", n) {
			t.Fatalf("row %d: got %v, want those of origin %d", i, r, n)
		}
	}
}

func TestBytesStartAnewAfterReset(t *testing.T) {
	b := NewBuilder(Options{})
	fill := func() int64 {
		b.Origin("h", "s", "x", nil)
		for i := range 50000 {
			b.Row(int64(i), int64(i))
			b.Message(fmt.Appendf(nil, "a message that is not like the others: %d", i))
		}
		return b.Bytes()
	}
	first := fill()
	b.Reset()
	if got := b.Bytes(); got > 1<<20 {
		t.Errorf("an empty builder says that it takes %d bytes", got)
	}
	if again := fill(); again != first || first < 50000*60 || first > 50000*120 {
		t.Errorf("the same rows take %d bytes first and %d after a Reset, want the same, some 80 a row", first, again)
	}
}

func TestLongStringsTakeSeveralPages(t *testing.T) {
	b := NewBuilder(Options{})
	b.Origin("h", "s", "x", nil)
	const n = 4000
	text := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", i%1500)) }
	for i := range n {
		b.Row(int64(i), int64(i))
		if i%3 > 0 {
			b.Message([]byte(text(i)))
			b.Attr("k", []byte(text(i)))
			b.Attr("l", []byte(text(i)))
		}
	}
	_, mem := writeAll(t, b, plan(b), Layout{})
	for i, r := range read(t, mem[0]) {
		msg, attrs := rowstest.Null, ""
		if i%3 > 0 {
			msg, attrs = text(i), "k="+text(i)+" l="+text(i)+" "
		}
		if r["message"] != msg || r["attributes"] != attrs {
			t.Fatalf("row %d: got %.40q and %.40q", i, r["message"], r["attributes"])
		}
	}
}
