package parse

import (
	"bytes"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// combinedOptions are the options of combined.
type combinedOptions struct {
	// Pattern is a format as Apache's LogFormat or nginx' log_format has it, or
	// several of them to try; without one it is the common or the combined one.
	Pattern config.Node `config:"pattern"`
}

func newCombined(o *combinedOptions) (format, error) {
	if !o.Pattern.Given() {
		return &combinedFormat{}, nil
	}
	ps, err := compilePatterns(o.Pattern, compileAccess)
	if err != nil {
		return nil, err
	}
	return &accessFormat{patterns: ps}, nil
}

// accessFormat parses access logs of formats that are given. A field that is "-", or
// empty, is null; of what several servers were asked for, times and sizes are summed
// and the last status counts, and all of it is in attributes.
type accessFormat struct {
	patterns
	gen      *rows.Generation
	combined combinedFormat // takes requests apart
	buf      []byte
}

func (f *accessFormat) begin(r *reader) {
	if f.gen != r.b.Generation() {
		f.gen = r.b.Generation()
		for _, p := range f.patterns {
			for i := range p.parts {
				if p.parts[i].kind == partRequest {
					c := &f.combined
					c.method, c.path, c.protocol = r.b.Typed("method", schema.String), r.b.Typed("path", schema.String), r.b.Typed("protocol", schema.String)
				}
			}
		}
	}
	f.patterns.begin(r)
}

func (f *accessFormat) record(r *reader, rec []byte) {
	p, found := f.find(rec)
	if p == nil {
		r.fail(rec, "not the pattern: "+f.why(rec))
		return
	}
	r.row()
	for i := range p.parts {
		t := &p.parts[i]
		v := at(rec, found, i)
		if len(v) == 0 || len(v) == 1 && v[0] == '-' {
			continue
		}
		switch t.kind {
		case partTime:
			r.setTime(t.time(v, &r.zone), "time", v)
		case partRequest:
			f.combined.request(r, v)
		case partList, partLastOf:
			t.list(r, v)
		default:
			switch {
			case t.numeric():
				t.put(r, v)
			case p.json && bytes.IndexByte(v, '\\') >= 0:
				f.buf = unescapeLoose(f.buf[:0], v)
				t.col.String(f.buf)
			default:
				f.combined.text(t.col, v)
			}
		}
	}
}

// list puts what several servers were asked for into a column.
func (t *part) list(r *reader, v []byte) {
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
		if n++; t.kind == partLastOf {
			sum = 0
		}
		sum += x
	}
	if items > 1 {
		r.b.Attr(t.name, v)
	}
	switch {
	case n == 0:
	case t.typ == schema.Long:
		t.col.Long(int64(sum))
	default:
		t.col.Double(rounded(sum), v)
	}
}

// rounded takes off what adding decimal fractions leaves: times have no more than
// microseconds.
func rounded(x float64) float64 { return float64(int64(x*1e6+0.5)) / 1e6 }
