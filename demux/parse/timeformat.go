package parse

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"time"
)

// timeFormat is a way in which times are written, compiled: what of it comes one
// after another.
type timeFormat struct {
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

// moment is what the parts of a text say.
type moment struct {
	year, month, day, yearDay  int
	hour, minute, second, half int // half is 0 where it isn't known, 1 for AM, 2 for PM
	micros                     int64
	finer                      bool
	zone                       []byte // the text from its zone on; nil: it has none
	done                       instant
}

// read reads the time at the start of s, and gives how many bytes it has; 0 if
// there is none.
func (f *timeFormat) read(s []byte, z *zone) (t instant, n int) {
	m := moment{year: -1}
	for i := range f.steps {
		k, ok := f.steps[i].read(s[n:], &m, z)
		if !ok {
			return instant{}, 0
		}
		n += k
	}
	if t = m.instant(z); !t.ok {
		return t, 0
	}
	return t, n
}

// read reads one part at the start of s.
func (p *timeStep) read(s []byte, m *moment, z *zone) (n int, ok bool) {
	switch p.part {
	case partLiteral:
		return len(p.text), len(s) >= len(p.text) && string(s[:len(p.text)]) == p.text
	case partPoint:
		return 1, len(s) > 0 && (s[0] == '.' || s[0] == ',')
	case partSpace:
		return len(s) - len(bytes.TrimLeft(s, " \t\n\r")), true
	case partMonthName:
		d := words{s: s}
		m.month = d.anyMonth()
		return d.i, m.month > 0
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
		_, n, _ = z.from(s, 0)
		if m.zone == nil {
			m.zone = s
		}
		return n, n > 0 && s[0] != ' '
	case partISO:
		m.done, n = isoTime(s, z)
		return n, n > 0
	case partEpoch:
		m.done, n = epochDigits(s, p.min, p.max == 0)
		return n, n > 0
	case partFraction:
		return m.fraction(s, p.min, p.max)
	case partLoose:
		m.micros, m.finer, n = fraction(s)
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
			m.year = century(v)
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

// fraction reads the digits of a fraction of a second.
func (m *moment) fraction(s []byte, least, most int) (n int, ok bool) {
	scale := int64(100_000)
	for n < len(s) && n < most && s[n]-'0' < 10 {
		m.micros += int64(s[n]-'0') * scale
		m.finer = m.finer || scale == 0 && s[n] != '0'
		scale /= 10
		n++
	}
	return n, n >= least
}

// instant puts the parts together. Without a year it is the last such day, without
// a day the last such time.
func (m *moment) instant(z *zone) (t instant) {
	if m.done.ok {
		t = m.done
		t.micros, t.finer = t.micros+m.micros, t.finer || m.finer
		return t
	}
	if m.half > 0 {
		m.hour = m.hour%12 + 12*(m.half-1)
	}
	if m.minute > 59 || m.second > 60 {
		return t
	}
	clock := int64(m.hour*3600 + m.minute*60 + m.second)
	local, ok := m.midnight(z, clock)
	if !ok {
		return t
	}
	utc, known := z.utc(local+clock), true
	if m.zone != nil {
		utc, _, known = z.from(m.zone, local+clock)
	}
	return instant{micros: utc*1_000_000 + m.micros, finer: m.finer || !known, ok: true}
}

// midnight returns the local begin of the day.
func (m *moment) midnight(z *zone, clock int64) (local int64, ok bool) {
	switch {
	case m.yearDay > 0:
		if m.year < 0 {
			m.year = z.read.In(z.loc).Year()
		}
		local, ok = seconds(m.year, 1, 1, 0, 0, 0)
		return local + int64(m.yearDay-1)*86400, ok && m.yearDay <= 366
	case m.month == 0 && m.year < 0:
		return lastDay(z, clock), true
	case m.month == 0:
		return seconds(m.year, 1, 1, 0, 0, 0)
	case m.year < 0:
		return lastSuch(z, m.month, m.day, clock)
	}
	return seconds(m.year, m.month, max(m.day, 1), 0, 0, 0)
}

// epochDigits reads a number of units since 1970, of which 10^power are a second;
// that of seconds and milliseconds may have a fraction, if that is wanted.
func epochDigits(s []byte, power int, fractions bool) (t instant, n int) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		n = 1
	}
	from := n
	var v int64
	for n < len(s) && s[n]-'0' < 10 {
		if v > (math.MaxInt64-9)/10 {
			return t, 0
		}
		v = v*10 + int64(s[n]-'0')
		n++
	}
	if n == from {
		return t, 0
	}
	t.ok = true
	if power <= 3 && fractions {
		micros, finer, k := fraction(s[n:])
		n += k
		scale := int64(pow10(power))
		t.micros, t.finer = micros/scale, finer || micros%scale != 0
	}
	for ; power > 6; power-- {
		t.finer = t.finer || v%10 != 0
		v /= 10
	}
	for ; power < 6; power++ {
		if v > math.MaxInt64/10 {
			return instant{}, 0
		}
		v *= 10
	}
	if t.micros += v; neg {
		t.micros = -t.micros
	}
	return t, n
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
func (d *words) anyMonth() int {
	if len(d.s) < 3 {
		return 0
	}
	three := [3]byte{d.s[0] &^ 0x20, d.s[1] | 0x20, d.s[2] | 0x20}
	m := month(three[:])
	if m == 0 {
		return 0
	}
	for d.i = 3; d.i < 9 && letterOrDigit(d.at(0)) && d.at(0) > '9'; {
		d.i++
	}
	if d.at(0) == '.' {
		d.i++
	}
	return m
}

// anyWeekday passes over a weekday's name, whatever the case of its letters.
func anyWeekday(s []byte) (n int, ok bool) {
	for n < len(s) && n < 9 && letterOrDigit(s[n]) && s[n] > '9' {
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

// timeFormats are formats that are tried one after another.
type timeFormats []timeFormat

// read reads the time at the start of s by the first format that fits.
func (fs timeFormats) read(s []byte, z *zone) (instant, int) {
	for i := range fs {
		if t, n := fs[i].read(s, z); n > 0 {
			return t, n
		}
	}
	return instant{}, 0
}

// whole reads all of s by the first format that fits.
func (fs timeFormats) whole(s []byte, z *zone) instant {
	s = bytes.TrimSpace(s)
	for i := range fs {
		if t, n := fs[i].read(s, z); n == len(s) {
			return t
		}
	}
	return instant{}
}

// expr returns an expression for what any of the formats reads.
func (fs timeFormats) expr() string {
	all := make([]string, len(fs))
	for i := range fs {
		all[i] = fs[i].expr()
	}
	return "(?:" + strings.Join(all, "|") + ")"
}

// lastDay returns the local begin of the latest day on which it was that time of
// day, not more than an hour after the chunk was read.
func lastDay(z *zone, clock int64) int64 {
	y, mon, day := z.read.In(z.loc).Date()
	local, _ := seconds(y, int(mon), day, 0, 0, 0)
	if z.utc(local+clock) > z.read.Add(time.Hour).Unix() {
		local -= 24 * 3600
	}
	return local
}
