package demux

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

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

// sample takes the first rows of a file, and those that begin at the same bytes of
// the first files that would be written. It is for a look alone: what can't be
// read is not shown.
func (r *redoRun) sample(ctx context.Context, rep *Redone) {
	f, err := r.fs.Open(ctx, r.files[0].Path)
	if err != nil {
		return
	}
	defer f.Close()
	rep.Before = sampleRows(f, f.Size(), func(n int, _ SampleRow) (take, more bool) { return true, n+1 < maxSamples })
	begins := map[string]bool{}
	for _, row := range rep.Before {
		begins[beginOf(row)] = true
	}
	for _, data := range r.trial {
		rep.After = append(rep.After, sampleRows(bytes.NewReader(data), int64(len(data)), func(n int, row SampleRow) (take, more bool) {
			return begins[beginOf(row)], n < maxSampled && len(rep.After) < len(rep.Before)
		})...)
	}
	rep.After = rep.After[:min(len(rep.After), maxSamples)]
}

func beginOf(row SampleRow) string { return row[schema.Stream] + " " + row[schema.Seq] }

// sampleRows reads the rows of a data file that choose takes, until it says that
// there is no more to look for.
func sampleRows(from io.ReaderAt, size int64, choose func(n int, row SampleRow) (take, more bool)) (out []SampleRow) {
	f, err := parquet.OpenFile(from, size)
	if err != nil {
		return nil
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
			switch p := paths[v.Column()]; {
			case v.IsNull():
			case len(p) == 1 && p[0] == schema.TS:
				row[p[0]] = time.UnixMicro(v.Int64()).UTC().Format(time.RFC3339Nano)
			case len(p) == 1 && v.Kind() == parquet.Int64:
				row[p[0]] = strconv.FormatInt(v.Int64(), 10)
			case len(p) == 1:
				row[p[0]] = v.String()
			case p[len(p)-1] == "key":
				key = v.String()
			default:
				row[p[0]+"."+key] = v.String()
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
