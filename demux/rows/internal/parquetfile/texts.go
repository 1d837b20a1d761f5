package parquetfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"
)

// Texts writes a leaf of Strings value by value, and finds out by itself whether
// a dictionary pays. It keeps nothing of what it is given. For a map's leaf call
// Level before each value, and for a level without one; else Add and Null are
// enough.
type Texts struct {
	w        *Writer
	c        *columnChunk
	bounded  bool
	bloom    Bloom
	plain    bool
	levels   int // of the group so far
	values   int
	rep, def []byte // of the group, or of the page where it is plain; unused for required leaves

	dict entries
	idx  []int32

	vals     []byte // of the page
	inPage   int    // levels
	present  int
	like     likeness
	hashing  bool
	hashes   []uint64
	textSize int // bytes of all values
}

// Bloom says whether a leaf gets bloom filters.
type Bloom uint8

const (
	NoBloom   Bloom = iota
	AutoBloom       // where its values are many and short
	WithBloom
)

const (
	dictTry     = 2048 // entries before a dictionary is given up
	dictMost    = 1 << 17
	dictBytes   = 4 << 20
	copyAtLeast = 64 << 10 // bytes of a page that is worth to be one of its own
)

// Texts starts the next leaf.
func (w *Writer) Texts(bounded bool, bloom Bloom) *Texts {
	t := &w.texts
	t.w, t.c, t.bounded, t.bloom, t.plain = w, w.begin(Levels{}, 0, bounds{unknown: !bounded}), bounded, bloom, false
	t.levels, t.values, t.inPage, t.present, t.textSize = 0, 0, 0, 0, 0
	t.rep, t.def, t.idx, t.vals, t.hashes = t.rep[:0], t.def[:0], t.idx[:0], t.vals[:0], t.hashes[:0]
	t.hashing = bloom != NoBloom
	t.like.reset()
	t.dict.reset()
	return t
}

// Level is a level of a map's leaf. One at the highest definition level is
// followed by Add or Ref.
func (t *Texts) Level(rep, def byte) {
	if t.plain && rep == 0 {
		t.flushFull()
	}
	t.rep, t.def = append(t.rep, rep), append(t.def, def)
	t.levels++
	t.inPage++
}

func (t *Texts) flat(def byte) {
	if t.c.leaf.maxRep > 0 {
		return
	}
	if t.plain {
		t.flushFull()
	}
	if t.c.leaf.maxDef > 0 {
		t.def = append(t.def, def)
	}
	t.levels++
	t.inPage++
}

// Nulls adds n rows without a value to a leaf that is of no map.
func (t *Texts) Nulls(n int) {
	for range n {
		t.flat(0)
	}
}

// Add adds a value.
func (t *Texts) Add(v []byte) {
	t.flat(1)
	if !t.plain {
		t.ref(t.dict.intern(v, xxhash.Sum64(v)))
		return
	}
	t.put(v, 0, false)
}

// Trying reports whether Intern and Ref may be used: the leaf may still get a
// dictionary.
func (t *Texts) Trying() bool { return !t.plain }

// Intern returns the number by which Ref adds v.
func (t *Texts) Intern(v []byte) int32 { return t.dict.intern(v, xxhash.Sum64(v)) }

// Ref adds a value that was interned.
func (t *Texts) Ref(id int32) {
	t.flat(1)
	t.ref(id)
}

func (t *Texts) ref(id int32) {
	t.idx = append(t.idx, id)
	t.values++
	t.textSize += t.dict.size(id)
	n := len(t.dict.ends)
	if n >= dictTry && n*10 > len(t.idx)*9 || n > dictMost || len(t.dict.bytes) > dictBytes {
		t.turn()
	}
}

// turn gives the dictionary up: what was added becomes plain.
func (t *Texts) turn() {
	rep, def, idx := t.rep, t.def, t.idx
	levels := t.levels
	t.plain = true
	t.rep, t.def = nil, nil
	t.inPage, t.values, t.levels, t.textSize = 0, 0, 0, 0
	if t.c.leaf.maxDef > 0 {
		t.def = make([]byte, 0, cap(def))
	}
	for i := range levels {
		switch {
		case t.c.leaf.maxRep > 0:
			t.Level(rep[i], def[i])
		case t.c.leaf.maxDef > 0:
			t.flat(def[i])
		default:
			t.flat(1)
		}
		if t.c.leaf.maxDef == 0 || def[i] == t.c.leaf.maxDef {
			t.put(t.dict.get(idx[0]), t.dict.hashes[idx[0]], true)
			idx = idx[1:]
		}
	}
}

// put adds a value to the page.
func (t *Texts) put(v []byte, hash uint64, hashed bool) {
	t.vals = binary.LittleEndian.AppendUint32(t.vals, uint32(len(v)))
	t.vals = append(t.vals, v...)
	t.like.add(v)
	t.present++
	t.look(v, hash, hashed)
}

// look takes in what is told of a value beside the pages.
func (t *Texts) look(v []byte, hash uint64, hashed bool) {
	t.values++
	t.textSize += len(v)
	if t.bounded {
		t.c.page.str(v)
	}
	if !t.hashing {
		return
	}
	if t.bloom == AutoBloom && t.textSize > maxNeedle*t.values+pageBytes {
		t.hashing = false // for good: a filter knows all values or is wrong
		return
	}
	if !hashed {
		hash = xxhash.Sum64(v)
	}
	t.hashes = append(t.hashes, hash)
}

func (t *Texts) flushFull() {
	if len(t.vals) >= pageBytes {
		t.flush()
	}
}

// pending returns the n levels that are not written yet, of so many values.
func (t *Texts) pending(n, values int) Levels {
	lv := Levels{N: n}
	if t.c.leaf.maxRep > 0 {
		lv.Rep, lv.Def = t.rep, t.def
	} else if values < n {
		lv.Def = t.def
	}
	return lv
}

// flush writes the page.
func (t *Texts) flush() {
	if t.inPage == 0 {
		return
	}
	lv := t.pending(t.inPage, t.present)
	t.c.levels(lv, 0, t.inPage)
	t.c.rows = t.like.rows(len(t.w.page))
	t.w.page = append(t.w.page, t.vals...)
	t.c.data(t.inPage, t.inPage-t.present, format.Plain)
	t.rep, t.def, t.vals = t.rep[:0], t.def[:0], t.vals[:0]
	t.inPage, t.present = 0, 0
	t.like.reset()
}

// Takes reports whether Copy takes a page of the given levels of a leaf: then it
// need not be compressed again.
func (t *Texts) Takes(p *Page, maxRep, maxDef byte) bool {
	return t.plain && p.Plain && !p.Dictionary && p.Size >= copyAtLeast && t.c.leaf.maxRep == 0 &&
		maxRep == t.c.leaf.maxRep && maxDef == t.c.leaf.maxDef
}

// Looks reports whether Copy must be told the page's values.
func (t *Texts) Looks() bool { return t.bounded || t.hashing }

// Copy adds a whole page as it is. v are its values, if Looks.
func (t *Texts) Copy(p *Page, v *Values) error {
	t.flush()
	t.levels += p.Values
	if t.Looks() {
		data := v.Data
		for range v.Present {
			s, rest, err := NextString(data)
			if err != nil {
				return err
			}
			t.look(s, 0, false)
			data = rest
		}
	} else {
		t.values += p.Values - int(p.nulls)
		t.textSize += p.Size // about
	}
	t.c.index.next = int64(p.Values)
	t.c.copied(p)
	return nil
}

// End ends the leaf.
func (t *Texts) End() {
	c := t.c
	if c.leaf.maxDef == 0 && t.values != t.levels && t.w.err == nil {
		t.w.err = fmt.Errorf("column %s is required, and %d of %d rows are without it", c.leaf.col.Name, t.levels-t.values, t.levels)
	}
	if !t.plain && len(t.dict.ends) > 16 && len(t.dict.ends)*4 > len(t.idx)*3 {
		t.turn()
	}
	n := int64(t.levels)
	c.b.values, c.meta.NumValues = n, n
	c.b.nulls = n - int64(t.values)
	switch {
	case t.plain:
		t.flush()
		if t.hashing && (t.bloom == WithBloom || needle(t.values, t.textSize)) {
			t.w.filter(len(t.w.group.Columns), t.hashes, t.bloom)
		}
	case t.values == 0:
		lv := t.pending(t.levels, 0)
		c.levels(lv, 0, t.levels)
		c.data(t.levels, t.levels, format.Plain)
	default:
		t.asDictionary()
	}
	c.end()
	// What one leaf of large values took is not kept for all others.
	if cap(t.vals) > 4*pageBytes {
		t.vals = nil
	}
}

func (t *Texts) asDictionary() {
	c := t.c
	t.w.page = t.w.page[:0]
	for i := range t.dict.ends {
		v := t.dict.get(int32(i))
		if t.bounded {
			c.page.str(v)
		}
		t.w.page = binary.LittleEndian.AppendUint32(t.w.page, uint32(len(v)))
		t.w.page = append(t.w.page, v...)
	}
	c.dictionary(len(t.dict.ends))
	lv := t.pending(t.levels, t.values)
	c.indexes(lv, t.idx)
	if t.bloom == WithBloom || t.bloom == AutoBloom && needle(len(t.dict.ends), len(t.dict.bytes)) {
		t.w.filter(len(t.w.group.Columns), t.dict.hashes, t.bloom)
	}
}

// entries are the strings of a dictionary, each once.
type entries struct {
	bytes  []byte
	ends   []int
	hashes []uint64
	slots  []int32 // number plus one, by hash; 0 is free
}

func (e *entries) reset() {
	if len(e.ends) > 0 || e.slots == nil {
		if len(e.slots) > 4*dictTry || e.slots == nil {
			e.slots = make([]int32, 2*dictTry)
		}
		clear(e.slots)
	}
	e.bytes, e.ends, e.hashes = e.bytes[:0], e.ends[:0], e.hashes[:0]
}

func (e *entries) get(i int32) []byte {
	from := 0
	if i > 0 {
		from = e.ends[i-1]
	}
	return e.bytes[from:e.ends[i]:e.ends[i]]
}

func (e *entries) size(i int32) int { return len(e.get(i)) }

func (e *entries) intern(v []byte, hash uint64) int32 {
	if 2*len(e.ends) >= len(e.slots) {
		e.grow()
	}
	mask := uint64(len(e.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		at := e.slots[i]
		if at == 0 {
			e.bytes = append(e.bytes, v...)
			e.ends, e.hashes = append(e.ends, len(e.bytes)), append(e.hashes, hash)
			e.slots[i] = int32(len(e.ends))
			return int32(len(e.ends)) - 1
		}
		if e.hashes[at-1] == hash && bytes.Equal(e.get(at-1), v) {
			return at - 1
		}
	}
}

func (e *entries) grow() {
	n := 4 * len(e.slots)
	e.slots = slices.Grow(e.slots[:0], n)[:n]
	clear(e.slots)
	mask := uint64(n - 1)
	for k, hash := range e.hashes {
		i := hash & mask
		for e.slots[i] != 0 {
			i = (i + 1) & mask
		}
		e.slots[i] = int32(k) + 1
	}
}
