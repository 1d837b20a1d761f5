// Package output writes the rows of a result for people and for machines.
//
// Every cell comes as text, made so by DuckDB itself:
//
//	TIMESTAMP WITH TIME ZONE   2006-01-02T15:04:05.000000Z (RFC 3339, UTC)
//	other timestamps           2006-01-02T15:04:05[.…], which name no zone
//	numbers                    digits as they are, HUGEINT and DECIMAL without loss
//	NaN, infinities            NaN, Infinity, -Infinity; strings in JSON, which has no such numbers,
//	                           also within a MAP, LIST or STRUCT
//	MAP, LIST, STRUCT, …       JSON
//	BLOB                       base64
//	all others                 as DuckDB shows them
//
// NULL is NULL in a table, an empty field in CSV, where the empty string is "",
// and null in JSON.
package output

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/akupara/akupara/query/internal/duck"
)

// Kind is how a cell's text is to be taken.
type Kind uint8

const (
	Text   Kind = iota
	Number      // also NaN and the infinities
	Bool        // true or false
	JSON        // any JSON value
	Block       // lines that belong together: a plan
)

// Column is a column of a result.
type Column struct {
	Name string
	Kind Kind
}

// Writer takes a result. Begin comes first and End last, unless something
// fails in between.
type Writer interface {
	Begin(cols []Column) error
	Row(cells []duck.Cell) error
	End() error
}

// New makes a writer of the format: table, csv, json or jsonl.
func New(format string, w io.Writer) (Writer, error) {
	b := buffer{bufio.NewWriterSize(w, 64<<10)}
	switch format {
	case "table":
		return &table{w: b}, nil
	case "csv":
		return &csv{w: b}, nil
	case "json":
		return &jsonWriter{w: b, array: true}, nil
	case "jsonl":
		return &jsonWriter{w: b}, nil
	}
	return nil, fmt.Errorf("there is no format %q", format)
}

// buffer keeps the first error of its writer, and gives it at the next Write
// that asks, and at Flush: so the parts of a row need not.
type buffer struct{ *bufio.Writer }

func (b buffer) put(s string)      { _, _ = b.WriteString(s) }
func (b buffer) putByte(c byte)    { _ = b.WriteByte(c) }
func (b buffer) putBytes(p []byte) { _, _ = b.Write(p) }

// Select returns a statement whose result is that of sql, every cell as text.
// sql must be one statement that may stand as a subquery.
func Select(sql string, cols []duck.Column) (string, []Column) {
	var exprs, names strings.Builder
	out := make([]Column, len(cols))
	for i, c := range cols {
		if i > 0 {
			exprs.WriteString(", ")
			names.WriteString(", ")
		}
		expr, kind := asText(c, fmt.Sprintf("q.c%d", i))
		exprs.WriteString(expr)
		fmt.Fprintf(&names, "c%d", i)
		out[i] = Column{c.Name, kind}
	}
	return fmt.Sprintf("SELECT %s FROM (\n%s\n) q(%s)", &exprs, sql, &names), out
}

// asText returns the expression that makes text of a column.
func asText(c duck.Column, name string) (string, Kind) {
	cast := "CAST(" + name + " AS VARCHAR)"
	switch c.Type {
	case mapping.TypeVarchar:
		if c.JSON {
			return cast, JSON
		}
		return name, Text
	case mapping.TypeBoolean:
		return cast, Bool
	case mapping.TypeTinyInt, mapping.TypeSmallInt, mapping.TypeInteger, mapping.TypeBigInt,
		mapping.TypeUTinyInt, mapping.TypeUSmallInt, mapping.TypeUInteger, mapping.TypeUBigInt,
		mapping.TypeHugeInt, mapping.TypeUHugeInt, mapping.TypeBigNum, mapping.TypeDecimal,
		mapping.TypeFloat, mapping.TypeDouble:
		return cast, Number
	case mapping.TypeTimestampTZ:
		return "CASE WHEN isfinite(" + name + ") THEN strftime(" + name + ", '%Y-%m-%dT%H:%M:%S.%fZ') ELSE " + cast + " END", Text
	case mapping.TypeTimestamp:
		return "CASE WHEN isfinite(" + name + ") THEN strftime(" + name + ", '%Y-%m-%dT%H:%M:%S.%f') ELSE " + cast + " END", Text
	case mapping.TypeTimestampS, mapping.TypeTimestampMS, mapping.TypeTimestampNS:
		return "replace(" + cast + ", ' ', 'T')", Text
	case mapping.TypeBlob:
		return "to_base64(" + name + ")", Text
	case mapping.TypeMap, mapping.TypeList, mapping.TypeStruct, mapping.TypeArray, mapping.TypeUnion:
		return "CAST(to_json(" + name + ") AS VARCHAR)", JSON
	}
	return cast, Text
}

// number returns a number's text as JSON or CSV shows it; plain is false for
// what is none in JSON.
func number(s string) (text string, plain bool) {
	switch strings.ToLower(s) {
	case "nan", "-nan":
		return "NaN", false
	case "inf":
		return "Infinity", false
	case "-inf":
		return "-Infinity", false
	}
	return s, true
}

// value returns a JSON text as one line of JSON as others read it: DuckDB writes
// numbers that JSON has not, and keeps the line breaks of what it was given.
func value(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s) // in a string they are escaped
	}
	if !strings.Contains(s, "NaN") && !strings.Contains(s, "Infinity") {
		return s
	}
	var b strings.Builder
	inString := false
	for i := 0; i < len(s); i++ {
		switch {
		case inString && s[i] == '\\' && i+1 < len(s):
			b.WriteByte(s[i])
			i++
		case s[i] == '"':
			inString = !inString
		case !inString:
			if word := notNumber(s[i:]); word != "" {
				b.WriteString(`"` + word + `"`)
				i += len(word) - 1
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func notNumber(s string) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if strings.HasPrefix(s, word) {
			return word
		}
	}
	return ""
}

// shown is a cell's text where it stands on its own; it is not null.
func shown(cell duck.Cell, kind Kind) string {
	switch kind {
	case Number:
		text, _ := number(cell.Text)
		return text
	case JSON:
		return value(cell.Text)
	}
	return cell.Text
}
