package parse

import (
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// typedColumns are a format's own columns, of types that hold from the first row
// on, by their places in defs.
type typedColumns struct {
	defs []schema.Column
	gen  *rows.Generation
	cols []*rows.Column
}

func newTyped(defs ...schema.Column) typedColumns {
	return typedColumns{defs: defs, cols: make([]*rows.Column, len(defs))}
}

func textColumn(name string) schema.Column   { return schema.Column{Name: name, Type: schema.String} }
func longColumn(name string) schema.Column   { return schema.Column{Name: name, Type: schema.Long} }
func doubleColumn(name string) schema.Column { return schema.Column{Name: name, Type: schema.Double} }

// begin is called before a chunk's first record.
func (t *typedColumns) begin(r *reader) {
	if t.gen == r.b.Generation() {
		return
	}
	t.gen = r.b.Generation()
	for i, d := range t.defs {
		t.cols[i] = r.b.Typed(d.Name, d.Type)
	}
}

// put gives the i-th column a value; an empty one is null, and what does not fit
// its type goes to attributes.
func (t *typedColumns) put(i int, v []byte) {
	if len(v) == 0 {
		return
	}
	c := t.cols[i]
	switch t.defs[i].Type {
	case schema.Long:
		if n, ok := wholeNumber(v); ok {
			c.Long(n)
			return
		}
	case schema.Double:
		if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			c.Double(f, v)
			return
		}
	}
	c.String(v)
}

// wholeNumber reads all of v as a long.
func wholeNumber(v []byte) (int64, bool) {
	if len(v) > 0 && len(v) <= 18 {
		if n := times.Digits(v, 0, len(v)); n >= 0 {
			return int64(n), true
		}
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}
