package trial

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// Writer writes rows.
type Writer interface {
	Row(r Row) error
	// Close writes what is left.
	Close() error
}

// JSONL writes an object for each row, with all columns: those of templates, too, where
// t says how they are made.
func JSONL(w io.Writer, t rows.Templates) Writer {
	return &jsonl{out: bufio.NewWriterSize(w, 64<<10), templates: t}
}

type jsonl struct {
	out           *bufio.Writer
	templates     rows.Templates
	buf, template []byte
}

// Close implements Writer.
func (j *jsonl) Close() error { return j.out.Flush() }

// Row implements Writer.
func (j *jsonl) Row(r Row) error {
	host, source, _ := r.Origin()
	b := append(j.buf[:0], `{"ts":`...)
	b = appendString(b, timestamp(r.TS()))
	b = appendString(append(b, `,"host":`...), string(host))
	b = appendString(append(b, `,"source":`...), string(source))
	b = strconv.AppendInt(append(b, `,"seq":`...), r.Seq(), 10)
	if b = append(b, `,"level":`...); r.Level() == rows.NoLevel {
		b = append(b, "null"...)
	} else {
		b = appendString(b, r.Level().String())
	}
	b = appendValue(append(b, `,"message":`...), r.Message())
	if j.templates.Append != nil {
		b = j.appendTemplate(b, r.Message())
	}
	b = appendValue(append(b, `,"parse_error":`...), r.ParseError())
	r.Own(func(name string, v rows.Value) {
		b = append(appendString(append(b, ','), name), ':')
		b = appendValue(b, v)
	})
	b = append(b, `,"attributes":`...)
	pairs := 0
	r.Attributes(func(key, val []byte) {
		if b = append(b, ','); pairs == 0 {
			b[len(b)-1] = '{'
		}
		pairs++
		b = append(appendString(b, string(key)), ':')
		b = appendString(b, string(val))
	})
	if pairs == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, '}')
	}
	j.buf = append(b, "}\n"...)
	_, err := j.out.Write(j.buf)
	return err
}

// appendTemplate appends the template of a message and its id.
func (j *jsonl) appendTemplate(b []byte, message rows.Value) []byte {
	if !message.Given() || j.templates.None(message.Bytes) {
		return append(b, `,"template":null,"template_id":null`...)
	}
	j.template = j.templates.Append(j.template[:0], message.Bytes)
	id := j.templates.ID(j.template)
	b = appendString(append(b, `,"template":`...), string(j.template))
	return appendString(append(b, `,"template_id":`...), string(id[:]))
}

func appendString(b []byte, s string) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // <*> of templates
	_ = e.Encode(s)        // a string can always be
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

func appendValue(b []byte, v rows.Value) []byte {
	switch v.Type {
	case 0:
		return append(b, "null"...)
	case schema.Long, schema.Boolean:
		return append(b, Text(v)...)
	case schema.Double:
		if d := v.Double(); !math.IsNaN(d) && !math.IsInf(d, 0) {
			return rows.AppendDouble(b, d)
		}
	}
	return appendString(b, Text(v))
}

// Text is a value as people read it; empty where there is none.
func Text(v rows.Value) string {
	switch v.Type {
	case schema.String:
		return string(v.Bytes)
	case schema.Long:
		return strconv.FormatInt(v.Long(), 10)
	case schema.Boolean:
		return strconv.FormatBool(v.Bool())
	case schema.Timestamp:
		return timestamp(v.Long())
	case schema.Date:
		return time.Unix(v.Long()*86400, 0).UTC().Format(time.DateOnly)
	case schema.Double:
		switch d := v.Double(); {
		case math.IsInf(d, 1):
			return "Infinity"
		case math.IsInf(d, -1):
			return "-Infinity"
		default:
			return string(rows.AppendDouble(nil, d))
		}
	}
	return ""
}

func timestamp(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z")
}

// Tables writes rows as tables of at most blockRows rows each, their lines of at
// most so many cells; 0 means that there is no limit.
func Tables(w io.Writer, cells int) Writer { return &tables{w: w, cells: cells} }

const blockRows = 1000

type tables struct {
	w     io.Writer
	cells int
	names []string
	at    map[string]int
	rows  [][]string
	any   bool // a table was written
}

// Row implements Writer.
func (t *tables) Row(r Row) error {
	if t.at == nil {
		t.at = map[string]int{}
	}
	var row []string
	put := func(name, text string) {
		if text == "" {
			return
		}
		i, ok := t.at[name]
		if !ok {
			i = len(t.names)
			t.at[name] = i
			t.names = append(t.names, name)
		}
		for len(row) <= i {
			row = append(row, "")
		}
		row[i] = text
	}
	put(schema.TS, timestamp(r.TS()))
	put(schema.Level, r.Level().String())
	r.Own(func(name string, v rows.Value) { put(name, Text(v)) })
	put(schema.Message, Text(r.Message()))
	var pairs []string
	r.Attributes(func(key, val []byte) { pairs = append(pairs, string(key)+"="+string(val)) })
	put(schema.Attributes, strings.Join(pairs, " "))
	t.rows = append(t.rows, row)
	if len(t.rows) >= blockRows {
		return t.Close()
	}
	return nil
}

// Close implements Writer.
func (t *tables) Close() error {
	if len(t.rows) == 0 {
		return nil
	}
	var table show.Table
	order := t.order()
	for _, i := range order {
		c := show.Column{Name: t.names[i], Flex: 1}
		switch c.Name {
		case schema.TS, schema.Level:
			c.Flex = 0
		case schema.Message:
			c.Flex = 2
		case schema.Attributes:
			c.Flex, c.Drop = 3, 1
		}
		table.Columns = append(table.Columns, c)
	}
	for _, r := range t.rows {
		row := make([]string, len(order))
		for at, i := range order {
			if i < len(r) {
				row[at] = r[i]
			}
		}
		table.Rows = append(table.Rows, row)
	}
	if t.any {
		if _, err := io.WriteString(t.w, "\n"); err != nil {
			return err
		}
	}
	t.any, t.rows, t.names, t.at = true, nil, nil, nil
	return table.Write(t.w, t.cells)
}

// order is that of the columns: the time and the level first, the message and the
// attributes last.
func (t *tables) order() (out []int) {
	last := map[string]bool{schema.Message: true, schema.Attributes: true}
	add := func(name string) {
		if i, ok := t.at[name]; ok {
			out = append(out, i)
		}
	}
	add(schema.TS)
	add(schema.Level)
	for i, name := range t.names {
		if name != schema.TS && name != schema.Level && !last[name] {
			out = append(out, i)
		}
	}
	add(schema.Message)
	add(schema.Attributes)
	return out
}
