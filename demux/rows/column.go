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
	typ   schema.Type // 0 as long as no value has come
	fixed bool        // the type is the table's, or the parser's: it does not widen
	order int         // among the run's columns

	// rows are those of the values, ascending; nil means the rows 0, 1, 2, …
	// without a gap. A column that is rarely filled costs nothing elsewhere.
	rows []uint32
	gaps []uint32 // memory for rows
	last int      // row of the last value; -1 if none
	nums []uint64 // of a Long, a Double (its bits) or a Boolean
	strs table    // of a String
}

// Name is the column's name.
func (c *Column) Name() string { return c.name }

func (c *Column) len() int {
	if c.typ == schema.String {
		return c.strs.len()
	}
	return len(c.nums)
}

// claim notes that the current row has a value; false means that it had one.
func (c *Column) claim() bool {
	row := len(c.b.ts) - 1
	if c.last == row {
		return false
	}
	if c.rows != nil {
		c.rows = append(c.rows, uint32(row))
	} else if row != c.last+1 { // the first gap
		if c.rows = c.gaps[:0]; c.rows == nil {
			c.rows = make([]uint32, 0, c.last+16)
		}
		for i := range c.last + 1 {
			c.rows = append(c.rows, uint32(i))
		}
		c.rows, c.gaps = append(c.rows, uint32(row)), nil
	}
	c.last = row
	return true
}

// String puts a string into the current row's column. v is copied.
func (c *Column) String(v []byte) {
	if c.typ == 0 {
		c.begin(schema.String)
	}
	switch {
	case c.typ != schema.String && c.fixed:
		c.b.Attr(c.name, v)
		return
	case c.typ != schema.String:
		c.toString()
	}
	v = c.b.clean(c.name, v)
	if !c.claim() {
		c.b.attr(c.name, v)
		return
	}
	c.strs.add(&c.b.arena, v)
}

// Long puts a whole number into the current row's column.
func (c *Column) Long(v int64) {
	if c.typ == 0 {
		c.begin(schema.Long)
	}
	switch c.typ {
	case schema.Long:
		if c.claim() {
			c.nums = append(c.nums, uint64(v))
			return
		}
	case schema.Double:
		if f := float64(v); exactLong(v) && c.claim() {
			c.nums = append(c.nums, math.Float64bits(f))
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
	case c.typ == schema.Double && c.claim():
		c.nums = append(c.nums, math.Float64bits(v))
	case c.typ == schema.Long && whole && c.claim():
		c.nums = append(c.nums, uint64(int64(v)))
	default:
		c.Text(raw)
	}
}

// Bool puts a truth value into the current row's column.
func (c *Column) Bool(v bool) {
	if c.typ == 0 {
		c.begin(schema.Boolean)
	}
	if c.typ == schema.Boolean && c.claim() {
		var n uint64
		if v {
			n = 1
		}
		c.nums = append(c.nums, n)
		return
	}
	c.Text(strconv.AppendBool(c.b.text[:0], v))
}

// Text puts a value into the current row's column that has a text and no
// type: a number beyond all types, an array, what did not fit. A column that
// may still widen becomes one of strings; else the text goes to attributes.
func (c *Column) Text(raw []byte) {
	if c.last == len(c.b.ts)-1 {
		c.b.Attr(c.name, raw)
		return
	}
	c.String(raw)
}

const maxExact = 1 << 53 // up to it, every whole number is a double

func exactLong(v int64) bool { return v <= maxExact && v >= -maxExact }

func (c *Column) begin(t schema.Type) {
	c.typ = t
	c.order = c.b.begun
	c.b.begun++
}

// toDouble widens a column of longs, to strings where a double can't hold them.
func (c *Column) toDouble() {
	for _, n := range c.nums {
		if !exactLong(int64(n)) {
			c.toString()
			return
		}
	}
	for i, n := range c.nums {
		c.nums[i] = math.Float64bits(float64(int64(n)))
	}
	c.typ = schema.Double
}

// toString widens a column to strings: its values' texts.
func (c *Column) toString() {
	var buf [32]byte
	for _, n := range c.nums {
		t := buf[:0]
		switch c.typ {
		case schema.Long:
			t = strconv.AppendInt(t, int64(n), 10)
		case schema.Double:
			t = AppendDouble(t, math.Float64frombits(n))
		default:
			t = strconv.AppendBool(t, n != 0)
		}
		c.strs.add(&c.b.arena, t)
	}
	c.typ, c.nums = schema.String, c.nums[:0]
}

// AppendDouble writes the shortest text that reads back as v.
func AppendDouble(b []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

func (c *Column) bytes() int64 {
	return int64(len(c.rows))*4 + int64(len(c.nums))*8 + c.strs.bytes()
}
