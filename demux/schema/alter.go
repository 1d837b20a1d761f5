package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys say where values go whose record's key is not the name of a column of its own:
// to the column with that field id, which was renamed, or with 0 to attributes, as the
// column was dropped.
type Keys map[string]int

const (
	// MaxKeys and maxKeysBytes bound what is remembered of renamed and dropped
	// columns: it is in each version of the table's metadata.
	MaxKeys      = 1000
	maxKeysBytes = 64 << 10
	// MaxDoc is the most bytes of a column's doc.
	MaxDoc = 1000
)

// String encodes the keys; ParseKeys reads them.
func (k Keys) String() string {
	if len(k) == 0 {
		return ""
	}
	b, err := json.Marshal(map[string]int(k)) // sorted by key
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(b)
}

// ParseKeys decodes what String gave.
func ParseKeys(text string) (Keys, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > 2*maxKeysBytes {
		return nil, fmt.Errorf("the keys of renamed columns have %d bytes, at most %d are allowed", len(text), maxKeysBytes)
	}
	var k Keys
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return nil, fmt.Errorf("decode keys of renamed columns: %w", err)
	}
	return k, nil
}

// Of returns the keys other than its name whose values go to the column with that
// id, sorted.
func (k Keys) Of(id int) []string {
	var out []string
	for key, to := range k {
		if to == id {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// Change is one change of a table's column: to another name, to another doc, or its
// end. Values of the others are their zero values.
type Change struct {
	Column string
	Name   string  // the new one
	Doc    *string // the new one
	Drop   bool
}

// ChangeError says why a change can't be.
type ChangeError struct {
	Missing bool // there is no such column
	why     string
}

func (e *ChangeError) Error() string { return e.why }

// Refuse makes a ChangeError.
func Refuse(format string, args ...any) error { return &ChangeError{why: fmt.Sprintf(format, args...)} }

// Alter returns the columns and keys after a change. Field ids stay, so data files
// are read as before. Values of a renamed column's old key go on to it. After a drop
// those of the column's keys go to attributes; they don't become a column again by
// themselves.
func Alter(cols []Column, keys Keys, c Change) ([]Column, Keys, error) {
	at := slices.IndexFunc(cols, func(x Column) bool { return x.Name == c.Column })
	if at < 0 {
		why := "there is no column " + quoted(c.Column)
		if i := Find(cols, c.Column); i >= 0 {
			why += "; there is " + cols[i].Name
		}
		return nil, nil, &ChangeError{Missing: true, why: why}
	}
	if slices.ContainsFunc(OfMessages(), func(x Column) bool { return x.Name == c.Column && x.Doc == cols[at].Doc }) {
		return nil, nil, Refuse("column %s is made of messages: it can't be changed", c.Column)
	}
	cols, keys = slices.Clone(cols), maps.Clone(keys)
	if keys == nil {
		keys = Keys{}
	}
	if c.Doc != nil {
		if err := CheckDoc(*c.Doc); err != nil {
			return nil, nil, Refuse("the doc of column %s %v", c.Column, err)
		}
		cols[at].Doc = *c.Doc
		return cols, keys, nil
	}
	if IsCommon(c.Column) {
		return nil, nil, Refuse("column %s is one that every table has: it can't be renamed or dropped", c.Column)
	}
	if c.Drop {
		cols, keys = drop(cols, keys, at)
	} else if err := rename(cols, keys, at, c.Name); err != nil {
		return nil, nil, err
	}
	if n := len(keys.String()); len(keys) > MaxKeys || n > maxKeysBytes {
		return nil, nil, Refuse("the table would have to remember %d keys of renamed and dropped columns, of %d bytes; at most %d of %d bytes are allowed",
			len(keys), n, MaxKeys, maxKeysBytes)
	}
	return cols, keys, nil
}

func drop(cols []Column, keys Keys, at int) ([]Column, Keys) {
	c := cols[at]
	for key, id := range keys {
		if id == c.ID {
			keys[key] = 0
		}
	}
	if _, other := keys[c.Name]; !other {
		keys[c.Name] = 0
	}
	return slices.Delete(cols, at, at+1), keys
}

func rename(cols []Column, keys Keys, at int, name string) error {
	old := &cols[at]
	switch {
	case name == old.Name:
		return Refuse("column %s has that name", name)
	case !Fit(name):
		return Refuse("%s can't be a column's name: it is empty, longer than %d bytes, not printable, or means something else in Iceberg or Parquet", quoted(name), maxName)
	case IsCommon(name):
		return Refuse("%s is a column that every table has: no other can be called so", name)
	}
	for i := range cols {
		if i != at && Fold(cols[i].Name) == Fold(name) {
			return Refuse("there is a column %s already", cols[i].Name)
		}
	}
	if id, ok := keys[old.Name]; !ok || id == 0 {
		keys[old.Name] = old.ID
	}
	if keys[name] == old.ID {
		delete(keys, name)
	}
	old.Name = name
	return nil
}

// Revive returns the keys without those that were dropped and have a column again
// beside the old ones: the config asked for it.
func (k Keys) Revive(old, cols []Column) Keys {
	had := map[int]bool{}
	for i := range old {
		had[old[i].ID] = true
	}
	out := k
	for i := range cols {
		if id, ok := k[cols[i].Name]; ok && id == 0 && !had[cols[i].ID] {
			if len(out) == len(k) {
				out = maps.Clone(k)
			}
			delete(out, cols[i].Name)
		}
	}
	return out
}

// IsCommon reports whether every table has a column of that name, whatever its case.
func IsCommon(name string) bool {
	return slices.ContainsFunc(Common(), func(c Column) bool { return c.Name == Fold(name) })
}

// IsOfMessages reports whether a column that is made of messages has that name,
// whatever its case.
func IsOfMessages(name string) bool {
	return slices.ContainsFunc(OfMessages(), func(c Column) bool { return c.Name == Fold(name) })
}

// CheckDoc says what is wrong with a doc, if anything is.
func CheckDoc(doc string) error {
	switch {
	case len(doc) > MaxDoc:
		return fmt.Errorf("has %d bytes; at most %d are allowed", len(doc), MaxDoc)
	case !utf8.ValidString(doc) || strings.ContainsFunc(doc, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
		return fmt.Errorf("has characters that are no text")
	}
	return nil
}

// quoted is a name from outside as a message shows it.
func quoted(name string) string {
	if len(name) > 80 {
		return fmt.Sprintf("%q…", name[:80])
	}
	return fmt.Sprintf("%q", name)
}
