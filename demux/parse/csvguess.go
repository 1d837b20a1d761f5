package parse

import (
	"bytes"
	"regexp"
)

// evenly returns a check of a text: whether it is a heading of names with a delimiter
// between, and rows of as many fields.
func evenly(delimiter byte) func(text []byte) bool {
	return func(text []byte) bool {
		var rows, like, names int
		for row := range unquotedLines(text) {
			if rows++; rows > 1 {
				if width(row, delimiter) == names {
					like++
				}
				continue
			}
			for name := range bytes.SplitSeq(row, []byte{delimiter}) {
				if !columnLike.Match(name) {
					return false
				}
				names++
			}
		}
		return names >= 3 && like > 0 && like*10 >= (rows-1)*9
	}
}

// columnLike is how headings name columns.
var columnLike = regexp.MustCompile(`^"?[\pL_#@][\pL\d_.@/()%-]*( [\pL\d_.@/()%-]+){0,3}"?$`)

// unquotedLines gives the lines of a text that do not end in quotes, without the empty
// ones.
func unquotedLines(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		first, quotes := 0, false
		for i, c := range text {
			if c == '"' {
				quotes = !quotes
			}
			if c != '\n' || quotes {
				continue
			}
			if line := trimLine(text[first : i+1]); len(line) > 0 && !yield(line) {
				return
			}
			first = i + 1
		}
	}
}

// width counts what delimiters outside of quotes part.
func width(line []byte, delimiter byte) int {
	n, quotes := 1, false
	for _, c := range line {
		switch {
		case c == '"':
			quotes = !quotes
		case c == delimiter && !quotes:
			n++
		}
	}
	return n
}

// headingColumns returns what names the columns of a text by its heading: chunks behind the
// first of a file have none.
func headingColumns(delimiter byte) func(text []byte) string {
	return func(text []byte) string {
		for row := range unquotedLines(text) {
			var names [][]byte
			for name := range bytes.SplitSeq(row, []byte{delimiter}) {
				names = append(names, bytes.Trim(name, `"`))
			}
			return listed("columns", names)
		}
		return ""
	}
}
