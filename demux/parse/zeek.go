package parse

import (
	"bytes"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

var zeekParser = define("zeek", "Zeek's logs with tabs, their fields by `#fields`, else by `fields`; those in JSON are for json", noFields,
	func(o *fieldsOptions) (format, error) { return &zeekFormat{given: o.Fields}, o.check() }).
	guessed(clue{heading: "#fields\t", options: zeekFields})

// zeekFormat parses Zeek's logs in columns: directives that begin with # and give no
// rows, and records with tabs between their fields, which the last #fields names and
// #types tells the types of. Columns have the names of fields, as they have in Zeek's
// JSON; _path is the log's.
type zeekFormat struct {
	placed
	given   []string
	names   []string
	path    []byte
	tsAt    int   // the field that is the row's time; -1: none
	levelAt int   // likewise its level
	bools   []int // the fields whose T and F are booleans
}

func (f *zeekFormat) begin(*reader) {
	f.path = f.path[:0]
	f.names = f.given
	f.use(nil)
}

// use has the fields that follow be of these types, as far as they are known.
func (f *zeekFormat) use(types [][]byte) {
	f.places, f.bools, f.gen, f.tsAt, f.levelAt = f.places[:0], f.bools[:0], nil, -1, -1
	for i, name := range f.names {
		typ := zeekType(name)
		if i < len(types) {
			typ = string(types[i])
		}
		p := place{name: name, loose: true}
		switch typ {
		case "count", "int", "port":
			p.as = asLong
		case "double", "interval":
			p.as = asDouble
		case "bool":
			p.as = asBare
			f.bools = append(f.bools, i)
		case "":
			p.as = asBare
			f.bools = append(f.bools, i) // perhaps
		}
		if typ == "" || typ == "string" || typ == "enum" {
			switch name {
			case "level":
				f.levelAt, p.as = i, asLevel
			case "message":
				p.as = asMessage
			}
		}
		if name == "ts" {
			f.tsAt, p.as = i, asNothing
		}
		f.places = append(f.places, p)
	}
	f.least = len(f.places)
}

// zeekType returns the type of fields that have one name in all logs, where no #types
// tells it.
func zeekType(name string) string {
	switch {
	case name == "uid", name == "history", name == "conn_state", name == "message", name == "level", strings.HasSuffix(name, "_h"):
		return "string"
	case name == "duration", name == "rtt":
		return "interval"
	case strings.HasSuffix(name, "_p"), strings.HasSuffix(name, "_bytes"), strings.HasSuffix(name, "_pkts"):
		return "count"
	}
	return ""
}

func (f *zeekFormat) record(r *reader, rec []byte) {
	if rec[0] == '#' {
		f.directive(rec)
		return
	}
	if len(f.places) == 0 {
		r.fail(rec, notA("zeek", "no #fields line before it says what its fields are, and neither does the option fields"))
		return
	}
	f.vals, f.buf = f.vals[:0], f.buf[:0]
	for at := 0; at <= len(rec); {
		if n := len(f.places); len(f.vals) == n {
			r.fail(rec, notA("zeek", countedFields(n+1+bytes.Count(rec[at:], []byte("\t")), n, at)))
			return
		}
		v := rec[at:]
		if i := bytes.IndexByte(v, '\t'); i >= 0 {
			v = v[:i]
		}
		text := v
		if string(v) == "(empty)" {
			text = nil
		}
		f.vals = append(f.vals, value{text: text, at: at})
		at += len(v) + 1
	}
	if i := f.levelAt; i >= 0 && i < len(f.vals) {
		f.vals[i].text = bytes.TrimPrefix(f.vals[i].text, []byte("Reporter::"))
	}
	for _, i := range f.bools {
		if i < len(f.vals) {
			switch string(f.vals[i].text) {
			case "T":
				f.vals[i].text = []byte("true")
			case "F":
				f.vals[i].text = []byte("false")
			}
		}
	}
	if why := f.fill(r, rec, &r.zone); why != "" {
		r.fail(rec, notA("zeek", why))
		return
	}
	if f.tsAt >= 0 && !isNull(f.vals[f.tsAt].text) {
		ts := f.vals[f.tsAt].text
		t := times.EpochSeconds(ts)
		if !t.OK {
			t = anyTime(ts, &r.zone)
		}
		r.setTime(t, "ts", ts)
		if !r.believes(t) {
			r.noTime()
		}
	}
	if len(f.path) > 0 {
		if c := r.b.Column("_path"); c != nil {
			c.String(f.path)
		}
	}
}

// skipped implements headed.
func (f *zeekFormat) skipped(_ *reader, rec []byte) {
	if rec[0] == '#' {
		f.directive(rec)
	}
}

// directive takes a line for what it says of those that follow.
func (f *zeekFormat) directive(rec []byte) {
	if len(rec) > maxHeading {
		return
	}
	name, rest, _ := bytes.Cut(rec[1:], []byte("\t"))
	switch string(name) {
	case "fields":
		f.names = nil
		for _, n := range bytes.SplitN(rest, []byte("\t"), maxFields+1) {
			f.names = append(f.names, string(n[:min(len(n), maxName)]))
		}
		f.names = f.names[:min(len(f.names), maxFields)]
		f.use(nil)
	case "types":
		f.use(bytes.Split(rest, []byte("\t")))
	case "path":
		f.path = append(f.path[:0], rest...)
	}
}

// zeekFields returns what names the fields of a text by its last #fields.
func zeekFields(text []byte) string {
	const heading = "#fields\t"
	i := bytes.LastIndex(text, []byte(heading))
	if i < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(text[i+len(heading):], []byte("\n"))
	return listed("fields", bytes.Split(bytes.TrimSuffix(line, []byte("\r")), []byte("\t")))
}
