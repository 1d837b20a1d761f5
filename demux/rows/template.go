package rows

import (
	"slices"
	"sort"

	"github.com/akupara/akupara/demux/schema"
)

// Templates make templates of messages, and ids of templates. Both append what they
// make, are functions of what they are given alone, and are called side by side.
type Templates struct {
	Append   func(dst, message []byte) []byte
	AppendID func(dst, template []byte) []byte
}

// templated are the columns that are made of messages.
type templated struct {
	make     Templates
	text, id *Column
	// ids are entries of the id's dictionary by those of the template's, and messages
	// entries of the template's by those of the message's, both plus one.
	ids, messages []uint32
	buf           []byte
}

// reserve takes the names of the columns that are made of messages, so that no key
// of a record becomes one of them. Where the table has such a column that is a
// record's, or has no room for them, there are none.
func (b *Builder) reserve() {
	b.templated = templated{make: b.opts.Templates, ids: b.templated.ids[:0], messages: b.templated.messages[:0], buf: b.templated.buf}
	if b.opts.Templates.Append == nil {
		for _, d := range schema.OfMessages() { // those of rows before stay theirs
			if c := b.byName[schema.Fold(d.Name)]; c != nil && b.isMade(c, d) {
				c.made = true
			}
		}
		return
	}
	var own, more []*Column
	for _, d := range schema.OfMessages() {
		c, taken := b.byName[schema.Fold(d.Name)]
		if !taken {
			c = b.newColumn(d.Name, 0) // it is not created before there is a message
			more = append(more, c)
		}
		if taken && (c == nil || !b.isMade(c, d)) || !taken && !b.room(len(more)) {
			conflict := Conflict{Key: d.Name, Type: d.Type, Made: true}
			if taken && c != nil {
				conflict.Column, conflict.Has = c.name, c.typ
			}
			b.conflicts = append(b.conflicts, conflict)
			return
		}
		own = append(own, c)
	}
	for _, c := range more {
		b.add(schema.Fold(c.name), c)
	}
	for i, d := range schema.OfMessages() {
		own[i].fixed, own[i].made, own[i].doc = true, true, d.Doc
	}
	b.templated.text, b.templated.id = own[0], own[1]
}

// isMade reports whether a column of the table is d, which is made of messages.
func (b *Builder) isMade(c *Column, d schema.Column) bool {
	i := slices.IndexFunc(b.opts.Existing, func(x schema.Column) bool { return x.Name == d.Name })
	return c.name == d.Name && c.typ == d.Type && i >= 0 && b.opts.Existing[i].Doc == d.Doc
}

// Templates gives the rows from that one on their templates. It is called for each
// row once, in order, when its message is set.
func (b *Builder) Templates(firstRow int) {
	if b.templated.text == nil {
		return
	}
	m := b.message
	i := firstRow
	if m.sparse {
		i = sort.Search(m.rows.len(), func(i int) bool { return int(m.rows.at(i)) >= firstRow })
	}
	for n := m.len(); i < n; i++ {
		row := i
		if m.sparse {
			row = int(m.rows.at(i))
		}
		b.templated.add(b.mem, row, m.strs.entry(i), &m.strs)
	}
}

// add gives a row the template of a message.
func (t *templated) add(m *memory, row, message int, of *dictionary) {
	for len(t.messages) <= message && !of.plain {
		t.messages = append(t.messages, 0)
	}
	texts := &t.text.strs
	if message < len(t.messages) && t.messages[message] != 0 {
		at := int(t.messages[message] - 1)
		t.text.claimRow(row)
		texts.again(m, at)
		t.addID(m, row, at)
		return
	}
	t.buf = t.make.Append(t.buf[:0], of.get(message))
	if len(t.buf) == 0 {
		return
	}
	for _, c := range []*Column{t.text, t.id} {
		if c.typ == 0 {
			c.begin(schema.String)
		}
	}
	t.text.claimRow(row)
	texts.add(m, t.buf)
	at := texts.entry(texts.len() - 1)
	if message < len(t.messages) {
		t.messages[message] = uint32(at + 1)
	}
	t.addID(m, row, at)
}

// addID gives a row the id of the template that is the entry at of its dictionary.
func (t *templated) addID(m *memory, row, at int) {
	t.id.claimRow(row)
	ids := &t.id.strs
	if at < len(t.ids) && t.ids[at] != 0 {
		ids.again(m, int(t.ids[at]-1))
		return
	}
	n := len(t.buf)
	t.buf = t.make.AppendID(t.buf, t.text.strs.get(at))
	ids.add(m, t.buf[n:])
	t.buf = t.buf[:n]
	if at >= maxEntries {
		return
	}
	for len(t.ids) <= at {
		t.ids = append(t.ids, 0)
	}
	t.ids[at] = uint32(ids.entry(ids.len()-1) + 1)
}
