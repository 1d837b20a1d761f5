package rows

import (
	"slices"
	"sort"

	"github.com/akupara/akupara/demux/schema"
)

// Templates make templates of messages, and ids of templates. All are functions of what
// they are given alone, and are called side by side.
type Templates struct {
	// Append appends the template of a message: nothing where None says that it has none.
	Append func(dst, message []byte) []byte
	None   func(message []byte) bool
	// Shape, if there is one, appends what messages of one template have in common
	// mostly, and no others: it takes less than Append. Where known is false it does not
	// say.
	Shape func(dst, message []byte) (shape []byte, known bool)
	ID    func(template []byte) TemplateID
}

// TemplateID is the text of a template's id.
type TemplateID = [16]byte

// templated are the columns that are made of messages. They have no values: these are
// made while a row group is written.
type templated struct {
	make     Templates
	text, id *Column
}

// reserve takes the names of the columns that are made of messages, so that no key
// of a record becomes one of them. Where the table has such a column that is a
// record's, or has no room for them, there are none.
func (b *Builder) reserve() {
	b.templated = templated{make: b.opts.Templates}
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

// Templates has the rows from that one on get templates when they are written. It is
// called for each row once, when its message is set.
func (b *Builder) Templates(firstRow int) {
	t := &b.templated
	if t.text == nil || t.text.typ != 0 {
		return
	}
	m := b.message
	i := firstRow
	if m.sparse {
		i = sort.Search(m.rows.len(), func(i int) bool { return int(m.rows.at(i)) >= firstRow })
	}
	for n := m.len(); i < n; i++ {
		if !t.make.None(m.strs.get(m.strs.entry(i))) {
			t.text.begin(schema.String)
			t.id.begin(schema.String)
			return
		}
	}
}
