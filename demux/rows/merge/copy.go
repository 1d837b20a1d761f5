package merge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

// A row group is copied as it is where all of it goes before the rows of other
// inputs, and it has a good part of the rows that one should have; or a small part,
// where it follows one that was copied. One of a small part at least is ended before
// one that is copied.
const (
	goodPart  = 3
	smallPart = 30
)

// next returns the position of the input's first row that was not chosen yet.
func (in *input) next() position {
	p := in.at
	p.add(in, in.rows)
	return p
}

// left returns how many rows of its row group there are from a position on.
func (in *input) left(p position) int {
	return int(in.f.Meta.RowGroups[p.group].NumRows) - p.row
}

// copyable reports whether the input's row group at p can be copied, and its rows
// are next.
func (m *Merger) copyable(in *input, p position) bool {
	if p.row != 0 || in.f == nil {
		return false
	}
	rows := in.left(p)
	if rows < m.groupRows/smallPart || rows < m.groupRows/goodPart && (p.group == 0 || in.copied != p.group) {
		return false
	}
	g := &in.f.Meta.RowGroups[p.group]
	for i, at := range in.leaf {
		l := &m.leaves[i]
		if at < 0 {
			continue
		}
		c := &g.Columns[at]
		if !parquetfile.Copyable(c) || !l.isMap && in.types[at].required != l.col.Required ||
			l.bloom == parquetfile.WithBloom && c.MetaData.BloomFilterLength == 0 {
			return false
		}
	}
	last, ok := in.lastOf(p.group)
	if !ok || len(m.waiting) > 0 && m.waiting[0].MinTS <= last {
		return false
	}
	for i := 1; i < min(3, len(m.active)); i++ {
		if o := m.active[i]; compare(last, in.order, o.head(), o.order) > 0 {
			return false
		}
	}
	return true
}

// lastOf returns the greatest ts of a row group, as its footer says.
func (in *input) lastOf(group int) (ts int64, ok bool) {
	at := in.find(schema.TS)
	if at < 0 {
		return 0, false
	}
	v := in.f.Meta.RowGroups[group].Columns[at].MetaData.Statistics.MaxValue
	if len(v) != 8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(v)), true
}

// copyGroup copies the next row group of an input, none of whose rows were chosen,
// and returns its last ts.
func (m *Merger) copyGroup(ctx context.Context, in *input) (last int64, err error) {
	m.now = in
	g := &in.f.Meta.RowGroups[in.at.group]
	n := int(g.NumRows)
	m.w.BeginGroup()
	for i := range m.leaves {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if at := in.leaf[i]; at < 0 {
			m.nulls(&m.leaves[i], n)
		} else if err := m.w.CopyLeaf(in.f, &g.Columns[at], in.f.Data); err != nil {
			return 0, in.failed(err)
		}
	}
	if err := m.w.EndGroup(n); err != nil {
		return 0, fmt.Errorf("write row group: %w", err)
	}
	last, _ = in.lastOf(in.at.group)
	m.res.Rows += int64(n)
	in.copied = in.at.group + 1
	in.at.add(in, n)
	in.last = last
	if err := m.jump(in); err != nil {
		return 0, in.failed(err)
	}
	if in.ended {
		end := len(m.active) - 1
		m.active[0] = m.active[end]
		m.active = m.active[:end]
		m.close(in)
	}
	m.down(0)
	return last, nil
}

// nulls writes a leaf of n rows without a value.
func (m *Merger) nulls(l *leaf, n int) {
	t := m.w.Splice(l.bounded, false, l.bloom)
	t.Nulls(n)
	t.End()
}

// jump goes on with the times at the input's position.
func (m *Merger) jump(in *input) error {
	in.unread = 0
	for g := in.at.group; g < len(in.f.Meta.RowGroups); g++ {
		in.unread += in.f.Meta.RowGroups[g].NumRows
	}
	if in.at.row != 0 {
		return errors.New("a row group was copied in part")
	}
	ts := in.ts.leaf
	m.give(in.ts)
	in.ts = m.take(in, ts, schema.Timestamp, false)
	in.ts.group = in.at.group
	return m.fill(in)
}
