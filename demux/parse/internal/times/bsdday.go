package times

import "bytes"

// BSDDay reads times as RFC 3164 has them, "Nov 28 10:00:00", and remembers the
// day of the last one: its year is looked for once. It serves one chunk, since the
// year depends on when that was read.
type BSDDay struct {
	text     [6]byte // "Nov 28"
	midnight int64   // of that day, local seconds since 1970
}

// Time reads such a time at the start of s, with a space behind it that is not
// followed by a year or a zone. What has another form gives 0 bytes: DateTime
// knows them all.
func (d *BSDDay) Time(s []byte, z *Zone) (Instant, int) {
	const length = len("Nov 28 10:00:00")
	if len(s) < length+2 || s[3] != ' ' || s[6] != ' ' || s[9] != ':' || s[12] != ':' || s[length] != ' ' {
		return Instant{}, 0
	}
	switch c := s[length+1]; {
	case c >= 'a' && c <= 'z':
	case c >= '0' && c <= '9':
		if Digits(s, length+1, 4) >= 0 {
			return Instant{}, 0
		}
	case c >= 'A' && c <= 'Z':
		if bytes.HasPrefix(s[length+2:], []byte("M ")) || abbreviation(s[length+1:]) > 0 { // AM, PM or a zone
			return Instant{}, 0
		}
	default:
		return Instant{}, 0
	}
	h, m, sec := Digits(s, 7, 2), Digits(s, 10, 2), Digits(s, 13, 2)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 {
		return Instant{}, 0
	}
	if string(s[:6]) != string(d.text[:]) && !d.learn(s, z) {
		return Instant{}, 0
	}
	return Instant{Micros: z.UTC(d.midnight+int64(h*3600+m*60+sec)) * 1_000_000, OK: true}, length
}

// learn takes the day that s starts with, if it has one year whatever the time of
// day.
func (d *BSDDay) learn(s []byte, z *Zone) bool {
	mon, day := Month(s), Digits(s, 4, 2)
	if s[4] == ' ' {
		day = Digits(s, 5, 1)
	}
	if mon == 0 || day < 1 {
		return false
	}
	first, ok := LastSuch(z, mon, day, 0)
	last, also := LastSuch(z, mon, day, 24*3600)
	if !ok || !also || first != last {
		return false
	}
	d.midnight = first
	copy(d.text[:], s)
	return true
}
