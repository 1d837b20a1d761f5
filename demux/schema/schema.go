// Package schema is what parsers, the Parquet writer and the Iceberg table say
// to each other about a table's columns and a data file's statistics. It knows
// neither Parquet nor Iceberg.
package schema

import (
	"fmt"
	"strings"
)

// Type is the type of a column. The zero value is none.
type Type uint8

const (
	Timestamp Type = iota + 1 // UTC, microseconds since 1970; Iceberg's timestamptz
	String
	Long
	Double
	Boolean
	Map  // string to string; a value may be null
	Date // days since 1970
)

var typeNames = [...]string{"none", "timestamp", "string", "long", "double", "boolean", "map", "date"}

// Declarable are the types that the config can give a column, by their names.
var Declarable = map[string]Type{
	"boolean": Boolean, "date": Date, "double": Double, "long": Long, "string": String, "timestamp": Timestamp,
}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Column is one column of a table. Its ids are Iceberg's field ids, which a
// data file must carry; they are 0 as long as Plan has not set them.
type Column struct {
	ID       int
	KeyID    int // of a Map
	ValueID  int // of a Map
	Name     string
	Type     Type
	Required bool // no row is without it
	Doc      string
}

// The columns that every table has, in this order, before its own.
const (
	TS         = "ts"
	Host       = "host"
	Source     = "source"
	Stream     = "stream"
	Seq        = "seq"
	Level      = "level"
	Message    = "message"
	ParseError = "parse_error"
	Tags       = "tags"
	Attributes = "attributes"
)

// MaxColumns bounds the columns of a table, the common ones included. Values under
// further keys go to attributes: each commit writes the whole schema.
const MaxColumns = 500

// Common returns the columns that every table has, without ids.
func Common() []Column {
	return []Column{
		{Name: TS, Type: Timestamp, Required: true, Doc: "when it happened; where the record does not say, when it was read"},
		{Name: Host, Type: String, Required: true, Doc: "the machine the record comes from"},
		{Name: Source, Type: String, Required: true, Doc: "path or command it was read from"},
		{Name: Stream, Type: String, Required: true, Doc: "id of the sequence of bytes it was read from"},
		{Name: Seq, Type: Long, Required: true, Doc: "offset in the stream of the record's first byte"},
		{Name: Level, Type: String, Doc: "TRACE, DEBUG, INFO, WARN, ERROR, FATAL or null"},
		{Name: Message, Type: String, Doc: "the text; the raw record where parse_error is set"},
		{Name: ParseError, Type: String, Doc: "why the record could not be parsed; null where it could"},
		{Name: Tags, Type: Map, Doc: "what the agent knows of the source"},
		{Name: Attributes, Type: Map, Doc: "what fits no column"},
	}
}

// The columns that are made of messages, in tables whose records have some.
const (
	Template   = "template"
	TemplateID = "template_id"
)

// OfMessages returns the columns that are made of messages, without ids. A column of
// such a name that has another doc is a record's.
func OfMessages() []Column {
	return []Column{
		{Name: Template, Type: String, Doc: "message with <*> in place of what varies"},
		{Name: TemplateID, Type: String, Doc: "the first 16 hexadecimal digits of the template's SHA-256"},
	}
}

// Recognize gives docs to columns that are made of messages, where nothing but data
// files, which have none, tells of them.
func Recognize(cols []Column) {
	made := OfMessages()
	var at []int
	for _, d := range made {
		if i := Find(cols, d.Name); i >= 0 && cols[i].Name == d.Name && cols[i].Type == d.Type && cols[i].Doc == "" {
			at = append(at, i)
		}
	}
	if len(at) < len(made) {
		return
	}
	for i, d := range made {
		cols[at[i]].Doc = d.Doc
	}
}

// Find returns the index of the column of that name, whatever its case, or -1.
func Find(cols []Column, name string) int {
	for i := range cols {
		if strings.EqualFold(cols[i].Name, name) {
			return i
		}
	}
	return -1
}

// Plan returns the columns that a table will have after a commit that adds
// wanted, with the field ids that the commit will give them; data files must
// be written with these. existing are the table's columns, with ids, or none
// when there is no table yet. What exists stays as it is, first and in its
// order: a wanted column of the same name (whatever its case) adds nothing,
// also when its type differs, but gives its Doc, if it has one; nor does one whose
// name is not Fit. A new table gets the common columns first. Added columns are
// never required: the rows that are there have no value.
//
// maxID is the highest field id the table ever gave (0 when there is none):
// ids are not used again.
func Plan(existing, wanted []Column, maxID int) []Column {
	out := append([]Column(nil), existing...)
	if len(existing) == 0 {
		out = Common()
	}
	taken := make(map[string]int, len(out)+len(wanted))
	for i := range out {
		taken[Fold(out[i].Name)] = i
	}
	for _, c := range wanted {
		if i, ok := taken[Fold(c.Name)]; ok {
			if out[i].Name == c.Name && c.Doc != "" {
				out[i].Doc = c.Doc
			}
			continue
		}
		if Fit(c.Name) {
			taken[Fold(c.Name)] = len(out)
			c.ID, c.KeyID, c.ValueID, c.Required = 0, 0, 0, false
			out = append(out, c)
		}
	}
	for i := range out {
		maxID = max(maxID, out[i].ID, out[i].KeyID, out[i].ValueID)
	}
	// A map's keys and values are numbered right after the map: so does
	// iceberg-go number a new table's columns, and added ones.
	for i := len(existing); i < len(out); i++ {
		maxID++
		out[i].ID = maxID
		if out[i].Type == Map {
			out[i].KeyID, out[i].ValueID = maxID+1, maxID+2
			maxID += 2
		}
	}
	return out
}
