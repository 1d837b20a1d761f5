package merge

import (
	"bytes"
	"slices"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

// stepRows are given to a Splice at a time, where it may have to give a dictionary
// up.
const stepRows = 4096

// give gives the next n rows to t: pages as they are, where all of their rows come
// next.
func (c *cursor) give(t *parquetfile.Splice, n int) error {
	if c.leaf < 0 {
		t.Nulls(n)
		return nil
	}
	for n > 0 {
		if c.rows == 0 {
			if err := c.nextPage(); err != nil {
				return err
			}
			copied, err := false, error(nil)
			if !c.isMap && c.page.Values <= n && c.in.f.Sealed {
				copied, err = c.copy(t)
			}
			if err == nil && !copied {
				err = c.decode()
			}
			if err != nil {
				return err
			}
			if copied {
				n -= c.page.Values
				c.rows = 0
				continue
			}
		}
		k := min(n, c.rows, stepRows)
		if err := c.some(t, k); err != nil {
			return err
		}
		c.rows -= k
		n -= k
	}
	return nil
}

// copy gives the whole page to t, if t takes it as it is.
func (c *cursor) copy(t *parquetfile.Splice) (bool, error) {
	switch {
	case t.Copies(&c.page, c.maxRep, c.maxDef):
		return true, t.CopyPlain(&c.page, c.values)
	case c.wholly() && t.CopiesIndexes(&c.page, c.maxRep, c.maxDef):
		c.begin()
		same := true
		for i := range c.ids {
			c.enter(t, i)
			same = same && c.ids[i] == int32(i)+1
		}
		if same {
			t.CopyIndexes(&c.page)
		}
		return same, nil
	}
	return false, nil
}

// values decodes the page.
func (c *cursor) values() (*parquetfile.Values, error) {
	err := c.decode()
	return &c.vals, err
}

// wholly reports whether the row group has all rows of the input's row group whose
// pages are read: then each entry of its dictionary has values in it.
func (c *cursor) wholly() bool {
	return c.in.at.row == 0 && c.in.at.group == c.group && int64(c.in.rows) >= c.in.f.Meta.RowGroups[c.group].NumRows
}

// some gives the next n rows of the page to t.
func (c *cursor) some(t *parquetfile.Splice, n int) error {
	end := c.levelsOf(n)
	present := end - c.level
	var rep, def []byte
	if c.vals.Rep != nil {
		rep = c.vals.Rep[c.level:end]
	}
	if c.vals.Def != nil {
		def = c.vals.Def[c.level:end]
		present = bytes.Count(def, []byte{c.maxDef})
	}
	t.Rows(rep, def, end-c.level, present)
	c.level = end
	from := c.value
	if c.vals.Indexed || c.typ != schema.String {
		c.value += present
	}
	switch {
	case c.vals.Indexed && t.Trying():
		c.begin()
		refs := t.Refs(present)
		for k, i := range c.vals.Index[from:c.value] {
			if c.ids[i] == 0 {
				c.enter(t, int(i))
			}
			refs[k] = c.ids[i] - 1
		}
	case c.vals.Indexed && c.typ == schema.String:
		for _, i := range c.vals.Index[from:c.value] {
			t.Text(c.strs[i])
		}
	case c.vals.Indexed:
		for _, i := range c.vals.Index[from:c.value] {
			t.Word(c.longs[i])
		}
	case c.typ == schema.String:
		for range present {
			v, err := c.nextText()
			if err != nil {
				return err
			}
			t.Text(v)
		}
	case c.typ == schema.Boolean:
		for i := from; i < c.value; i++ {
			t.Word(uint64(c.vals.Data[i/8] >> (i % 8) & 1))
		}
	default:
		c.nums = c.appendNumbers(c.nums[:0], c.vals.Data[c.width()*from:c.width()*c.value])
		for _, v := range c.nums {
			t.Word(v)
		}
	}
	return nil
}

// begin forgets the numbers that entries have in the dictionary of another leaf, or
// of another row group.
func (c *cursor) begin() {
	if c.idsOf != c.m.leafNo {
		c.idsOf = c.m.leafNo
		c.ids = slices.Grow(c.ids[:0], c.entries)[:c.entries]
		clear(c.ids)
	}
}

// enter finds the number of the i-th entry in the output's dictionary.
func (c *cursor) enter(t *parquetfile.Splice, i int) {
	switch {
	case c.ids[i] != 0:
	case c.typ == schema.String:
		c.ids[i] = t.TextEntry(c.strs[i]) + 1
	default:
		c.ids[i] = t.WordEntry(c.longs[i]) + 1
	}
}
