package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// Time reads the time at the start of a record in one of the usual forms, with its
// brackets.
func Time(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) > 1 && s[0] == '[' {
		t, n := plainLogTime(s[1:], z)
		if n == 0 {
			t, n = bracketedClock(s[1:], z)
		}
		if n == 0 {
			t, n = bracketedOdd(s[1:], z)
		}
		if n > 0 && n+1 < len(s) && s[n+1] == ']' {
			return t, n + 2
		}
		return times.Instant{}, 0
	}
	return plainLogTime(s, z)
}

// bracketedClock reads a time of day in brackets with a level, or what is in brackets,
// behind it.
func bracketedClock(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) < 12 || s[2] != ':' {
		return times.Instant{}, 0
	}
	t, n := times.Clock(s, z)
	if n == 0 || n+2 >= len(s) || s[n] != ']' || s[n+1] != ' ' || s[n+2] != '[' && !levels.Is(words.UpToBlank(s[n+2:])) {
		return times.Instant{}, 0
	}
	return t, n
}

// bracketedOdd reads times that stand in brackets alone: Nagios' seconds since 1970, and
// the month and the day that Ethereum's and Grafana's old logs have, "11-28|10:00:00.123".
func bracketedOdd(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) < 14 {
		return times.Instant{}, 0
	}
	if s[10] == ']' && s[0] == '1' && words.IsNumber(s[:10]) {
		return times.Epoch(s[:10]), 10
	}
	if s[2] != '-' || s[5] != '|' {
		return times.Instant{}, 0
	}
	d := times.Words{S: s, I: len("11-28|")}
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return times.Instant{}, 0
	}
	local, ok := times.LastSuch(z, times.Digits(s, 0, 2), times.Digits(s, 3, 2), clock)
	if !ok {
		return times.Instant{}, 0
	}
	return times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}, d.I
}

func plainLogTime(s []byte, z *times.Zone) (t times.Instant, n int) {
	if len(s) < 12 {
		return t, 0
	}
	if t, n = times.ISO(s, z); n > 0 {
		return t, n
	}
	if len(s) >= 20 && s[10] == ',' && s[11] == ' ' && s[4] == '-' { // Airflow's 2026-03-01, 10:00:00 UTC
		var plain [40]byte
		k := copy(plain[10:], s[11:])
		copy(plain[:10], s)
		if t, n = times.ISO(plain[:10+k], z); n > 0 {
			return t, n + 1
		}
		return t, 0
	}
	if s[0] < '0' || s[0] > '9' {
		if s[0] < 'A' || s[0] > 'W' { // the first letters of weekdays and months
			return t, 0
		}
		return times.DateTime(s, z)
	}
	var secs int64
	var ok bool
	switch {
	case len(s) >= 13 && s[6] == ' ' && (len(s) == 13 || s[13] == ' '): // yyMMdd HHmmss
		secs, ok = times.Seconds(times.Century(times.Digits(s, 0, 2)), times.Digits(s, 2, 2), times.Digits(s, 4, 2),
			times.Digits(s, 7, 2), times.Digits(s, 9, 2), times.Digits(s, 11, 2))
		n = 13
	case len(s) >= 17 && s[2] == '/' && s[5] == '/' && s[8] == ' ' && s[11] == ':' && s[14] == ':': // yy/MM/dd HH:mm:ss
		secs, ok = times.Seconds(times.Century(times.Digits(s, 0, 2)), times.Digits(s, 3, 2), times.Digits(s, 6, 2),
			times.Digits(s, 9, 2), times.Digits(s, 12, 2), times.Digits(s, 15, 2))
		n = 17
	case s[2] == '.' && s[5] == '.' && len(s) >= 19 && s[10] == ' ' || s[2] == '-' && s[5] == '-' && len(s) >= 29 && s[10] == ' ' && s[19] == '.':
		return dayOrMonthFirst(s, z)
	case len(s) >= 18 && s[2] >= 'A' && s[9] == ' ' && times.Month(s[2:]) > 0: // 28Feb2026 10:00:00, as Forge has it
		if s[12] != ':' || s[15] != ':' {
			return t, 0
		}
		secs, ok = times.Seconds(times.Digits(s, 5, 4), times.Month(s[2:]), times.Digits(s, 0, 2),
			times.Digits(s, 10, 2), times.Digits(s, 13, 2), times.Digits(s, 16, 2))
		n = 18
	case s[2] == ':' && s[5] == ':': // a time of day alone, a level or a thread after it
		if t, n = times.Clock(s, z); n == 0 || n == len(s) || s[n] != ' ' && s[n] != '\t' {
			return t, 0
		}
		if rest := bytes.TrimLeft(s[n:], " \t"); len(rest) == 0 || rest[0] != '[' && !levels.Is(words.First(rest)) {
			return t, 0
		}
		return t, n
	default:
		return times.DateTime(s, z)
	}
	if !ok {
		return t, 0
	}
	micros, finer, k := times.Fraction(s[n:])
	return times.Instant{Micros: z.UTC(secs)*1_000_000 + micros, Finer: finer, OK: true}, n + k
}

// dayOrMonthFirst reads "28.02.2026 10:00:00,123", with points the day first, and Splunk's
// "02-28-2026 10:00:00.123 +0000", which has the month first and a zone.
func dayOrMonthFirst(s []byte, z *times.Zone) (t times.Instant, n int) {
	day, month := times.Digits(s, 0, 2), times.Digits(s, 3, 2)
	if s[2] == '-' {
		day, month = month, day
	}
	if s[13] != ':' || s[16] != ':' {
		return t, 0
	}
	local, ok := times.Seconds(times.Digits(s, 6, 4), month, day, times.Digits(s, 11, 2), times.Digits(s, 14, 2), times.Digits(s, 17, 2))
	if !ok {
		return t, 0
	}
	micros, finer, k := times.Fraction(s[19:])
	n = 19 + k
	if s[2] == '.' {
		utc, k, known := z.From(s[n:], local)
		return times.Instant{Micros: utc*1_000_000 + micros, Finer: finer || !known, OK: true}, n + k
	}
	if len(s) < n+6 || s[n] != ' ' || s[n+1] != '+' && s[n+1] != '-' {
		return t, 0
	}
	utc, k, known := z.From(s[n+1:n+6], local)
	return times.Instant{Micros: utc*1_000_000 + micros, Finer: finer || !known, OK: k == 5}, n + 6
}
