package times

import (
	"bytes"
	"time"
)

// Zone finds the offset of local times, and remembers the last one.
type Zone struct {
	Loc    *time.Location
	Read   time.Time        // when the chunk was read: what times without a year or a day go by
	named  map[string]*Zone // those that texts name, by their names; nil: there is none of that name
	minute int64            // local minute since 1970; offset belongs to it
	offset int64            // seconds east of UTC
	name   string           // the abbreviation of the zone at that minute
	known  bool
	// isoMinute is the last ISO time up to its minute, and isoSeconds are those since
	// 1970 at its begin, in whatever zone: most times are of the minute before.
	isoMinute  [16]byte
	isoSeconds int64
}

// Earliest is before all times that are believed.
var Earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// AnyZone is for times that are looked for, and not taken.
func AnyZone() Zone { return Zone{Loc: time.UTC, Read: Earliest} }

// UTC turns local seconds since 1970 into UTC's.
func (z *Zone) UTC(local int64) int64 {
	if z.Loc == time.UTC {
		return local
	}
	if m := local / 60; !z.known || m != z.minute {
		z.minute, z.known = m, true
		z.name, z.offset = z.at(local)
	}
	return local - z.offset
}

// ReadAt sets when the chunk was read.
func (z *Zone) ReadAt(t time.Time) {
	z.Read, z.known = t, false
	for _, n := range z.named {
		if n != nil {
			n.ReadAt(t)
		}
	}
}

// at returns the zone's abbreviation and offset at a local time. One that comes
// twice, as clocks are put back, is the later one, unless that is after the time
// at which the chunk was read. One that clocks skip is taken as if they had not yet
// been put forward.
func (z *Zone) at(local int64) (name string, offset int64) {
	const day = 24 * 3600
	read := func(unix int64) (string, int64) {
		name, offset := time.Unix(unix, 0).In(z.Loc).Zone()
		return name, int64(offset)
	}
	name, before := read(local - day)
	late, after := read(local + day)
	if before == after {
		return read(local - before) // it may be near the ends of two changes
	}
	_, a := read(local - before)
	_, b := read(local - after)
	if b == after && (a != before || local-after <= z.Read.Unix()) {
		return late, after
	}
	return name, before
}

// From turns local seconds into UTC's by the zone that s starts with, of n
// bytes, a space before it included: Z, an offset or an abbreviation. Without
// one they are local to z. It reports false for an abbreviation that stands for
// several zones, none of which is z's: then they are taken for z's, too.
func (z *Zone) From(s []byte, local int64) (utc int64, n int, known bool) {
	i := 0
	if len(s) > 1 && s[0] == ' ' {
		i = 1
	}
	if i == len(s) {
		return z.UTC(local), 0, true
	}
	switch c := s[i]; {
	case c == '+' || c == '-':
		if off, k := numericZone(s[i:]); k > 0 {
			return local - off, i + k + bracketedName(s[i+k:]), true
		}
	case (c == 'Z' || c == 'z') && i == 0:
		return local, 1 + bracketedName(s[1:]), true
	case c >= 'A' && c <= 'Z':
		if bytes.HasPrefix(s[i:], []byte("UTC-")) || bytes.HasPrefix(s[i:], []byte("GMT-")) {
			if off, k := offsetBehind(s[i+3:]); k > 0 {
				return local - off, i + 3 + k, true
			}
		}
		k := abbreviation(s[i:])
		if k == 0 {
			break
		}
		name := string(s[i : i+k])
		if name == "GMT" || name == "UTC" {
			off, n := offsetBehind(s[i+k:])
			return local - off, i + k + n, true
		}
		if hours, ok := zoneHours[name]; ok {
			return local - int64(hours*3600), i + k, true
		}
		if zonesAlike[name] {
			utc = z.UTC(local)
			return utc, i + k, z.name == name
		}
	}
	if named, k := z.byName(s[i:]); k > 0 {
		return named.UTC(local), i + k, true
	}
	return z.UTC(local), 0, true
}

// offsetBehind reads what may follow UTC or GMT: +2, +02:00 and so on.
func offsetBehind(s []byte) (off int64, n int) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, 0
	}
	if off, n = numericZone(s); n > 0 {
		return off, n
	}
	if h := Digits(s, 1, 1); h >= 0 && (len(s) == 2 || !LetterOrDigit(s[2])) {
		if off = int64(h * 3600); s[0] == '-' {
			off = -off
		}
		return off, 2
	}
	return 0, 0
}

// bracketedName returns the length of a zone's name in brackets, which Java
// writes behind the offset.
func bracketedName(s []byte) int {
	if len(s) < 5 || s[0] != '[' {
		return 0
	}
	n := nameOfZone(s[1:])
	if n == 0 && (bytes.HasPrefix(s[1:], []byte("UTC")) || bytes.HasPrefix(s[1:], []byte("GMT"))) {
		n = 3
	}
	if n == 0 || n+1 >= len(s) || s[n+1] != ']' {
		return 0
	}
	return n + 2
}

// nameOfZone returns the length of a name such as Europe/Berlin at the start of s;
// 0 if there is none.
func nameOfZone(s []byte) int {
	n, slashes := 0, 0
	for n < len(s) && n < 40 && (LetterOrDigit(s[n]) || s[n] == '/' || s[n] == '_' || s[n] == '-' || s[n] == '+') {
		if s[n] == '/' {
			slashes++
		}
		n++
	}
	if slashes == 0 || slashes > 2 || s[0] < 'A' || s[0] > 'Z' || s[n-1] == '/' {
		return 0
	}
	return n
}

// maxZones bounds the names that are remembered; there are some 600 zones.
const maxZones = 1000

// byName returns the zone that s starts with the name of, and the name's length.
func (z *Zone) byName(s []byte) (*Zone, int) {
	n := nameOfZone(s)
	if n == 0 {
		return nil, 0
	}
	named, known := z.named[string(s[:n])]
	if !known {
		if len(z.named) >= maxZones {
			return nil, 0
		}
		name := string(s[:n])
		if loc, err := time.LoadLocation(name); err == nil {
			named = &Zone{Loc: loc, Read: z.Read}
		}
		if z.named == nil {
			z.named = map[string]*Zone{}
		}
		z.named[name] = named
	}
	if named == nil {
		return nil, 0
	}
	return named, n
}

// numericZone reads ±hh:mm, ±hhmm or ±hh at the start of s: seconds east of UTC.
func numericZone(s []byte) (off int64, n int) {
	h := Digits(s, 1, 2)
	if h < 0 || h > 23 {
		return 0, 0
	}
	n = 3
	m := 0
	if n < len(s) && s[n] == ':' {
		if v := Digits(s, n+1, 2); v >= 0 {
			m, n = v, n+3
		}
	} else if v := Digits(s, n, 2); v >= 0 {
		m, n = v, n+2
	}
	if m > 59 {
		return 0, 0
	}
	off = int64(h*3600 + m*60)
	if s[0] == '-' {
		off = -off
	}
	return off, n
}

// abbreviation returns the length of the word in capitals that s starts with, if
// it may be a zone's; else 0.
func abbreviation(s []byte) int {
	n := 0
	for n < len(s) && s[n] >= 'A' && s[n] <= 'Z' {
		n++
	}
	if n < 3 || n > 5 {
		return 0
	}
	switch s[n-1] {
	case 'T', 'C', 'D', 'K', 'A', 'B':
	default: // INFO, WARN, ERROR: what stands behind most times needs no look into the tables
		return 0
	}
	if n < len(s) {
		if c := s[n]; c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '/' || c == '=' {
			return 0
		}
	}
	return n
}

// zoneHours has the hours east of UTC of abbreviations that stand for one zone
// as logs have them. Those that are words of logs, too (GET, ART, MET), are left
// out.
var zoneHours = map[string]float64{
	"UTC": 0, "GMT": 0, "WET": 0, "WEST": 1,
	"CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "MSD": 4, "TRT": 3,
	"EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
	"AKST": -9, "AKDT": -8, "HST": -10, "NST": -3.5, "NDT": -2.5, "BRT": -3, "BRST": -2,
	"SAST": 2, "PKT": 5, "WIB": 7, "WITA": 8, "HKT": 8, "SGT": 8, "PHT": 8, "AWST": 8,
	"JST": 9, "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}

// zonesAlike are abbreviations of several zones: China's and America's CST,
// India's, Israel's and Ireland's IST, and so on.
var zonesAlike = map[string]bool{"CST": true, "IST": true, "BST": true, "AST": true, "ADT": true, "SST": true, "GST": true, "WST": true}
