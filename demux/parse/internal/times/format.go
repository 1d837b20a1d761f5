package times

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// timeFormat is a way in which times are written, compiled: what of it comes one
// after another.
type timeFormat struct {
	text  string // as a config has it
	steps []timeStep
}

// timeStep is a part of a time, or text between such parts.
type timeStep struct {
	part     timePart
	text     string // of a literal
	min, max int    // digits
}

type timePart uint8

const (
	partLiteral timePart = iota
	partSpace            // white space, or none
	partYear             // of 2 or 4 digits
	partMonth
	partMonthName
	partDay
	partYearDay
	partWeekday       // a name, which says nothing new
	partWeekdayNumber // the same as a number
	partHour          // 0 to 23; 24 is 0
	partHour12        // 0 to 12, of half a day
	partMinute
	partSecond
	partPoint    // a point or a comma before a fraction
	partFraction // digits of it
	partLoose    // a fraction with its point or comma, or nothing
	partHalf     // AM or PM
	partEra      // AD: it says nothing new
	partZone     // min is 1 where a zone's name in brackets does not belong to it
	partISO      // as isoTime reads them
	partEpoch    // since 1970: 10^min units are a second; max is 1 where it has no fraction
)

// read reads the time at the start of s, and gives how many bytes it has; 0 if
// there is none.
func (f *timeFormat) read(s []byte, z *Zone) (t Instant, n int) {
	m := moment{year: -1}
	for i := range f.steps {
		k, ok := f.steps[i].read(s[n:], &m, z)
		if !ok {
			return Instant{}, 0
		}
		n += k
	}
	if t = m.instant(z); !t.OK {
		return t, 0
	}
	return t, n
}

// read reads one part at the start of s.
func (p *timeStep) read(s []byte, m *moment, z *Zone) (n int, ok bool) {
	switch p.part {
	case partLiteral:
		return len(p.text), len(s) >= len(p.text) && string(s[:len(p.text)]) == p.text
	case partPoint:
		return 1, len(s) > 0 && (s[0] == '.' || s[0] == ',')
	case partSpace:
		return len(s) - len(bytes.TrimLeft(s, " \t\n\r")), true
	case partMonthName:
		d := Words{S: s}
		m.month = d.anyMonth()
		return d.I, m.month > 0
	case partWeekday:
		return anyWeekday(s)
	case partHalf:
		m.half, n = halfDay(s)
		return n, n > 0
	case partEra:
		return 2, len(s) >= 2 && (s[0] == 'A' || s[0] == 'B')
	case partZone:
		if i := bytes.IndexByte(s, '['); p.min == 1 && i >= 0 {
			s = s[:i]
		}
		_, n, _ = z.From(s, 0)
		if m.zone == nil {
			m.zone = s
		}
		return n, n > 0 && s[0] != ' '
	case partISO:
		m.done, n = ISO(s, z)
		return n, n > 0
	case partEpoch:
		m.done, n = epochDigits(s, p.min, p.max == 0)
		return n, n > 0
	case partFraction:
		return m.fraction(s, p.min, p.max)
	case partLoose:
		m.micros, m.finer, n = Fraction(s)
		return n, true
	}
	return p.number(s, m)
}

// number reads a part of digits. Spaces in the place of leading zeros are passed
// over where it needs but one digit.
func (p *timeStep) number(s []byte, m *moment) (n int, ok bool) {
	pad := 0
	for p.min == 1 && p.max > 1 && pad+1 < p.max && pad < len(s) && s[pad] == ' ' {
		pad++
	}
	v := 0
	for n = pad; n < len(s) && n-pad < p.max && s[n]-'0' < 10; n++ {
		v = v*10 + int(s[n]-'0')
	}
	if n-pad < p.min {
		return 0, false
	}
	switch p.part {
	case partYear:
		if m.year = v; p.max == 2 {
			m.year = Century(v)
		}
	case partMonth:
		m.month, ok = v, v >= 1
		return n, ok
	case partDay:
		m.day = v
	case partYearDay:
		m.yearDay = v
	case partHour:
		m.hour = v % 24
		return n, v <= 24
	case partHour12:
		m.hour = v
		return n, v <= 12
	case partMinute:
		m.minute = v
	case partSecond:
		m.second = v
	}
	return n, true
}

// halfDay reads AM or PM.
func halfDay(s []byte) (half, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[0] {
	case 'A', 'a':
		half = 1
	case 'P', 'p':
		half = 2
	default:
		return 0, 0
	}
	switch {
	case s[1] == 'M' || s[1] == 'm':
		return half, 2
	case len(s) >= 4 && s[1] == '.' && (s[2] == 'M' || s[2] == 'm') && s[3] == '.':
		return half, 4
	}
	return 0, 0
}

// anyMonth is month whatever the case of its letters, a point behind it allowed.
func (d *Words) anyMonth() int {
	if len(d.S) < 3 {
		return 0
	}
	three := [3]byte{d.S[0] &^ 0x20, d.S[1] | 0x20, d.S[2] | 0x20}
	m := Month(three[:])
	if m == 0 {
		return 0
	}
	for d.I = 3; d.I < 9 && LetterOrDigit(d.at(0)) && d.at(0) > '9'; {
		d.I++
	}
	if d.at(0) == '.' {
		d.I++
	}
	return m
}

// anyWeekday passes over a weekday's name, whatever the case of its letters.
func anyWeekday(s []byte) (n int, ok bool) {
	for n < len(s) && n < 9 && LetterOrDigit(s[n]) && s[n] > '9' {
		n++
	}
	return n, n >= 2
}

// expr returns a regular expression for what the format reads, and perhaps more.
func (f *timeFormat) expr() string {
	var b strings.Builder
	for _, p := range f.steps {
		switch p.part {
		case partLiteral:
			b.WriteString(regexp.QuoteMeta(p.text))
		case partSpace:
			b.WriteString(`\s*`)
		case partPoint:
			b.WriteString(`[.,]`)
		case partFraction:
			b.WriteString(`\d+`)
		case partLoose:
			b.WriteString(`(?:[.,]\d+)?`)
		case partMonthName, partWeekday:
			b.WriteString(`[A-Za-z]+\.?`)
		case partHalf:
			b.WriteString(`[AaPp]\.?[Mm]\.?`)
		case partEra:
			b.WriteString(`[AB][DC]`)
		case partZone:
			b.WriteString(`(?:[+-]\d\d:?(?:\d\d)?|[A-Za-z][A-Za-z/_]*(?:[+-]\d\d?:?(?:\d\d)?)?)`)
		case partISO:
			b.WriteString(`\d{4}[-/]\d\d[-/]\d\d[Tt _]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?(?:\d\d)?))?`)
		case partEpoch:
			b.WriteString(`-?\d+(?:[.,]\d+)?`)
		default:
			if p.min == 1 && p.max > 1 {
				b.WriteString(` ?\d+`)
			} else {
				b.WriteString(strings.Repeat(`\d`, p.max))
			}
		}
	}
	return b.String()
}

// Formats are formats that are tried one after another.
type Formats []timeFormat

// Read reads the time at the start of s by the first format that fits.
func (fs Formats) Read(s []byte, z *Zone) (Instant, int) {
	for i := range fs {
		if t, n := fs[i].read(s, z); n > 0 {
			return t, n
		}
	}
	return Instant{}, 0
}

// Whole reads all of s by the first format that fits.
func (fs Formats) Whole(s []byte, z *Zone) Instant {
	s = bytes.TrimSpace(s)
	for i := range fs {
		if t, n := fs[i].read(s, z); n == len(s) {
			return t
		}
	}
	return Instant{}
}

// Why says why no format reads all of s: where the one stops that comes furthest.
func (fs Formats) Why(s []byte, z *Zone) string {
	s = bytes.TrimSpace(s)
	text, furthest := "", -1
	for i := range fs {
		if at := fs[i].stops(s, z); at > furthest {
			text, furthest = fs[i].text, at
		}
	}
	shown := s[:min(len(s), 64)]
	return fmt.Sprintf("%s does not match %q at column %d", text, shown, utf8.RuneCount(s[:max(furthest, 0)])+1)
}

// stops returns where a format stops reading s.
func (f *timeFormat) stops(s []byte, z *Zone) (n int) {
	m := moment{year: -1}
	for i := range f.steps {
		k, ok := f.steps[i].read(s[n:], &m, z)
		if !ok {
			if p := &f.steps[i]; p.part == partLiteral {
				for k = 0; k < len(p.text) && n+k < len(s) && s[n+k] == p.text[k]; k++ {
				}
				return n + k
			}
			return n
		}
		n += k
	}
	return n
}

// Expr returns an expression for what any of the formats reads.
func (fs Formats) Expr() string {
	all := make([]string, len(fs))
	for i := range fs {
		all[i] = fs[i].expr()
	}
	return "(?:" + strings.Join(all, "|") + ")"
}
