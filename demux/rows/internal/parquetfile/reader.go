package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// ErrInvalid says that bytes are not what this package writes: they are damaged,
// or another program's.
var ErrInvalid = errors.New("not a page as it was written")

func invalidf(text string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(text, args...))
}

const (
	readAhead   = 256 << 10
	maxHeader   = 4 << 10   // bytes of a page's header; it takes some 30
	maxPageSize = 512 << 20 // bytes of a page, decompressed
)

// Chunk reads the pages of one leaf's part of a row group, one after the other.
// It is not safe for concurrent use.
type Chunk struct {
	src       io.ReaderAt
	at, end   int64
	values    int64 // that pages to come must have
	meta      *format.ColumnMetaData
	buf       []byte
	from      int64 // of buf, in the file
	dictAhead bool
}

// Open starts at the leaf's first page; the memory of an earlier one is used
// again.
func (c *Chunk) Open(src io.ReaderAt, m *format.ColumnMetaData, limit int64) error {
	first := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		first = m.DictionaryPageOffset
	}
	if first < 4 || m.TotalCompressedSize < 0 || first+m.TotalCompressedSize > limit || m.Codec != format.Zstd {
		return invalidf("what the footer says of column %v can't be", m.PathInSchema)
	}
	c.src, c.meta = src, m
	c.at, c.end, c.values = first, first+m.TotalCompressedSize, m.NumValues
	c.buf, c.from, c.dictAhead = c.buf[:0], first, m.DictionaryPageOffset != 0
	return nil
}

// Page is a page as it is in the file.
type Page struct {
	Dictionary bool
	Values     int // its levels; of a dictionary, its entries
	Plain      bool
	Size       int    // bytes, decompressed
	packed     []byte // of the Chunk, until its next page
	nulls      int64
	crc        int32
	low, top   []byte // bounds, as they are said
}

// Packed is how many bytes the page has, compressed.
func (p *Page) Packed() int { return len(p.packed) }

// Next reads the next page; io.EOF is the end. The page is valid until the call
// after it.
func (c *Chunk) Next(p *Page) error {
	if c.at == c.end {
		if c.values != 0 {
			return invalidf("column %v has %d values less than its footer says", c.meta.PathInSchema, c.values)
		}
		return io.EOF
	}
	head, err := c.bytes(int(min(maxHeader, c.end-c.at)))
	if err != nil {
		return err
	}
	r := new(thrift.CompactProtocol).NewReaderFromBytes(head)
	var h format.PageHeader
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		return invalidf("column %v: the page at byte %d: %v", c.meta.PathInSchema, c.at, err)
	}
	headBytes := r.BytesRead()
	size := int64(h.CompressedPageSize)
	if size < 0 || size > c.end-c.at-int64(headBytes) || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPageSize {
		return invalidf("column %v: the page at byte %d has impossible sizes", c.meta.PathInSchema, c.at)
	}
	all, err := c.bytes(headBytes + int(size))
	if err != nil {
		return err
	}
	*p = Page{Size: int(h.UncompressedPageSize), packed: all[headBytes:], crc: h.CRC}
	// Zero is how a missing CRC is read: pages of older versions have none.
	if got := int32(crc32.ChecksumIEEE(p.packed)); h.CRC != 0 && got != h.CRC {
		return invalidf("column %v: the page at byte %d has other bytes than were written", c.meta.PathInSchema, c.at)
	}
	switch {
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid && c.dictAhead:
		p.Dictionary, p.Values, p.Plain = true, int(h.DictionaryPageHeader.V.NumValues), true
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		d := &h.DataPageHeader.V
		p.Values, p.Plain, p.nulls = int(d.NumValues), d.Encoding == format.Plain, d.Statistics.NullCount
		p.low, p.top = d.Statistics.MinValue, d.Statistics.MaxValue
		if !p.Plain || int64(p.Values) == c.meta.NumValues { // what is said of all values is said of its
			p.low, p.top = c.meta.Statistics.MinValue, c.meta.Statistics.MaxValue
		}
		if !p.Plain && d.Encoding != format.RLEDictionary || p.Values <= 0 || int64(p.Values) > c.values || p.nulls < 0 || p.nulls > int64(p.Values) {
			return invalidf("column %v: the page at byte %d has encoding %v and %d values", c.meta.PathInSchema, c.at, d.Encoding, p.Values)
		}
		c.values -= int64(p.Values)
	default:
		return invalidf("column %v: the page at byte %d is of no known type", c.meta.PathInSchema, c.at)
	}
	c.dictAhead = false
	c.at += int64(headBytes) + size
	return nil
}

// Memory is how many bytes the Chunk holds.
func (c *Chunk) Memory() int { return cap(c.buf) }

// slicer is a file that is in memory.
type slicer interface {
	// Slice returns n bytes from at on, or nil where it is not.
	Slice(at int64, n int) []byte
}

// bytes returns n bytes from at on.
func (c *Chunk) bytes(n int) ([]byte, error) {
	if s, ok := c.src.(slicer); ok {
		if b := s.Slice(c.at, n); b != nil {
			return b, nil
		}
	}
	if skip := int(c.at - c.from); skip+n > len(c.buf) {
		want := int(min(c.end-c.at, int64(max(n, readAhead))))
		have := 0
		if skip < len(c.buf) {
			have = copy(c.buf[:cap(c.buf)], c.buf[skip:])
		}
		if cap(c.buf) < want {
			grown := make([]byte, want)
			copy(grown, c.buf[:have])
			c.buf = grown
		}
		c.buf, c.from = c.buf[:want], c.at
		if k, err := c.src.ReadAt(c.buf[have:], c.at+int64(have)); k < want-have {
			c.buf = c.buf[:0]
			return nil, fmt.Errorf("read column %v: %w", c.meta.PathInSchema, err)
		}
	}
	skip := int(c.at - c.from)
	return c.buf[skip : skip+n], nil
}

// Values are a data page's, decoded as far as they are the same for all types.
type Values struct {
	N       int    // levels
	Present int    // values
	Rep     []byte // nil: each level is a row
	Def     []byte // nil: each level has a value
	Data    []byte // the values in PLAIN encoding
	Index   []int32
	Indexed bool // Index is used, and not Data

	rep, def []byte // memory
}

// Decode splits a data page's bytes, which v refers to afterwards. maxRep and
// maxDef are the leaf's, entries is its dictionary's length.
func (v *Values) Decode(p *Page, body []byte, maxRep, maxDef byte, entries int) (err error) {
	v.N, v.Present, v.Rep, v.Def, v.Data, v.Indexed = p.Values, p.Values, nil, nil, nil, !p.Plain
	if maxRep > 0 {
		if body, err = v.repetition(body); err != nil {
			return err
		}
	}
	if maxDef > 0 {
		if body, err = v.definition(body, maxDef); err != nil {
			return err
		}
	}
	if p.Plain {
		v.Data = body
		return nil
	}
	return v.indexes(body, entries)
}

// repetition decodes the levels that a map's leaf begins with. Rep stays nil where each
// level is a row.
func (v *Values) repetition(body []byte) (rest []byte, err error) {
	if constant(body, v.N, 0) {
		return body[4+binary.LittleEndian.Uint32(body):], nil
	}
	if v.rep, rest, err = levels(v.rep, body, v.N, 1); err != nil {
		return nil, err
	}
	v.Rep = v.rep
	if v.Rep[0] != 0 {
		return nil, invalidf("a page starts within a row")
	}
	return rest, nil
}

// definition decodes the levels that say which values there are, up to highest.
func (v *Values) definition(body []byte, highest byte) (rest []byte, err error) {
	if constant(body, v.N, highest) {
		return body[4+binary.LittleEndian.Uint32(body):], nil
	}
	none := constant(body, v.N, 0)
	width := 1
	if highest > 1 {
		width = 2
	}
	if v.def, rest, err = levels(v.def, body, v.N, width); err != nil {
		return nil, err
	}
	v.Present = 0
	if none {
		v.Def = v.def
		return rest, nil
	}
	for _, d := range v.def {
		if d > highest {
			return nil, invalidf("a level is %d, at most %d is allowed", d, highest)
		}
		if d == highest {
			v.Present++
		}
	}
	if v.Present < v.N {
		v.Def = v.def
	}
	return rest, nil
}

func (v *Values) indexes(body []byte, entries int) error {
	if v.Present == 0 {
		v.Index = v.Index[:0]
		return nil
	}
	if len(body) == 0 || body[0] > 32 {
		return invalidf("indexes have no width")
	}
	if !runsFit(body[1:], int(body[0]), v.Present) {
		return invalidf("a page has not %d indexes", v.Present)
	}
	enc := rle.DictionaryEncoding{}
	var err error
	if v.Index, err = enc.DecodeInt32(v.Index, body); err != nil {
		return invalidf("decode indexes: %v", err)
	}
	if len(v.Index) < v.Present {
		return invalidf("a page has %d indexes, should have %d", len(v.Index), v.Present)
	}
	v.Index = v.Index[:v.Present]
	for _, i := range v.Index {
		if uint32(i) >= uint32(entries) {
			return invalidf("index %d is beyond a dictionary of %d", i, entries)
		}
	}
	return nil
}

// constant reports whether the levels that a page's bytes begin with are n times the
// same, as runs say it.
func constant(body []byte, n int, level byte) bool {
	if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return false
	}
	runs := body[4 : 4+binary.LittleEndian.Uint32(body)]
	for left := uint64(n); len(runs) > 0; {
		head, k := binary.Uvarint(runs)
		if k <= 0 || k == len(runs) || head&1 == 1 || head>>1 > left || runs[k] != level {
			return false
		}
		if left -= head >> 1; left == 0 {
			return len(runs) == k+1
		}
		runs = runs[k+1:]
	}
	return false
}

// levels decodes n levels with their length before them.
func levels(dst, body []byte, n, width int) (out, rest []byte, err error) {
	if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return dst, nil, invalidf("levels are cut off")
	}
	size := int(binary.LittleEndian.Uint32(body))
	enc := rle.Encoding{BitWidth: width}
	if !runsFit(body[4:4+size], width, n) {
		return dst, nil, invalidf("levels are not %d", n)
	}
	out, err = enc.DecodeLevels(dst, body[4:4+size])
	if err != nil {
		return out, nil, invalidf("decode levels: %v", err)
	}
	if len(out) < n {
		return out, nil, invalidf("%d levels, should be %d", len(out), n)
	}
	return out[:n], body[4+size:], nil
}

// runsFit reports whether encoded runs have n values, and no more than the last
// one's padding beyond.
func runsFit(b []byte, width, n int) bool {
	total := uint64(0)
	for len(b) > 0 {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			return false
		}
		count, size := head>>1, uint64(width+7)/8
		if count > uint64(n)+7 {
			return false
		}
		if head&1 == 1 {
			size, count = count*uint64(width), count*8
		}
		if size > uint64(len(b)-k) {
			return false
		}
		b = b[k+int(size):]
		if total += count; total > uint64(n)+7 {
			return false
		}
	}
	return total >= uint64(n)
}

// NextString returns the string at the start of plain values, and what follows it.
func NextString(data []byte) (v, rest []byte, err error) {
	if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
		return nil, nil, invalidf("a string is cut off")
	}
	n := 4 + int(binary.LittleEndian.Uint32(data))
	return data[4:n:n], data[n:], nil
}
