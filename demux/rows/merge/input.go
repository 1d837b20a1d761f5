package merge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/schema"
)

// input is an Input while it is merged.
type input struct {
	Input
	order  int // rows of one ts go by it
	f      *datafile.File
	memory []byte // that holds all of it; or nil
	types  []leafType
	leaf   []int // of the file, for each leaf of the output; -1 where it has none

	ts     *cursor
	times  []uint64 // of the rows that were not chosen yet
	buffer []uint64 // of times
	unread int64    // rows behind them
	last   int64    // the ts that was chosen last
	ended  bool     // all rows were chosen

	at     position // of the row group that is being written
	rows   int      // in it
	kept   map[int]*cursor
	copied int // the row group behind the last one that was copied; 0 for none
}

func (in *input) head() int64 { return int64(in.times[0]) }

// failed blames the input for an error.
func (in *input) failed(err error) error {
	if e := (*InputError)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if in.f != nil {
		err = in.f.Undecoded(err)
	}
	return &InputError{in.Path, err}
}

// position is a row of a file.
type position struct{ group, row int }

// add goes on by so many rows.
func (p *position) add(in *input, rows int) {
	p.row += rows
	for groups := in.f.Meta.RowGroups; p.group < len(groups) && int64(p.row) >= groups[p.group].NumRows; p.group++ {
		p.row -= int(groups[p.group].NumRows)
	}
}

// start opens the input's file and takes its first times.
func (m *Merger) start(ctx context.Context, in *input) error {
	m.now = in
	var err error
	in.memory = m.hold(in.Size)
	if in.f, err = in.Open(ctx, in.memory); err != nil {
		m.release(in)
		return &InputError{in.Path, err}
	}
	if err := m.begin(ctx, in); err != nil {
		m.close(in)
		return in.failed(err)
	}
	return nil
}

func (m *Merger) begin(ctx context.Context, in *input) error {
	groups := in.f.Meta.RowGroups
	types := in.leaves()
	in.kept, in.last = map[int]*cursor{}, math.MinInt64
	for g := range groups {
		if len(groups[g].Columns) != len(types) || groups[g].NumRows < 0 || groups[g].NumRows > math.MaxInt32 {
			return fmt.Errorf("row group %d has %d columns and %d rows, the schema has %d columns",
				g, len(groups[g].Columns), groups[g].NumRows, len(types))
		}
		in.unread += groups[g].NumRows
	}
	if in.unread != in.f.Stats.Records {
		return fmt.Errorf("its row groups have %d rows, its footer says %d", in.unread, in.f.Stats.Records)
	}
	in.at.add(in, 0) // over empty groups
	byID := map[int]int{}
	for i, t := range types {
		byID[t.id] = i
	}
	in.leaf = in.leaf[:0]
	for i := range m.leaves {
		l := &m.leaves[i]
		at, ok := byID[l.id]
		if !ok {
			at = -1
		} else if t := types[at]; t.isMap != l.isMap || !l.isMap && t.typ != l.col.Type {
			return fmt.Errorf("column %s is a %v, in the table a %v", l.col.Name, t.typ, l.col.Type)
		}
		in.leaf = append(in.leaf, at)
	}
	sum := in.f.Rows
	if !in.f.Summed {
		var err error
		if sum, err = m.sum(ctx, in); err != nil {
			return err
		}
	}
	m.res.Sum += sum
	ts := in.find(schema.TS)
	if ts < 0 {
		return errors.New("it has no column ts")
	}
	in.ts = m.take(in, ts, schema.Timestamp, false)
	return m.fill(in)
}

// find returns the file's leaf that is the column of that name, or -1.
func (in *input) find(name string) int {
	if len(in.f.Meta.RowGroups) == 0 {
		return -1
	}
	for i := range in.f.Meta.RowGroups[0].Columns {
		if p := in.f.Meta.RowGroups[0].Columns[i].MetaData.PathInSchema; len(p) == 1 && p[0] == name {
			return i
		}
	}
	return -1
}

// leafType is what a file's schema says of a leaf.
type leafType struct {
	id       int
	typ      schema.Type
	isMap    bool
	required bool
}

func (in *input) leaves() []leafType {
	if in.types != nil {
		return in.types
	}
	var out []leafType
	for _, c := range in.f.Columns {
		if c.Type == schema.Map {
			out = append(out, leafType{c.KeyID, schema.String, true, true}, leafType{c.ValueID, schema.String, true, false})
		} else {
			out = append(out, leafType{c.ID, c.Type, false, c.Required})
		}
	}
	in.types = out
	return out
}

// close closes an input's file and gives back what it keeps.
func (m *Merger) close(in *input) {
	for _, c := range in.kept {
		m.kept -= c.size
		m.give(c)
	}
	in.kept = nil
	if in.ts != nil {
		m.give(in.ts)
		in.ts = nil
	}
	if in.f != nil && !in.closed() {
		in.f.Close()
		in.at.group = math.MaxInt
		m.release(in)
	}
}

// hold returns memory for a file of that size, or nil where that would be too much.
func (m *Merger) hold(size int64) []byte {
	if size > heldBytes/8 || m.held+size > heldBytes {
		return nil
	}
	m.held += size
	for i, b := range m.spare {
		if int64(cap(b)) >= size {
			m.spare = slices.Delete(m.spare, i, i+1)
			return b[:size]
		}
	}
	return make([]byte, size, size+size/4)
}

// release takes the memory of a file back.
func (m *Merger) release(in *input) {
	if in.memory == nil {
		return
	}
	m.held -= in.Size
	if len(m.spare) < spareBuffers && cap(in.memory) <= spareBytes {
		m.spare = append(m.spare, in.memory)
	}
	in.memory = nil
}

func (in *input) closed() bool { return in.at.group == math.MaxInt }

const (
	// heldBytes bounds the inputs that are in memory whole: each is read once, and in
	// one piece.
	heldBytes = 64 << 20
	// spareBuffers, of so many bytes at most, are kept for the files to come.
	spareBuffers, spareBytes = 16, 4 << 20
	// keptBytes bounds the pages that are kept decoded for the next row group,
	// which would be decoded again else.
	keptBytes = 96 << 20
	// freeCursors are kept with their memory.
	freeCursors = 64
)

// take returns a cursor over a leaf of the input's file, from its position on.
func (m *Merger) take(in *input, leaf int, typ schema.Type, isMap bool) *cursor {
	var c *cursor
	if n := len(m.free); n > 0 {
		c, m.free = m.free[n-1], m.free[:n-1]
	} else {
		c = &cursor{}
	}
	c.start(m, in, leaf, typ, isMap)
	return c
}

func (m *Merger) give(c *cursor) {
	c.in = nil
	if len(m.free) < freeCursors && c.memory() < 16<<20 {
		m.free = append(m.free, c)
	}
}

// cursor returns the input's cursor over the i-th leaf of the output.
func (m *Merger) cursor(in *input, i int) (*cursor, error) {
	m.now = in
	if c := in.kept[i]; c != nil {
		return c, nil
	}
	l := &m.leaves[i]
	typ := l.col.Type
	if l.isMap {
		typ = schema.String
	}
	c := m.take(in, in.leaf[i], typ, l.isMap)
	in.kept[i] = c
	c.size = 0
	if c.leaf < 0 {
		return c, nil
	}
	return c, c.seek(in.at)
}

// leave decides which cursors over a leaf are kept until the next row group: those
// that stand within a page, as long as there is room.
func (m *Merger) leave(i int) {
	for _, in := range m.group {
		c := in.kept[i]
		if c == nil {
			continue
		}
		m.kept -= c.size
		c.size = c.memory()
		if c.leaf >= 0 && !in.ended && c.within() && m.kept+c.size <= keptBytes {
			m.kept += c.size
			continue
		}
		c.size = 0
		delete(in.kept, i)
		m.give(c)
	}
}
