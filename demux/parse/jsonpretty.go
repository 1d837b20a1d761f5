package parse

import "bytes"

// Objects over several lines, as jq, Python and others write them for people, begin with
// a brace alone on its line and end with one that has the same indent: that of an object
// alone is none, that of an array's elements is two or four spaces.

// unclosed implements quoter.
func (f *jsonFormat) unclosed(line []byte, open bool) bool {
	if !open {
		if !opensObject(line) {
			return false
		}
		f.indent = indent(line)
		return true
	}
	n := indent(line)
	return n != f.indent || n == len(line) || line[n] != '}'
}

// reopens implements reopener: what is in an object is indented further.
func (f *jsonFormat) reopens(line []byte) bool { return opensObject(line) && indent(line) == f.indent }

// opensObject reports whether a line is an opening brace and nothing else.
func opensObject(line []byte) bool {
	n := len(line)
	for n > 0 && line[n-1] <= ' ' {
		n--
	}
	return n > 0 && line[n-1] == '{' && indent(line) == n-1
}

func indent(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }

// prettyObjects returns the part of a text that ends with a whole object, where its
// objects have several lines, and what their first lines match.
func prettyObjects(text []byte) (whole []byte, start string) {
	f := jsonFormat{}
	at, end, open := 0, 0, false
	for line := range bytes.Lines(text) {
		at += len(line)
		if open && f.reopens(line) {
			open = false
		}
		if !open && !opensObject(line) {
			continue
		}
		if start == "" {
			start = `^[\[\]]\s*$|^` + string(line[:indent(line)]) + `\{\s*$`
		}
		if open = f.unclosed(line, open); !open {
			end = at
		}
	}
	if end == 0 {
		return nil, ""
	}
	return text[:end], start
}
