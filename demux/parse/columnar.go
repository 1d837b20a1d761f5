package parse

import (
	"bytes"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// columnarParser defines the parser of a command's output.
func columnarParser(c command, doc string) definition {
	return simple(c.name, doc, func() format { return &columnarFormat{command: c} })
}

var columnsParser = define("columns", "tables in columns, as commands print them: a header, and a row a line",
	func() columnsOptions { return columnsOptions{Gap: 1} },
	func(o *columnsOptions) (format, error) {
		return &columnarFormat{command: command{name: "columns", cells: below}, given: o.Fields, gap: o.Gap}, o.check()
	}).guessed(clue{kin: kinNone})

type columnsOptions struct {
	// Fields are the names of columns where there is no header.
	fieldsOptions
	// Gap is how many spaces at least part two columns of the header.
	Gap int `config:"gap" min:"1" max:"8"`
}

// command is a program that prints tables.
type command struct {
	name string
	// heads reports whether a line is a header; nil: the first line of
	// an output is.
	heads func(line []byte) bool
	// other reads lines that are neither headers nor rows, and reports whether a
	// line is one. add says that it may add rows.
	other func(f *columnarFormat, r *reader, line []byte, add bool) bool
	cells cells
}

// cells is how a row's words are told apart.
type cells uint8

const (
	exactly cells = iota // there are as many as in the header
	lastly               // the last has all words that are left
	below                // they stand below their names; some may be empty
)

// columnarFormat parses tables that commands print for people: a record is the output
// of a run, or a line of it, and gives a row for each line of a table. Headers give
// none; what they say holds to the end of the chunk. Columns have the header's names
// in lower case, an underscore between words, "_percent" behind those that have a
// percent sign. "-" is null.
type columnarFormat struct {
	command
	given []string
	gap   int

	tables  []namedTable  // that the chunk has headers of
	columns []tableColumn // of the present one
	spans   [][2]int
	at      times.Instant // of the rows that follow
	stamp   []byte        // its text
	day     int64         // local midnight of times of day; noDay: that of the chunk
	summary bool          // the current row is that of the lines above a table
}

// namedTable are the columns that a header names.
type namedTable struct {
	header  []byte
	columns []tableColumn
}

// maxTables bounds the headers of a chunk that are remembered.
const maxTables = 16

// tableColumn is a column of the table.
type tableColumn struct {
	name      string
	col, port *rows.Column
	typ       schema.Type // 0: what its values look like
	span      [2]int      // of its name in the header
	percent   bool
	kib       bool // perhaps with m, g or t behind it
}

const noDay = -1 << 62

func (f *columnarFormat) begin(*reader) {
	f.columns, f.tables, f.at, f.day, f.summary = nil, f.tables[:0], times.Instant{}, noDay, false
	for _, n := range f.given {
		f.columns = append(f.columns, f.column([]byte(n)))
	}
}

func (f *columnarFormat) record(r *reader, rec []byte) { f.lines(r, rec, true) }

// skipped implements headed.
func (f *columnarFormat) skipped(r *reader, rec []byte) { f.lines(r, rec, false) }

func (f *columnarFormat) lines(r *reader, rec []byte, add bool) {
	first := r.seq
	f.summary = false
	// The first line of an output, or of a stream of lines, is the header.
	heads := len(f.given) == 0 && (first == 0 || bytes.IndexByte(rec, '\n') >= 0)
	for at := 0; at < len(rec); {
		n := lineOf(rec[at:])
		r.further(at)
		if line := bytes.TrimRight(trimLine(rec[at:at+n]), " \t\r"); len(line) > 0 {
			f.line(r, line, heads, add)
			heads = false
		}
		at += n
	}
}

func (f *columnarFormat) line(r *reader, line []byte, heads, add bool) {
	if f.heads != nil {
		heads = f.heads(line) && !hasNumber(line)
	}
	heads = heads && len(line) <= maxHeading
	switch {
	case heads:
		f.header(line)
	case f.other != nil && f.other(f, r, line, add):
	case add:
		if why := f.row(r, line); why != "" {
			r.fail(line, notA(f.name, why))
		}
	}
}

// hasNumber reports whether one of a line's words is a number: then it is no header.
func hasNumber(line []byte) bool {
	for len(line) > 0 {
		w := words.First(line)
		if k, _ := bareValue(w); k == kindLong || k == kindDouble {
			return true
		}
		line = bytes.TrimLeft(line[len(w):], " \t")
	}
	return false
}

// phrases are names of several words.
var phrases = [...]string{"Local Address:Port", "Peer Address:Port", "Local Address", "Foreign Address", "PID/Program name", "Mounted on", "Security Context"}

// header finds the columns that a header names.
func (f *columnarFormat) header(line []byte) {
	for i := range f.tables { // they come again and again
		if t := &f.tables[i]; string(t.header) == string(line) {
			f.columns = t.columns
			return
		}
	}
	f.columns = nil
	f.names(line)
	if len(f.tables) < maxTables {
		f.tables = append(f.tables, namedTable{bytes.Clone(line), f.columns})
	}
}

// names reads the names of columns, and where they stand.
func (f *columnarFormat) names(line []byte) {
	names := bytes.Replace(line, []byte("PortProcess"), []byte("Port Process"), 1) // as narrow as ss prints it
	for _, p := range phrases {
		if i := bytes.Index(names, []byte(p)); i >= 0 {
			names = bytes.Clone(names)
			for k := i; k < i+len(p); k++ {
				if names[k] == ' ' {
					names[k] = '_'
				}
			}
		}
	}
	if rest, ok := bytes.CutPrefix(names, []byte("avg-cpu:")); ok { // a label, and no column's name
		names = append([]byte("        "), rest...)
	}
	f.spans = closeTogether(fields(f.spans[:0], names), f.gap)
	for _, s := range f.spans[:min(len(f.spans), maxFields)] {
		c := f.column(names[s[0]:s[1]])
		c.span = s
		f.columns = append(f.columns, c)
	}
}

// column makes a column of a name. It asks for one of the table only when there is a
// value.
func (f *columnarFormat) column(name []byte) tableColumn {
	c := tableColumn{name: columnName(name)}
	if c.name == "" {
		c.name = "column"
	}
	c.percent = strings.HasSuffix(c.name, "_percent")
	if len(c.name) > maxName { // or each value would be stored with all of it
		c.name = strings.ToValidUTF8(c.name[:maxName], "")
	}
	if f.name != "columns" {
		if known, ok := commandNames[c.name]; ok {
			c.name = known
		}
		c.typ = commandTypes[c.name]
		c.kib = f.name == "top" && (c.name == "virt" || c.name == "res" || c.name == "shr" || c.name == "swap")
		if c.percent {
			c.typ = schema.Double
		}
	}
	return c
}

// row adds the row of a line, or says why there is none.
func (f *columnarFormat) row(r *reader, line []byte) (why string) {
	n := len(f.columns)
	if n == 0 {
		return "there is no header before it"
	}
	f.spans = bracketed(fields(f.spans[:0], line), line)
	if f.cells == lastly {
		f.spans = started(f.spans, line)
	}
	m := len(f.spans)
	unplaced := f.columns[n-1].span[1] == 0 // there was no header
	if f.cells == exactly && m != n || f.cells == lastly && m < n-1 || m < n && unplaced {
		return countedFields(m, n, f.spans[m-1][1])
	}
	r.row()
	f.summary = false
	if f.at.OK {
		r.setTime(f.at, "time", f.stamp)
	}
	if m == n || m > n && (f.cells == lastly || unplaced) {
		for i := range n {
			end := f.spans[i][1]
			if i == n-1 {
				end = len(line)
			}
			f.put(r, i, line[f.spans[i][0]:end])
		}
		return ""
	}
	f.place(r, line)
	return ""
}

// put gives a value to a column.
func (f *columnarFormat) put(r *reader, i int, v []byte) {
	if isNull(v) {
		return
	}
	c := &f.columns[i]
	if c.percent {
		v = bytes.TrimSuffix(v, []byte("%"))
	}
	if c.kib {
		v = kibibytes(v)
	}
	if port, ok := commandPorts[c.name]; ok && f.name != "columns" {
		if k := bytes.LastIndexByte(v, ':'); k >= 0 {
			if p := v[k+1:]; words.IsNumber(p) && len(p) > 0 {
				if c.port == nil {
					c.port = r.b.Typed(port, schema.Long)
				}
				putLong(c.port, p)
				v = v[:k]
			} else if string(p) == "*" {
				v = v[:k]
			}
			if n := len(v); n > 2 && v[0] == '[' && v[n-1] == ']' {
				v = v[1 : n-1]
			}
		}
	}
	if c.col == nil {
		if c.typ != 0 {
			c.col = typed(r, c.name, c.typ)
		} else {
			c.col = r.b.Column(c.name)
		}
	}
	switch {
	case c.col == nil:
		r.b.Attr(c.name, v)
	case c.typ == schema.String:
		c.col.String(v)
	case c.typ == schema.Long:
		putLong(c.col, v)
	case c.typ == schema.Double:
		putDouble(c.col, v)
	default:
		putBare(c.col, v)
	}
}

// dated reads a day as these commands write it, and returns its local midnight.
func dated(s []byte) (local int64, ok bool) {
	switch {
	case len(s) == 10 && s[4] == '-' && s[7] == '-':
		return times.Seconds(times.Digits(s, 0, 4), times.Digits(s, 5, 2), times.Digits(s, 8, 2), 0, 0, 0)
	case len(s) >= 8 && s[2] == '/' && s[5] == '/':
		year := times.Digits(s, 6, len(s)-6)
		if len(s) == 8 {
			year = times.Century(year)
		} else if len(s) != 10 {
			return 0, false
		}
		return times.Seconds(year, times.Digits(s, 0, 2), times.Digits(s, 3, 2), 0, 0, 0)
	}
	return 0, false
}

// clocked reads the time of day that a line starts with, and returns how many bytes it
// has.
func (f *columnarFormat) clocked(r *reader, line []byte) (t times.Instant, n int) {
	if f.day == noDay {
		return times.Clock(line, &r.zone)
	}
	d := times.Words{S: line}
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return t, 0
	}
	return times.Instant{Micros: r.zone.UTC(f.day+clock)*1_000_000 + micros, Finer: finer, OK: true}, d.I
}
