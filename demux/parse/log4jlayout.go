package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// log4jOptions are the options of log4j.
type log4jOptions struct {
	// Pattern is the layout as log4j's, log4j2's or logback's config has it, or
	// several of them to try; without one the usual layouts are known.
	Pattern config.Node `config:"pattern"`
}

func newLog4jBy(o *log4jOptions) (format, error) {
	if !o.Pattern.Given() {
		return newLog4j(), nil
	}
	f := &layoutFormat{}
	var err error
	f.patterns, err = compilePatterns(o.Pattern, func(text string) (*pattern, error) {
		p, head, err := compileLog4j(text)
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
	patterns
	heads      []*automaton.Automaton // of the patterns: what stands before the message
	gen        *rows.Generation
	exceptions exceptions
	buf        []byte
}

// timeFormats implements timed.
func (f *layoutFormat) timeFormats(t times.Formats) {
	for _, p := range f.patterns {
		for i := range p.parts {
			if p.parts[i].kind == partTime {
				p.parts[i].times = append(p.parts[i].times[:len(p.parts[i].times):len(p.parts[i].times)], t...)
			}
		}
	}
}

func (f *layoutFormat) begin(r *reader) {
	f.patterns.begin(r)
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
	p, found := f.find(rec)
	if p == nil {
		r.fail(rec, "not the pattern: "+f.why(rec))
		return
	}
	r.row()
	var message, more []byte
	for i := range p.parts {
		t := &p.parts[i]
		v := at(rec, found, i)
		switch t.kind {
		case partMessage:
			message = v
		case partMore:
			more = v
		case partTime:
			r.setTime(t.time(v, &r.zone), "time", v)
		case partLevel:
			r.setLevel(v, "level")
		case partContext:
			f.context(r, v)
		default:
			t.put(r, v)
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

func (t *part) numeric() bool { return t.typ == schema.Long || t.typ == schema.Double }

// put puts a part's text into its column. An empty one is null, and so is the
// question mark that stands for what the framework did not know.
func (t *part) put(r *reader, v []byte) {
	if len(v) == 0 || string(v) == "?" {
		return
	}
	kind, num := bareValue(v)
	switch {
	case kind == kindLong && t.numeric():
		t.col.Long(int64(num))
	case kind == kindDouble && t.numeric():
		t.col.Double((&field{num: num}).double(), v)
	default:
		t.col.String(v)
	}
}
