package times

import (
	"math"
	"time"
)

// moment is what the parts of a text say.
type moment struct {
	year, month, day, yearDay  int
	hour, minute, second, half int // half is 0 where it isn't known, 1 for AM, 2 for PM
	micros                     int64
	finer                      bool
	zone                       []byte // the text from its zone on; nil: it has none
	done                       Instant
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
func (m *moment) instant(z *Zone) (t Instant) {
	if m.done.OK {
		t = m.done
		t.Micros, t.Finer = t.Micros+m.micros, t.Finer || m.finer
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
	utc, known := z.UTC(local+clock), true
	if m.zone != nil {
		utc, _, known = z.From(m.zone, local+clock)
	}
	return Instant{Micros: utc*1_000_000 + m.micros, Finer: m.finer || !known, OK: true}
}

// midnight returns the local begin of the day.
func (m *moment) midnight(z *Zone, clock int64) (local int64, ok bool) {
	switch {
	case m.yearDay > 0:
		if m.year < 0 {
			m.year = z.Read.In(z.Loc).Year()
		}
		local, ok = Seconds(m.year, 1, 1, 0, 0, 0)
		return local + int64(m.yearDay-1)*86400, ok && m.yearDay <= 366
	case m.month == 0 && m.year < 0:
		return lastDay(z, clock), true
	case m.month == 0:
		return Seconds(m.year, 1, 1, 0, 0, 0)
	case m.year < 0:
		return LastSuch(z, m.month, m.day, clock)
	}
	return Seconds(m.year, m.month, max(m.day, 1), 0, 0, 0)
}

// epochDigits reads a number of units since 1970, of which 10^power are a second;
// that of seconds and milliseconds may have a fraction, if that is wanted.
func epochDigits(s []byte, power int, fractions bool) (t Instant, n int) {
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
	t.OK = true
	if power <= 3 && fractions {
		micros, finer, k := Fraction(s[n:])
		n += k
		scale := int64(math.Pow10(power))
		t.Micros, t.Finer = micros/scale, finer || micros%scale != 0
	}
	for ; power > 6; power-- {
		t.Finer = t.Finer || v%10 != 0
		v /= 10
	}
	for ; power < 6; power++ {
		if v > math.MaxInt64/10 {
			return Instant{}, 0
		}
		v *= 10
	}
	if t.Micros += v; neg {
		t.Micros = -t.Micros
	}
	return t, n
}

// lastDay returns the local begin of the latest day on which it was that time of
// day, not more than an hour after the chunk was read.
func lastDay(z *Zone, clock int64) int64 {
	y, mon, day := z.Read.In(z.Loc).Date()
	local, _ := Seconds(y, int(mon), day, 0, 0, 0)
	if z.UTC(local+clock) > z.Read.Add(time.Hour).Unix() {
		local -= 24 * 3600
	}
	return local
}
