package steps

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// value is a column's text that is parsed at its row's end.
type value struct {
	parser *parse.Value
	text   []byte
	is     bool // there is one, of the current row
}

// take keeps the row's first text.
func (v *value) take(text []byte) bool {
	if v.is {
		return false
	}
	v.text, v.is = append(v.text[:0], text...), true
	return true
}

// End implements rows.Steps: it parses what waits for that.
func (r *running) End(b *rows.Builder) {
	failed := b.FailedRow() // before a step says so
	for i, v := range r.values {
		if v == nil || !v.is {
			continue
		}
		v.is = false
		r.stage = i + 2
		r.parse(b, i, v, failed)
	}
	r.stage = 0
}

// parse parses a column's text. One that can't be parsed stays in the column, and so does
// a blank one, and the message of a record that the type's own parser could not read.
func (r *running) parse(b *rows.Builder, i int, v *value, failed bool) {
	st := r.of[i].parse
	message, text, keep := st.column == schema.Message, v.text, st.keep
	switch {
	case len(bytes.TrimSpace(text)) == 0, message && failed: // no format reads a blank record
		keep = true
	default:
		why := b.Within(st.prefix, func() { v.parser.Parse(text, b) })
		if why == nil {
			break
		}
		b.Fail(fmt.Sprintf("step %d, parse %s: %s", i+1, st.column, why))
		keep = true
		if r.raw != nil {
			text, _ = r.raw.Redact(text)
		}
	}
	switch {
	case !keep:
	case message:
		b.Message(text)
	default:
		b.Put(st.column, text)
	}
}
