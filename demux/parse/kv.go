package parse

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
)

var kvParser = define("kv", "pairs of keys and values within text, however they are written",
	func() kvOptions { return kvOptions{Quotes: `"'`} },
	func(o *kvOptions) (format, error) {
		if len(o.Pair) > 8 || len(o.Separator) > 8 || len(o.Quotes) > 8 {
			return nil, errors.New("pair, separator and quotes have at most 8 bytes each")
		}
		if o.Pair != "" && o.Pair == o.Separator {
			return nil, errors.New("pair and separator are the same")
		}
		return &kvFormat{keyed: newKeyed(), pair: []byte(o.Pair), separator: []byte(o.Separator), quotes: []byte(o.Quotes)}, nil
	}).guessed(clue{kin: kinNone})

type kvOptions struct {
	// Pair stands between a key and its value; without it that is = or, in records
	// without one, a colon.
	Pair string `config:"pair"`
	// Separator stands between pairs; without it that are spaces, tabs, commas,
	// semicolons and vertical bars.
	Separator string `config:"separator"`
	// Quotes are the signs that values may stand in; opening brackets among them
	// have their closing ones.
	Quotes string `config:"quotes"`
}

// kvFormat parses pairs of keys and values within text into keyed records:
//
//	login failed: user=anna, ip=192.0.2.7; tries=3
//
// What belongs to no pair is the message. Its time and level are those of the pairs
// that have such keys, date and time together among them, or else what the text begins
// with.
type kvFormat struct {
	*keyed
	pair, separator, quotes []byte
	buf                     []byte
	text                    []byte // of the record that belongs to no pair
}

func (f *kvFormat) record(r *reader, rec []byte) {
	t, n := applog.Time(rec, &r.zone)
	f.read(rec[n:], f.pair)
	if len(f.pair) == 0 && len(f.fields) == 0 {
		f.read(rec[n:], []byte(":"))
	}
	if r.format != f && len(f.pair) == 0 && len(f.fields) < 2 && bytes.IndexByte(rec, '=') < 0 {
		r.row() // one of the messages that have no pairs
		r.b.Message(rec)
		return
	}
	if len(f.fields) == 0 {
		r.fail(rec, "not kv: there is no key with a value")
		return
	}
	f.dated()
	timed := f.fill(r)
	switch text := rec[:n]; {
	case n == 0:
	case timed:
		r.b.Attr("time", text)
	default:
		r.setTime(t, "time", text)
		timed = r.believes(t)
	}
	text := bytes.TrimRight(f.text, " :")
	if r.b.Level() == rows.NoLevel {
		if l := levelIn(text, &r.zone); l != rows.NoLevel {
			r.b.SetLevel(l)
		}
	}
	if len(text) > 0 {
		r.b.Message(text)
	}
	if !timed && r.format == f {
		f.untimed(r)
	}
}

// read takes a record's pairs. Without pair it takes those with an equals sign.
func (f *kvFormat) read(rec, pair []byte) {
	f.reset()
	f.buf, f.text = f.buf[:0], f.text[:0]
	if len(pair) == 0 {
		pair = []byte("=")
	}
	for at := 0; at < len(rec); {
		if n := f.between(rec[at:]); n > 0 {
			at += n
			continue
		}
		key, val := f.pairAt(rec[at:], pair)
		if key == nil {
			at += f.word(rec[at:])
			continue
		}
		node := f.child(f.root, key, len(f.fields))
		v, k, size := f.value(rec[at+val:])
		num := uint64(0)
		if k == kindText {
			k, num = bareValue(v)
		}
		f.add(node, k, v, num)
		at += val + size
	}
}

// word adds what s starts with to the text, and returns how many bytes it has. What
// parts pairs is text as long as there is none.
func (f *kvFormat) word(s []byte) int {
	n := f.wordEnd(s)
	if len(f.text) > 0 {
		f.text = append(f.text, ' ')
	}
	f.text = append(f.text, s[:n]...)
	if len(f.fields) == 0 && n < len(s) && len(f.separator) == 0 && s[n] > ' ' {
		f.text = append(f.text, s[n])
	}
	return n
}

// between returns how many bytes at the start of s part two pairs.
func (f *kvFormat) between(s []byte) int {
	if len(f.separator) > 0 && bytes.HasPrefix(s, f.separator) {
		return len(f.separator)
	}
	switch s[0] {
	case ' ', '\t', '\n', '\r':
		return 1
	case ',', ';', '|':
		if len(f.separator) == 0 {
			return 1
		}
	}
	return 0
}

// wordEnd returns how many bytes of s belong to no pair, up to what parts pairs.
func (f *kvFormat) wordEnd(s []byte) int {
	var n int
	if len(f.separator) > 0 {
		n = bytes.Index(s, f.separator)
	} else {
		n = bytes.IndexAny(s, " \t\n\r,;|")
	}
	if n < 0 {
		return len(s)
	}
	return n
}

// pairAt returns the key that s starts with, nil if there is none, and where its value
// begins.
func (f *kvFormat) pairAt(s, pair []byte) (key []byte, val int) {
	if len(f.separator) > 0 {
		piece := s[:f.wordEnd(s)]
		i := bytes.Index(piece, pair)
		if i <= 0 || i > maxPrefix {
			return nil, 0
		}
		for val = i + len(pair); val < len(piece) && piece[val] == ' '; val++ {
		}
		return bytes.TrimRight(piece[:i], " "), val
	}
	end := 0
	for end < len(s) && isKey(s[end]) && s[end] != pair[0] {
		end++
	}
	if end == 0 || end > maxPrefix || s[0] >= '0' && s[0] <= '9' {
		return nil, 0
	}
	at := end
	if at+1 < len(s) && s[at] == ' ' && pair[0] != ' ' && s[at+1] == pair[0] { // key = value
		at++
	}
	if !bytes.HasPrefix(s[at:], pair) {
		return nil, 0
	}
	val = at + len(pair)
	if pair[0] == ':' && len(f.pair) == 0 && val < len(s) && (s[val] == ':' || s[val] == '/') {
		return nil, 0 // a URL's, a class's
	}
	if val < len(s) && s[val] == ' ' && (pair[0] == ':' || at > end) {
		val++
	}
	return s[:end], val
}

// isKey reports whether keys have the byte.
func isKey(c byte) bool {
	return times.LetterOrDigit(c) || c == '_' || c == '.' || c == '-' || c == '@' || c == '/' || c >= 0x80
}

// value reads a value, and returns how many bytes it has. Its kind is text, where it
// is not in quotes.
func (f *kvFormat) value(s []byte) (v []byte, k kind, n int) {
	if len(s) > 0 && bytes.IndexByte(f.quotes, s[0]) >= 0 {
		closing := closingOf(s[0])
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && closing == s[0]:
				i++
			case s[i] == closing:
				v = s[1:i]
				if closing == s[0] && bytes.IndexByte(v, '\\') >= 0 {
					at := len(f.buf)
					f.buf = unescapeLoose(f.buf, v)
					v = f.buf[at:len(f.buf):len(f.buf)]
				}
				return v, kindString, i + 1
			}
		}
	}
	n = f.wordEnd(s)
	return bytes.TrimRight(s[:n], " "), kindText, n
}

func closingOf(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[', '{', '<':
		return c + 2
	}
	return c
}

// dated joins a record's date and time, as firewalls write them, and their zone.
func (f *kvFormat) dated() {
	var date, clock, zone *field
	for i := range f.fields {
		switch d := &f.fields[i]; d.node.name {
		case "date":
			date = d
		case "time":
			clock = d
		case "tz":
			zone = d
		}
	}
	if date == nil || clock == nil || len(date.val) != 10 || len(clock.val) < 8 || len(clock.val) > 18 || clock.val[2] != ':' {
		return
	}
	at := len(f.buf)
	f.buf = fmt.Appendf(f.buf, "%s %s", date.val, clock.val)
	if zone != nil && len(zone.val) <= 6 {
		f.buf = append(f.buf, zone.val...)
	}
	clock.val, clock.kind = f.buf[at:len(f.buf):len(f.buf)], kindString
}
