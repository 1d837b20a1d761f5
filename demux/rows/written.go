package rows

import (
	"math"
	"strconv"

	"github.com/akupara/akupara/demux/schema"
)

// written says how a column's doubles were written, as long as it may still become one
// of strings: then each gets the text that it had. A byte a value tells of nearly all,
// and none where all are written as AppendDouble does it.
type written struct {
	styles vec[style] // of the values, as far as there are any
	odd    dictionary // the texts of the odd ones, in order
}

// style says how a double was written: with so many digits behind the point, less one,
// or as said below.
type style uint8

const (
	shortest  style = 0   // as AppendDouble writes it
	odd       style = 255 // as its text in odd
	mostExact       = 15  // digits that a double gives back
)

// styleOf returns how a number was written. Of more digits than a double gives back,
// parsers make doubles only where they are those that it is written with.
func styleOf(v float64, raw []byte) style {
	digits := raw
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	point := -1
	for i, b := range digits {
		if b-'0' < 10 {
			continue
		}
		if b != '.' || point >= 0 || i == 0 {
			return odd
		}
		point = i
	}
	n := len(digits)
	switch a := math.Abs(v); {
	case n == 0 || point == n-1 || n > 1 && digits[0] == '0' && point != 1, point < 0 && n > mostExact:
		return odd
	case (point < 0 || digits[n-1] != '0') && (a >= 1e-6 && a < 1e21 || a == 0):
		return shortest
	case point < 0 || n > mostExact:
		return odd
	}
	return style(n - point)
}

// wrote notes how the value that was added last was written.
func (c *Column) wrote(v float64, raw []byte) {
	s := styleOf(v, raw)
	if s == shortest && c.written.styles.len() == 0 {
		return
	}
	m := c.b.mem
	c.written.pad(m, c.nums.len()-1)
	c.written.styles.add(m, &m.styles, s)
	if s == odd {
		c.written.odd.add(m, raw)
	}
}

// pad has the values up to the n-th be of the shortest style where nothing is said of
// them.
func (w *written) pad(m *memory, n int) {
	for w.styles.len() < n {
		w.styles.add(m, &m.styles, shortest)
	}
}

// take takes over how the values of another column were written, which come behind n.
func (w *written) take(m *memory, p *written, n int) {
	if p.styles.len() == 0 {
		return
	}
	w.pad(m, n)
	w.styles.addAll(m, &m.styles, &p.styles)
	w.odd.take(m, &p.odd)
}

func (w *written) reset(m *memory) {
	w.styles.reset(&m.styles)
	w.odd.reset(m)
}

// eachText calls do with the text of each value, in order. It is valid until the next.
func (c *Column) eachText(do func(i int, text []byte)) {
	var buf []byte
	w, odds := &c.written, 0
	for i := range c.len() {
		if c.typ == schema.String {
			do(i, c.strs.get(c.strs.entry(i)))
			continue
		}
		n, s := c.nums.at(i), shortest
		if i < w.styles.len() {
			s = w.styles.at(i)
		}
		switch {
		case c.typ == schema.Long:
			buf = strconv.AppendInt(buf[:0], int64(n), 10)
		case c.typ != schema.Double:
			buf = strconv.AppendBool(buf[:0], n != 0)
		case s == odd:
			buf = append(buf[:0], w.odd.get(w.odd.entry(odds))...)
			odds++
		case s == shortest:
			buf = AppendDouble(buf[:0], math.Float64frombits(n))
		default:
			buf = strconv.AppendFloat(buf[:0], math.Float64frombits(n), 'f', int(s)-1, 64)
		}
		do(i, buf)
	}
}
