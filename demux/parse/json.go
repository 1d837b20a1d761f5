package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/colours"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var jsonParser = simple("json", "JSON objects, one a line, or each over several with the `record_start` that `akupara parse` prints: keys become columns", func() format { return newJSON() }).guessed(clue{kin: kinMany, lines: prettyObjects})

// jsonFormat parses one JSON object a line into a keyed record. Arrays are kept
// as their text, and numbers that are neither longs nor doubles. Of a key that
// comes twice the first value is the column's; the others go to attributes.
//
// Before the object may stand a text, such as a time and a level: it gives what
// of these the object does not have, and is kept. An object may have several lines, see
// jsonpretty.go. Objects behind each other are
// rows of their own, as are those of an array, alone or as CloudTrail has it.
type jsonFormat struct {
	*keyed
	scan   scanner
	indent int    // of the object's first line, where it has several
	seen   times. // for times of which it matters only that they are there
		Zone
}

func newJSON(typed ...schema.Column) *jsonFormat {
	return &jsonFormat{keyed: newKeyed(typed...), seen: times.AnyZone()}
}

func (f *jsonFormat) record(r *reader, rec []byte) {
	lead, n, err := f.first(r, rec)
	if err == nil && n == len(rec) && f.wraps() {
		if list := f.fields[0].val; f.list(r, list, cap(rec)-cap(list)) {
			return
		}
		lead, n, err = f.first(r, rec)
	}
	if err != nil {
		if r.format == f && rec[0] == '[' && f.list(r, rec, 0) || r.format == f && isBracket(rec) {
			return
		}
		r.fail(rec, fmt.Sprintf("not JSON: %v", err))
		return
	}
	f.row(r, lead)
	for n < len(rec) {
		r.markFaulty()
		r.further(n)
		rest := rec[n:]
		length, err := f.next(rest)
		if err != nil {
			r.fail(rest, fmt.Sprintf("not JSON: %v, behind a whole object", err))
			break
		}
		f.row(r, nil)
		n += length
	}
}

// first reads the first object of a record. It returns what stands before it, and
// where what follows begins: the next object, if there is one.
func (f *jsonFormat) first(r *reader, rec []byte) (lead []byte, n int, err error) {
	const maxLead, maxTries = 512, 4
	n, err = f.next(rec)
	if err == nil && n == len(rec)-1 && rec[n] == ',' { // of an array, a line an element
		return nil, len(rec), nil
	}
	if err == nil && n < len(rec) && (rec[n] != '{' || r.format != f) {
		return nil, 0, f.scan.unexpected()
	}
	if err == nil || startsObject(rec) {
		return nil, n, err
	}
	if plain := colours.Unspelled(rec); len(plain) < len(rec) {
		if n, failed := f.next(plain); failed == nil && n == len(plain) {
			return nil, len(rec), nil
		}
	}
	for at, tries := 0, 0; tries < maxTries; tries++ {
		i := bytes.IndexByte(rec[at:min(len(rec), maxLead)], '{')
		if i < 0 {
			break
		}
		at += i
		if n, failed := f.next(rec[at:]); failed == nil && at+n == len(rec) {
			return rec[:at], len(rec), nil
		}
		at++
	}
	return nil, 0, err
}

func startsObject(s []byte) bool {
	s = bytes.TrimLeft(bytes.TrimPrefix(s, []byte("\ufeff")), " \t\r\n")
	return len(s) > 0 && s[0] == '{'
}

// row adds the row of the object that was read.
func (f *jsonFormat) row(r *reader, lead []byte) {
	timed := f.fill(r)
	if lead != nil {
		timed = f.led(r, bytes.TrimSpace(lead), timed)
	}
	if !timed && r.format == f && len(f.typed) == 0 {
		f.untimed(r)
	}
}

// led gives the row what a text before its object says, and reports whether the row
// has a time then.
func (f *jsonFormat) led(r *reader, lead []byte, timed bool) bool {
	if !timed && !r.frame.OK {
		if t, n := applog.Time(lead, &r.zone); n > 0 {
			r.setTime(t, "time", lead[:n])
			timed = r.believes(t)
		}
	}
	if !f.given[roleLevel] {
		if l := levelIn(lead, &f.seen); l != rows.NoLevel {
			r.b.SetLevel(l)
		}
	}
	if f.given[roleMessage] {
		r.b.Attr("prefix", lead)
	} else {
		r.b.Message(lead)
	}
	return timed
}

// noTime marks rows of formats whose records say when they were, where one does
// not.
const noTime = "there is no time in it: ts is when it was read"

// read takes the fields of an object, which must be all of rec.
func (f *jsonFormat) read(rec []byte) error {
	n, err := f.next(rec)
	if err == nil && n < len(rec) {
		err = f.scan.unexpected()
	}
	return err
}

// next takes the fields of the object that s starts with, and returns where what
// follows begins.
func (f *jsonFormat) next(s []byte) (int, error) {
	f.fields = f.fields[:0]
	return f.scan.object(f.keyed, s)
}
