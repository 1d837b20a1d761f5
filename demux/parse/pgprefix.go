package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// pgPart is a part of log_line_prefix: a text, or an escape.
type pgPart struct {
	escape byte // 0: a text
	text   []byte
	padded bool // an escape's value has spaces before it or behind it
}

// pgEscapes are the escapes of log_line_prefix, and the columns they give.
var pgEscapes = map[byte]int{
	'a': pgApp, 'u': pgUser, 'd': pgDB, 'r': pgHost, 'h': pgHost, 'L': pgNone, 'b': pgBackend, 'p': pgPID, 'P': pgLeader, 't': pgTime, 'm': pgTime, 'n': pgTime,
	'i': pgPS, 'e': pgState, 'c': pgSession, 'l': pgLine, 's': pgStart, 'v': pgVXID, 'x': pgTXID, 'q': pgNone, 'Q': pgQueryID,
}

// compilePrefix takes log_line_prefix apart.
func compilePrefix(s string) ([]pgPart, error) {
	var out []pgPart
	var text []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			text = append(text, s[i])
			continue
		}
		at := i
		for i++; i < len(s) && (s[i] == '-' || s[i] >= '0' && s[i] <= '9'); i++ {
		}
		if i < len(s) && s[i] == '%' {
			text = append(text, '%')
			continue
		}
		if i == len(s) {
			return nil, fmt.Errorf("a %% without a letter at byte %d", at)
		}
		if _, ok := pgEscapes[s[i]]; !ok {
			return nil, fmt.Errorf("%q at byte %d is no escape of log_line_prefix; there are %%a %%u %%d %%r %%h %%L %%b %%p %%P %%t %%m %%n %%i %%e %%c %%l %%s %%v %%x %%q %%Q %%%%", s[at:i+1], at)
		}
		if len(text) > 0 {
			out = append(out, pgPart{text: text})
			text = nil
		}
		out = append(out, pgPart{escape: s[i], padded: i > at+1})
	}
	if len(text) > 0 {
		out = append(out, pgPart{text: text})
	}
	return out, nil
}

// pgHead is what stands before a line's text.
type pgHead struct {
	at       times.Instant
	time     []byte
	severity []byte // of a message
	as       int    // what the line is of a record
	vals     [pgColumns][]byte
	n        int // bytes before the text; 0: it is none

	why  string // it is none
	stop int    // where that shows
}

// head reads the prefix and the severity of a line by the first prefix that fits.
func (f *postgresFormat) head(line []byte, z *times.Zone) (h pgHead) {
	var far pgHead
	for _, p := range f.prefixes {
		if h = f.match(p, line, z); h.n > 0 {
			return h
		}
		if far.why == "" || h.stop > far.stop {
			far = h
		}
	}
	return far
}

func (f *postgresFormat) match(parts []pgPart, s []byte, z *times.Zone) (h pgHead) {
	n := 0
	var quit *pgHead // as it is at %q
	for i, p := range parts {
		if p.escape == 'q' {
			q := h
			q.stop = n
			quit = &q
			continue
		}
		k := f.part(&h, parts[i:], s[n:], z)
		if k < 0 {
			h.why, h.stop = "the prefix does not fit", n
			break
		}
		n += k
	}
	if h.why == "" {
		h.severityAt(s, n)
	}
	if h.n == 0 && quit != nil {
		stop, why := h.stop, h.why
		h = *quit
		if h.severityAt(s, h.stop); h.n == 0 && stop > h.stop {
			h.stop, h.why = stop, why
		}
	}
	return h
}

// part reads the first of parts at the start of s, and returns its length; -1 where
// it is not there.
func (f *postgresFormat) part(h *pgHead, parts []pgPart, s []byte, z *times.Zone) int {
	p := parts[0]
	switch p.escape {
	case 0:
		if !bytes.HasPrefix(s, p.text) {
			return -1
		}
		return len(p.text)
	case 't', 'm', 's':
		t, n := times.ISO(s, z)
		switch {
		case n == 0:
			return -1
		case p.escape == 's':
			h.vals[pgStart] = s[:n]
		default:
			h.at, h.time = t, s[:n]
		}
		return n
	}
	lead := 0
	for p.padded && lead < len(s) && s[lead] == ' ' {
		lead++
	}
	n := len(s) - lead
	if next := following(parts[1:]); next != nil {
		n = bytes.Index(s[lead:min(len(s), lead+512)], next)
	} else if k := bytes.IndexByte(s[lead:], ' '); k >= 0 {
		n = k
	}
	if n < 0 {
		return -1
	}
	n += lead
	v := bytes.TrimSpace(s[:n])
	for p.padded && n+1 < len(s) && s[n] == ' ' && s[n+1] == ' ' {
		n++
	}
	switch p.escape {
	case 'p', 'l', 'x', 'P', 'Q':
		if len(v) > 0 && !words.IsNumber(bytes.TrimPrefix(v, []byte("-"))) {
			return -1
		}
	case 'n':
		if h.at, h.time = times.EpochSeconds(v), v; !h.at.OK {
			return -1
		}
		return n
	case 'r':
		f.remote(&h.vals, v)
		return n
	}
	if as := pgEscapes[p.escape]; as >= 0 && as < pgColumns && string(v) != "[unknown]" {
		h.vals[as] = v
	}
	return n
}

// following returns the text that ends an escape's value.
func following(parts []pgPart) []byte {
	for _, p := range parts {
		switch p.escape {
		case 0:
			return p.text
		case 'q':
		default:
			return nil
		}
	}
	return nil
}

// severityAt reads what a line is, n bytes into it: "LOG:  ".
func (h *pgHead) severityAt(s []byte, n int) {
	w, _, ok := bytes.Cut(s[n:min(len(s), n+16)], []byte(":"))
	h.as = pgNone
	if ok {
		switch string(w) {
		case "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC":
			h.as, h.severity = pgMessage, w
		case "DETAIL":
			h.as = pgDetail
		case "HINT":
			h.as = pgHint
		case "QUERY":
			h.as = pgQuery
		case "CONTEXT":
			h.as = pgContext
		case "STATEMENT":
			h.as = pgStatement
		case "LOCATION":
			h.as = pgLocation
		case "BACKTRACE":
			h.as = pgBacktrace
		}
	}
	if h.as == pgNone {
		h.why, h.stop = "there is no severity", n
		return
	}
	h.n = n + len(w) + 1
	for k := 0; k < 2 && h.n < len(s) && s[h.n] == ' '; k++ {
		h.n++
	}
	h.why = ""
}
