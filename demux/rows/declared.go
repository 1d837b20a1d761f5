package rows

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/akupara/akupara/demux/schema"
)

// SiblingName returns the name of the column beside another one that takes the values of
// a type which that one can't have.
func SiblingName(column string, t schema.Type) string { return column + "_" + t.String() }

// declare brings in the keys of renamed and dropped columns, and declared columns.
func (b *Builder) declare() {
	o := &b.opts
	if len(o.Keys) == 0 && len(o.Declared) == 0 {
		return
	}
	declared := make(map[string]bool, len(o.Declared))
	for i := range o.Declared {
		declared[o.Declared[i].Name] = true
	}
	byID := map[int]*Column{}
	if len(o.Keys) > 0 {
		for _, c := range o.Existing {
			if own := b.byName[schema.Fold(c.Name)]; own != nil && own.name == c.Name {
				byID[c.ID] = own
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Keys)) {
		id := o.Keys[key]
		switch c := byID[id]; {
		case id == 0 && !declared[key]:
			b.alias(key, nil)
		case c != nil && c.name != key:
			b.alias(key, c)
		}
	}
	for _, d := range o.Declared {
		b.declareOne(d)
	}
}

// alias has the values of a key go to a column of another name; to attributes, where
// of is nil. Such a Column has no values itself: its type takes none.
func (b *Builder) alias(key string, of *Column) *Column {
	c := b.newColumn(key, schema.Map)
	c.of = of
	if b.byKey == nil {
		b.byKey = map[string]*Column{}
	}
	b.byKey[schema.Fold(key)] = c
	return c
}

func (b *Builder) declareOne(d schema.Column) {
	key := schema.Fold(d.Name)
	c, taken := b.byName[key]
	if k := b.byKey[key]; k != nil && k.key == d.Name {
		c, taken = k.of, true
	}
	conflict := Conflict{Key: d.Name, Type: d.Type}
	switch {
	case !taken && !b.room(1):
		b.conflicts = append(b.conflicts, conflict)
		return
	case !taken:
		c = b.add(key, b.newColumn(d.Name, d.Type))
	case c == nil || c.name != d.Name && (b.byKey[key] == nil || b.byKey[key].key != d.Name):
		if c != nil {
			conflict.Column, conflict.Has = c.name, c.typ
		}
		b.conflicts = append(b.conflicts, conflict)
		return
	case c.typ != d.Type:
		conflict.Column, conflict.Has = c.name, c.typ
		if c = b.beside(c, d.Type); c != nil {
			conflict.Beside = c.name
			b.alias(d.Name, c)
		}
		b.conflicts = append(b.conflicts, conflict)
		if c == nil {
			return // what does not fit goes to attributes
		}
	}
	c.converts = true
	if d.Doc != "" {
		c.doc = d.Doc
	}
}

// beside returns the column of a type beside c; nil where there can be none.
func (b *Builder) beside(c *Column, t schema.Type) *Column {
	name := SiblingName(c.name, t)
	of, taken := b.byName[schema.Fold(name)]
	switch {
	case taken && (of == nil || of.name != name || of.typ != t):
		return nil
	case taken:
		return of
	case !schema.Fit(name) || !b.room(1):
		return nil
	}
	return b.add(schema.Fold(name), b.newColumn(name, t))
}

// room reports whether the table may have n more columns.
func (b *Builder) room(n int) bool { return len(b.own)+len(schema.Common())+n <= b.opts.MaxColumns }

// Conflict is a declared column that the table can't have, as it has another one.
type Conflict struct {
	Key    string
	Type   schema.Type // that was declared
	Column string      // that takes the key's values, or has the name in another case; empty: there is no room for one more
	Has    schema.Type // its type
	Made   bool        // it would have been made of messages
	Beside string      // the column beside it that takes the values instead; empty: attributes take those that don't fit
}

// Conflicts returns what can't be as it was declared.
func (b *Builder) Conflicts() []Conflict { return b.conflicts }

// lend returns the column that takes a's values. Where it can't take one, it names
// it by a's key; giveBack ends that.
func (c *Column) lend() *Column {
	c.of.key = c.key
	return c.of
}

func (c *Column) giveBack() { c.of.key = c.of.name }

// convert puts a value of another type into the current row's column, given as its
// text, or else into attributes.
func (c *Column) convert(v []byte) {
	n, exact, ok := c.converted(v)
	if !ok || !c.claim() {
		c.b.attribute(c.key, v)
		return
	}
	c.num(n)
	if !exact {
		c.b.attribute(c.key, v)
	}
}

// converted returns what the column holds of a text; exact says that it is all that
// the text says.
func (c *Column) converted(v []byte) (n uint64, exact, ok bool) {
	switch {
	case c.typ == schema.Timestamp:
		return c.b.timeOf(v)
	case c.typ == schema.Date:
		t, err := time.Parse(time.DateOnly, string(v))
		return uint64(t.Unix() / 86400), true, err == nil && t.Year() > 0
	case !c.converts:
	case c.typ == schema.Long:
		i, err := strconv.ParseInt(string(v), 10, 64)
		return uint64(i), true, err == nil && string(strconv.AppendInt(c.b.text[:0], i, 10)) == string(v)
	case c.typ == schema.Double:
		return doubleOf(v)
	case c.typ == schema.Boolean && string(v) == "true":
		return 1, true, true
	case c.typ == schema.Boolean && string(v) == "false":
		return 0, true, true
	}
	return 0, false, false
}

// maxDigits is how many digits of a decimal number a double always keeps.
const maxDigits = 15

// doubleOf reads a decimal number that a double keeps all digits of.
func doubleOf(v []byte) (n uint64, exact, ok bool) {
	digits := 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case !bytes.ContainsRune([]byte("+-.eE"), rune(c)):
			return 0, false, false
		}
	}
	if digits > maxDigits {
		return 0, false, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return math.Float64bits(f), true, err == nil
}

// The years that all readers of tables have.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	endTime   = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

func (b *Builder) timeOf(v []byte) (n uint64, exact, ok bool) {
	if b.time == nil {
		if b.opts.NewTime == nil {
			return 0, false, false
		}
		b.time = b.opts.NewTime()
	}
	micros, exact, ok := b.time(v)
	return uint64(micros), exact, ok && micros >= firstTime && micros < endTime
}
