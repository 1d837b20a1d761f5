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
	known []uint32

	ready   bool // what follows is of the row group
	plain   bool // templates don't repeat
	def     []byte
	entries []uint32     // of texts, for each value; where plain, of the messages
	written []TemplateID // where plain, of the values so far
	buf     []byte
	ends    []int
}

// maxTemplates bounds those that are kept from one row group to the next.
const maxTemplates = 1 << 14

// forget drops what is known of messages.
func (t *templates) forget() {
	if t.mem != nil {
		t.texts.reset(t.mem)
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

func (g *gather) makeTemplates() {
	t, m := &g.templates, &g.b.message.strs
	if t.plain || len(t.ids) > maxTemplates {
		t.forget()
	}
	if t.mem == nil {
		t.mem = &memory{pools: g.b.mem.pools}
	}
	g.find(g.b.message)
	t.def, t.entries, t.written = t.def[:0], t.entries[:0], t.written[:0]
	if len(g.vi) < len(g.rows) {
		t.def = append(t.def, g.def...)
	} else {
		t.def = append(t.def, slices.Repeat([]byte{1}, len(g.rows))...)
	}
	before, row, n := len(t.ids), 0, 0
	for _, i := range g.vi {
		for t.def[row] == 0 {
			row++
		}
		message := m.entry(int(i))
		at := t.of(&g.b.templated.make, m, message)
		if at == noTemplate {
			t.def[row] = 0
			row++
			continue
		}
		row++
		g.vi[n] = uint32(message)
		n++
		if t.plain {
			continue
		}
		t.entries = append(t.entries, at)
		made := len(t.ids) - before
		t.plain = made >= tryEntries && (2*made > n || t.mem.used > 2*maxDictionary)
	}
	if t.plain {
		t.entries = append(t.entries[:0], g.vi[:n]...)
	}
}

const noTemplate = ^uint32(0)

// of returns the entry of texts that is the template of a message. Once templates turned
// out not to repeat, it tells only whether there is one.
func (t *templates) of(by *Templates, m *dictionary, message int) uint32 {
	if message < len(t.known) && t.known[message] > 0 {
		return t.known[message] - 2
	}
	at := noTemplate
	if v := m.get(message); !by.None(v) {
		if t.plain {
			return 0
		}
		t.buf = by.Append(t.buf[:0], v)
		if at = t.texts.intern(t.mem, t.buf); int(at) == len(t.ids) {
			t.ids = append(t.ids, by.ID(t.buf))
		}
	}
	if message < m.turn || !m.plain {
		for len(t.known) <= message {
			t.known = append(t.known, 0)
		}
		t.known[message] = at + 2
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
