package times

import (
	"bytes"
	"math"
	"strconv"
)

// Instant is a parsed time.
type Instant struct {
	Micros int64 // since 1970 UTC
	Finer  bool  // its text says more: digits below microseconds, other than 0, or a zone that is not known
	OK     bool
}

// Seconds of a date and a time of day since 1970, all of the same zone. It
// gives false for what is no date or time.
func Seconds(year, month, day, hour, minute, sec int) (int64, bool) {
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

// Digits reads exactly n digits at s[i:]; -1 means that they are not there.
func Digits(s []byte, i, n int) int {
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

// ISO reads a time like 2006-01-02T15:04:05.999999999Z07:00 at the start
// of s, and gives how many bytes it has. Within the date may be dashes, slashes or
// points, between date and time a T, a t, an underscore or a space, before the fraction
// a point or a comma; the
// Fraction and the zone may be missing, the zone may be Z, ±hh:mm, ±hhmm, ±hh
// or an abbreviation, with a space before it. Without a zone it is local to z.
func ISO(s []byte, z *Zone) (t Instant, n int) {
	if len(s) < 19 || s[4] != '-' && s[4] != '/' && s[4] != '.' || s[7] != s[4] || s[13] != ':' || s[16] != ':' {
		return t, 0
	}
	switch s[10] {
	case 'T', 't', ' ', '_':
	default:
		return t, 0
	}
	if string(s[:16]) != string(z.isoMinute[:]) {
		first, ok := Seconds(Digits(s, 0, 4), Digits(s, 5, 2), Digits(s, 8, 2), Digits(s, 11, 2), Digits(s, 14, 2), 0)
		if !ok {
			return t, 0
		}
		z.isoMinute, z.isoSeconds = [16]byte(s), first
	}
	sec := Digits(s, 17, 2)
	if sec < 0 || sec > 60 {
		return t, 0
	}
	secs := z.isoSeconds + int64(sec)
	n = 19
	micros, finer, k := Fraction(s[n:])
	n += k
	secs, k, known := z.From(s[n:], secs)
	return Instant{Micros: secs*1_000_000 + micros, Finer: finer || !known, OK: true}, n + k
}

// Fraction reads the fraction of a second at the start of s, if there is one.
func Fraction(s []byte) (micros int64, finer bool, n int) {
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

// Text reads all of s as an ISO time, a date in words or an epoch number.
func Text(s []byte, z *Zone) Instant {
	t, n := ISO(s, z)
	if n > 0 && n == len(s) { // most often
		return t
	}
	s = bytes.TrimSpace(s)
	if t, n = ISO(s, z); n == 0 {
		t, n = DateTime(s, z)
	}
	switch {
	case n == 0:
		return Epoch(s)
	case n < len(s):
		return Instant{}
	}
	return t
}

// maxNumber bounds the text of a number, in bytes: fractions may be long.
const maxNumber = 1000

// Epoch reads a number of seconds, milliseconds, microseconds or
// nanoseconds since 1970: which of them follows from its size.
func Epoch(s []byte) Instant {
	if len(s) == 0 || len(s) > maxNumber {
		return Instant{}
	}
	if v, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return EpochInt(v)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return Instant{}
		}
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return Instant{}
	}
	return EpochFloat(f)
}

func EpochInt(v int64) Instant {
	switch a := max(v, -v); {
	case a < 0:
		return Instant{}
	case a < 1e11:
		return Instant{Micros: v * 1_000_000, OK: true}
	case a < 1e14:
		return Instant{Micros: v * 1000, OK: true}
	case a < 1e17:
		return Instant{Micros: v, OK: true}
	default:
		return Instant{Micros: v / 1000, Finer: v%1000 != 0, OK: true}
	}
}

func EpochFloat(f float64) Instant {
	switch a := math.Abs(f); {
	case a < 1e11:
		f *= 1e6
	case a < 1e14:
		f *= 1e3
	case a < 1e17:
	case a < 1e19:
		f /= 1e3
	default:
		return Instant{}
	}
	r := math.Round(f)
	// A double of that size holds microseconds to a fraction: what is off by
	// more was there.
	return Instant{Micros: int64(r), Finer: math.Abs(f-r) > 0.25, OK: !math.IsNaN(f)}
}

// EpochSeconds reads seconds since 1970 with a fraction of any length.
func EpochSeconds(s []byte) Instant {
	whole, _, _ := bytes.Cut(s, []byte("."))
	t := Epoch(whole)
	micros, finer, n := Fraction(s[len(whole):])
	t.OK = t.OK && len(whole) <= 11 && n == len(s)-len(whole)
	t.Micros, t.Finer = t.Micros+micros, finer
	return t
}
