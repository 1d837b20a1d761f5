package rows

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

// gather brings the columns' values into the files' order, one row group and
// column at a time. It keeps its memory from file to file.
type gather struct {
	b            *Builder
	w            *parquetfile.Writer
	order, runOf []uint32
	spans        spans

	rows            []uint32 // of the group, in order
	minRow, maxRow  uint32   // of the group
	at              []uint32 // where a row's value is, plus one, counted from minRow
	vi              []uint32 // where the present values are
	nums            []uint64
	def, rep, zeros []byte
	idx             []int32
	local           []int32 // index in the group's dictionary of one of the column's, plus one
	used            []uint32
	distinct        distinct
	templates       templates
	hashes          []uint64 // of the origins' streams; nil: not known yet

	keyIDs, valueIDs []uint32
}

func newGather(b *Builder) (*gather, error) {
	w, err := parquetfile.New()
	if err != nil {
		return nil, err
	}
	return &gather{b: b, w: w}, nil
}

// group writes one row group.
func (g *gather) group(cols []schema.Column, rows []uint32) error {
	g.set(rows)
	g.w.BeginGroup()
	if err := g.columns(cols); err != nil {
		return err
	}
	return g.w.EndGroup(len(rows))
}

// aside encodes one row group for another Writer.
func (g *gather) aside(data *bytes.Buffer, cols []schema.Column, rows []uint32) (*parquetfile.Group, error) {
	g.set(rows)
	g.w.BeginAside(data, cols)
	if err := g.columns(cols); err != nil {
		return nil, err
	}
	return g.w.EndAside(len(rows))
}

func (g *gather) columns(cols []schema.Column) error {
	for i := range cols {
		if err := g.column(cols, i); err != nil {
			return err
		}
	}
	return nil
}

func (g *gather) set(rows []uint32) {
	g.rows, g.minRow, g.maxRow = rows, slices.Min(rows), slices.Max(rows)
	if len(g.zeros) < len(rows) {
		g.zeros = make([]byte, len(rows))
	}
	g.templates.ready = false
}

// column writes the i-th column of the row group.
func (g *gather) column(cols []schema.Column, i int) error {
	b, c := g.b, &cols[i]
	all := parquetfile.Levels{N: len(g.rows)}
	switch c.Name {
	case schema.TS:
		g.w.Longs(all, g.pick(&b.ts))
	case schema.Seq:
		g.w.Longs(all, g.pick(&b.seq))
	case schema.Host:
		g.origin(func(r *run) uint32 { return r.host })
	case schema.Source:
		g.origin(func(r *run) uint32 { return r.source })
	case schema.Stream:
		g.origin(func(r *run) uint32 { return r.stream })
	case schema.Level:
		g.level()
	case schema.Message:
		g.messages()
	case schema.ParseError:
		g.values(b.parseError, false)
	case schema.Tags:
		g.tags()
	case schema.Attributes:
		g.attributes()
	default:
		own := b.byName[schema.Fold(c.Name)]
		switch t := &b.templated; {
		case own == nil || own.typ == 0:
		case own == t.text:
			g.template()
			return nil
		case own == t.id:
			g.templateID()
			return nil
		}
		if own == nil || own.typ == 0 || own.len() == 0 || own.name != c.Name && has(cols, own.name) {
			g.null(c)
			return nil
		}
		if own.typ != c.Type {
			return fmt.Errorf("column %s is a %v in the table, the rows hold a %v", c.Name, c.Type, own.typ)
		}
		g.values(own, true)
	}
	return nil
}

// has reports whether a column is called so. Tables may have several columns whose
// names are folded alike: the values are those of one.
func has(cols []schema.Column, name string) bool {
	return slices.ContainsFunc(cols, func(c schema.Column) bool { return c.Name == name })
}

// null writes a column that no row has a value of.
func (g *gather) null(c *schema.Column) {
	lv := parquetfile.Levels{N: len(g.rows), Def: g.zeros[:len(g.rows)], Rep: g.zeros[:len(g.rows)]}
	switch c.Type {
	case schema.String:
		g.w.Strings(lv, 0, false, nil)
	case schema.Map:
		g.w.Strings(lv, 0, false, nil)
		g.w.Strings(lv, 0, false, nil)
	case schema.Boolean:
		g.w.Bools(lv, nil)
	default:
		g.w.Longs(lv, nil)
	}
}

func (g *gather) pick(from *vec[int64]) []uint64 {
	g.nums = g.nums[:0]
	for _, r := range g.rows {
		g.nums = append(g.nums, uint64(from.at(int(r))))
	}
	return g.nums
}

func (g *gather) origin(of func(*run) uint32) {
	b := g.b
	g.valueIDs = g.valueIDs[:0]
	last, id := uint32(math.MaxUint32), uint32(0)
	for _, r := range g.rows {
		if k := g.runOf[r]; k != last {
			last, id = k, of(&b.runs[k])
		}
		g.valueIDs = append(g.valueIDs, id)
	}
	g.entries(parquetfile.Levels{N: len(g.rows)}, &b.origins, g.valueIDs, true)
}

func (g *gather) level() {
	g.def, g.valueIDs = g.def[:0], g.valueIDs[:0]
	for _, r := range g.rows {
		l := g.b.level.at(int(r))
		if l == NoLevel {
			g.def = append(g.def, 0)
			continue
		}
		g.def = append(g.def, 1)
		g.valueIDs = append(g.valueIDs, uint32(l))
	}
	var seen [len(levelNames)]int32
	var names [][]byte
	g.idx = g.idx[:0]
	for _, l := range g.valueIDs {
		if seen[l] == 0 {
			names = append(names, []byte(levelNames[l]))
			seen[l] = int32(len(names))
		}
		g.idx = append(g.idx, seen[l]-1)
	}
	g.w.Dictionary(g.levels(len(g.valueIDs)), g.idx, len(names), func(i int) []byte { return names[i] })
}

// levels returns those of a column with the given number of values.
func (g *gather) levels(values int) parquetfile.Levels {
	lv := parquetfile.Levels{N: len(g.rows)}
	if values < lv.N {
		lv.Def = g.def
	}
	return lv
}

// find fills def and vi for the group's rows.
func (g *gather) find(c *Column) {
	n := c.len()
	if !c.sparse && n > int(g.maxRow) { // all rows have a value, at their own place
		g.vi = append(g.vi[:0], g.rows...)
		return
	}
	g.def, g.vi = g.def[:0], g.vi[:0]
	if !c.sparse {
		for _, r := range g.rows {
			if int(r) < n {
				g.def, g.vi = append(g.def, 1), append(g.vi, r)
			} else {
				g.def = append(g.def, 0)
			}
		}
		return
	}
	lo, hi := g.locate(&c.rows)
	for _, r := range g.rows {
		if at := g.at[r-g.minRow]; at != 0 {
			g.def, g.vi = append(g.def, 1), append(g.vi, at-1)
		} else {
			g.def = append(g.def, 0)
		}
	}
	g.forget(&c.rows, lo, hi)
}

// locate notes in at where the rows of the group have their first value, and
// gives the range of values looked at; forget undoes it.
func (g *gather) locate(rows *vec[uint32]) (lo, hi int) {
	if n := int(g.maxRow-g.minRow) + 1; len(g.at) < n {
		g.at = make([]uint32, n)
	}
	n := rows.len()
	lo = sort.Search(n, func(i int) bool { return rows.at(i) >= g.minRow })
	for hi = lo; hi < n && rows.at(hi) <= g.maxRow; hi++ {
		if at := &g.at[rows.at(hi)-g.minRow]; *at == 0 {
			*at = uint32(hi) + 1
		}
	}
	return lo, hi
}

func (g *gather) forget(rows *vec[uint32], lo, hi int) {
	for i := lo; i < hi; i++ {
		g.at[rows.at(i)-g.minRow] = 0
	}
}

// values writes a column of the run.
func (g *gather) values(c *Column, bounded bool) {
	g.find(c)
	lv := g.levels(len(g.vi))
	if c.typ == schema.String {
		g.strings(lv, &c.strs, g.vi, bounded)
		return
	}
	g.nums = g.nums[:0]
	for _, i := range g.vi {
		g.nums = append(g.nums, c.nums.at(int(i)))
	}
	switch c.typ {
	case schema.Double:
		g.w.Doubles(lv, g.nums)
	case schema.Boolean:
		g.w.Bools(lv, g.nums)
	default:
		g.w.Longs(lv, g.nums)
	}
}

// strings writes values of t; vi is overwritten.
func (g *gather) strings(lv parquetfile.Levels, t *dictionary, vi []uint32, bounded bool) {
	t.entriesOf(vi)
	g.entries(lv, t, vi, bounded)
}

// entries writes values of t, given as their entries: by a dictionary where
// that pays.
func (g *gather) entries(lv parquetfile.Levels, t *dictionary, entries []uint32, bounded bool) {
	if !g.byDictionary(lv, t, entries) {
		g.w.Strings(lv, len(entries), bounded, func(dst [][]byte, from int) {
			for i, e := range entries[from : from+len(dst)] {
				dst[i] = t.get(int(e))
			}
		})
	}
}

// byDictionary writes entries of t by a dictionary, and reports whether that pays.
func (g *gather) byDictionary(lv parquetfile.Levels, t *dictionary, entries []uint32) bool {
	if t.plain {
		return g.again(lv, t, entries)
	}
	return g.dictionary(lv, t, entries)
}

// maxDictionary is the most bytes of a dictionary's entries: a dictionary is
// one page.
const maxDictionary = 4 << 20

// dictionary writes entries of t as a dictionary and indexes. It does not, and
// gives false, where few entries repeat.
func (g *gather) dictionary(lv parquetfile.Levels, t *dictionary, entries []uint32) bool {
	g.number(entries, t.refs.len())
	size := 0
	for _, e := range g.used {
		size += int(t.refs.at(int(e)).len)
	}
	if !g.pays(entries) || size > maxDictionary {
		return false
	}
	g.w.Dictionary(lv, g.idx, len(g.used), func(i int) []byte { return t.get(int(g.used[i])) })
	return true
}

// number numbers entries, of so many, as they first come: used are they, and idx their
// numbers.
func (g *gather) number(entries []uint32, of int) {
	if len(g.local) < of {
		g.local = make([]int32, of+of/4)
	}
	g.used, g.idx = g.used[:0], g.idx[:0]
	for _, e := range entries {
		at := g.local[e]
		if at == 0 {
			g.used = append(g.used, e)
			at = int32(len(g.used))
			g.local[e] = at
		}
		g.idx = append(g.idx, at-1)
	}
	for _, e := range g.used {
		g.local[e] = 0
	}
}

// pays reports whether a dictionary of used pays for entries.
func (g *gather) pays(entries []uint32) bool {
	return len(g.used) <= 16 || len(g.used)*4 <= len(entries)*3
}
