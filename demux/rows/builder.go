package rows

import (
	"bytes"
	"slices"

	"github.com/akupara/akupara/demux/schema"
)

// Builder collects a run's rows, column by column. It copies what it is given:
// chunks may be dropped as soon as they are parsed. Its types come from the
// table, and for new columns from the values: boolean, long, double or string;
// long and double give double where that is exact; all else gives string. It
// is not safe for concurrent use; Siblings are, each by one goroutine.
type Builder struct {
	opts Options
	mem  *memory
	gen  *Generation
	// sibling says that the Builder shares its memory with the one it was made by.
	sibling bool

	n       int // rows
	ts, seq vec[int64]
	level   vec[Level]
	runs    []run // of rows with the same origin, ascending
	covers  []cover

	origins dictionary // hosts, sources and streams
	tagKeys dictionary
	tagVals dictionary

	message, parseError *Column
	attrs               attributes
	rowKeys             rowKeys
	templated           templated
	stepping            *stepping // nil: values go through no steps

	byName map[string]*Column // by the folded name
	byKey  map[string]*Column // by the folded key, where that is not the name
	// rivals are a sibling's columns, by name, that byName has another for in another
	// case: which of them the table gets is known when the rows are taken.
	rivals map[string]*Column
	own    []*Column // all of byName but the common ones, as asked for
	// plain are the names of columns whose strings don't repeat, as far as is known.
	plain map[string]bool
	// conflicts are the declared columns that can't be as declared.
	conflicts []Conflict
	begun     int       // own columns with a value or a fixed type
	settled   []*Column // of own: those that were there before the first row

	time    func(text []byte) (micros int64, exact, ok bool)
	faults  []byte // what the current row's parse_error will say
	text    []byte // scratch
	clean1  []byte // scratch
	key     []byte // scratch
	out     *gather
	others  []*gather       // that encode beside it
	encoded []*bytes.Buffer // by them
}

// run is a range of rows with one origin: those of one call of Origin. The
// numbers are ids in origins.
type run struct {
	firstRow             int
	host, source, stream uint32
	tags                 []tag
}

type tag struct{ key, val uint32 }

// attributes are the pairs that fit no column, ascending by row.
type attributes struct {
	rows vec[uint32]
	keys dictionary
	vals dictionary
}

// NewBuilder makes an empty Builder.
func NewBuilder(o Options) *Builder {
	b := &Builder{mem: newMemory()}
	b.ResetTo(o)
	return b
}

// Reset drops all rows and all columns that are not the table's, and keeps the
// memory.
func (b *Builder) Reset() { b.ResetTo(b.opts) }

// ResetTo is Reset with other options: the table's columns of the next run.
func (b *Builder) ResetTo(o Options) {
	if o.MaxColumns <= 0 {
		o.MaxColumns = schema.MaxColumns
	}
	b.opts = o
	b.gen = new(Generation)
	b.drop()
	b.byName, b.byKey, b.own, b.begun, b.time = map[string]*Column{}, nil, nil, 0, nil
	b.rivals, b.settled, b.stepping, b.plain = nil, nil, nil, nil
	for _, c := range schema.Common() {
		b.byName[c.Name] = nil
	}
	b.message = b.newColumn(schema.Message, schema.String)
	b.parseError = b.newColumn(schema.ParseError, schema.String)
	for _, c := range o.Existing {
		key := schema.Fold(c.Name)
		if _, taken := b.byName[key]; taken {
			continue
		}
		if c.Type == schema.Map {
			b.byName[key] = nil // no parser gives such values
			continue
		}
		b.add(key, b.newColumn(c.Name, c.Type))
	}
	b.conflicts = b.conflicts[:0]
	b.reserve()
	b.declare()
	for _, c := range o.Begun {
		key := schema.Fold(c.Name)
		if _, taken := b.byName[key]; !taken {
			begun := b.newColumn(c.Name, c.Type)
			begun.fixed = false
			b.add(key, begun)
		}
	}
	b.settled = b.own[:len(b.own):len(b.own)]
}

// newColumn makes a column of a type that does not widen; of none, one that may.
func (b *Builder) newColumn(name string, t schema.Type) *Column {
	return &Column{b: b, name: name, key: name, typ: t, fixed: t != 0, last: -1, strs: dictionary{plain: b.plain[name]}}
}

// drop empties everything that has values.
func (b *Builder) drop() {
	m := b.mem
	if !b.sibling {
		m.trim()
	}
	m.used = 0
	b.ts.reset(&m.longs)
	b.seq.reset(&m.longs)
	b.level.reset(&m.levels)
	b.attrs.rows.reset(&m.ids)
	for _, t := range []*dictionary{&b.origins, &b.tagKeys, &b.tagVals, &b.attrs.keys, &b.attrs.vals} {
		t.reset(m)
	}
	for _, c := range append(b.own, b.message, b.parseError) {
		if c != nil {
			c.reset()
		}
	}
	b.rowKeys = rowKeys{}
	b.n, b.runs, b.covers, b.faults = 0, b.runs[:0], b.covers[:0], b.faults[:0]
}

func (b *Builder) add(key string, c *Column) *Column {
	if c.typ != 0 {
		c.order = b.begun
		b.begun++
	}
	b.byName[key] = c
	b.own = append(b.own, c)
	return c
}

// Generation is what lies between two Resets of one Builder: columns belong
// to one and are void in all others.
type Generation struct{ _ byte }

// Generation returns the present one; no other of any Builder is equal.
func (b *Builder) Generation() *Generation { return b.gen }

// Len is the number of rows.
func (b *Builder) Len() int { return b.n }

// Column returns the column of that name for values of any type, nil when there
// can be none: the name is a common column's or another column's in another
// case, is no fit name, or there are too many columns. Such values go to Attr.
// A column that never gets a value is not created.
func (b *Builder) Column(name string) *Column {
	if b.stepping != nil {
		return b.steppedColumn(name, 0)
	}
	return b.column(name)
}

func (b *Builder) column(name string) *Column {
	key := schema.Fold(name)
	k := b.byKey[key]
	if k != nil && k.key == name {
		if k.of == nil {
			return nil
		}
		return k
	}
	if c, ok := b.byName[key]; ok {
		switch {
		case c != nil && c.made:
			return nil
		case c == nil || c.name != name:
			return b.rival(c, name)
		}
		return c
	}
	if k != nil || !schema.Fit(name) || !b.room(1) {
		return nil
	}
	return b.add(key, b.newColumn(name, 0))
}

// rival returns the column of a name that is that of c but for its case; nil where
// the table gets c.
func (b *Builder) rival(c *Column, name string) *Column {
	switch {
	case !b.sibling, c == nil, slices.Contains(b.settled, c), !schema.Fit(name):
		return nil
	case b.rivals[name] != nil:
		return b.rivals[name]
	case !b.room(1):
		return nil
	case b.rivals == nil:
		b.rivals = map[string]*Column{}
	}
	r := b.newColumn(name, 0)
	b.rivals[name] = r
	b.own = append(b.own, r)
	return r
}

// Typed returns the column of that name with a type that does not widen, for a
// format's own columns. It is created also when no value comes; in a table
// that has the column with another type, that type stays, and one that was dropped
// is none: its values go to attributes. It is never nil, if name is not a common
// column's, nor one of those that are made of messages.
func (b *Builder) Typed(name string, t schema.Type) *Column {
	if b.stepping != nil {
		return b.steppedColumn(name, t)
	}
	return b.typed(name, t)
}

func (b *Builder) typed(name string, t schema.Type) *Column {
	key := schema.Fold(name)
	if k := b.byKey[key]; k != nil && k.key == name {
		return k
	}
	if c := b.byName[key]; c != nil {
		if c.made {
			return nil
		}
		return c
	}
	return b.add(key, b.newColumn(name, t))
}

// Columns returns the run's columns beyond the common ones that hold values or
// were asked for by Typed, in the order of their first value: what the table
// must have before WriteFiles. The table's existing ones are among them.
func (b *Builder) Columns() []schema.Column {
	var own []*Column
	for _, c := range b.own {
		if c.typ != 0 {
			own = append(own, c)
		}
	}
	slices.SortFunc(own, func(x, y *Column) int { return x.order - y.order })
	out := make([]schema.Column, len(own))
	for i, c := range own {
		out[i] = schema.Column{Name: c.name, Type: c.typ, Doc: c.doc}
	}
	return out
}

// Bytes is the memory that the rows take, in bytes, with what is still free in
// their blocks, and what WriteFiles will need for each row. Blocks kept from
// before a Reset do not count until they are used again. WriteFiles takes some
// 16 MiB beside. It costs nothing to ask.
func (b *Builder) Bytes() int64 {
	return b.mem.used + int64(cap(b.runs))*runSize + int64(cap(b.covers))*coverSize + int64(len(b.own))*columnSize + int64(b.Len())*rowSize
}

// Sizes in bytes, about.
const (
	runSize    = 64
	coverSize  = 64
	rowSize    = 20 // a row's place in the order, and its values' in a row group
	columnSize = 512
)

// Failed is the number of rows that have a parse_error.
func (b *Builder) Failed() int64 {
	if len(b.faults) > 0 {
		b.flushFaults()
	}
	return int64(b.parseError.len())
}
