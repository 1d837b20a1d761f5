package parse

import "bytes"

// structuredData puts the structured data of RFC 5424 into columns named
// sd.ID.NAME, as many as a table may have; the others go to attributes by the
// same names, as does a name's second value. Check Point's pairs have no id: they
// are sd.NAME.
type structuredData struct {
	*keyed
	top *node
	buf []byte // unescaped values of the record
}

func newStructured() *structuredData {
	d := &structuredData{keyed: newKeyed()}
	d.top = d.child(d.root, []byte("sd"), 0)
	return d
}

// maxID is the longest id of structured data that stands before its names; RFC
// 5424 allows 32 bytes.
const maxID = 256

// put puts structured data, which is known to be whole, into the current row. An
// element without parameters and a name without a value are true.
func (d *structuredData) put(r *reader, s []byte) {
	d.reset()
	d.buf = d.buf[:0]
	for len(s) > 1 && s[0] == '[' {
		s = d.element(s[1:])
	}
	for i := range d.fields {
		d.keyed.put(r, &d.fields[i])
	}
}

// element takes an element behind its bracket, and returns what follows it.
func (d *structuredData) element(s []byte) []byte {
	i := bytes.IndexAny(s, " ]")
	if bytes.IndexByte(s[:i], '"') >= 0 {
		return d.pairs(s)
	}
	id := d.child(d.top, s[:i], len(d.fields))
	if s = s[i:]; s[0] == ']' {
		d.add(id, kindBool, trueText, 1)
	} else if i > maxID { // each name would repeat it
		d.add(id, kindBool, trueText, 1)
		id = d.top
	}
	for len(s) > 0 && s[0] != ']' {
		s = bytes.TrimLeft(s, " ")
		eq := bytes.IndexAny(s, " ]=")
		if eq < 0 || s[eq] != '=' || eq+1 >= len(s) || s[eq+1] != '"' {
			i := bytes.IndexAny(s, " ]")
			if i <= 0 {
				break
			}
			d.add(d.child(id, s[:i], len(d.fields)), kindBool, trueText, 1)
			s = s[i:]
			continue
		}
		name := d.child(id, s[:eq], len(d.fields))
		var v []byte
		v, s = d.value(s[eq+2:])
		d.add(name, kindString, v, 0)
	}
	if len(s) > 0 {
		s = s[1:]
	}
	return s
}

// pairs takes Check Point's pairs behind their bracket, and returns what follows
// them.
func (d *structuredData) pairs(s []byte) []byte {
	for {
		s = bytes.TrimLeft(s, " ;")
		name, rest, ok := bytes.Cut(s, []byte(`:"`))
		if s[0] == ']' || !ok {
			return s[1:]
		}
		var v []byte
		v, s = d.value(rest)
		d.add(d.child(d.top, name, len(d.fields)), kindString, v, 0)
	}
}

// value returns what stands up to the closing quotes, and what follows them.
func (d *structuredData) value(s []byte) (v, rest []byte) {
	i := bytes.IndexAny(s, `"\`)
	if i < 0 {
		return s, nil
	}
	if s[i] == '"' { // most often
		return s[:i], s[i+1:]
	}
	at := len(d.buf)
	for ; len(s) > 0 && s[0] != '"'; s = s[1:] {
		if s[0] == '\\' && len(s) > 1 && (s[1] == '"' || s[1] == '\\' || s[1] == ']') {
			s = s[1:]
		}
		d.buf = append(d.buf, s[0])
	}
	return d.buf[at:len(d.buf):len(d.buf)], s[min(1, len(s)):]
}
