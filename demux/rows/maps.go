package rows

import "github.com/akupara/akupara/demux/rows/internal/parquetfile"

// Levels of a map's leaves.
const (
	nullMap    = 0
	keyThere   = 2
	valueThere = 3
)

// tags writes the map that the rows' runs share.
func (g *gather) tags() {
	b := g.b
	if b.tagKeys.refs.len() == 0 {
		g.nullMap()
		return
	}
	g.beginMap()
	for _, r := range g.rows {
		tags := b.runs[g.runOf[r]].tags
		for i, t := range tags {
			g.pair(i == 0, t.key, t.val)
		}
		if len(tags) == 0 {
			g.noPair()
		}
	}
	g.endMap(&b.tagKeys, &b.tagVals)
}

// attributes writes the pairs that fit no column.
func (g *gather) attributes() {
	a := &g.b.attrs
	lo, hi := g.locate(&a.rows)
	if lo == hi {
		g.nullMap()
		return
	}
	g.beginMap()
	for _, r := range g.rows {
		at := g.at[r-g.minRow]
		if at == 0 {
			g.noPair()
			continue
		}
		for i := int(at) - 1; i < a.rows.len() && a.rows.at(i) == r; i++ {
			g.pair(i == int(at)-1, uint32(a.keys.entry(i)), uint32(a.vals.entry(i)))
		}
	}
	g.forget(&a.rows, lo, hi)
	g.endMap(&a.keys, &a.vals)
}

func (g *gather) nullMap() {
	lv := parquetfile.Levels{N: len(g.rows), Rep: g.zeros[:len(g.rows)], Def: g.zeros[:len(g.rows)]}
	g.w.Strings(lv, 0, false, nil)
	g.w.Strings(lv, 0, false, nil)
}

func (g *gather) beginMap() {
	g.rep, g.def, g.keyIDs, g.valueIDs = g.rep[:0], g.def[:0], g.keyIDs[:0], g.valueIDs[:0]
}

// pair adds a row's first or a further pair of entries.
func (g *gather) pair(first bool, key, val uint32) {
	rep := byte(1)
	if first {
		rep = 0
	}
	g.rep, g.def = append(g.rep, rep), append(g.def, keyThere)
	g.keyIDs, g.valueIDs = append(g.keyIDs, key), append(g.valueIDs, val)
}

func (g *gather) noPair() {
	g.rep, g.def = append(g.rep, 0), append(g.def, nullMap)
}

func (g *gather) endMap(keys, vals *dictionary) {
	lv := parquetfile.Levels{N: len(g.def), Rep: g.rep, Def: g.def}
	g.entries(lv, keys, g.keyIDs, false)
	for i, d := range g.def {
		if d == keyThere {
			g.def[i] = valueThere
		}
	}
	g.entries(lv, vals, g.valueIDs, false)
}
