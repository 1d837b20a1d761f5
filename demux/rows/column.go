package rows

import (
	"math"
	"strconv"

	"github.com/akupara/akupara/demux/schema"
)

// Column is one of a Builder's columns: parsers get it by name, once, and put
// values into it row by row. It is valid until the Builder's next Reset.
type Column struct {
	b     *Builder
	name  string
	key   string      // of the records' values; attributes have those by it that don't fit
	typ   schema.Type // 0 as long as no value has come
	fixed bool        // the type is the table's, the config's or the parser's: it does not widen
	order int         // among the run's columns
	// of is the column that takes the key's values, where its name is another.
	of *Column
	// gate is what values pass that go through steps, where these change them. Such a
	// Column has no values itself, as one that is of another.
	gate *gate
	// converts says that values of other types are converted.
	converts bool
	doc      string
	// made says that the column is made of messages: no parser puts values into it.
	made bool

	// rows are those of the values, ascending, where the column is sparse; else
	// the values are those of the rows 0, 1, 2, … without a gap. A column that
	// is rarely filled costs nothing elsewhere.
	sparse bool
	rows   vec[uint32]
	last   int         // row of the last value; -1 if none
	nums   vec[uint64] // of a Long, a Double (its bits) or a Boolean
	strs   dictionary  // of a String
	// written tells of doubles whose texts are not the shortest ones.
	written written
}

// Name is the column's name.
func (c *Column) Name() string { return c.name }

func (c *Column) len() int {
	if c.typ == schema.String {
		return c.strs.len()
	}
	return c.nums.len()
}

// claim notes that the current row has a value; false means that it had one.
func (c *Column) claim() bool { return c.claimRow(c.b.Len() - 1) }

// claimRow is claim of a row behind those that have a value.
func (c *Column) claimRow(row int) bool {
	m := c.b.mem
	if c.last == row {
		return false
	}
	if !c.sparse && row != c.last+1 { // the first gap
		c.scatter()
	}
	if c.sparse {
		c.rows.add(m, &m.ids, uint32(row))
	}
	c.last = row
	return true
}

// scatter makes a column sparse.
func (c *Column) scatter() {
	c.sparse = true
	for i := range c.last + 1 {
		c.rows.add(c.b.mem, &c.b.mem.ids, uint32(i))
	}
}

// String puts a string into the current row's column. v is copied.
func (c *Column) String(v []byte) {
	switch {
	case c.typ == schema.String:
	case c.typ == 0:
		c.begin(schema.String)
	case c.gate != nil:
		c.gate.text(v)
		return
	case c.of != nil:
		c.lend().String(v)
		c.giveBack()
		return
	case c.fixed:
		c.convert(v)
		return
	default:
		c.toString()
	}
	v = c.b.clean(c.key, v)
	if !c.claim() {
		c.b.attr(c.key, v)
		return
	}
	c.strs.add(c.b.mem, v)
}

// ASCII is String of what is known to be ASCII.
func (c *Column) ASCII(v []byte) {
	if c.typ != schema.String || !c.claim() {
		c.String(v)
		return
	}
	c.strs.add(c.b.mem, v)
}

// Long puts a whole number into the current row's column.
func (c *Column) Long(v int64) {
	if c.typ == 0 {
		c.begin(schema.Long)
	}
	switch c.typ {
	case schema.Long:
		if c.claim() {
			c.num(uint64(v))
			return
		}
	case schema.Double:
		if f := float64(v); exactLong(v) && c.claim() {
			c.num(math.Float64bits(f))
			return
		}
	case schema.Map:
		if c.gate != nil {
			c.gate.long(v)
			return
		}
		if c.of != nil {
			c.lend().Long(v)
			c.giveBack()
			return
		}
	}
	c.Text(strconv.AppendInt(c.b.text[:0], v, 10))
}

// Double puts a number into the current row's column. raw is its text, for a
// column that can't hold it as a number.
func (c *Column) Double(v float64, raw []byte) {
	whole := v == math.Trunc(v) && math.Abs(v) <= maxExact
	if c.typ == 0 {
		c.begin(schema.Double)
	}
	if c.typ == schema.Long && !c.fixed {
		c.toDouble()
	}
	switch {
	case c.gate != nil:
		c.gate.double(v, raw)
	case c.of != nil:
		c.lend().Double(v, raw)
		c.giveBack()
	case c.typ == schema.Double && c.claim():
		c.num(math.Float64bits(v))
		if !c.fixed {
			c.wrote(v, raw)
		}
	case c.typ == schema.Long && whole && c.claim():
		c.num(uint64(int64(v)))
	default:
		c.Text(raw)
	}
}

// Bool puts a truth value into the current row's column.
func (c *Column) Bool(v bool) {
	if c.typ == 0 {
		c.begin(schema.Boolean)
	}
	if c.gate != nil {
		c.gate.boolean(v)
		return
	}
	if c.of != nil {
		c.lend().Bool(v)
		c.giveBack()
		return
	}
	if c.typ == schema.Boolean && c.claim() {
		var n uint64
		if v {
			n = 1
		}
		c.num(n)
		return
	}
	c.Text(strconv.AppendBool(c.b.text[:0], v))
}

// Text puts a value into the current row's column that has a text and no
// type: a number beyond all types, an array, what did not fit. A column that
// may still widen becomes one of strings; else the text goes to attributes.
func (c *Column) Text(raw []byte) {
	if c.last == c.b.Len()-1 {
		c.b.attribute(c.key, raw)
		return
	}
	c.String(raw)
}

const maxExact = 1 << 53 // up to it, every whole number is a double

func exactLong(v int64) bool { return v <= maxExact && v >= -maxExact }

func (c *Column) num(v uint64) { c.nums.add(c.b.mem, &c.b.mem.words, v) }

func (c *Column) begin(t schema.Type) {
	c.typ = t
	c.order = c.b.begun
	c.b.begun++
}

// toDouble widens a column of longs, to strings where a double can't hold them.
func (c *Column) toDouble() {
	for i := range c.nums.len() {
		if !exactLong(int64(c.nums.at(i))) {
			c.toString()
			return
		}
	}
	for i := range c.nums.len() {
		c.nums.set(i, math.Float64bits(float64(int64(c.nums.at(i)))))
	}
	c.typ = schema.Double
}

// toString widens a column to strings: its values' texts, as they were written.
func (c *Column) toString() {
	c.eachText(func(_ int, text []byte) { c.strs.add(c.b.mem, text) })
	c.nums.drop(c.b.mem, &c.b.mem.words)
	c.typ = schema.String
}

// AppendDouble writes the shortest text that reads back as v.
func AppendDouble(b []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// reset drops all values, after the memory's trim.
func (c *Column) reset() {
	c.rows.reset(&c.b.mem.ids)
	c.nums.reset(&c.b.mem.words)
	c.strs.reset(c.b.mem)
	c.written.reset(c.b.mem)
}
