package rows

import (
	"slices"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
)

// templates are those of the messages that a gather comes upon. While they repeat, each
// is made and kept once; where they don't, they are made as they are written and none is
// kept.
type templates struct {
	mem   *memory
	texts dictionary
	ids   []TemplateID // of texts' entries
	// known are texts' entries plus two, by those of the messages' dictionary; one is for
	// messages that have none.
	known  []uint32
	shapes shapes

	ready   bool // what follows is of the row group
	plain   bool // templates don't repeat
	def     []byte
	entries []uint32     // of texts, for each value; where plain, of the messages
	written []TemplateID // where plain, of the values so far
	// While they are made: how many templates there were before, the row, and of how many
	// rows before it there are some.
	before, row, n int
	buf            []byte
	ends           []int
}

// maxTemplates bounds those that are kept from one row group to the next.
const maxTemplates = 1 << 14

// forget drops what is known of messages.
func (t *templates) forget() {
	if t.mem != nil {
		t.texts.reset(t.mem)
		t.shapes.forget(t.mem)
		t.mem.used = 0
	}
	t.ids, t.known, t.ready, t.plain = t.ids[:0], t.known[:0], false, false
}

// templatesOf finds the templates of the row group's messages, and returns the levels of
// their columns.
func (g *gather) templatesOf() (*templates, parquetfile.Levels) {
	t := &g.templates
	if !t.ready {
		g.makeTemplates()
		t.ready = true
	}
	lv := parquetfile.Levels{N: len(g.rows)}
	if len(t.entries) < lv.N {
		lv.Def = t.def
	}
	return t, lv
}

// messages writes the column of messages. Of those that are written one by one the
// templates are made on the way, while they are near.
func (g *gather) messages() {
	m := g.b.message
	if text := g.b.templated.text; text == nil || text.typ == 0 {
		g.values(m, false)
		return
	}
	g.find(m)
	m.strs.entriesOf(g.vi)
	lv := g.levels(len(g.vi))
	if g.byDictionary(lv, &m.strs, g.vi) {
		return
	}
	t := g.beginTemplates()
	g.w.Strings(lv, len(g.vi), false, func(dst [][]byte, from int) {
		for i, e := range g.vi[from : from+len(dst)] {
			dst[i] = m.strs.get(int(e))
		}
		for i, v := range dst {
			g.addTemplate(g.vi[from+i], v)
		}
	})
	g.endTemplates()
	t.ready = true
}

func (g *gather) makeTemplates() {
	m := &g.b.message.strs
	g.find(g.b.message)
	m.entriesOf(g.vi)
	g.beginTemplates()
	for _, e := range g.vi {
		g.addTemplate(e, nil)
	}
	g.endTemplates()
}

// beginTemplates begins those of the row group's messages, whose entries are in vi.
func (g *gather) beginTemplates() *templates {
	t := &g.templates
	if t.plain || len(t.ids) > maxTemplates {
		t.forget()
	}
	if t.mem == nil {
		t.mem = &memory{pools: g.b.mem.pools}
	}
	t.def, t.entries, t.written = t.def[:0], t.entries[:0], t.written[:0]
	if len(g.vi) < len(g.rows) {
		t.def = append(t.def, g.def...)
	} else {
		t.def = append(t.def, slices.Repeat([]byte{1}, len(g.rows))...)
	}
	t.before, t.row, t.n = len(t.ids), 0, 0
	return t
}

// addTemplate takes the next message. v is its text, or nil, and may be looked up.
func (g *gather) addTemplate(message uint32, v []byte) {
	t := &g.templates
	for t.def[t.row] == 0 {
		t.row++
	}
	at := t.of(&g.b.templated.make, &g.b.message.strs, int(message), v)
	if at == noTemplate {
		t.def[t.row] = 0
		t.row++
		return
	}
	t.row++
	g.vi[t.n] = message
	t.n++
	if t.plain {
		return
	}
	t.entries = append(t.entries, at)
	made := len(t.ids) - t.before
	t.plain = made >= tryEntries && (2*made > t.n || t.mem.used > 2*maxDictionary)
}

func (g *gather) endTemplates() {
	if t := &g.templates; t.plain {
		t.entries = append(t.entries[:0], g.vi[:t.n]...)
	}
}

const noTemplate = ^uint32(0)

// of returns the entry of texts that is the template of a message, v if it is at hand.
// Once templates turned out not to repeat, it tells only whether there is one.
func (t *templates) of(by *Templates, m *dictionary, message int, v []byte) uint32 {
	if message < len(t.known) && t.known[message] > 0 {
		return t.known[message] - 2
	}
	if v == nil {
		v = m.get(message)
	}
	at := noTemplate
	if !by.None(v) {
		if t.plain {
			return 0
		}
		at = t.shapes.of(t.mem, by, v, t.make)
	}
	if message < m.turn || !m.plain {
		for len(t.known) <= message {
			t.known = append(t.known, 0)
		}
		t.known[message] = at + 2
	}
	return at
}

// make makes the template of a message, and returns its entry.
func (t *templates) make(by *Templates, v []byte) uint32 {
	t.buf = by.Append(t.buf[:0], v)
	at := t.texts.intern(t.mem, t.buf)
	if int(at) == len(t.ids) {
		t.ids = append(t.ids, by.ID(t.buf))
	}
	return at
}

// template writes the column of templates.
func (g *gather) template() {
	t, lv := g.templatesOf()
	if !t.plain {
		g.entries(lv, &t.texts, t.entries, true)
		return
	}
	g.w.Strings(lv, len(t.entries), true, func(dst [][]byte, from int) { g.fillTemplates(dst, from) })
}

// fillTemplates makes templates that don't repeat, and their ids.
func (g *gather) fillTemplates(dst [][]byte, from int) {
	t, by := &g.templates, &g.b.templated.make
	t.buf, t.ends, t.written = t.buf[:0], t.ends[:0], t.written[:from]
	for _, e := range t.entries[from : from+len(dst)] {
		at := len(t.buf)
		t.buf = by.Append(t.buf, g.b.message.strs.get(int(e)))
		t.ends = append(t.ends, len(t.buf))
		t.written = append(t.written, by.ID(t.buf[at:]))
	}
	at := 0
	for i, end := range t.ends {
		dst[i] = t.buf[at:end:end]
		at = end
	}
}

// templateID writes the column of templates' ids.
func (g *gather) templateID() {
	t, lv := g.templatesOf()
	if !t.plain {
		if g.number(t.entries, len(t.ids)); g.pays(t.entries) {
			g.w.Dictionary(lv, g.idx, len(g.used), func(i int) []byte { return t.ids[g.used[i]][:] })
			return
		}
	}
	g.w.Strings(lv, len(t.entries), true, func(dst [][]byte, from int) {
		if t.plain && len(t.written) < from+len(dst) {
			g.fillTemplates(dst, from)
		}
		for i := range dst {
			if t.plain {
				dst[i] = t.written[from+i][:]
			} else {
				dst[i] = t.ids[t.entries[from+i]][:]
			}
		}
	})
}
