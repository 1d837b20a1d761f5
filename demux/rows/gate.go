package rows

import (
	"strconv"

	"github.com/akupara/akupara/demux/schema"
)

// gateTo returns what stands for a key's column, and changes the values as their path
// says.
func (b *Builder) gateTo(p *Path, t schema.Type) *Column {
	c := b.newColumn(p.Key, schema.Map)
	c.gate = &gate{b: b, path: p}
	if !p.Drop {
		c.gate.to = b.typedColumn(p.Key, t)
	}
	if p.Else != nil {
		c.gate.others = b.gateTo(p.Else, t)
	}
	return c
}

// gate is what values pass on their way to a column.
type gate struct {
	b      *Builder
	path   *Path
	to     *Column // nil: attributes
	others *Column // what Take leaves; nil: they go on
}

func (g *gate) text(v []byte) {
	if g.path.Edit != nil {
		v, _ = g.path.Edit(v)
	}
	g.keep(v)
}

// keep takes a text that is edited.
func (g *gate) keep(v []byte) {
	switch p := g.path; {
	case p.Drop || p.Take != nil && p.Take(v):
	case g.others != nil:
		g.others.String(v)
	case g.to != nil:
		g.to.String(v)
	default:
		g.b.attribute(p.Key, v)
	}
}

// value takes a value that is no text, given as its text, and reports whether it is
// done with it: else it goes on to the column that is returned.
func (g *gate) value(text func() []byte) (to *Column, done bool) {
	p := g.path
	if p.Drop {
		return nil, true
	}
	if p.Edit != nil {
		if v, changed := p.Edit(text()); changed {
			g.keep(v)
			return nil, true
		}
	}
	switch {
	case p.TakesAll && p.Take(text()):
		return nil, true
	case g.others != nil:
		return g.others, false
	case g.to == nil:
		g.b.attribute(p.Key, text())
		return nil, true
	}
	return g.to, false
}

func (g *gate) long(v int64) {
	if to, done := g.value(func() []byte { return strconv.AppendInt(nil, v, 10) }); !done {
		to.Long(v)
	}
}

func (g *gate) double(v float64, raw []byte) {
	if to, done := g.value(func() []byte { return raw }); !done {
		to.Double(v, raw)
	}
}

func (g *gate) boolean(v bool) {
	if to, done := g.value(func() []byte { return strconv.AppendBool(nil, v) }); !done {
		to.Bool(v)
	}
}
