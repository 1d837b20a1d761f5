// Package merge makes one data file of several: their rows, sorted by ts.
//
// It goes column by column and decodes no row: the order of the rows follows from
// the ts columns alone, as runs of rows of one input; each column is then read and
// written in that order, page by page. Pages of plain strings that fall into one
// run are copied as they are. So memory depends on how many inputs overlap in
// time, and not on how many there are or how large they are.
package merge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

// Input is a data file that is to be merged.
type Input struct {
	Path string
	// MinTS is not after its first row, in microseconds. It is opened only when
	// its turn comes, and closed when it was read.
	MinTS int64
	Size  int64 // bytes
	// Open opens it, and reads it into memory of its size, if there is any.
	Open func(ctx context.Context, memory []byte) (*datafile.File, error)
}

// InputError says which input could not be merged, and why: ErrDamaged in most
// cases, else an error of the store.
type InputError struct {
	Path string
	Err  error
}

func (e *InputError) Error() string { return "merge: " + e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// ErrRanges says that the ranges are too many for a footer.
var ErrRanges = errors.New("the ranges of streams are too many for one file")

// ErrProgram says that the program is at fault, and no file.
var ErrProgram = errors.New("a fault of the program")

// Options of a Merge.
type Options struct {
	// Columns are the table's, with their ids. What an input has beyond them is
	// dropped, what it lacks is null.
	Columns []schema.Column
	// Ranges are what the rows cover; nil says nothing.
	Ranges coverage.Set
	// Bloom names columns that get bloom filters whatever is in them. Others of
	// strings get them where their values are many and short.
	Bloom []string
	// GroupRows is how many rows a row group has; 0 means 122880.
	GroupRows int
}

// Result is what a Merge did.
type Result struct {
	Stats schema.FileStats
	Rows  int64           // of the inputs
	Sum   datafile.RowSum // of the inputs, as they say it; or as Sum gives it
}

const defaultGroupRows = 122880

// Merger merges files, one merge after the other, in memory that it keeps. It is
// not safe for concurrent use.
type Merger struct {
	w     *parquetfile.Writer
	dec   *parquetfile.Decoder
	free  []*cursor
	kept  int      // bytes of cursors that inputs keep
	held  int64    // bytes of inputs that are in memory whole
	spare [][]byte // memory for them
	now   *input

	cols      []schema.Column
	leaves    []leaf
	waiting   []*input // by MinTS
	active    []*input // a heap by the ts of the next row
	group     []*input // with rows in the row group
	runs      []run
	ts        []uint64
	nums      []uint64
	hashes    []uint64
	def       []byte
	groupRows int
	leafNo    int // counts the leaves that were written
	res       Result
}

// New makes a Merger.
func New() (*Merger, error) {
	w, err := parquetfile.New()
	if err != nil {
		return nil, err
	}
	w.Indexes = true
	dec, err := parquetfile.NewDecoder()
	if err != nil {
		return nil, err
	}
	w.Decoder = dec
	return &Merger{w: w, dec: dec}, nil
}

// Close frees what the Merger holds.
func (m *Merger) Close() { m.dec.Close() }

// leaf is a column of the output, or a map's keys or values.
type leaf struct {
	col     *schema.Column
	id      int
	isMap   bool
	bounded bool
	bloom   parquetfile.Bloom
}

func leavesOf(cols []schema.Column, bloom []string) []leaf {
	var out []leaf
	for i := range cols {
		c := &cols[i]
		if c.Type == schema.Map {
			out = append(out, leaf{col: c, id: c.KeyID, isMap: true}, leaf{col: c, id: c.ValueID, isMap: true})
			continue
		}
		l := leaf{col: c, id: c.ID, bounded: true}
		if c.Type == schema.String {
			l.bloom = parquetfile.AutoBloom
		}
		if c.Name == schema.Message || c.Name == schema.ParseError { // texts that nobody orders by
			l.bounded, l.bloom = false, parquetfile.NoBloom
		}
		if slices.Contains(bloom, c.Name) {
			l.bloom = parquetfile.WithBloom
		}
		out = append(out, l)
	}
	return out
}

// maxRangesBytes bounds what a footer says of its file's ranges: readers load it
// whole.
const maxRangesBytes = 4 << 20

// Merge writes the rows of all inputs to out, as the data file of that path. An
// input that can't be merged is an InputError.
func (m *Merger) Merge(ctx context.Context, out io.Writer, path string, inputs []Input, o Options) (res Result, err error) {
	defer m.reset()
	defer func() {
		if r := recover(); r != nil {
			err = m.panicked(r)
		}
	}()
	pairs := []parquetfile.Pair{{Key: datafile.KeyFile, Value: datafile.Name(path)}}
	if o.Ranges != nil {
		b, err := o.Ranges.Encode()
		if err != nil {
			return res, fmt.Errorf("describe ranges: %w", err)
		}
		if len(b) > maxRangesBytes {
			return res, ErrRanges
		}
		pairs = append(pairs, parquetfile.Pair{Key: datafile.KeyRanges, Value: base64.StdEncoding.EncodeToString(b)})
	}
	m.cols, m.leaves, m.res = o.Columns, leavesOf(o.Columns, o.Bloom), Result{}
	for i := range inputs {
		m.waiting = append(m.waiting, &input{Input: inputs[i], order: i})
	}
	slices.SortStableFunc(m.waiting, func(a, b *input) int { return compare(a.MinTS, a.order, b.MinTS, b.order) })
	if m.groupRows = o.GroupRows; m.groupRows <= 0 {
		m.groupRows = defaultGroupRows
	}
	m.w.Begin(out, o.Columns)
	first, last := int64(0), int64(0)
	for {
		if err := m.choose(ctx); err != nil {
			return res, err
		}
		if len(m.active) > 0 && m.res.Rows == 0 && len(m.ts) == 0 {
			first = m.active[0].head()
		}
		if len(m.ts) == 0 {
			if len(m.active) == 0 {
				break
			}
			if last, err = m.copyGroup(ctx, m.active[0]); err != nil {
				return res, err
			}
			continue
		}
		if m.res.Rows == 0 {
			first = int64(m.ts[0])
		}
		last = int64(m.ts[len(m.ts)-1])
		m.res.Rows += int64(len(m.ts))
		if err := m.write(ctx); err != nil {
			return res, err
		}
	}
	pairs = append(pairs, parquetfile.Pair{Key: datafile.KeyRows, Value: m.res.Sum.String()})
	if m.res.Stats, err = m.w.End(pairs); err != nil {
		return res, fmt.Errorf("write data file %s: %w", path, err)
	}
	m.res.Stats.MinTS, m.res.Stats.MaxTS = first, last
	return m.res, nil
}

// panicked says who is to blame for a panic: decoders trust their input, which has
// no checksums where an older version wrote it. Else it is a fault of the program,
// which leaves all files as they are.
func (m *Merger) panicked(r any) error {
	if in := m.now; in != nil && in.f != nil && !in.f.Sealed {
		return in.failed(fmt.Errorf("%v", r))
	}
	return fmt.Errorf("merge: %w: %v\n%s", ErrProgram, r, debug.Stack())
}

// reset closes what is open.
func (m *Merger) reset() {
	for _, list := range [][]*input{m.active, m.group} {
		for _, in := range list {
			m.close(in)
		}
	}
	m.held = 0
	m.waiting, m.active, m.group, m.now = nil, nil, nil, nil
}

// write writes the row group whose order was chosen.
func (m *Merger) write(ctx context.Context) error {
	m.w.BeginGroup()
	for i := range m.leaves {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.leafNo++
		if err := m.leaf(i); err != nil {
			return err
		}
	}
	if err := m.w.EndGroup(len(m.ts)); err != nil {
		return fmt.Errorf("write row group: %w", err)
	}
	for _, in := range m.group {
		in.at.add(in, in.rows)
		in.rows = 0
		if in.ended {
			m.close(in)
		}
	}
	m.group = m.group[:0]
	return nil
}

// leaf writes the i-th leaf of the row group.
func (m *Merger) leaf(i int) error {
	l := &m.leaves[i]
	t := m.w.Splice(l.bounded, m.plain(i), l.bloom)
	for _, r := range m.runs {
		c, err := m.cursor(r.in, i)
		if err == nil {
			err = c.give(t, r.rows)
		}
		if err != nil {
			return r.in.failed(err)
		}
	}
	m.leave(i)
	t.End()
	return nil
}

// plain reports whether most rows of the i-th leaf are of inputs that have no
// dictionary of it, in pages of a size that can be copied.
func (m *Merger) plain(i int) bool {
	plain := 0
	for _, in := range m.group {
		if at := in.leaf[i]; at >= 0 {
			c := &in.f.Meta.RowGroups[in.at.group].Columns[at].MetaData
			switch {
			case c.DictionaryPageOffset != 0:
				plain -= in.rows
			case parquetfile.Spacious(c):
				plain += in.rows
			}
		}
	}
	return plain > 0
}

// Sum returns a checksum of the (stream, seq) of a file's rows that does not
// depend on their order.
func (m *Merger) Sum(ctx context.Context, path string, f *datafile.File) (sum datafile.RowSum, err error) {
	in := &input{Input: Input{Path: path}, f: f}
	m.now = in
	defer func() {
		if r := recover(); r != nil {
			err = m.panicked(r)
		}
		m.now = nil
	}()
	return m.sum(ctx, in)
}

func (m *Merger) sum(ctx context.Context, in *input) (sum datafile.RowSum, err error) {
	stream, seq := in.find(schema.Stream), in.find(schema.Seq)
	if stream < 0 || seq < 0 {
		return 0, in.failed(errors.New("it has no stream and seq"))
	}
	a, b := m.take(in, stream, schema.String, false), m.take(in, seq, schema.Long, false)
	defer m.give(a)
	defer m.give(b)
	for g := range in.f.Meta.RowGroups {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		for left := int(in.f.Meta.RowGroups[g].NumRows); left > 0; {
			n := min(left, 8192)
			left -= n
			if m.hashes, err = a.hashes(m.hashes[:0], n); err == nil {
				m.nums, m.def, err = b.numbers(m.nums[:0], m.def[:0], n)
			}
			if err != nil || len(m.nums) != n {
				return 0, in.failed(cmpErr(err, "rows are without seq"))
			}
			for i, h := range m.hashes {
				sum.Add(h, m.nums[i])
			}
		}
	}
	return sum, nil
}

func cmpErr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}
