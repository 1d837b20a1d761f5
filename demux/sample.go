package demux

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// SampleRow is a row for people to look at: texts by column, without nulls.
type SampleRow map[string]string

// maxSamples is how many rows a dry run shows, and maxSampled how many it looks
// through for their likes.
const (
	maxSamples = 3
	maxSampled = 1 << 20
)

// begin is where a row begins.
type begin struct{ stream, seq string }

func beginOf(row SampleRow) begin { return begin{row[schema.Stream], row[schema.Seq]} }

// samples are the first rows of a file that is redone, and those that begin at the
// same bytes of the files that would be written. They are for a look alone: what
// can't be read is not shown.
type samples struct {
	columns       map[int]schema.Column // of the table, by their ids
	before, after []SampleRow
	begins        map[begin]bool
}

// sampled reads the first rows of the first file.
func (r *redoRun) sampled(ctx context.Context) *samples {
	s := &samples{columns: map[int]schema.Column{}, begins: map[begin]bool{}}
	s.know(r.table.Columns())
	f, err := r.fs.Open(ctx, r.files[0].Path)
	if err != nil {
		return s
	}
	defer f.Close()
	s.before = s.read(f, f.Size(), func(n int, _ SampleRow) (take, more bool) { return true, n+1 < maxSamples })
	for _, row := range s.before {
		s.begins[beginOf(row)] = true
	}
	return s
}

func (s *samples) know(columns []schema.Column) {
	for _, c := range columns {
		s.columns[c.ID] = c
	}
}

// hours returns the hours of the rows that are looked for, in whose files they will be.
func (s *samples) hours(b *rows.Builder) map[int64]bool {
	out := map[int64]bool{}
	if s == nil || len(s.after) == len(s.before) {
		return out
	}
	for look := b.Look(); look.Next(); {
		_, _, stream := look.Origin()
		if s.begins[begin{string(stream), strconv.FormatInt(look.Seq(), 10)}] {
			out[rows.Hour(look.TS())] = true
		}
	}
	return out
}

// take looks for rows in a file that would be written.
func (s *samples) take(data []byte) {
	s.after = append(s.after, s.read(bytes.NewReader(data), int64(len(data)), func(n int, row SampleRow) (take, more bool) {
		return s.begins[beginOf(row)], n < maxSampled
	})...)
}

// read reads the rows of a data file that choose takes, until it says that there is no
// more to look for. Columns have the names that they have in the table.
func (s *samples) read(from io.ReaderAt, size int64, choose func(n int, row SampleRow) (take, more bool)) (out []SampleRow) {
	f, err := parquet.OpenFile(from, size)
	if err != nil {
		return nil
	}
	ids := map[string]int{}
	for _, c := range f.Root().Columns() {
		ids[c.Name()] = c.ID()
	}
	paths := f.Schema().Columns()
	in := parquet.NewReader(f)
	defer in.Close()
	buf := make([]parquet.Row, 1)
	for n := 0; ; n++ {
		if got, _ := in.ReadRows(buf); got == 0 {
			return out
		}
		row := SampleRow{}
		key := ""
		for _, v := range buf[0] {
			p := paths[v.Column()]
			c, there := s.columns[ids[p[0]]]
			switch {
			case v.IsNull(), !there: // it was dropped
			case len(p) == 1:
				row[c.Name] = sampleText(c.Type, v)
			case p[len(p)-1] == "key":
				key = v.String()
			default:
				row[c.Name+"."+key] = v.String()
			}
		}
		take, more := choose(n, row)
		if take {
			out = append(out, row)
		}
		if !more {
			return out
		}
	}
}

func sampleText(t schema.Type, v parquet.Value) string {
	switch t {
	case schema.Timestamp:
		return time.UnixMicro(v.Int64()).UTC().Format(time.RFC3339Nano)
	case schema.Date:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
	}
	return v.String()
}
