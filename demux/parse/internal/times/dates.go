package times

import (
	"bytes"
	"time"
)

// DateTime reads a time whose month is a word at the start of s, and gives how
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
//	11/28/2026, 10:00:00 AM               the month first, as all do who say AM or PM
func DateTime(s []byte, z *Zone) (t Instant, n int) {
	d := Words{S: s}
	year := -1
	var day int
	mon := d.Month()
	if mon == 0 {
		d.Weekday()
		if y := Digits(s, d.I, 4); y > 0 && d.at(4) == ' ' {
			year = y
			d.I += 5
		}
		mon = d.Month()
	}
	if mon > 0 { // Nov 28[, 2026]
		d.Spaces()
		if day = d.number(2); day < 0 {
			return t, 0
		}
		if d.at(0) == ',' {
			d.I++
		}
		if y := Digits(s, d.I+1, 4); year < 0 && y > 0 && d.at(0) == ' ' && (d.at(5) == ' ' || d.at(5) == ',') {
			year = y
			d.I += 5
			if d.at(0) == ',' {
				d.I++
			}
		}
	} else { // 28 Nov 2026
		if day = d.number(2); day < 0 {
			return t, 0
		}
		sep := d.at(0)
		if d.I++; sep != ' ' && sep != '-' && sep != '/' {
			return t, 0
		}
		if mon = d.Month(); mon == 0 {
			return d.american(day, sep, z)
		}
		if d.at(0) == sep {
			if y := Digits(s, d.I+1, 4); y > 0 {
				year = y
				d.I += 5
			} else if y := Digits(s, d.I+1, 2); y >= 0 && d.at(3) != ':' {
				year = Century(y)
				d.I += 3
			}
		}
	}
	if c := d.at(0); c != ' ' && c != ':' && c != 'T' {
		return t, 0
	}
	d.I++
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return t, 0
	}
	if y := Digits(s, d.I+1, 4); year < 0 && y > 1969 && d.at(0) == ' ' && !LetterOrDigit(d.at(5)) && d.at(5) != ':' {
		year = y
		d.I += 5
	}
	end := d.I
	var local int64
	if year >= 0 {
		local, ok = Seconds(year, mon, day, 0, 0, 0)
	} else {
		local, ok = LastSuch(z, mon, day, clock)
	}
	if !ok {
		return t, 0
	}
	utc, k, known := z.From(s[end:], local+clock)
	end += k
	if y := Digits(s, end+1, 4); year < 0 && k > 0 && y > 1969 && s[end] == ' ' { // the year after the zone
		if local, ok = Seconds(y, mon, day, 0, 0, 0); !ok {
			return t, 0
		}
		utc, _, known = z.From(s[d.I:], local+clock)
		end += 5
	}
	return Instant{Micros: utc*1_000_000 + micros, Finer: finer || !known, OK: true}, end
}

// american reads what follows the month and the slash in "11/28/2026, 10:00:00 AM".
func (d *Words) american(month int, sep byte, z *Zone) (t Instant, n int) {
	day, year := d.number(2), Digits(d.S, d.I+1, 4)
	if sep != '/' || d.at(0) != '/' || year < 0 {
		return t, 0
	}
	if d.I += 5; d.at(0) == ',' {
		d.I++
	}
	if d.at(0) != ' ' {
		return t, 0
	}
	d.I++
	clock, micros, finer, ok := d.Clock()
	if c := d.S[d.I-1]; !ok || c != 'M' && c != 'm' {
		return t, 0
	}
	local, ok := Seconds(year, month, day, 0, 0, 0)
	if !ok {
		return t, 0
	}
	utc, k, known := z.From(d.S[d.I:], local+clock)
	return Instant{Micros: utc*1_000_000 + micros, Finer: finer || !known, OK: true}, d.I + k
}

// LastSuch returns the local midnight of the latest day of that month and number
// whose time of day is not more than a day after the chunk was read. A leap day
// needs some years.
func LastSuch(z *Zone, mon, day int, clock int64) (int64, bool) {
	limit := z.Read.Add(24 * time.Hour).Unix()
	from := z.Read.UTC().Year() + 1
	for y := from; y > from-10; y-- {
		if local, ok := Seconds(y, mon, day, 0, 0, 0); ok && z.UTC(local+clock) <= limit {
			return local, true
		}
	}
	return 0, false
}

// Clock reads a time of day alone at the start of s: that of the day on which
// the chunk was read, or of the one before.
func Clock(s []byte, z *Zone) (t Instant, n int) {
	d := Words{S: s}
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return t, 0
	}
	utc := z.UTC(lastDay(z, clock) + clock)
	return Instant{Micros: utc*1_000_000 + micros, Finer: finer, OK: true}, d.I
}

// Words reads what dates are made of, from s[i:] on.
type Words struct {
	S []byte
	I int
}

// at is the byte k places on, 0 behind the end.
func (d *Words) at(k int) byte {
	if d.I+k < len(d.S) {
		return d.S[d.I+k]
	}
	return 0
}

func (d *Words) Spaces() {
	for d.at(0) == ' ' {
		d.I++
	}
}

// Weekday passes over a weekday and what parts it from the date.
func (d *Words) Weekday() {
	n := 0
	for c := d.at(n); c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'; c = d.at(n) {
		if n++; n > 9 {
			return
		}
	}
	if n < 3 {
		return
	}
	switch string(d.S[d.I : d.I+3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
	default:
		return
	}
	d.I += n
	if d.at(0) == ',' {
		d.I++
	}
	d.Spaces()
}

// Month reads the name of a month, or its first three letters; 0 if there is none.
func (d *Words) Month() int {
	m := Month(d.S[min(d.I, len(d.S)):])
	if m == 0 {
		return 0
	}
	d.I += 3
	for n := 0; n < 7; n++ {
		if c := d.at(0); c < 'a' || c > 'z' {
			break
		}
		d.I++
	}
	return m
}

// number reads a number of at most n digits; -1 if there is none.
func (d *Words) number(n int) int {
	v, k := 0, 0
	for ; k < n && d.at(0) >= '0' && d.at(0) <= '9'; k++ {
		v = v*10 + int(d.at(0)-'0')
		d.I++
	}
	if k == 0 {
		return -1
	}
	return v
}

// Clock reads h:mm:ss with a fraction, and AM or PM after it.
func (d *Words) Clock() (secs, micros int64, finer, ok bool) {
	h := d.number(2)
	m, sec := Digits(d.S, d.I+1, 2), Digits(d.S, d.I+4, 2)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 || d.at(0) != ':' || d.at(3) != ':' {
		return 0, 0, false, false
	}
	d.I += 6
	micros, finer, k := Fraction(d.S[d.I:])
	d.I += k
	if half, k := d.halfDay(); half > 0 && h >= 1 && h <= 12 {
		h = h%12 + 12*(half-1)
		d.I += k
	}
	return int64(h*3600 + m*60 + sec), micros, finer, true
}

// halfDay reads AM or PM with the space before it, which Java writes as a narrow one.
func (d *Words) halfDay() (half, n int) {
	s := d.S[d.I:]
	switch {
	case bytes.HasPrefix(s, []byte(" ")):
		n = 1
	case bytes.HasPrefix(s, []byte("\u202f")):
		n = len("\u202f")
	default:
		return 0, 0
	}
	half, k := halfDay(s[n:])
	if n += k; half == 0 || n < len(s) && LetterOrDigit(s[n]) {
		return 0, 0
	}
	return half, n
}

func LetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// Month returns the number of an English month's first three letters, 0 if none.
func Month(s []byte) int {
	if len(s) < 3 {
		return 0
	}
	name := [3]byte{s[0], s[1], s[2]}
	if name[1] >= 'A' && name[1] <= 'Z' && name[2] >= 'A' && name[2] <= 'Z' { // Oracle's NOV
		name[1], name[2] = name[1]|0x20, name[2]|0x20
	}
	switch string(name[:]) {
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

func Century(yy int) int {
	if yy < 0 {
		return -1
	}
	if yy < 70 {
		return 2000 + yy
	}
	return 1900 + yy
}
