package parse

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

var (
	csvParser = define("csv", "comma-separated values, columns named by a header or by `columns`",
		func() csvOptions { return csvOptions{Delimiter: ",", Quotes: true} },
		func(o *csvOptions) (format, error) { return newCSV("csv", o) }).guessed(clue{kin: kinLoose, whole: evenly(','), options: headingColumns(','), names: []string{"*.csv"}})
	tsvParser = define("tsv", "the same with tabs",
		func() csvOptions { return csvOptions{Delimiter: "\t", Quotes: true} },
		func(o *csvOptions) (format, error) { return newCSV("tsv", o) }).guessed(clue{kin: kinLoose, whole: evenly('\t'), options: headingColumns('\t'), names: []string{"*.tsv"}})
	ssvParser = define("ssv", "the same with semicolons, as spreadsheets in many countries have it",
		func() csvOptions { return csvOptions{Delimiter: ";", Quotes: true} },
		func(o *csvOptions) (format, error) { return newCSV("ssv", o) }).guessed(clue{kin: kinMany, whole: evenly(';'), options: headingColumns(';')})
	psvParser = define("psv", "the same with pipes",
		func() csvOptions { return csvOptions{Delimiter: "|", Quotes: true} },
		func(o *csvOptions) (format, error) { return newCSV("psv", o) }).guessed(clue{kin: kinOne, whole: evenly('|'), options: headingColumns('|')})
)

// csvFormat parses separated values (RFC 4180) into keyed records: fields in quotes
// may hold delimiters, line ends and quotes, which are there twice. What is empty is
// null. A record of several lines that are records of their own, as a command's
// output is, gives a row for each.
//
// Names are those of the header, where the chunk holds it, else those of the config,
// else column1, column2 and so on. A header that does not have all names of the config
// names nothing.
type csvFormat struct {
	*keyed
	name   string
	sep    byte
	quotes bool
	header choice
	given  []*node // by the config
	names  []*node
	timed  bool // one of the names is a time's
	others []*node
	vals   []value
	buf    []byte     // values without their doubled quotes
	seen   times.Zone // for times of which it matters only that they are there
}

func newCSV(name string, o *csvOptions) (*csvFormat, error) {
	f := &csvFormat{keyed: newKeyed(), name: name, quotes: o.Quotes, header: o.Header, seen: times.AnyZone()}
	names := o.Fields
	if len(names) == 0 {
		names = o.columns
	}
	if len(o.Delimiter) != 1 || o.Delimiter == `"` || o.Delimiter == "\n" || o.Delimiter == "\r" {
		return nil, fmt.Errorf("delimiter: %q is not allowed; want one character of ASCII, such as \";\", but no quote and no line end", o.Delimiter)
	}
	if len(names) > maxFields {
		return nil, fmt.Errorf("there are %d names of fields; at most %d are allowed", len(names), maxFields)
	}
	f.sep = o.Delimiter[0]
	for i, n := range names {
		if n == "" {
			return nil, fmt.Errorf("fields: the name of field %d is empty", i+1)
		}
		f.given = append(f.given, f.child(f.root, []byte(n), i))
	}
	return f, nil
}

func (f *csvFormat) begin(r *reader) {
	f.keyed.begin(r)
	f.use(f.given)
}

// use has the fields that follow be these.
func (f *csvFormat) use(names []*node) {
	f.names, f.timed = names, false
	for _, n := range names {
		f.timed = f.timed || n.role() == roleTime
	}
}

// unclosed implements quoter.
func (f *csvFormat) unclosed(line []byte, open bool) bool {
	if !f.quotes || !open && bytes.IndexByte(line, '"') < 0 {
		return false
	}
	i := 0
	if !open {
		i, open = openQuotes(line, 0, f.sep)
	}
	for {
		if open {
			k := bytes.IndexByte(line[i:], '"')
			if k < 0 {
				return true
			}
			if i += k + 1; i < len(line) && line[i] == '"' {
				i++
				continue
			}
		}
		k := bytes.IndexByte(line[i:], f.sep)
		if k < 0 {
			return false
		}
		i, open = openQuotes(line, i+k+1, f.sep)
	}
}

// openQuotes reports whether the field at i begins with quotes, spaces before them
// or not, and returns where its text begins.
func openQuotes(line []byte, i int, sep byte) (int, bool) {
	k := i
	for k < len(line) && line[k] == ' ' && sep != ' ' {
		k++
	}
	if k < len(line) && line[k] == '"' {
		return k + 1, true
	}
	return i, false
}

func (f *csvFormat) record(r *reader, rec []byte) {
	first, broken := r.seq, false
	for at := 0; at < len(rec); {
		n := lineOf(rec[at:])
		if m := n; !broken && f.unclosed(rec[at:at+n], false) {
			for open := true; open && m < len(rec)-at; {
				k := lineOf(rec[at+m:])
				open = f.unclosed(rec[at+m:at+m+k], true)
				m += k
				broken = open && m == len(rec)-at
			}
			if !broken {
				n = m
			}
		}
		r.further(at)
		if line := trimLine(rec[at : at+n]); len(bytes.TrimSpace(line)) > 0 {
			f.one(r, line, at == 0 && (first == 0 || n < len(rec)))
		}
		at += n
	}
}

// lineOf returns the length of the line that s starts with, its end included.
func lineOf(s []byte) int {
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		return i + 1
	}
	return len(s)
}

// one adds the row of one record; heads says that it may be a header.
func (f *csvFormat) one(r *reader, rec []byte, heads bool) {
	if why := f.split(rec); why != "" {
		r.fail(rec, notA(f.name, why))
		return
	}
	if r.format == f && f.heading(heads) {
		return
	}
	f.reset()
	n := min(len(f.vals), maxFields)
	if len(f.names) > 0 {
		n = min(len(f.vals), len(f.names))
	}
	for i := range n {
		v := f.vals[i].text
		if len(v) == 0 || string(v) == `\N` {
			continue
		}
		t, num := bareValue(v)
		f.add(f.nameOf(i), t, v, num)
	}
	if !f.fill(r) && f.timed && r.format == f {
		f.untimed(r)
	}
	if n < len(f.names) {
		r.b.Fail(notA(f.name, countedFields(n, len(f.names), len(rec))))
	}
	for i := n; i < len(f.vals); i++ {
		if len(f.vals[i].text) > 0 {
			r.b.Attr("column"+strconv.Itoa(i+1), f.vals[i].text)
		}
	}
}

// nameOf returns the name of a field.
func (f *csvFormat) nameOf(i int) *node {
	if i < len(f.names) {
		return f.names[i]
	}
	return f.generic(i)
}

// generic returns the name of a field that has none.
func (f *csvFormat) generic(i int) *node {
	for len(f.others) <= i {
		f.others = append(f.others, f.child(f.root, strconv.AppendInt([]byte("column"), int64(len(f.others)+1), 10), 0))
	}
	return f.others[i]
}

// heading takes the record that was split for a header, if it is one.
func (f *csvFormat) heading(first bool) bool {
	repeats := len(f.names) > 0 && len(f.vals) == len(f.names)
	for i := range f.vals {
		repeats = repeats && string(f.vals[i].text) == f.names[i].name
	}
	switch {
	case f.header == no:
		return false
	case repeats:
		return true
	case !first:
		return false
	case f.header == auto && !f.looksNamed():
		return false
	}
	all := map[string]bool{}
	for i := range f.vals {
		all[string(f.vals[i].text)] = true
	}
	for _, n := range f.given {
		if !all[n.name] {
			return f.header == yes
		}
	}
	names := make([]*node, len(f.vals))
	for i := range f.vals {
		if v := f.vals[i].text; len(v) > 0 || i >= maxFields {
			names[i] = f.child(f.root, v, i)
		} else {
			names[i] = f.generic(i)
		}
	}
	f.use(names)
	return true
}

// skipped implements headed.
func (f *csvFormat) skipped(r *reader, rec []byte) {
	if f.split(rec) == "" {
		f.heading(r.seq == 0)
	}
}

// looksNamed reports whether all fields may be names: several words, no two alike.
func (f *csvFormat) looksNamed() bool {
	if len(f.vals) < 2 {
		return false
	}
	seen := make(map[string]bool, len(f.vals))
	for i := range f.vals {
		v := f.vals[i].text
		if len(v) == 0 || len(v) > 128 || seen[string(v)] {
			return false
		}
		seen[string(v)] = true
		if c := v[0]; (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '@' && c != '#' && c != '%' && c < 0x80 {
			return false
		}
		if t, _ := bareValue(v); t != kindString || times.Text(v, &f.seen).OK {
			return false
		}
	}
	return true
}

// split takes a record apart, and says why it can't.
func (f *csvFormat) split(rec []byte) (why string) {
	f.vals, f.buf = f.vals[:0], f.buf[:0]
	for i := 0; ; i++ {
		v := value{at: i}
		k, open := i, false
		if f.quotes {
			k, open = openQuotes(rec, i, f.sep)
		}
		if open {
			var n int
			if v.text, n = f.quoted(rec[k:]); n == 0 {
				return unclosed(k - 1)
			}
			for i = k + n; i < len(rec) && rec[i] == ' ' && f.sep != ' '; i++ {
			}
			if i < len(rec) && rec[i] != f.sep {
				return fmt.Sprintf("unexpected %q at byte %d, want %q after the quotes", rec[i], i, f.sep)
			}
		} else {
			n := bytes.IndexByte(rec[i:], f.sep)
			if n < 0 {
				n = len(rec) - i
			}
			v.text = bytes.Trim(rec[i:i+n], " ")
			i += n
		}
		f.vals = append(f.vals, v)
		if i >= len(rec) {
			return ""
		}
	}
}

// quoted returns the content of quotes, and the length of it with the closing one;
// 0 if there is none.
func (f *csvFormat) quoted(s []byte) ([]byte, int) {
	from, start := len(f.buf), 0
	for i := 0; ; {
		k := bytes.IndexByte(s[i:], '"')
		if k < 0 {
			return nil, 0
		}
		if i += k + 1; i < len(s) && s[i] == '"' {
			f.buf = append(f.buf, s[start:i]...)
			i++
			start = i
			continue
		}
		if start == 0 {
			return s[:i-1], i
		}
		f.buf = append(f.buf, s[start:i-1]...)
		return f.buf[from:len(f.buf):len(f.buf)], i
	}
}
