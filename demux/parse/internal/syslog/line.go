// Package syslog takes lines of syslog apart, as RFC 3164 and RFC 5424 have them and as
// network gear, firewalls and relays really write them.
package syslog

import (
	"bytes"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

// Line is a line taken apart. What it does not have is nil; "-" of RFC 5424
// is left as nil, too.
type Line struct {
	Priority              int // -1: none
	Severity              int // of what has no priority, and says it otherwise; -1: none
	At                    times.Instant
	Time                  []byte // as it is written
	Host, App, PID, MsgID []byte
	Node                  []byte // of the host: a device's part that wrote the line
	Structured            []byte // with its brackets
	Uptime                []byte // of a kernel, in seconds
	DeviceTime            []byte // of a device whose line a relay has put a head before
	Level                 []byte // a word for the severity, which some write before the tag
	Message               []byte
	HasMessage            bool
}

// Read takes a line apart. It returns false, and where it stopped, for one that is
// not syslog's.
func (l *Line) Read(rec []byte, day *times.BSDDay, z *times.Zone) (n int, ok bool) {
	*l = Line{Priority: -1, Severity: -1}
	s := rec
	if len(s) > 0 && (s[0] == 0xef || s[0] >= '0' && s[0] <= '9') {
		s = bytes.TrimPrefix(s, []byte("\ufeff"))
		s = s[octetCount(s):]
	}
	if n := priority(s); n > 0 {
		l.Priority, _ = strconv.Atoi(string(s[1 : n-1]))
		s = bytes.TrimPrefix(s[n:], []byte(" "))
		if len(s) > 2 && s[0] == '1' && s[1] == ' ' && (l.rfc5424(s[2:], z) || l.meraki(s[2:])) {
			return 0, true
		}
	}
	t, n := day.Time(s, z)
	if n == 0 {
		t, n = HeadTime(s, z)
	}
	hostNext := true
	if n == 0 {
		if k := l.beforeTime(s); k > 0 {
			s, hostNext = s[k:], false
			t, n = HeadTime(s, z)
		}
	}
	if n == 0 && l.Priority < 0 {
		return len(rec) - len(s), false
	}
	if n > 0 {
		l.At, l.Time = t, bytes.TrimSpace(s[:n])
		s = bytes.TrimLeft(s[n:], " ")
		if len(s) > 0 && s[0] == ':' { // Cisco: the message follows
			s, hostNext = bytes.TrimLeft(s, " :"), false
		}
	}
	l.rest(s, n > 0 && hostNext)
	if n == 0 {
		l.firewall(z)
	}
	return 0, true
}

// octetCount returns the length of the count that RFC 6587 puts before a message,
// and the space behind it, where a receiver left it there; else 0.
func octetCount(s []byte) int {
	n := 0
	for n < len(s) && n < 8 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == 0 || n == len(s) || s[n] != ' ' || priority(s[n+1:]) == 0 {
		return 0
	}
	return n + 1
}

// priority returns the length of "<PRI>" at the start of s, 0 if there is none.
func priority(s []byte) int {
	if len(s) < 3 || s[0] != '<' {
		return 0
	}
	i, n := 1, 0
	for ; i < len(s) && i < 4 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	if i == 1 || i == len(s) || s[i] != '>' || n > 191 {
		return 0
	}
	return i + 1
}

// HeadTime reads the time at the start of an RFC 3164 line: ISO, or like
// "Jan _2 15:04:05", with a fraction, a year before or after, and a zone.
func HeadTime(s []byte, z *times.Zone) (times.Instant, int) {
	n := 0
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') { // a Cisco clock that is not synchronised
		n = 1
	}
	if len(s) > 14 && s[3] == ' ' && s[0] >= 'F' && s[0] <= 'W' && s[8] == '-' { // systemd's short-full: "Sat 2026-02-28 10:00:00 UTC"
		n = len("Sat ")
	}
	t, k := times.ISO(s[n:], z)
	if k == 0 {
		t, k = times.DateTime(s[n:], z)
	}
	if n += k; k == 0 || n < len(s) && s[n] != ' ' && s[n] != ':' {
		return times.Instant{}, 0
	}
	return t, n
}

// rest reads host, tag and message of an RFC 3164 line.
func (l *Line) rest(s []byte, hasHost bool) {
	if hasHost {
		if host, n := hostName(s); n > 0 {
			l.Host = host
			if s = bytes.TrimLeft(s[n:], " "); len(s) > 0 && s[0] == ':' {
				s = bytes.TrimPrefix(s, []byte(": ")) // Cisco's ASA
			}
		}
	}
	if len(l.Host) > 0 {
		s = s[l.relayed(s):]
	}
	app, pid, n := words.Tag(s)
	if n == 0 {
		if w := words.First(s[:min(len(s), 16)]); levels.Is(w) && len(w) < len(s) { // F5: "info tmm1[123]: message"
			if app, pid, n = words.Tag(s[len(w)+1:]); n > 0 {
				l.Level, s = w, s[len(w)+1:]
			}
		}
	}
	if n == 0 || bytes.IndexByte(app, ',') >= 0 {
		if k := l.device(s); k > 0 {
			s, n = s[k:], 0
			if l.App == nil {
				app, pid, n = words.Tag(s)
			}
		}
	}
	if n > 0 {
		l.App, l.PID = app, pid
		if s = s[n:]; len(s) > 0 && s[0] == ' ' {
			s = s[1:]
		}
	}
	if l.Priority < 0 {
		l.Severity = mnemonic(l.App, s)
	}
	l.Message, l.HasMessage = bytes.TrimPrefix(s, []byte("\ufeff")), true
}

// relayed returns the length of a counter and a time that Cisco's systems write, where
// a relay has put a head before them: "123: Nov 28 10:00:00.123: ". The time stands for
// no row: the relay's has one.
func (l *Line) relayed(s []byte) int {
	if len(s) < 16 || s[0] < '0' || s[0] > '9' {
		return 0
	}
	_, k := cisco(s)
	if k == 0 {
		return 0
	}
	z := times.AnyZone()
	_, n := HeadTime(s[k:], &z)
	if n == 0 || k+n >= len(s) || s[k+n] != ':' {
		return 0
	}
	l.DeviceTime = s[k : k+n]
	return min(len(s), k+n+len(": "))
}

// LevelSaid returns the level that a line says in words, where it has no number for it:
// before the tag, or first in its message, with a colon or brackets, or in capitals.
func (l *Line) LevelSaid() rows.Level {
	if l.Level != nil {
		return levels.Of(l.Level)
	}
	w := words.First(l.Message[:min(len(l.Message), 16)])
	name := bytes.Trim(w, "[]<>:")
	if len(name) < 4 || !levels.Is(name) {
		return rows.NoLevel
	}
	if len(name) < len(w) || words.IsCapitals(name) {
		return levels.Of(name)
	}
	if _, pid, n := words.Tag(l.Message[min(len(l.Message), len(w)+1):]); n > 0 && words.IsNumber(pid) { // ESXi: "info hostd[123] "
		return levels.Of(name)
	}
	return rows.NoLevel
}

// hostName returns the host at the start of s without its brackets, and its length
// with them; 0 where a tag or the message stands there.
func hostName(s []byte) (host []byte, n int) {
	n = bytes.IndexByte(s, ' ')
	if n <= 0 || n > 255 {
		return nil, 0
	}
	w := s[:n]
	switch first, last := w[0], w[n-1]; {
	case last == ':':
		if !bytes.HasSuffix(w, []byte("::")) || !isIPv6(w) {
			return nil, 0
		}
	case first == '[': // an address of IPv6, or a host and its address
		if last != ']' || bytes.IndexByte(w, ':') < 0 && bytes.IndexByte(w, '.') < 0 {
			return nil, 0
		}
		w = w[1 : n-1]
	case first == '(': // Ubiquiti's: ("model,address,version")
		if n < 5 || w[1] != '"' || string(w[n-2:]) != `")` {
			return nil, 0
		}
		w = w[2 : n-2]
	case first == 'l':
		if bytes.HasPrefix(s, []byte("last message repeated ")) {
			return nil, 0
		}
	case first == '-', first == '%':
		return nil, 0
	}
	commas := false
	for _, c := range w {
		if hostBytes[c] == 0 {
			return nil, 0
		}
		commas = commas || c == ','
	}
	if commas && (topics(w) || panos(s)) {
		return nil, 0
	}
	return w, n
}

// hostBytes has 1 for what hosts are made of, those that relays make among them.
var hostBytes = func() (t [256]byte) {
	for c := range t {
		if c >= 0x80 || times.LetterOrDigit(byte(c)) || bytes.IndexByte([]byte(".-_:/@%,~+#*"), byte(c)) >= 0 {
			t[c] = 1
		}
	}
	return t
}()

// isIPv6 reports whether w is made as an address of IPv6 is.
func isIPv6(w []byte) bool {
	colons := 0
	for _, c := range w {
		switch {
		case c == ':':
			colons++
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '.':
		default:
			return false
		}
	}
	return colons >= 2
}

// rfc5424 reads what follows the version. It reports false for what is not of
// that form. Where structured data is missing, not even marked so, the message
// follows the time and four names.
func (l *Line) rfc5424(s []byte, z *times.Zone) bool {
	var head [5][]byte // time, host, app, process id, message id
	for i := range head {
		n := bytes.IndexByte(s, ' ')
		if n <= 0 {
			return false
		}
		if head[i], s = s[:n], s[n+1:]; string(head[i]) == "-" {
			head[i] = nil
		}
	}
	t, n := times.ISO(head[0], z)
	if n != len(head[0]) {
		return false
	}
	sd, ok := structured(s)
	if !ok && n == 0 {
		return false
	}
	l.At, l.Time, l.Host, l.App, l.PID, l.MsgID = t, head[0], head[1], head[2], head[3], head[4]
	if !ok {
		l.Message, l.HasMessage = s, true
		return true
	}
	l.Structured = s[:sd]
	if s = s[sd:]; len(s) > 0 {
		l.Message, l.HasMessage = bytes.TrimPrefix(s[1:], []byte("\ufeff")), true
	}
	return true
}

// Kernel takes the stamp off a kernel's message, "[12345.678901] ": seconds since
// it started.
func (l *Line) Kernel() {
	s := l.Message
	if len(s) < 4 || s[0] != '[' || len(l.App) > 0 && string(l.App) != "kernel" {
		return
	}
	at := 1
	for at < len(s) && s[at] == ' ' {
		at++
	}
	n := at
	for n < len(s) && n < at+16 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	whole := n
	if n == at || n == len(s) || s[n] != '.' {
		return
	}
	for n++; n < len(s) && n < whole+8 && s[n] >= '0' && s[n] <= '9'; n++ {
	}
	if n == whole+1 || n == len(s) || s[n] != ']' {
		return
	}
	l.Uptime = s[at:n]
	l.Message = bytes.TrimPrefix(s[n+1:], []byte(" "))
}

// Repeats returns how many times a message says that the one before came again:
// "last message repeated 3 times" and rsyslog's "message repeated 3 times: [ it]";
// 0 where it says no such thing.
func Repeats(s []byte) int64 {
	if len(s) < len("message repeated 2 times") || s[0] != 'l' && s[0] != 'm' && s[0] != '-' {
		return 0
	}
	s = bytes.TrimPrefix(bytes.TrimPrefix(s, []byte("--- ")), []byte("last "))
	s, ok := bytes.CutPrefix(s, []byte("message repeated "))
	if !ok {
		return 0
	}
	n := bytes.IndexByte(s, ' ')
	if n <= 0 || n > 18 || !words.IsNumber(s[:n]) || !bytes.HasPrefix(s[n:], []byte(" time")) {
		return 0
	}
	v, _ := strconv.ParseInt(string(s[:n]), 10, 64)
	return v
}
