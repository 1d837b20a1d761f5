package rows

import (
	"math"
	"slices"

	"github.com/akupara/akupara/demux/schema"
)

// At returns the time of the i-th row, in microseconds, and its seq. The last
// row's time may still change.
func (b *Builder) At(i int) (ts, seq int64) { return b.ts.at(i), b.seq.at(i) }

// Begun returns the columns whose types came of the values so far, to go on with in
// other Options.
func (b *Builder) Begun() (out []schema.Column) {
	for _, c := range b.own {
		if c.typ != 0 && !c.fixed {
			out = append(out, schema.Column{Name: c.name, Type: c.typ})
		}
	}
	return out
}

// Value is what a row has in a column. Its type is that of the column as far as the
// rows have come.
type Value struct {
	Type  schema.Type // 0: the row has none
	Bytes []byte      // of a String, valid until the Builder's next change
	bits  uint64
}

// Given reports whether the row has a value.
func (v Value) Given() bool { return v.Type != 0 }

// Long returns a Long, a Timestamp in microseconds or a Date in days.
func (v Value) Long() int64 { return int64(v.bits) }

// Double returns a Double.
func (v Value) Double() float64 { return math.Float64frombits(v.bits) }

// Bool returns a Boolean.
func (v Value) Bool() bool { return v.bits != 0 }

// Look goes through a Builder's rows in the order in which they were added. It is
// void once the Builder changes.
type Look struct {
	b                   *Builder
	row                 int
	message, parseError place
	own                 []place
	pairs               int // of attributes, those of the rows before
	run                 int
}

// place is how far a Look is in a column.
type place struct {
	c *Column
	n int // values of the rows before
}

// Look begins before the first row.
func (b *Builder) Look() *Look {
	if len(b.faults) > 0 {
		b.flushFaults()
	}
	l := &Look{b: b, row: -1, message: place{c: b.message}, parseError: place{c: b.parseError}}
	for _, c := range b.own {
		if c.typ != 0 {
			l.own = append(l.own, place{c: c})
		}
	}
	slices.SortStableFunc(l.own, func(x, y place) int { return x.c.order - y.c.order })
	return l
}

// Next goes on to the next row, and reports whether there is one.
func (l *Look) Next() bool {
	a := &l.b.attrs
	for l.row >= 0 && l.pairs < a.rows.len() && int(a.rows.at(l.pairs)) <= l.row {
		l.pairs++
	}
	l.row++
	return l.row < l.b.Len()
}

// TS is the row's time, in microseconds.
func (l *Look) TS() int64 { return l.b.ts.at(l.row) }

// Seq is the row's offset in its stream.
func (l *Look) Seq() int64 { return l.b.seq.at(l.row) }

// Level is the row's level.
func (l *Look) Level() Level { return l.b.level.at(l.row) }

// Message is the row's message.
func (l *Look) Message() Value { return l.message.value(l.row) }

// ParseError is why the row could not be parsed.
func (l *Look) ParseError() Value { return l.parseError.value(l.row) }

// Own calls do with each own column, in the order of Columns, and the row's value.
func (l *Look) Own(do func(name string, v Value)) {
	for i := range l.own {
		p := &l.own[i]
		do(p.c.name, l.value(p))
	}
}

// value returns the value of the row in a column; of one that is made of messages, it is
// made.
func (l *Look) value(p *place) Value {
	t := &l.b.templated
	if p.c != t.text && p.c != t.id {
		return p.value(l.row)
	}
	m := l.message.value(l.row)
	if !m.Given() || t.make.None(m.Bytes) {
		return Value{}
	}
	text := t.make.Append(nil, m.Bytes)
	if p.c == t.id {
		id := t.make.ID(text)
		text = id[:]
	}
	return Value{Type: schema.String, Bytes: text}
}

// Attributes calls do with each pair that fits no column.
func (l *Look) Attributes(do func(key, val []byte)) {
	a := &l.b.attrs
	for i := l.pairs; i < a.rows.len() && int(a.rows.at(i)) == l.row; i++ {
		do(a.keys.get(a.keys.entry(i)), a.vals.get(a.vals.entry(i)))
	}
}

// Origin returns where the row is from.
func (l *Look) Origin() (host, source, stream []byte) {
	for l.run+1 < len(l.b.runs) && l.b.runs[l.run+1].firstRow <= l.row {
		l.run++
	}
	r, o := &l.b.runs[l.run], &l.b.origins
	return o.get(int(r.host)), o.get(int(r.source)), o.get(int(r.stream))
}

// value returns the value of a row, which is not before the one asked for last.
func (p *place) value(row int) Value {
	c := p.c
	if !c.sparse {
		p.n = row
	} else {
		for p.n < c.rows.len() && int(c.rows.at(p.n)) < row {
			p.n++
		}
		if p.n >= c.rows.len() || int(c.rows.at(p.n)) != row {
			return Value{}
		}
	}
	switch {
	case p.n >= c.len():
		return Value{}
	case c.typ == schema.String:
		return Value{Type: schema.String, Bytes: c.strs.get(c.strs.entry(p.n))}
	}
	return Value{Type: c.typ, bits: c.nums.at(p.n)}
}
