package rows

import (
	"context"
	"fmt"
	"io"

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
		if b.out, err = newGather(b); err != nil {
			return nil, err
		}
	}
	g := b.out
	g.order, g.runOf = b.sort(g.order, g.runOf)
	g.spans.set(b)
	g.hashes = nil
	g.templates.forget()
	groups := g.cut(min(l.GroupRows, b.mostRows()))
	put, stop, err := g.putter(ctx, cols, groups)
	if err != nil {
		return nil, err
	}
	defer stop()
	for next := 0; next < len(groups); {
		hour := groups[next].hour
		out, path, err := create(ctx, hour, len(files))
		if err != nil {
			return files, err
		}
		files = append(files, File{Path: path, Hour: hour})
		f := &files[len(files)-1]
		if f.Stats, next, err = g.file(out, path, cols, groups, next, put, l); err != nil {
			return files, fmt.Errorf("write data file %s: %w", path, err)
		}
	}
	return files, nil
}

// maxPairs bounds the attributes of a row group, about: all are in memory at once while
// they are written.
const maxPairs = 1 << 20

// mostRows are the most rows that a row group may have for the attributes that rows have.
func (b *Builder) mostRows() int {
	return max(1, int(int64(maxPairs)*int64(b.Len())/int64(b.attrs.rows.len()+1)))
}

// rowGroup is a part of the order: the rows from first to before end, of one hour.
type rowGroup struct {
	hour       int64
	first, end int
}

// cut parts the rows into groups of about n.
func (g *gather) cut(n int) (groups []rowGroup) {
	ts := func(i int) int64 { return g.b.ts.at(int(g.order[i])) }
	for at := 0; at < len(g.order); {
		hour := Hour(ts(at))
		end := at
		for end < len(g.order) && Hour(ts(end)) == hour {
			end++
		}
		for at < end {
			last := min(at+n, end)
			for last < end && last-at < n+n/4 && ts(last) == ts(last-1) {
				last++
			}
			groups = append(groups, rowGroup{hour, at, last})
			at = last
		}
	}
	return groups
}

// file writes the row groups from next on, up to the end of their hour or until the
// file is large enough, and returns the group after its last.
func (g *gather) file(out io.WriteCloser, path string, cols []schema.Column, groups []rowGroup, next int, put func(i int) error, l Layout) (st schema.FileStats, after int, err error) {
	defer func() {
		if e := out.Close(); err == nil && e != nil {
			err = fmt.Errorf("close: %w", e)
		}
	}()
	ts := func(i int) int64 { return g.b.ts.at(int(g.order[i])) }
	first := groups[next].first
	g.w.Begin(out, cols)
	for more := true; more; next++ {
		if err := put(next); err != nil {
			return st, next, err
		}
		end := groups[next].end
		more = next+1 < len(groups) && groups[next+1].hour == groups[next].hour &&
			(g.w.Offset() < l.FileBytes || ts(end) == ts(end-1))
	}
	last := groups[next-1].end
	pairs, err := g.pairs(path, g.order[first:last])
	if err != nil {
		return st, next, err
	}
	st, err = g.w.End(pairs)
	st.MinTS, st.MaxTS = ts(first), ts(last-1)
	return st, next, err
}
