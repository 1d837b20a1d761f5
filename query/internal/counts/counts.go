// Package counts counts the rows of Parquet files by spans of time and by texts,
// without a row of them being made: of a row group within one span nothing is
// decoded for its times, and texts are counted as numbers in a dictionary.
package counts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/query/internal/groups"
)

// ErrUnfit means that files are of a kind which is not counted here, or that there are
// too many counts.
var ErrUnfit = errors.New("the rows can't be counted without reading them")

// Query is what is counted.
type Query struct {
	TS      int   // field id of the column ts
	Width   int64 // microseconds; 0: all times count as one
	From    int64 // microseconds: only rows with From <= ts < To
	To      int64
	Columns []int // field ids of columns of texts
	Threads int
}

// File is a file on the local disk, of which row groups are counted that have a ts from
// First to Last, in microseconds, both inclusive.
type File struct {
	Path        string
	First, Last int64
}

// Count is a number of rows of one span and one combination of texts.
type Count struct {
	TS    int64 // one of theirs, in microseconds
	Texts []int // one for each column, by its number in Tally.Texts; None for null
	Rows  int64
}

// None stands for no text.
const None = -1

// Tally is the outcome.
type Tally struct {
	Counts []Count
	Texts  [][]string // of each column
	// Groups is how many row groups there were, Whole in how many of them all rows
	// were known by their bounds to be in one span.
	Groups, Whole int
}

const (
	maxColumns = 3
	maxCounts  = 200_000
	// maxCombined bounds the combinations of texts of a row group, maxTexts those of a
	// column, maxRows the rows of a row group.
	maxCombined = 1 << 16
	maxTexts    = 1 << 16
	maxRows     = 1 << 20
	// maxTextBytes bounds the texts of all columns, which stand in a statement, in
	// bytes; maxFiles the files, which are open at the same time.
	maxTextBytes = 16 << 20
	maxFiles     = 1024
)

// key is a span and the texts of a count.
type key struct {
	span  int64
	texts [maxColumns]int32
}

type value struct{ ts, rows int64 }

// tally is what all threads count together.
type tally struct {
	Query
	whole  atomic.Int64
	mu     sync.Mutex
	counts map[key]value
	known  []map[string]int32
	texts  [][]string
	bytes  int // of texts
}

// Read counts the rows of files. Other errors than of the context
// and of files that are not there are ErrUnfit.
func Read(ctx context.Context, list []File, q Query) (Tally, error) {
	if len(q.Columns) > maxColumns || len(list) > maxFiles {
		return Tally{}, ErrUnfit
	}
	t := &tally{Query: q, counts: map[key]value{}, texts: make([][]string, len(q.Columns))}
	for range q.Columns {
		t.known = append(t.known, map[string]int32{})
	}
	var jobs []job
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, l := range list {
		if err := ctx.Err(); err != nil {
			return Tally{}, err
		}
		f, err := os.Open(l.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return Tally{}, fmt.Errorf("count rows: %w", err)
		}
		if err != nil {
			return Tally{}, fmt.Errorf("%w: %w", ErrUnfit, err)
		}
		files = append(files, f)
		more, err := t.jobs(f, l.First, l.Last)
		if err != nil {
			return Tally{}, err
		}
		jobs = append(jobs, more...)
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(max(1, q.Threads), len(jobs)) {
		g.Go(func() error {
			w := worker{tally: t}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.guarded(jobs[i]); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return Tally{}, err
	}
	out := t.result()
	out.Groups, out.Whole = len(jobs), int(t.whole.Load())
	return out, nil
}

func (t *tally) result() Tally {
	out := Tally{Texts: t.texts}
	for k, v := range t.counts {
		c := Count{TS: v.ts, Rows: v.rows}
		for i := range t.Columns {
			c.Texts = append(c.Texts, int(k.texts[i]))
		}
		out.Counts = append(out.Counts, c)
	}
	slices.SortFunc(out.Counts, func(a, b Count) int { return cmp.Or(cmp.Compare(a.TS, b.TS), slices.Compare(a.Texts, b.Texts)) })
	return out
}

// job is a row group.
type job struct {
	ts       parquet.ColumnChunk
	columns  []parquet.ColumnChunk // nil: the file is older than that column
	rows     int64
	min, max int64 // of ts
}

// jobs returns the row groups of a file that have rows within the query's times.
func (t *tally) jobs(f *os.File, first, last int64) (out []job, err error) {
	defer func() {
		if r := recover(); r != nil { // the decoders trust their input
			err = fmt.Errorf("%w: %v", ErrUnfit, r)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	p, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	leaves := groups.Leaves(p.Metadata().Schema)
	ts := slices.Index(leaves, t.TS)
	if ts < 0 || t.TS == 0 {
		return nil, ErrUnfit
	}
	for i, g := range p.RowGroups() {
		if g.NumRows() == 0 {
			continue
		}
		chunks := g.ColumnChunks()
		j := job{ts: chunks[ts], rows: g.NumRows(), columns: make([]parquet.ColumnChunk, len(t.Columns))}
		m := &p.Metadata().RowGroups[i].Columns[ts].MetaData
		var ok bool
		if j.min, j.max, ok = groups.Bounds(m); !ok || j.min < 0 || j.rows > maxRows || m.Statistics.NullCount > 0 {
			return nil, ErrUnfit // before 1970 spans begin elsewhere
		}
		if j.max < max(t.From, first) || j.min >= t.To || j.min > last {
			continue
		}
		for c, id := range t.Columns {
			if at := slices.Index(leaves, id); at >= 0 {
				j.columns[c] = chunks[at]
			}
		}
		out = append(out, j)
	}
	return out, nil
}

const readBytes = 256 << 10
