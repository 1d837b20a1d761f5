package parse

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// instant is a parsed time.
type instant struct {
	micros int64 // since 1970 UTC
	finer  bool  // its text says more: digits below microseconds, other than 0, or a zone that is not known
	ok     bool
}

// seconds of a date and a time of day since 1970, all of the same zone. It
// gives false for what is no date or time.
func seconds(year, month, day, hour, minute, sec int) (int64, bool) {
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || sec < 0 || sec > 60 {
		return 0, false
	}
	// Days since 1970 of a year that starts in March, so that leap days are last.
	y, m := int64(year), int64(month)
	if m <= 2 {
		y--
		m += 12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + int64(day) - 1 - 719468
	return days*86400 + int64(hour)*3600 + int64(minute)*60 + int64(sec), true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// digits reads exactly n digits at s[i:]; -1 means that they are not there.
func digits(s []byte, i, n int) int {
	if i+n > len(s) {
		return -1
	}
	v := 0
	for _, c := range s[i : i+n] {
		if c < '0' || c > '9' {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// isoTime reads a time like 2006-01-02T15:04:05.999999999Z07:00 at the start
// of s, and gives how many bytes it has. Between date and time may be a T, a t,
// an underscore or a space, before the fraction a point or a comma; the
// fraction and the zone may be missing, the zone may be Z, ±hh:mm, ±hhmm, ±hh
// or an abbreviation, with a space before it. Without a zone it is local to z.
func isoTime(s []byte, z *zone) (t instant, n int) {
	if len(s) < 19 || s[4] != '-' && s[4] != '/' || s[7] != s[4] || s[13] != ':' || s[16] != ':' {
		return t, 0
	}
	switch s[10] {
	case 'T', 't', ' ', '_':
	default:
		return t, 0
	}
	secs, ok := seconds(digits(s, 0, 4), digits(s, 5, 2), digits(s, 8, 2), digits(s, 11, 2), digits(s, 14, 2), digits(s, 17, 2))
	if !ok {
		return t, 0
	}
	n = 19
	micros, finer, k := fraction(s[n:])
	n += k
	secs, k, known := z.from(s[n:], secs)
	return instant{micros: secs*1_000_000 + micros, finer: finer || !known, ok: true}, n + k
}

// fraction reads the fraction of a second at the start of s, if there is one.
func fraction(s []byte) (micros int64, finer bool, n int) {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || s[1] < '0' || s[1] > '9' {
		return 0, false, 0
	}
	scale := int64(100_000)
	for n = 1; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		micros += int64(s[n]-'0') * scale
		finer = finer || scale == 0 && s[n] != '0'
		scale /= 10
	}
	return micros, finer, n
}

// textTime reads all of s as an ISO time, a date in words or an epoch number.
func textTime(s []byte, z *zone) instant {
	s = bytes.TrimSpace(s)
	t, n := isoTime(s, z)
	if n == 0 {
		t, n = dateTime(s, z)
	}
	switch {
	case n == 0:
		return epochTime(s)
	case n < len(s):
		return instant{}
	}
	return t
}

// epochTime reads a number of seconds, milliseconds, microseconds or
// nanoseconds since 1970: which of them follows from its size.
func epochTime(s []byte) instant {
	if len(s) == 0 || len(s) > 40 {
		return instant{}
	}
	if v, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return epochInt(v)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return instant{}
		}
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return instant{}
	}
	return epochFloat(f)
}

func epochInt(v int64) instant {
	switch a := max(v, -v); {
	case a < 0:
		return instant{}
	case a < 1e11:
		return instant{micros: v * 1_000_000, ok: true}
	case a < 1e14:
		return instant{micros: v * 1000, ok: true}
	case a < 1e17:
		return instant{micros: v, ok: true}
	default:
		return instant{micros: v / 1000, finer: v%1000 != 0, ok: true}
	}
}

func epochFloat(f float64) instant {
	switch a := math.Abs(f); {
	case a < 1e11:
		f *= 1e6
	case a < 1e14:
		f *= 1e3
	case a < 1e17:
	case a < 1e19:
		f /= 1e3
	default:
		return instant{}
	}
	r := math.Round(f)
	// A double of that size holds microseconds to a fraction: what is off by
	// more was there.
	return instant{micros: int64(r), finer: math.Abs(f-r) > 0.25, ok: !math.IsNaN(f)}
}

// NewTime returns a function that reads a text as an ISO time, in the zone where it
// says none, or as a number since 1970. exact says that the text says no more than
// that, such as digits below microseconds. It is not safe for concurrent use.
func NewTime(loc *time.Location) func(text []byte) (micros int64, exact, ok bool) {
	z := zone{loc: loc}
	return func(text []byte) (int64, bool, bool) {
		text = bytes.TrimSpace(text)
		t, n := isoTime(text, &z)
		if n == 0 {
			t = epochTime(text)
		}
		return t.micros, !t.finer, t.ok && (n == 0 || n == len(text))
	}
}
