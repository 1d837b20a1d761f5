package rows_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

// Files say what their rows cover: each byte that was kept, once.
func TestFilesTellWhatTheirRowsCover(t *testing.T) {
	p, err := parse.New(parse.MustSpec("json"), parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	line := func(hour int) string { return `{"ts":"2026-03-01T1` + strconv.Itoa(hour) + `:00:00Z"}` + "\n" }
	l := int64(len(line(0)))
	for name, tt := range map[string]struct {
		body  string
		first int64
		keep  chunk.Ranges
		want  []chunk.Ranges // of each file, by hour
	}{
		"one hour":               {line(0) + line(0), 100, nil, []chunk.Ranges{{{First: 100, Last: 100 + 2*l}}}},
		"blank lines":            {"\n" + line(0) + "\n\n" + line(0) + "\n", 0, nil, []chunk.Ranges{{{First: 0, Last: 2*l + 4}}}},
		"hours in turn":          {line(0) + line(1) + line(0), 0, nil, []chunk.Ranges{{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}, {{First: l, Last: 2 * l}}}},
		"parts":                  {line(0) + line(0) + line(0), 0, chunk.Ranges{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}, []chunk.Ranges{{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}}},
		"a part of a record":     {line(0) + line(0), 0, chunk.Ranges{{First: 5, Last: 2 * l}}, []chunk.Ranges{{{First: l, Last: 2 * l}}, {{First: 5, Last: l}}}},
		"a part without records": {line(0) + "\n\n" + line(0), 0, chunk.Ranges{{First: l, Last: l + 2}, {First: l + 2, Last: 2*l + 2}}, []chunk.Ranges{{{First: l, Last: 2*l + 2}}}},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := local.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			c := chunk.Chunk{Host: "h", Source: "/f", Stream: "s", First: tt.first, Last: tt.first + int64(len(tt.body)), Body: []byte(tt.body)}
			c.Time = c.Time.AddDate(2025, 2, 1)
			b := rows.NewBuilder(rows.Options{})
			if err := p.Parse(t.Context(), &c, tt.keep, b); err != nil {
				t.Fatal(err)
			}
			keep := tt.keep
			if keep == nil {
				keep = chunk.Ranges{c.Range()}
			}
			b.Covers(0, keep)
			got, err := b.WriteFiles(t.Context(), func(ctx context.Context, _ int64, n int) (io.WriteCloser, string, error) {
				p := "x/run-" + strconv.Itoa(n) + ".parquet"
				w, err := files.Create(ctx, p)
				return w, p, err
			}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
			if err != nil || len(got) != len(tt.want) {
				t.Fatalf("%d files, want %d; error: %v", len(got), len(tt.want), err)
			}
			for i, f := range got {
				info, err := datafile.Verify(t.Context(), files, f.Path)
				if err != nil {
					t.Fatal(err)
				}
				st := info.Ranges["s"]
				if st == nil || st.Host != "h" || st.Source != "/f" || !slices.Equal(st.Ranges, tt.want[i]) {
					t.Errorf("file %d covers %+v, want %v", i, st, tt.want[i])
				}
				if info.Stats.Records != f.Stats.Records || info.Stats.Size != f.Stats.Size || info.Stats.MinTS != f.Stats.MinTS || info.Stats.MaxTS != f.Stats.MaxTS {
					t.Errorf("file %d tells %+v, was written with %+v", i, info.Stats, f.Stats)
				}
			}
		})
	}
}

// Whatever the chunks, their order, what of them is kept and where their rows
// go: files cover what was kept, each byte in one file, and each row's first
// byte in its own.
func TestFilesCoverWhatWasKept(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range 200 {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		name := []string{"json", "raw", "log4j", "cri"}[rnd.IntN(4)]
		p, err := parse.New(parse.MustSpec(name), parse.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := rows.NewBuilder(rows.Options{})
		kept := map[string]chunk.Ranges{}
		for _, c := range someChunks(rnd, name) {
			keep := someKeep(rnd, c.Range())
			from := b.Len()
			if err := p.Parse(t.Context(), &c, keep, b); err != nil {
				t.Fatal(err)
			}
			b.Covers(from, keep)
			kept[c.Stream] = kept[c.Stream].AddAll(keep)
		}
		l := rows.Layout{}
		if rnd.IntN(2) == 0 {
			l = rows.Layout{FileBytes: 1, GroupRows: 1 + rnd.IntN(100)} // many files of an hour
		}
		var mem []*file
		create := func(context.Context, int64, int) (io.WriteCloser, string, error) {
			mem = append(mem, new(file))
			return mem[len(mem)-1], "ts_hour=x/run-" + strconv.Itoa(len(mem)-1) + ".parquet", nil
		}
		files, err := b.WriteFiles(t.Context(), create, schema.Plan(nil, b.Columns(), 0), l)
		if err != nil {
			t.Fatal(err)
		}
		covered := map[string]chunk.Ranges{}
		for i, f := range files {
			info, err := datafile.Verify(t.Context(), mem[i], f.Path)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for id, st := range info.Ranges {
				if st.Host != "h" || st.Source != "/"+id {
					t.Errorf("round %d: stream %s is of %s, %s", round, id, st.Host, st.Source)
				}
				sum := covered[id].Len() + st.Ranges.Len()
				if covered[id] = covered[id].AddAll(st.Ranges); covered[id].Len() != sum {
					t.Errorf("round %d: two files cover the same of stream %s", round, id)
				}
			}
			read, err := rowstest.Read(mem[i].Bytes())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range read {
				seq, err := strconv.ParseInt(row["seq"], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				st := info.Ranges[row["stream"]]
				if st == nil || st.Ranges.Covered(chunk.Range{First: seq, Last: seq + 1}).Len() != 1 {
					t.Fatalf("round %d: file %d does not cover its row at %d of stream %s", round, i, seq, row["stream"])
				}
			}
		}
		if len(files) > 0 && !maps.EqualFunc(covered, kept, slices.Equal) {
			t.Fatalf("round %d, %s: files cover %v, kept was %v", round, name, covered, kept)
		}
	}
}

// someChunks makes chunks of three streams in turn, with blank lines, records of
// several lines and times in several hours, ascending or not.
func someChunks(rnd *rand.Rand, format string) []chunk.Chunk {
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := map[string]int64{}
	hours := 1 + rnd.IntN(5)
	var out []chunk.Chunk
	for range 1 + rnd.IntN(30) {
		stream := []string{"s", "s~1", "t"}[rnd.IntN(3)]
		var body []byte
		for range 1 + rnd.IntN(20) {
			when := start.Add(time.Duration(rnd.Int64N(int64(hours) * int64(time.Hour))))
			switch {
			case rnd.IntN(5) == 0:
				body = append(body, "\n"...)
			case format == "json":
				body = fmt.Appendf(body, `{"ts":%q,"n":%d}`+"\n", when.Format(time.RFC3339), rnd.IntN(100))
			case format == "log4j":
				body = fmt.Appendf(body, "%s INFO a.B: hello\n\tat c.D\n", when.Format("2006-01-02 15:04:05,000"))
			case format == "cri":
				body = fmt.Appendf(body, "%s stdout %s hello\n", when.Format(time.RFC3339Nano), []string{"P", "F"}[rnd.IntN(2)])
			default:
				body = append(body, "hello\n"...)
			}
		}
		first := at[stream] + rnd.Int64N(2)*rnd.Int64N(100) // with holes between
		at[stream] = first + int64(len(body))
		c := chunk.Chunk{Host: "h", Source: "/" + stream, Stream: stream, First: first, Last: at[stream], Body: body, Time: start.Add(24 * time.Hour)}
		if rnd.IntN(4) == 0 {
			c.Tags = map[string]string{"pod": "x"}
		}
		out = append(out, c)
	}
	rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] }) // as collectors may publish them
	return out
}

// someKeep returns all of r, or parts of it.
func someKeep(rnd *rand.Rand, r chunk.Range) chunk.Ranges {
	keep := chunk.Ranges{r}
	if rnd.IntN(2) == 0 {
		return keep
	}
	for range 1 + rnd.IntN(4) {
		first := r.First + rnd.Int64N(r.Len())
		keep = keep.Remove(chunk.Range{First: first, Last: first + rnd.Int64N(r.Last-first)})
	}
	return keep
}

// file is a data file in memory, and the store that has it.
type file struct {
	store.FS
	bytes.Buffer
}

func (*file) Close() error { return nil }

func (f *file) Open(context.Context, string) (store.Reader, error) {
	return reader{bytes.NewReader(f.Bytes())}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }
