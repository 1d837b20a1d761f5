package steps

import (
	"fmt"

	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// held is a text that waits for its row's end.
type held struct {
	text []byte
	is   bool
}

func (h *held) take(v []byte) bool {
	if h.is {
		return false
	}
	h.text, h.is = append(h.text[:0], v...), true
	return true
}

// value is a column's text that is parsed at its row's end.
type value struct {
	held
	parser *parse.Value
}

// End implements rows.Steps: it parses what waits for that.
func (r *running) End(b *rows.Builder) {
	if m := &r.message; m.is {
		m.is = false
		v := m.text
		if b.FailedRow() {
			v, _ = r.raw.Redact(v)
		}
		r.stage = 1
		b.Message(v)
	}
	for i, v := range r.values {
		if v == nil || !v.is {
			continue
		}
		v.is = false
		r.stage = i + 2
		r.parse(b, i, v)
	}
	r.stage = 0
}

// parse parses a column's text. One that can't be parsed stays in the column.
func (r *running) parse(b *rows.Builder, i int, v *value) {
	st := r.of[i].parse
	message := st.column == schema.Message
	keep := st.keep
	if !message || !b.FailedRow() {
		why := b.Within(st.prefix, func() { v.parser.Parse(v.text, b) })
		if why != nil {
			b.Fail(fmt.Sprintf("step %d, parse %s: %s", i+1, st.column, why))
			keep = true
		}
	} else {
		keep = true
	}
	switch {
	case !keep:
	case message:
		b.Message(v.text)
	default:
		b.Put(st.column, v.text)
	}
}
