package merge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

// cursor reads one leaf of a file, row by row, page by page.
type cursor struct {
	m              *Merger
	in             *input
	leaf           int // of the file; -1: the file does not have it, all is null
	typ            schema.Type
	isMap          bool
	maxRep, maxDef byte
	size           int // as counted in Merger.kept

	group int // row group whose pages are read
	open  bool
	chunk parquetfile.Chunk
	page  parquetfile.Page
	body  []byte
	vals  parquetfile.Values
	rows  int    // of the page that are left
	level int    // the next one
	value int    // the next one
	text  []byte // plain strings that are left

	dict    []byte // the dictionary page
	entries int
	longs   []uint64
	strs    [][]byte
	ids     []int32 // of strs in the output's dictionary, plus one
	idsOf   int     // the output's leaf
	hashed  []uint64
	nums    []uint64
}

func (c *cursor) start(m *Merger, in *input, leaf int, typ schema.Type, isMap bool) {
	c.m, c.in, c.leaf, c.typ, c.isMap = m, in, leaf, typ, isMap
	c.maxRep, c.maxDef = 0, 0
	if isMap {
		c.maxRep = 1
	}
	if leaf >= 0 {
		t := in.leaves()[leaf]
		switch {
		case t.isMap && t.required:
			c.maxDef = 2
		case t.isMap:
			c.maxDef = 3
		case !t.required:
			c.maxDef = 1
		}
	}
	c.group, c.open, c.rows = 0, false, 0
	c.noDictionary()
}

func (c *cursor) noDictionary() {
	c.entries, c.longs, c.strs, c.ids, c.hashed, c.idsOf = 0, c.longs[:0], c.strs[:0], c.ids[:0], c.hashed[:0], 0
}

// memory is about how many bytes the cursor holds.
func (c *cursor) memory() int {
	return cap(c.body) + cap(c.dict) + 4*cap(c.vals.Index) + 24*cap(c.strs) + 8*cap(c.longs) + c.chunk.Memory()
}

// within reports whether rows of the page are left.
func (c *cursor) within() bool { return c.rows > 0 }

// seek goes to a row.
func (c *cursor) seek(p position) error {
	c.group = p.group
	for skip := p.row; skip > 0; {
		if err := c.nextPage(); err != nil {
			return err
		}
		if !c.isMap && c.page.Values <= skip {
			skip -= c.page.Values
			c.rows = 0
			continue
		}
		if err := c.decode(); err != nil {
			return err
		}
		n := min(skip, c.rows)
		skip -= n
		if err := c.skip(n); err != nil {
			return err
		}
	}
	return nil
}

// skip passes rows of the page.
func (c *cursor) skip(n int) error {
	end := c.levelsOf(n)
	present := end - c.level
	if c.vals.Def != nil {
		present = bytes.Count(c.vals.Def[c.level:end], []byte{c.maxDef})
	}
	if c.typ == schema.String && !c.vals.Indexed {
		for range present {
			if _, err := c.nextText(); err != nil {
				return err
			}
		}
	} else {
		c.value += present
	}
	c.level = end
	c.rows -= n
	return nil
}

// levelsOf returns where the levels of the next n rows of the page end.
func (c *cursor) levelsOf(n int) int {
	if c.vals.Rep == nil {
		return c.level + n
	}
	if n == c.rows {
		return c.vals.N
	}
	for i := c.level + 1; i < c.vals.N; i++ {
		if c.vals.Rep[i] == 0 {
			if n--; n == 0 {
				return i
			}
		}
	}
	return c.vals.N
}

// nextPage reads the next data page, which is not decoded, of this row group or a
// later one, with its dictionary before it.
func (c *cursor) nextPage() error {
	for {
		if !c.open {
			groups := c.in.f.Meta.RowGroups
			if c.group >= len(groups) {
				return errors.New("it has less rows than its footer says")
			}
			meta := &groups[c.group].Columns[c.leaf].MetaData
			if want := physical(c.typ); meta.Type != want {
				return fmt.Errorf("column %v is %v, should be %v", meta.PathInSchema, meta.Type, want)
			}
			if err := c.chunk.Open(c.in.f, meta, c.in.f.Data); err != nil {
				return err
			}
			c.open = true
			c.noDictionary()
		}
		err := c.chunk.Next(&c.page)
		switch {
		case errors.Is(err, io.EOF):
			c.open = false
			c.group++
		case err != nil:
			return err
		case c.page.Dictionary:
			if err := c.dictionary(); err != nil {
				return err
			}
		default:
			c.rows = c.page.Values // of a map's leaf, decode tells
			return nil
		}
	}
}

func physical(t schema.Type) format.Type {
	switch t {
	case schema.String, schema.Map:
		return format.ByteArray
	case schema.Double:
		return format.Double
	case schema.Boolean:
		return format.Boolean
	case schema.Date:
		return format.Int32
	}
	return format.Int64
}

// decode decodes the page.
func (c *cursor) decode() (err error) {
	if c.body, err = c.m.dec.Decompress(&c.page, c.body); err != nil {
		return err
	}
	if err := c.vals.Decode(&c.page, c.body, c.maxRep, c.maxDef, c.entries); err != nil {
		return err
	}
	c.level, c.value, c.text, c.rows = 0, 0, c.vals.Data, c.vals.N
	if c.vals.Rep != nil {
		c.rows = bytes.Count(c.vals.Rep, []byte{0})
	}
	if c.vals.Indexed || c.typ == schema.String {
		return nil
	}
	want := c.width() * c.vals.Present
	if c.typ == schema.Boolean {
		want = (c.vals.Present + 7) / 8
	}
	if len(c.vals.Data) != want {
		return fmt.Errorf("a page has %d bytes of %d values", len(c.vals.Data), c.vals.Present)
	}
	return nil
}

// dictionary decodes the dictionary page.
func (c *cursor) dictionary() (err error) {
	if c.dict, err = c.m.dec.Decompress(&c.page, c.dict); err != nil {
		return err
	}
	n := c.page.Values
	if n < 0 || n > len(c.dict)/4 {
		return fmt.Errorf("a dictionary of %d bytes has %d entries", len(c.dict), n)
	}
	c.entries = n
	if c.typ != schema.String {
		if len(c.dict) != c.width()*n {
			return fmt.Errorf("a dictionary of %d bytes has %d entries", len(c.dict), n)
		}
		c.longs = c.appendNumbers(c.longs, c.dict)
		return nil
	}
	data := c.dict
	for range n {
		var v []byte
		if v, data, err = parquetfile.NextString(data); err != nil {
			return err
		}
		c.strs = append(c.strs, v)
	}
	return nil
}

// ready decodes the next page where none is left.
func (c *cursor) ready() error {
	if c.rows > 0 {
		return nil
	}
	if err := c.nextPage(); err != nil {
		return err
	}
	return c.decode()
}

func (c *cursor) nextText() (v []byte, err error) {
	v, c.text, err = parquetfile.NextString(c.text)
	return v, err
}

// numbers appends the next n rows' values, and a level for each row: 1 where it
// has a value.
func (c *cursor) numbers(vals []uint64, def []byte, n int) ([]uint64, []byte, error) {
	if c.leaf < 0 {
		return vals, appendSame(def, 0, n), nil
	}
	for n > 0 {
		if err := c.ready(); err != nil {
			return vals, def, err
		}
		k := min(n, c.rows)
		present := k
		if c.vals.Def == nil {
			def = appendSame(def, 1, k)
		} else {
			present = 0
			for _, d := range c.vals.Def[c.level : c.level+k] {
				present += int(d)
			}
			def = append(def, c.vals.Def[c.level:c.level+k]...)
		}
		vals = c.words(vals, present)
		c.level += k
		c.rows -= k
		n -= k
	}
	return vals, def, nil
}

func appendSame(b []byte, v byte, n int) []byte {
	at := len(b)
	b = slices.Grow(b, n)[:at+n]
	for i := at; i < len(b); i++ {
		b[i] = v
	}
	return b
}

// words appends the next n values of the page.
func (c *cursor) words(vals []uint64, n int) []uint64 {
	from := c.value
	c.value += n
	switch {
	case c.vals.Indexed:
		for _, i := range c.vals.Index[from:c.value] {
			vals = append(vals, c.longs[i])
		}
	case c.typ == schema.Boolean:
		for i := from; i < c.value; i++ {
			vals = append(vals, uint64(c.vals.Data[i/8]>>(i%8)&1))
		}
	default:
		vals = c.appendNumbers(vals, c.vals.Data[c.width()*from:c.width()*c.value])
	}
	return vals
}

// width is how many bytes a plain number has.
func (c *cursor) width() int {
	if c.typ == schema.Date {
		return 4
	}
	return 8
}

// appendNumbers appends plain numbers.
func (c *cursor) appendNumbers(vals []uint64, data []byte) []uint64 {
	n, at := len(data)/c.width(), len(vals)
	vals = slices.Grow(vals, n)[:at+n]
	if c.typ == schema.Date {
		for i := range vals[at:] {
			vals[at+i] = uint64(int64(int32(binary.LittleEndian.Uint32(data[4*i:]))))
		}
		return vals
	}
	for i := range vals[at:] {
		vals[at+i] = binary.LittleEndian.Uint64(data[8*i:])
	}
	return vals
}

// hashes appends a hash of each of the next n rows' strings.
func (c *cursor) hashes(out []uint64, n int) ([]uint64, error) {
	for n > 0 {
		if err := c.ready(); err != nil {
			return out, err
		}
		if c.vals.Present != c.vals.N {
			return out, errors.New("rows are without a stream")
		}
		k := min(n, c.rows)
		for range k {
			if !c.vals.Indexed {
				v, err := c.nextText()
				if err != nil {
					return out, err
				}
				out = append(out, xxhash.Sum64(v))
				continue
			}
			for len(c.hashed) < len(c.strs) {
				c.hashed = append(c.hashed, xxhash.Sum64(c.strs[len(c.hashed)]))
			}
			out = append(out, c.hashed[c.vals.Index[c.value]])
			c.value++
		}
		c.level += k
		c.rows -= k
		n -= k
	}
	return out, nil
}
