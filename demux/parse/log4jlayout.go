package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/layout"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

func newLog4jBy(o *patternOptions) (format, error) {
	if !o.Pattern.Given() {
		return newLog4j(), nil
	}
	f := &layoutFormat{}
	var err error
	f.patterns, err = layout.Compile(o.Pattern, func(text string) (*layout.Pattern, error) {
		p, head, err := layout.CompileLog4j(text)
		if err != nil {
			return nil, err
		}
		re, err := config.CompileRegexp(head)
		if err != nil {
			return nil, fmt.Errorf("compile the begin of pattern %q: %w", text, err)
		}
		f.heads = append(f.heads, automaton.New(re))
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// layoutFormat parses what a logging framework writes by layouts that are known. A
// line that none of them starts with belongs to the record before.
type layoutFormat struct {
	patterns   layout.Patterns
	heads      []*automaton.Automaton // of the patterns: what stands before the message
	gen        *rows.Generation
	exceptions exceptions
	buf        []byte
}

// timeFormats implements timed.
func (f *layoutFormat) timeFormats(t times.Formats) {
	for _, p := range f.patterns {
		for i := range p.Parts {
			if p.Parts[i].Kind == layout.Time {
				p.Parts[i].Times = append(p.Parts[i].Times[:len(p.Parts[i].Times):len(p.Parts[i].Times)], t...)
			}
		}
	}
}

func (f *layoutFormat) begin(r *reader) {
	f.patterns.Begin(r.b, r.zone.Read)
	if f.gen != r.b.Generation() {
		f.gen = r.b.Generation()
		f.exceptions.begin(r)
	}
}

// starts implements grouper.
func (f *layoutFormat) starts(line []byte) bool {
	for _, h := range f.heads {
		if h.Find(line) != nil {
			return true
		}
	}
	return false
}

func (f *layoutFormat) record(r *reader, rec []byte) {
	p, found := f.patterns.Find(rec)
	if p == nil {
		r.fail(rec, "not the pattern: "+f.patterns.Why(rec))
		return
	}
	r.row()
	var message, more []byte
	for i := range p.Parts {
		t := &p.Parts[i]
		v := layout.At(rec, found, i)
		switch t.Kind {
		case layout.Message:
			message = v
		case layout.More:
			more = v
		case layout.Time:
			r.setTime(t.Read(v, &r.zone), "time", v)
		case layout.Level:
			r.setLevel(v, "level")
		case layout.Context:
			f.context(r, v)
		default:
			putPart(t, v)
		}
	}
	if more != nil { // lines behind the layout belong to the message
		f.buf = append(append(f.buf[:0], message...), '\n')
		f.buf = append(f.buf, more...)
		message = f.buf
	}
	message = bytes.TrimRight(message, " ")
	r.b.Message(message)
	f.exceptions.put(message)
}

// context puts "{key=value, key=value}" into columns.
func (f *layoutFormat) context(r *reader, v []byte) {
	if n := len(v); n >= 2 && v[0] == '{' && v[n-1] == '}' {
		v = v[1 : n-1]
	}
	for len(v) > 0 {
		pair := v
		if i := bytes.Index(v, []byte(", ")); i >= 0 {
			pair, v = v[:i], v[i+2:]
		} else {
			v = nil
		}
		key, value, ok := bytes.Cut(pair, []byte("="))
		if !ok {
			r.b.Attr("mdc", pair)
			continue
		}
		if len(value) == 0 {
			continue
		}
		f.buf = append(append(f.buf[:0], "mdc."...), key...)
		if c := r.b.Column(string(f.buf)); c != nil {
			c.String(value)
		} else {
			r.b.Attr(string(f.buf), value)
		}
	}
}

func numeric(t *layout.Part) bool { return t.Type == schema.Long || t.Type == schema.Double }

// putPart puts a part's text into its column. An empty one is null, and so is the
// question mark that stands for what the framework did not know.
func putPart(t *layout.Part, v []byte) {
	if len(v) == 0 || string(v) == "?" {
		return
	}
	kind, num := bareValue(v)
	switch {
	case kind == kindLong && numeric(t):
		t.Column.Long(int64(num))
	case kind == kindDouble && numeric(t):
		t.Column.Double((&field{num: num}).double(), v)
	default:
		t.Column.String(v)
	}
}
