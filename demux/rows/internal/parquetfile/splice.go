package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/demux/rows/internal/stride"
)

// Splice writes a leaf's part of a row group from values, and from pages of other
// files that are copied as they are. It finds out by itself whether a dictionary
// pays, and keeps nothing of what it is given. Where a dictionary turns out to be
// of no use when pages that need it were copied, it is kept for what came before,
// and what comes after is plain.
//
// Rows comes before the values of its rows.
type Splice struct {
	w       *Writer
	c       *columnChunk
	kind    kind
	width   int // of a word, in bytes
	bounded bool
	plain   bool // what comes is written in PLAIN encoding

	levels, values int    // of the row group so far
	rep, def       []byte // of the dictionary's pages, or of the plain page; unused for required leaves
	inPage         int    // levels of the page
	present        int    // values of it

	// As long as it is not plain.
	dict   entries
	idx    []int32
	pieces []piece
	held   []byte // pages that were copied

	// Of a plain page.
	vals  []byte
	like  likeness
	first uint64 // of the words, and which bits are others in others
	vary  uint64

	bloom       Bloom
	hashing     bool
	hashes      []uint64
	needles     int // values that hashes are of
	needleBytes int
	row         []byte // a value with its length
}

// kind is how values are laid out.
type kind uint8

const (
	text  kind = iota
	word       // of 4 or 8 bytes
	truth      // a bit
)

// piece is a data page of a dictionary's indexes that is to be written.
type piece struct {
	levels, values int
	copied         bool
	page           Page
	from, end      int // of held
}

// Bloom says whether a leaf gets bloom filters.
type Bloom uint8

const (
	NoBloom   Bloom = iota
	AutoBloom       // where its values are many and short
	WithBloom
)

const (
	dictTry   = 2048 // entries before a dictionary of strings is given up
	dictMost  = 1 << 17
	dictBytes = 4 << 20
	// copyBytes of a compressed page are worth to be a page of their own, and so are
	// copyIndexBytes where no other file's values lie between.
	copyBytes      = 1 << 10
	copyIndexBytes = 128
	manyTexts      = 16 << 10 // bytes of plain strings that tell that most of a column differ
	wordsPage      = 16384    // words of a page that is written
)

// Splice starts the next leaf. A leaf is known to be of values that differ if plain.
func (w *Writer) Splice(bounded, plain bool, bloom Bloom) *Splice {
	t := &w.splice
	t.w, t.c, t.bounded, t.bloom = w, w.begin(Levels{}, 0, bounds{unknown: !bounded}), bounded, bloom
	t.kind, t.width = text, 0
	switch t.c.leaf.typ {
	case format.Int64, format.Double:
		t.kind, t.width = word, 8
	case format.Int32:
		t.kind, t.width = word, 4
	case format.Boolean:
		t.kind, plain = truth, true
	}
	t.plain = plain
	t.levels, t.values, t.inPage, t.present = 0, 0, 0, 0
	t.rep, t.def, t.idx, t.vals, t.held, t.pieces = t.rep[:0], t.def[:0], t.idx[:0], t.vals[:0], t.held[:0], t.pieces[:0]
	t.hashing, t.hashes, t.needles, t.needleBytes = bloom != NoBloom, t.hashes[:0], 0, 0
	t.like.reset()
	t.dict.reset()
	w.small.reset()
	return t
}

// Rows adds the levels of whole rows, of which so many have a value: def nil says
// that all n have. rep is nil for a leaf that is of no map, and for one where each
// level is a row.
func (t *Splice) Rows(rep, def []byte, n, present int) {
	if t.plain {
		t.flushFull()
	} else if t.useless() {
		t.giveUp()
	}
	if t.c.leaf.maxRep > 0 {
		t.rep = appendOrFill(t.rep, rep, 0, n)
	}
	if t.c.leaf.maxDef > 0 {
		t.def = appendOrFill(t.def, def, t.c.leaf.maxDef, n)
	}
	t.levels += n
	t.inPage += n
	t.values += present
	t.present += present
}

func appendOrFill(dst, src []byte, otherwise byte, n int) []byte {
	if src != nil {
		return append(dst, src[:n]...)
	}
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	for i := range dst[at:] {
		dst[at+i] = otherwise
	}
	return dst
}

// Nulls adds n rows without a value.
func (t *Splice) Nulls(n int) {
	t.Rows(nil, nil, n, 0)
	if t.c.leaf.maxDef > 0 {
		clear(t.def[len(t.def)-n:])
	}
}

// Text adds a value of a leaf of strings.
func (t *Splice) Text(v []byte) {
	if !t.plain {
		t.idx = append(t.idx, t.dict.intern(v, xxhash.Sum64(v)))
		return
	}
	t.putText(v, 0, false)
}

// Word adds a value of any other leaf: of a truth, 0 or 1.
func (t *Splice) Word(v uint64) {
	if !t.plain {
		t.idx = append(t.idx, t.w.small.find(v))
		return
	}
	t.look(v)
	if t.kind == truth {
		t.vals = append(t.vals, byte(v))
		return
	}
	if len(t.vals) == 0 {
		t.first, t.vary = v, 0
	}
	t.vary |= v ^ t.first
	if t.width == 4 {
		t.vals = binary.LittleEndian.AppendUint32(t.vals, uint32(v))
		return
	}
	t.vals = binary.LittleEndian.AppendUint64(t.vals, v)
}

// Trying reports whether the leaf may still get a dictionary: then Entry and Refs
// may be used.
func (t *Splice) Trying() bool { return !t.plain }

// TextEntry returns the number of a value in the dictionary.
func (t *Splice) TextEntry(v []byte) int32 { return t.dict.intern(v, xxhash.Sum64(v)) }

// WordEntry returns the number of a value in the dictionary.
func (t *Splice) WordEntry(v uint64) int32 { return t.w.small.find(v) }

// Refs adds n values: the numbers of their entries are to be put into what it
// returns.
func (t *Splice) Refs(n int) []int32 {
	at := len(t.idx)
	t.idx = slices.Grow(t.idx, n)[:at+n]
	return t.idx[at:]
}

func (t *Splice) entries() int {
	if t.kind == text {
		return len(t.dict.ends)
	}
	return len(t.w.small.keys)
}

// useless reports whether the dictionary has too many entries by now.
func (t *Splice) useless() bool {
	n := t.entries()
	if t.kind == text {
		return n >= dictTry && n*10 > t.values*9 || n > dictMost || len(t.dict.bytes) > dictBytes
	}
	return n > maxNumbers || t.values >= 1024 && n > t.values/2 || t.values >= 8192 && manyNumbers(n, t.values)
}

// giveUp goes on without the dictionary.
func (t *Splice) giveUp() {
	for i := range t.pieces {
		if t.pieces[i].copied {
			t.writeIndexed()
			t.plain = true
			return
		}
	}
	rep, def, idx, levels := t.rep, t.def, t.idx, t.levels
	t.plain = true
	t.rep, t.def = nil, nil
	t.inPage, t.present, t.values, t.levels = 0, 0, 0, 0
	const step = 1024
	for i := 0; i < levels; {
		end := min(i+step, levels)
		for t.c.leaf.maxRep > 0 && end < levels && rep[end] != 0 {
			end++
		}
		n := end - i
		var r, d []byte
		present := n
		if t.c.leaf.maxRep > 0 {
			r = rep[i:end]
		}
		if t.c.leaf.maxDef > 0 {
			d = def[i:end]
			present = count(d, t.c.leaf.maxDef)
		}
		t.Rows(r, d, n, present)
		for _, k := range idx[:present] {
			if t.kind == text {
				t.putText(t.dict.get(k), t.dict.hashes[k], true)
			} else {
				t.Word(t.w.small.keys[k])
			}
		}
		idx, i = idx[present:], end
	}
}

func count(levels []byte, level byte) int { return bytes.Count(levels, []byte{level}) }

// putText adds a value to the page.
func (t *Splice) putText(v []byte, hash uint64, hashed bool) {
	t.vals = binary.LittleEndian.AppendUint32(t.vals, uint32(len(v)))
	t.vals = append(t.vals, v...)
	t.like.add(v)
	if t.bounded {
		t.c.page.str(v)
	}
	t.needle(v, hash, hashed)
}

// look takes in what is told of a word beside the pages.
func (t *Splice) look(v uint64) {
	if t.c.leaf.typ == format.Double {
		t.c.page.double(math.Float64frombits(v))
	} else {
		t.c.page.num(int64(v))
	}
	if t.hashing {
		t.hashes = append(t.hashes, t.hashWord(v))
		t.needles++
	}
}

func (t *Splice) hashWord(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return xxhash.Sum64(b[:t.width])
}

// needle takes in a value for the bloom filter.
func (t *Splice) needle(v []byte, hash uint64, hashed bool) {
	if !t.hashing {
		return
	}
	t.needles++
	t.needleBytes += len(v)
	if t.bloom == AutoBloom && t.needleBytes > maxNeedle*t.needles+pageBytes {
		t.hashing = false // for good: a filter knows all values or is wrong
		return
	}
	if !hashed {
		hash = xxhash.Sum64(v)
	}
	t.hashes = append(t.hashes, hash)
}

func (t *Splice) flushFull() {
	if t.kind == text && len(t.vals) >= pageBytes || t.kind != text && t.inPage >= wordsPage {
		t.flush()
	}
}

// of returns levels from the i-th on of n, of so many values.
func (t *Splice) of(i, n, values int) Levels {
	lv := Levels{N: n}
	if t.c.leaf.maxRep > 0 {
		lv.Rep, lv.Def = t.rep[i:i+n], t.def[i:i+n]
	} else if values < n {
		lv.Def = t.def[i : i+n]
	}
	return lv
}

// flush writes the plain page.
func (t *Splice) flush() {
	if t.inPage == 0 {
		return
	}
	t.c.levels(t.of(0, t.inPage, t.present), 0, t.inPage)
	head := len(t.w.page)
	switch t.kind {
	case text:
		t.c.rows = t.like.rows(head)
		t.w.page = append(t.w.page, t.vals...)
	case word:
		t.c.rows = stride.Rows{Head: head, Width: t.width, From: (bits.Len64(t.vary) + 7) / 8, To: t.width}
		t.w.page = append(t.w.page, t.vals...)
	case truth:
		t.w.page = appendBits(t.w.page, t.vals)
	}
	t.c.data(t.inPage, t.inPage-t.present, format.Plain)
	t.rep, t.def, t.vals = t.rep[:0], t.def[:0], t.vals[:0]
	t.inPage, t.present = 0, 0
	t.like.reset()
}
