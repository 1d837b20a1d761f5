package rows

import (
	"context"
	"fmt"
	"io"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

const (
	defaultFileBytes = 128 << 20
	defaultGroupRows = 122880
	hourMicros       = 3600 * 1_000_000
)

// Hour is the hour since 1970 UTC that a time in microseconds lies in.
func Hour(ts int64) int64 {
	h := ts / hourMicros
	if ts%hourMicros < 0 {
		h--
	}
	return h
}

// WriteFiles writes all rows as Parquet files. cols are the table's columns
// with their ids, as schema.Plan gives them; those that the run does not have
// are null. Rows of equal ts are never parted: so the files of one hour do not
// overlap in ts. After an error the files begun so far are given with it: they
// are to be removed. The rows stay until Reset.
func (b *Builder) WriteFiles(ctx context.Context, create Create, cols []schema.Column, l Layout) (files []File, err error) {
	if l.FileBytes <= 0 {
		l.FileBytes = defaultFileBytes
	}
	if l.GroupRows <= 0 {
		l.GroupRows = defaultGroupRows
	}
	if len(b.faults) > 0 {
		b.flushFaults()
	}
	if b.out == nil {
		w, err := parquetfile.New()
		if err != nil {
			return nil, err
		}
		b.out = &gather{b: b, w: w}
	}
	g := b.out
	g.order, g.runOf = b.sort(g.order, g.runOf)
	g.spans.set(b)
	for at := 0; at < len(g.order); {
		hour := Hour(b.ts.at(int(g.order[at])))
		end := at
		for end < len(g.order) && Hour(b.ts.at(int(g.order[end]))) == hour {
			end++
		}
		for at < end {
			out, path, err := create(ctx, hour, len(files))
			if err != nil {
				return files, err
			}
			files = append(files, File{Path: path, Hour: hour})
			f := &files[len(files)-1]
			if f.Stats, at, err = g.file(ctx, out, path, cols, at, end, l); err != nil {
				return files, fmt.Errorf("write data file %s: %w", path, err)
			}
		}
	}
	return files, nil
}

// file writes the rows from at on, up to end or until the file is large
// enough, and gives the row after its last.
func (g *gather) file(ctx context.Context, out io.WriteCloser, path string, cols []schema.Column, at, end int, l Layout) (st schema.FileStats, next int, err error) {
	defer func() {
		if e := out.Close(); err == nil && e != nil {
			err = fmt.Errorf("close: %w", e)
		}
	}()
	ts := func(i int) int64 { return g.b.ts.at(int(g.order[i])) }
	first := at
	g.w.Begin(out, cols)
	for at < end {
		if err := ctx.Err(); err != nil {
			return st, at, err
		}
		n := min(l.GroupRows, end-at)
		for n < end-at && n < l.GroupRows+l.GroupRows/4 && ts(at+n) == ts(at+n-1) {
			n++
		}
		if err := g.group(cols, g.order[at:at+n]); err != nil {
			return st, at, err
		}
		at += n
		if g.w.Offset() >= l.FileBytes && at < end && ts(at) != ts(at-1) {
			break
		}
	}
	pairs, err := g.pairs(path, g.order[first:at])
	if err != nil {
		return st, at, err
	}
	st, err = g.w.End(pairs)
	st.MinTS, st.MaxTS = ts(first), ts(at-1)
	return st, at, err
}
