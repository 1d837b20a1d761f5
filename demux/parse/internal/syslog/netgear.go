package syslog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// beforeTime passes over what network gear writes between priority and time, and
// returns its length: Cisco's counters and origin, NX-OS's colon, and the node of
// IOS XR.
func (l *Line) beforeTime(s []byte) int {
	origin, n := cisco(s)
	l.Host = origin
	if n == 0 && len(s) > 1 && s[0] == ':' && s[1] == ' ' {
		n = 2
	}
	// "r1 RP/0/RSP0/CPU0:Nov 28 10:00:00.123 UTC: "
	w := s[n:min(len(s), n+256)]
	if i := bytes.Index(w, []byte("/CPU")); i > 0 {
		from := bytes.LastIndexByte(w[:i], ' ') + 1
		if end := bytes.IndexByte(w[i:], ':'); end > 0 && end < 8 && bytes.IndexByte(w[:max(from-1, 0)], ' ') < 0 {
			if from > 0 {
				l.Host = bytes.TrimSuffix(w[:from-1], []byte(":"))
			}
			l.Node = w[from : i+end]
			return n + i + end + 1
		}
	}
	return n
}

// cisco passes over what Cisco's systems write between priority and time: a
// counter or two, each with a colon, the name of the system, and how long it is
// up. It returns the name, and how many bytes it passed over: 0 if there is no
// counter.
func cisco(s []byte) (origin []byte, n int) {
	counters := 0
	for range 4 {
		k := bytes.IndexByte(s[n:], ':')
		if k <= 0 || k > 64 || n+k+1 < len(s) && s[n+k+1] != ' ' {
			break
		}
		switch w := s[n : n+k]; {
		case words.IsNumber(w):
			counters++
		case counters > 0 && len(origin) == 0 && bytes.IndexByte(w, ' ') < 0 && w[0] != '%' && !isUpTime(w):
			origin = w
		default:
			k = -1
		}
		if k < 0 {
			break
		}
		if n += k + 1; n < len(s) {
			n++
		}
	}
	if counters == 0 {
		return nil, 0
	}
	if k := bytes.IndexByte(s[n:], ' '); k > 1 && s[n+k-1] == ':' && isUpTime(s[n:n+k-1]) {
		n += k + 1
	}
	return origin, n
}

// isUpTime reports whether w is how long a system is up: 00:20:10, 1d04h, 2w3d.
func isUpTime(w []byte) bool {
	units := 0
	for i, c := range w {
		switch {
		case c >= '0' && c <= '9':
		case (c == ':' || c == 'y' || c == 'w' || c == 'd' || c == 'h' || c == 'm') && i > 0 && w[i-1] >= '0' && w[i-1] <= '9':
			units++
		default:
			return false
		}
	}
	return units > 0
}

// mnemonic returns the severity in a Cisco mnemonic, which is the tag or the begin
// of the message: 5 in %SYS-5-CONFIG_I, and 3 in Juniper's %DAEMON-3; -1 if there is none.
func mnemonic(app, message []byte) int {
	w := app
	if len(w) == 0 || w[0] != '%' {
		w = message
	}
	if len(w) < 5 || w[0] != '%' {
		return -1
	}
	for i := 1; i+2 < len(w) && w[i] > ' ' && w[i] != ':'; i++ {
		if w[i] == '-' && w[i+1] >= '0' && w[i+1] <= '7' && (w[i+2] == '-' || w[i+2] == ':') {
			return int(w[i+1] - '0')
		}
	}
	return -1
}

// topics reports whether w is MikroTik's tag, words with commas between them:
// "system,info,account" or "firewall,info".
func topics(w []byte) bool {
	commas := 0
	for i, c := range w {
		switch {
		case c == ',' && i > 0 && w[i-1] != ',':
			commas++
		case c >= 'a' && c <= 'z':
		default:
			return false
		}
	}
	return commas > 0 && w[len(w)-1] != ','
}

// device takes what stands before the message in NetApp's, MikroTik's and Ubiquiti's
// lines, and returns its length: topics, which become the application, and an access
// point's "address,model-version:", behind which there is a tag.
func (l *Line) device(s []byte) int {
	if in, _, ok := bytes.Cut(s[:min(len(s), 200)], []byte("]: ")); ok && len(in) > 0 && in[0] == '[' { // NetApp: [node:event:severity]
		node, rest, _ := bytes.Cut(in[1:], []byte(":"))
		event, level, ok := bytes.Cut(rest, []byte(":"))
		if ok && levels.Is(level) && words.IsName(event) && words.IsName(node) {
			l.Node, l.App, l.Level = node, event, level
			return len(in) + len("]: ")
		}
	}
	n := bytes.IndexByte(s[:min(len(s), 128)], ' ')
	if n <= 0 {
		return 0
	}
	w := bytes.TrimSuffix(s[:n], []byte(":"))
	comma := bytes.IndexByte(w, ',')
	switch {
	case comma <= 0:
		return 0
	case topics(w):
		l.App = w
		return n + 1
	case comma == 12 && words.IsHex(w[:comma]) && s[n-1] == ':':
		l.Node = w
		return n + 1
	}
	return 0
}

// meraki reads what follows the version in lines of Cisco's Meraki: seconds since
// 1970, the device, what it tells of, and the message.
func (l *Line) meraki(s []byte) bool {
	secs, s, ok := bytes.Cut(s, []byte(" "))
	if whole, _, dot := bytes.Cut(secs, []byte(".")); !ok || !dot || len(whole) < 9 || !words.IsNumber(whole) {
		return false
	}
	t := times.EpochSeconds(secs)
	host, s, ok := bytes.Cut(s, []byte(" "))
	if !t.OK || !ok {
		return false
	}
	l.At, l.Time, l.Host = t, secs, host
	if app, message, ok := bytes.Cut(s, []byte(" ")); ok && bytes.IndexByte(app, '=') < 0 {
		l.App, s = app, message
	}
	l.Message, l.HasMessage = s, true
	return true
}

// firewall finds the time in messages of firewalls that send no other: Palo Alto's
// "1,2026/11/28 10:00:00,…" and Fortinet's "date=2026-11-28 time=10:00:00
// devname="FG1" … tz="+0100"".
func (l *Line) firewall(z *times.Zone) {
	s := l.Message
	if panos(s) {
		const length = len("2026/11/28 10:00:00")
		if t, n := times.ISO(s[2:min(len(s), 2+length)], z); n == length { // a comma follows, but no fraction
			l.At, l.Time = t, s[2:2+n]
		}
		return
	}
	const dateTime = len("date=2026-11-28 time=10:00:00")
	if len(s) < dateTime || !bytes.HasPrefix(s, []byte("date=")) || string(s[15:21]) != " time=" {
		return
	}
	var text [25]byte
	n := copy(text[:], s[5:15])
	text[n] = ' '
	n += 1 + copy(text[n+1:], s[21:dateTime])
	head := s[:min(len(s), 1<<10)]
	n += copy(text[n:], assigned(head, " tz="))
	if t, k := times.ISO(text[:n], z); k == n {
		l.At, l.Time = t, s[:dateTime]
	}
	l.Host = assigned(head, " devname=")
}

// assigned returns the value behind a key in a text, quotes taken off.
func assigned(s []byte, key string) []byte {
	i := bytes.Index(s, []byte(key))
	if i < 0 {
		return nil
	}
	s = s[i+len(key):]
	if len(s) > 0 && s[0] == '"' {
		v, _, _ := bytes.Cut(s[1:], []byte(`"`))
		return v
	}
	return words.First(s)
}

// panos reports whether s begins as Palo Alto's messages do: 1,2026/11/28.
func panos(s []byte) bool {
	return len(s) > 12 && s[0] == '1' && s[1] == ',' && s[6] == '/' && s[9] == '/' && words.IsNumber(s[2:6])
}
