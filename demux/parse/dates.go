package parse

import (
	"bytes"
	"time"
)

// dateTime reads a time whose month is a word at the start of s, and gives how
// many bytes it has; 0 if there is none:
//
//	Sat, 28 Nov 2026 10:00:00 GMT         RFC 1123
//	Saturday, 28-Nov-26 10:00:00 GMT      RFC 850
//	28-Nov-2026 10:00:00.123              Tomcat
//	10/Oct/2000:13:55:36 -0700            Apache
//	Nov 28, 2026 10:00:00 AM              java.util.logging
//	Sat Nov 28 10:00:00.123456 2026       C, Apache's error log
//	Sat Nov 28 10:00:00 CET 2026          date
//	Nov 28 10:00:00                       syslog: the last such day
//	2026 Nov 28 10:00:00
func dateTime(s []byte, z *zone) (t instant, n int) {
	d := words{s: s}
	year := -1
	var day int
	mon := d.month()
	if mon == 0 {
		d.weekday()
		if y := digits(s, d.i, 4); y > 0 && d.at(4) == ' ' {
			year = y
			d.i += 5
		}
		mon = d.month()
	}
	if mon > 0 { // Nov 28[, 2026]
		d.spaces()
		if day = d.number(2); day < 0 {
			return t, 0
		}
		if d.at(0) == ',' {
			d.i++
		}
		if y := digits(s, d.i+1, 4); year < 0 && y > 0 && d.at(0) == ' ' && (d.at(5) == ' ' || d.at(5) == ',') {
			year = y
			d.i += 5
			if d.at(0) == ',' {
				d.i++
			}
		}
	} else { // 28 Nov 2026
		if day = d.number(2); day < 0 {
			return t, 0
		}
		sep := d.at(0)
		if d.i++; sep != ' ' && sep != '-' && sep != '/' {
			return t, 0
		}
		if mon = d.month(); mon == 0 {
			return t, 0
		}
		if d.at(0) == sep {
			if y := digits(s, d.i+1, 4); y > 0 {
				year = y
				d.i += 5
			} else if y := digits(s, d.i+1, 2); y >= 0 && d.at(3) != ':' {
				year = century(y)
				d.i += 3
			}
		}
	}
	if c := d.at(0); c != ' ' && c != ':' && c != 'T' {
		return t, 0
	}
	d.i++
	clock, micros, finer, ok := d.clock()
	if !ok {
		return t, 0
	}
	if y := digits(s, d.i+1, 4); year < 0 && y > 1969 && d.at(0) == ' ' && !letterOrDigit(d.at(5)) && d.at(5) != ':' {
		year = y
		d.i += 5
	}
	end := d.i
	var local int64
	if year >= 0 {
		local, ok = seconds(year, mon, day, 0, 0, 0)
	} else {
		local, ok = lastSuch(z, mon, day, clock)
	}
	if !ok {
		return t, 0
	}
	utc, k, known := z.from(s[end:], local+clock)
	end += k
	if y := digits(s, end+1, 4); year < 0 && k > 0 && y > 1969 && s[end] == ' ' { // the year after the zone
		if local, ok = seconds(y, mon, day, 0, 0, 0); !ok {
			return t, 0
		}
		utc, _, known = z.from(s[d.i:], local+clock)
		end += 5
	}
	return instant{micros: utc*1_000_000 + micros, finer: finer || !known, ok: true}, end
}

// lastSuch returns the local midnight of the latest day of that month and number
// whose time of day is not more than a day after the chunk was read. A leap day
// needs some years.
func lastSuch(z *zone, mon, day int, clock int64) (int64, bool) {
	limit := z.read.Add(24 * time.Hour).Unix()
	from := z.read.UTC().Year() + 1
	for y := from; y > from-10; y-- {
		if local, ok := seconds(y, mon, day, 0, 0, 0); ok && z.utc(local+clock) <= limit {
			return local, true
		}
	}
	return 0, false
}

// clockTime reads a time of day alone at the start of s: that of the day on which
// the chunk was read, or of the one before.
func clockTime(s []byte, z *zone) (t instant, n int) {
	d := words{s: s}
	clock, micros, finer, ok := d.clock()
	if !ok {
		return t, 0
	}
	utc := z.utc(lastDay(z, clock) + clock)
	return instant{micros: utc*1_000_000 + micros, finer: finer, ok: true}, d.i
}

// words reads what dates are made of, from s[i:] on.
type words struct {
	s []byte
	i int
}

// at is the byte k places on, 0 behind the end.
func (d *words) at(k int) byte {
	if d.i+k < len(d.s) {
		return d.s[d.i+k]
	}
	return 0
}

func (d *words) spaces() {
	for d.at(0) == ' ' {
		d.i++
	}
}

// weekday passes over a weekday and what parts it from the date.
func (d *words) weekday() {
	n := 0
	for c := d.at(n); c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'; c = d.at(n) {
		if n++; n > 9 {
			return
		}
	}
	if n < 3 {
		return
	}
	switch string(d.s[d.i : d.i+3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
	default:
		return
	}
	d.i += n
	if d.at(0) == ',' {
		d.i++
	}
	d.spaces()
}

// month reads the name of a month, or its first three letters; 0 if there is none.
func (d *words) month() int {
	m := month(d.s[min(d.i, len(d.s)):])
	if m == 0 {
		return 0
	}
	d.i += 3
	for n := 0; n < 7; n++ {
		if c := d.at(0); c < 'a' || c > 'z' {
			break
		}
		d.i++
	}
	return m
}

// number reads a number of at most n digits; -1 if there is none.
func (d *words) number(n int) int {
	v, k := 0, 0
	for ; k < n && d.at(0) >= '0' && d.at(0) <= '9'; k++ {
		v = v*10 + int(d.at(0)-'0')
		d.i++
	}
	if k == 0 {
		return -1
	}
	return v
}

// clock reads h:mm:ss with a fraction, and AM or PM after it.
func (d *words) clock() (secs, micros int64, finer, ok bool) {
	h := d.number(2)
	m, sec := digits(d.s, d.i+1, 2), digits(d.s, d.i+4, 2)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 || d.at(0) != ':' || d.at(3) != ':' {
		return 0, 0, false, false
	}
	d.i += 6
	micros, finer, k := fraction(d.s[d.i:])
	d.i += k
	if half, k := d.halfDay(); half > 0 && h >= 1 && h <= 12 {
		h = h%12 + 12*(half-1)
		d.i += k
	}
	return int64(h*3600 + m*60 + sec), micros, finer, true
}

// halfDay reads AM or PM with the space before it, which Java writes as a narrow one.
func (d *words) halfDay() (half, n int) {
	s := d.s[d.i:]
	switch {
	case bytes.HasPrefix(s, []byte(" ")):
		n = 1
	case bytes.HasPrefix(s, []byte("\u202f")):
		n = len("\u202f")
	default:
		return 0, 0
	}
	half, k := halfDay(s[n:])
	if n += k; half == 0 || n < len(s) && letterOrDigit(s[n]) {
		return 0, 0
	}
	return half, n
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// month returns the number of an English month's first three letters, 0 if none.
func month(s []byte) int {
	if len(s) < 3 {
		return 0
	}
	switch string(s[:3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}
