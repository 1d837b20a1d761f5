package rows

import (
	"bytes"
	"maps"
	"slices"

	"github.com/akupara/akupara/demux/schema"
)

// Sibling makes an empty Builder whose rows b can Take. It shares memory with b, and
// may be used beside it.
func (b *Builder) Sibling() *Builder {
	s := &Builder{mem: &memory{pools: b.mem.pools}, sibling: true}
	s.ResetTo(b.opts)
	return s
}

// Expect says that the rows of b, a Sibling without any yet, will be as those of
// whole: strings of columns that don't repeat there are not looked for among those
// before.
func (b *Builder) Expect(whole *Builder) {
	b.plain = whole.plain
	for _, c := range append(b.own, b.message) {
		c.strs.plain = b.plain[c.name]
	}
}

// note notes whether the strings of a column don't repeat.
func (b *Builder) note(c *Column) {
	if !c.strs.plain || b.plain[c.name] {
		return
	}
	plain := maps.Clone(b.plain) // Siblings read that one
	if plain == nil {
		plain = map[string]bool{}
	}
	plain[c.name] = true
	b.plain = plain
}

// Take moves all rows of p, a Sibling with the same options, behind those of b: as
// if they had been added to b. p has to be Reset before it is used again.
func (b *Builder) Take(p *Builder) {
	for _, x := range []*Builder{b, p} {
		if len(x.faults) > 0 {
			x.flushFaults()
		}
	}
	base := b.n
	b.n += p.n
	b.ts.addAll(b.mem, &b.mem.longs, &p.ts)
	b.seq.addAll(b.mem, &b.mem.longs, &p.seq)
	b.level.addAll(b.mem, &b.mem.levels, &p.level)
	b.takeOrigins(p, base)
	b.message.take(p.message, base)
	b.parseError.take(p.parseError, base)
	own := slices.DeleteFunc(slices.Clone(p.own), func(c *Column) bool { return c.typ == 0 })
	slices.SortFunc(own, func(x, y *Column) int { return x.order - y.order })
	var homeless []*Column
	for _, c := range own {
		at := b.byName[schema.Fold(c.name)]
		switch {
		case at == nil && c.fixed:
			at = b.Typed(c.name, c.typ)
		case at == nil:
			at = b.Column(c.name)
		}
		if at == nil || at.name != c.name && !c.fixed || at.fixed && at.typ != 0 && at.typ != c.typ {
			homeless = append(homeless, c)
			continue
		}
		at.take(c, base)
	}
	b.takeAttributes(p, base, homeless)
}

// takeOrigins takes over where p's rows come from and what they cover.
func (b *Builder) takeOrigins(p *Builder, base int) {
	ids := func(to, from *dictionary) []uint32 {
		out := make([]uint32, from.refs.len())
		for i := range out {
			out[i] = to.intern(b.mem, from.get(i))
		}
		return out
	}
	origins, keys, vals := ids(&b.origins, &p.origins), ids(&b.tagKeys, &p.tagKeys), ids(&b.tagVals, &p.tagVals)
	at := make([]int, len(p.runs))
	for i := range p.runs {
		r := p.runs[i]
		r.firstRow += base
		r.host, r.source, r.stream = origins[r.host], origins[r.source], origins[r.stream]
		r.tags = slices.Clone(r.tags)
		for j := range r.tags {
			r.tags[j] = tag{keys[r.tags[j].key], vals[r.tags[j].val]}
		}
		at[i] = b.begin(r)
	}
	for _, c := range p.covers {
		b.cover(c.firstRow+base, at[c.run], c.ranges)
	}
}

// takeAttributes takes over p's pairs, and as pairs the values of its columns that
// can be none in b.
func (b *Builder) takeAttributes(p *Builder, base int, homeless []*Column) {
	if len(homeless) == 0 {
		b.attrs.rows.addEach(b.mem, &b.mem.ids, &p.attrs.rows, func(row uint32) uint32 { return row + uint32(base) })
		b.attrs.keys.take(b.mem, &p.attrs.keys)
		b.attrs.vals.take(b.mem, &p.attrs.vals)
		return
	}
	type pair struct {
		row uint32
		key string
		val []byte
	}
	var pairs []pair
	for _, c := range homeless { // a row's first value of a key, before its others
		c.eachText(func(i int, text []byte) {
			row := uint32(i)
			if c.sparse {
				row = c.rows.at(i)
			}
			pairs = append(pairs, pair{row, c.name, bytes.Clone(text)})
		})
	}
	for i := range p.attrs.rows.len() {
		a := &p.attrs
		pairs = append(pairs, pair{a.rows.at(i), string(a.keys.get(a.keys.entry(i))), a.vals.get(a.vals.entry(i))})
	}
	slices.SortStableFunc(pairs, func(x, y pair) int { return int(x.row) - int(y.row) })
	for _, x := range pairs {
		b.pair(base+int(x.row), append(b.key[:0], x.key...), x.val)
	}
}

// take moves the values of p, a column of the same name, behind those of c. base is
// how many rows there are before p's first.
func (c *Column) take(p *Column, base int) {
	if c.typ == 0 {
		c.begin(p.typ)
	}
	if c.typ != p.typ {
		c.meet(p)
	}
	if p.len() == 0 {
		return
	}
	m := c.b.mem
	if !c.sparse && (p.sparse || c.last != base-1) {
		c.scatter()
	}
	switch {
	case c.sparse && p.sparse:
		c.rows.addEach(m, &m.ids, &p.rows, func(row uint32) uint32 { return row + uint32(base) })
	case c.sparse:
		for i := range p.len() {
			c.rows.add(m, &m.ids, uint32(base+i))
		}
	}
	c.last = base + p.last
	if c.typ == schema.String {
		c.strs.take(m, &p.strs)
		c.b.note(c)
		return
	}
	c.written.take(m, &p.written, c.nums.len())
	c.nums.addAll(m, &m.words, &p.nums)
}

// meet widens two columns that may until they have the same type.
func (c *Column) meet(p *Column) {
	for _, x := range []*Column{c, p} {
		if x.typ == schema.Long && (c.typ == schema.Double || p.typ == schema.Double) {
			x.toDouble()
		}
	}
	if c.typ == p.typ {
		return
	}
	for _, x := range []*Column{c, p} {
		if x.typ != schema.String {
			x.toString()
		}
	}
}

// take moves p's values behind t's.
func (t *dictionary) take(m *memory, p *dictionary) {
	if p.len() == 0 {
		return
	}
	if n := t.refs.len() + p.refs.len(); !t.plain && p.plain && (n*2 > t.len()+p.len() || n >= maxEntries) {
		t.turnPlain(m)
	}
	switch {
	case !t.plain:
		ids := make([]uint32, p.refs.len())
		for i := range ids {
			ids[i] = t.intern(m, p.get(i))
		}
		for i := range p.len() {
			t.ids.add(m, &m.ids, ids[p.entry(i)])
		}
		t.consider(m)
	case p.plain:
		first := t.arena.adopt(m, &p.arena)
		for i := range p.len() {
			r := p.refs.at(p.entry(i))
			r.block += first
			t.refs.add(m, &m.refs, r)
		}
	default:
		refs := make([]ref, p.refs.len())
		for i := range refs {
			refs[i] = t.arena.put(m, p.get(i))
		}
		for i := range p.len() {
			t.refs.add(m, &m.refs, refs[p.entry(i)])
		}
	}
}

// adopt takes over from's strings, and returns the number of their first block.
func (a *arena) adopt(m *memory, from *arena) (first uint32) {
	first = uint32(len(a.blocks))
	for _, b := range from.blocks {
		m.used += int64(len(b))
	}
	a.blocks = append(a.blocks, from.blocks...)
	*from = arena{}
	return first
}
