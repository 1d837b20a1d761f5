package parse

import (
	"bytes"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/layout"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// patternOptions are the options of log4j and combined.
type patternOptions struct {
	// Pattern is a layout as the writer's own config has it, or several of them to try;
	// without one the usual ones are known.
	Pattern config.Node `config:"pattern"`
}

func noPattern() patternOptions { return patternOptions{} }

func newCombined(o *patternOptions) (format, error) {
	if !o.Pattern.Given() {
		return &combinedFormat{}, nil
	}
	ps, err := layout.Compile(o.Pattern, layout.CompileAccess)
	if err != nil {
		return nil, err
	}
	return &accessFormat{patterns: ps}, nil
}

// accessFormat parses access logs of formats that are given. A field that is "-", or
// empty, is null; of what several servers were asked for, times and sizes are summed
// and the last status counts, and all of it is in attributes.
type accessFormat struct {
	patterns layout.Patterns
	gen      *rows.Generation
	combined combinedFormat // takes requests apart
	buf      []byte
}

func (f *accessFormat) begin(r *reader) {
	if f.gen != r.b.Generation() {
		f.gen = r.b.Generation()
		for _, p := range f.patterns {
			for i := range p.Parts {
				if p.Parts[i].Kind == layout.Request {
					c := &f.combined
					c.method, c.path, c.protocol = r.b.Typed("method", schema.String), r.b.Typed("path", schema.String), r.b.Typed("protocol", schema.String)
				}
			}
		}
	}
	f.patterns.Begin(r.b, r.zone.Read)
}

func (f *accessFormat) record(r *reader, rec []byte) {
	p, found := f.patterns.Find(rec)
	if p == nil {
		r.fail(rec, "not the pattern: "+f.patterns.Why(rec))
		return
	}
	r.row()
	for i := range p.Parts {
		t := &p.Parts[i]
		v := layout.At(rec, found, i)
		if len(v) == 0 || len(v) == 1 && v[0] == '-' {
			continue
		}
		switch t.Kind {
		case layout.Time:
			r.setTime(t.Read(v, &r.zone), "time", v)
		case layout.Request:
			f.combined.request(r, v)
		case layout.List, layout.LastOf:
			putList(r, t, v)
		default:
			switch {
			case numeric(t):
				putPart(t, v)
			case p.JSON && bytes.IndexByte(v, '\\') >= 0:
				f.buf = unescapeLoose(f.buf[:0], v)
				t.Column.String(f.buf)
			default:
				f.combined.text(t.Column, v)
			}
		}
	}
}

// putList puts what several servers were asked for into a column.
func putList(r *reader, t *layout.Part, v []byte) {
	var sum float64
	n, items := 0, 0
	for rest := v; len(rest) > 0; items++ {
		item := rest
		if i := bytes.IndexAny(rest, ",: "); i >= 0 {
			item, rest = rest[:i], bytes.TrimLeft(rest[i:], ",: ")
		} else {
			rest = nil
		}
		k, num := bareValue(item)
		x := (&field{num: num}).double()
		switch k {
		case kindLong:
			x = float64(int64(num))
		case kindDouble:
		default:
			continue
		}
		if n++; t.Kind == layout.LastOf {
			sum = 0
		}
		sum += x
	}
	if items > 1 {
		r.b.Attr(t.Name, v)
	}
	switch {
	case n == 0:
	case t.Type == schema.Long:
		t.Column.Long(int64(sum))
	default:
		t.Column.Double(rounded(sum), v)
	}
}

// rounded takes off what adding decimal fractions leaves: times have no more than
// microseconds.
func rounded(x float64) float64 { return float64(int64(x*1e6+0.5)) / 1e6 }
