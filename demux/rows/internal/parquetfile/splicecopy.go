package parquetfile

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"
)

// Copies reports whether CopyPlain takes a page, which all comes next, of a leaf
// with these levels: then it need not be compressed again.
func (t *Splice) Copies(p *Page, maxRep, maxDef byte) bool {
	return t.plain && p.Plain && t.fits(maxRep, maxDef) && (len(p.packed) >= copyBytes || t.kind == truth && len(p.packed) >= copyIndexBytes)
}

func (t *Splice) fits(maxRep, maxDef byte) bool {
	return maxRep == 0 && t.c.leaf.maxRep == 0 && maxDef == t.c.leaf.maxDef
}

// CopyPlain adds a whole page as it is. values decodes it, where its values are to be
// looked at.
func (t *Splice) CopyPlain(p *Page, values func() (*Values, error)) error {
	t.flush()
	told := !t.bounded || p.Values == int(p.nulls) || t.c.page.told(t.c.leaf.typ, p.low, p.top)
	if !told || t.hashing && !t.hashPacked(p) {
		v, err := values()
		if err != nil {
			return err
		}
		if err := t.lookAt(v, told); err != nil {
			return err
		}
	}
	t.levels += p.Values
	t.values += p.Values - int(p.nulls)
	t.c.index.next = int64(p.Values)
	t.c.copied(p, format.Plain)
	return nil
}

// hashPacked takes in the strings of a page that need not be decompressed for it: of
// one length. It reports false where they are not.
func (t *Splice) hashPacked(p *Page) bool {
	n := p.Values - int(p.nulls)
	if t.kind != text || p.crc == 0 {
		return false
	}
	equal, own, ok := t.w.Decoder.rows.Rows(p.packed, n)
	if !ok {
		return false
	}
	width := len(own) / n
	if len(equal) == lengthBytes && width <= maxNeedle {
		t.needles += n
		t.needleBytes += len(own)
		for ; len(own) > 0; own = own[width:] {
			t.hashes = append(t.hashes, xxhash.Sum64(own[:width]))
		}
		return true
	}
	row := append(t.row[:0], equal...) // parts of a value are equal, too
	for ; len(own) > 0; own = own[width:] {
		row = append(row[:len(equal)], own[:width]...)
		t.needle(row[lengthBytes:], 0, false)
	}
	t.row = row
	return true
}

// lookAt takes in the values of a page that is copied. Its bounds may be told.
func (t *Splice) lookAt(v *Values, told bool) error {
	if t.kind == truth {
		for i := range v.Present {
			t.look(uint64(v.Data[i/8] >> (i % 8) & 1))
		}
		return nil
	}
	data := v.Data
	for range v.Present {
		if t.kind == word {
			t.look(wordAt(data, t.width))
			data = data[t.width:]
			continue
		}
		s, rest, err := NextString(data)
		if err != nil {
			return err
		}
		data = rest
		if t.bounded && !told {
			t.c.page.str(s)
		}
		t.needle(s, 0, false)
	}
	return nil
}

func wordAt(b []byte, width int) uint64 {
	if width == 4 {
		return uint64(int64(int32(binary.LittleEndian.Uint32(b))))
	}
	return binary.LittleEndian.Uint64(b)
}

// CopiesIndexes reports whether CopyIndexes takes a page, which all comes next, if
// the numbers of its entries are the same in the leaf's dictionary, and each of the
// entries has values.
func (t *Splice) CopiesIndexes(p *Page, maxRep, maxDef byte) bool {
	var b bounds
	return !t.plain && !p.Plain && t.fits(maxRep, maxDef) && len(p.packed) >= copyIndexBytes &&
		(t.c.leaf.typ != format.Double || b.told(format.Double, p.low, p.top)) // else it may have NaN, which are counted
}

// CopyIndexes adds a whole page of indexes as it is.
func (t *Splice) CopyIndexes(p *Page) {
	t.endPiece()
	t.levels += p.Values
	t.values += p.Values - int(p.nulls)
	at := len(t.held)
	t.held = append(t.held, p.packed...)
	c := piece{levels: p.Values, values: p.Values - int(p.nulls), copied: true, page: *p, from: at, end: len(t.held)}
	c.page.packed = nil
	t.pieces = append(t.pieces, c)
}

func (t *Splice) endPiece() {
	if t.inPage > 0 {
		t.pieces = append(t.pieces, piece{levels: t.inPage, values: t.present})
		t.inPage, t.present = 0, 0
	}
}
