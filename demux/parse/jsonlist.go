package parse

import (
	"bytes"
	"fmt"
)

// lists are the keys of objects that hold nothing but a list of records: those of AWS
// and of Azure.
var lists = [...]string{"Records", "records"}

// wraps reports whether the object that was read is such a list.
func (f *jsonFormat) wraps() bool {
	if len(f.fields) != 1 || f.fields[0].kind != kindText {
		return false
	}
	d := &f.fields[0]
	for _, key := range lists {
		if d.node.name == key {
			return d.val[0] == '['
		}
	}
	return false
}

// list adds a row for each element of an array, at bytes into the record, and reports
// whether it is one that begins with an object.
func (f *jsonFormat) list(r *reader, list []byte, at int) bool {
	p := &f.scan
	p.s, p.i, p.buf = list, 0, p.buf[:0]
	if p.skip(1) != nil {
		return false
	}
	if p.space(); p.i < len(list) {
		return false
	}
	i := 1 + spaces(list[1:])
	if list[i] != '{' {
		return false
	}
	for n := 0; ; n++ {
		if n > 0 {
			r.markFaulty()
		}
		r.further(at + i)
		p.s, p.i = list, i
		_ = p.skip(1) // it went well before
		end := p.i
		if err := f.read(list[i:end]); err != nil {
			r.fail(list[i:end], fmt.Sprintf("not JSON: %v, in an array", err))
		} else {
			f.row(r, nil)
		}
		i = end + spaces(list[end:])
		if list[i] != ',' {
			return true
		}
		i++
		i += spaces(list[i:])
	}
}

func spaces(s []byte) int { return len(s) - len(bytes.TrimLeft(s, " \t\r\n")) }

// isBracket reports whether a line is nothing but the begin or the end of an array whose
// elements are lines of their own.
func isBracket(rec []byte) bool {
	switch string(bytes.TrimSpace(rec)) {
	case "[", "]", "],", ",":
		return true
	}
	return false
}
