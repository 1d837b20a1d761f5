package parse

import (
	"strconv"

	"github.com/akupara/akupara/demux/rows"
)

// putLong gives a whole number to a column; what is none goes to attributes.
func putLong(c *rows.Column, v []byte) {
	if n, ok := whole(v); ok {
		c.Long(n)
		return
	}
	c.String(v)
}

// whole reads a whole number as it is written everywhere: what would be written
// in another way is none.
func whole(v []byte) (int64, bool) {
	d := v
	if len(d) > 1 && d[0] == '-' {
		d = d[1:]
	}
	if len(d) == 0 || len(d) > 19 || len(d) > 1 && d[0] == '0' {
		return 0, false
	}
	var n int64
	for _, c := range d {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(d) == 19 {
		n, err := strconv.ParseInt(string(v), 10, 64)
		return n, err == nil
	}
	if len(d) < len(v) {
		n = -n
	}
	return n, true
}

// putDouble gives a number to a column; what is none goes to attributes.
func putDouble(c *rows.Column, v []byte) {
	s := scanner{s: v}
	k, num, err := s.number()
	switch {
	case err != nil || s.i < len(v):
		c.String(v)
	case k == kindLong:
		c.Long(int64(num))
	case k == kindDouble:
		d := field{num: num}
		c.Double(d.double(), v)
	default:
		c.String(v)
	}
}

// putBare gives a value to a column whose type follows from what it gets.
func putBare(c *rows.Column, v []byte) {
	k, num := bareValue(v)
	switch k {
	case kindLong:
		c.Long(int64(num))
	case kindDouble:
		d := field{num: num}
		c.Double(d.double(), v)
	case kindBool:
		c.Bool(num != 0)
	default:
		c.String(v)
	}
}
