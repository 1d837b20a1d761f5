package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// consoles reads Serilog's "[10:00:00 INF] ", and WebSphere's heads.
func (h *oddHead) consoles(s []byte, z *times.Zone) {
	end := bytes.IndexByte(s[:min(len(s), 64)], ']')
	if end < 0 {
		return
	}
	in := s[1:end]
	if bytes.IndexByte(in[:min(len(in), 3)], '/') > 0 {
		h.websphere(s, in, z)
		return
	}
	t, n := times.Clock(in, z)
	level := bytes.TrimLeft(in[n:], " ")
	if n == 0 || len(level) == len(in)-n || !levels.Is(level) || end+1 == len(s) || s[end+1] != ' ' {
		return
	}
	h.At, h.Time, h.Level, h.n = t, in[:n], level, end+2
}

// tagged reads NestJS's heads, those of Rust's tracing that have the time since the
// start, and levels alone in brackets.
func (h *oddHead) tagged(s []byte, z *times.Zone) {
	end := bytes.IndexByte(s[:min(len(s), 32)], ']')
	if end < 0 || end+2 >= len(s) || s[end+1] != ' ' {
		return
	}
	in, rest := s[1:end], s[end+2:]
	switch seconds, ok := bytes.CutSuffix(in, []byte("s")); {
	case string(in) == "Nest":
		h.nest(s, rest, z)
	case ok && words.IsDecimal(bytes.TrimLeft(seconds, " ")):
		if level := words.UpToBlank(bytes.TrimLeft(rest, " ")); levels.Is(level) {
			h.Level, h.elapsed = level, bytes.TrimLeft(seconds, " ")
			h.n = len(s) - len(bytes.TrimLeft(rest, " ")) + len(level)
			h.tracing(s)
		}
	case aloneLevels[string(in)]:
		h.Level, h.n = in, end+2
	}
}

// aloneLevels are those that begin a record with nothing but brackets around them:
// "[ OK ]" and "[FAIL]" don't.
var aloneLevels = map[string]bool{
	"TRACE": true, "DEBUG": true, "INFO": true, "NOTICE": true, "WARN": true, "WARNING": true, "ERROR": true,
	"SEVERE": true, "CRITICAL": true, "FATAL": true,
}

// tracing reads "ThreadId(01) logger: " behind a level.
func (h *oddHead) tracing(s []byte) {
	rest := bytes.TrimLeft(s[h.n:], " ")
	if w := words.UpToBlank(rest); bytes.HasPrefix(w, []byte("ThreadId(")) {
		h.Thread = w
		rest = bytes.TrimLeft(rest[len(w):], " ")
	}
	if name, _, n := LoggerName(rest); n > 0 {
		h.Logger, rest = name, rest[n:]
	}
	h.n = len(s) - len(rest)
}

// nest reads "77  - 03/01/2026, 10:00:00 AM     LOG [logger] " behind the name.
func (h *oddHead) nest(s, rest []byte, z *times.Zone) {
	pid, rest, ok := bytes.Cut(rest, []byte("- "))
	if pid = bytes.TrimSpace(pid); !ok || !words.IsNumber(pid) {
		return
	}
	t, n := plainLogTime(rest, z)
	level := words.UpToBlank(bytes.TrimLeft(rest[n:], " "))
	if n == 0 || !levels.Is(level) {
		return
	}
	h.At, h.Time, h.pid, h.Level = t, rest[:n], pid, level
	rest = bytes.TrimLeft(bytes.TrimLeft(rest[n:], " ")[len(level):], " ")
	if n := words.Brackets(rest[:min(len(rest), 256)]); n > 2 {
		h.Logger = rest[1 : n-1]
		rest = bytes.TrimLeft(rest[n:], " ")
	}
	h.n = len(s) - len(rest)
}

// erlang reads "=INFO REPORT==== 1-Mar-2026::10:00:00 ===".
func (h *oddHead) erlang(s []byte, z *times.Zone) {
	name, rest, ok := bytes.Cut(s[1:min(len(s), 128)], []byte(" REPORT==== "))
	at := bytes.Index(rest, []byte("::"))
	if !ok || at < 0 || !words.IsUpper(name) {
		return
	}
	stamp := bytes.TrimRight(rest, "= \r")
	var plain [48]byte
	n := copy(plain[:], stamp[:min(at, len(stamp))])
	n += copy(plain[n:], " ")
	n += copy(plain[n:], stamp[min(at+2, len(stamp)):])
	t, k := times.DateTime(plain[:n], z)
	if k == 0 {
		return
	}
	h.At, h.Time, h.report, h.n = t, stamp, name, len(s)
	switch {
	case levels.Is(name):
		h.Level = name
	case string(name) == "CRASH" || string(name) == "SUPERVISOR":
		h.Level = []byte("ERROR")
	}
}

// cups reads "E [28/Nov/2026:10:00:00 +0000] ".
func (h *oddHead) cups(s []byte, z *times.Zone) {
	end := bytes.IndexByte(s[:min(len(s), 48)], ']')
	if s[1] != ' ' || s[2] != '[' || end < 0 || end+1 == len(s) || s[end+1] != ' ' {
		return
	}
	stamp := s[3:end]
	level := cupsLevels[s[0]]
	if t, n := times.DateTime(stamp, z); n == len(stamp) && level != "" {
		h.At, h.Time, h.Level, h.n = t, stamp, []byte(level), end+2
	}
}

var cupsLevels = map[byte]string{
	'X': "EMERG", 'A': "ALERT", 'C': "CRIT", 'E': "ERROR", 'W': "WARN", 'N': "NOTICE", 'I': "INFO", 'D': "DEBUG", 'd': "TRACE",
}

// zabbix reads "  1234:20261128:100000.123 ".
func (h *oddHead) zabbix(s []byte, z *times.Zone) {
	rest := bytes.TrimLeft(s[:min(len(s), 40)], " ")
	pid, rest, ok := bytes.Cut(rest, []byte(":"))
	if !ok || !words.IsNumber(pid) || len(rest) < 20 || rest[8] != ':' || rest[15] != '.' || rest[19] != ' ' {
		return
	}
	secs, ok := times.Seconds(times.Digits(rest, 0, 4), times.Digits(rest, 4, 2), times.Digits(rest, 6, 2),
		times.Digits(rest, 9, 2), times.Digits(rest, 11, 2), times.Digits(rest, 13, 2))
	millis := times.Digits(rest, 16, 3)
	if !ok || millis < 0 {
		return
	}
	h.At = times.Instant{Micros: z.UTC(secs)*1_000_000 + int64(millis)*1000, OK: true}
	h.Time, h.pid = rest[:19], pid
	h.n = len(s[:min(len(s), 40)]) - len(rest) + 20
}

// samba reads "[2026/11/28 10:00:00.123456,  0] file.c:12(function)"; the message is
// below.
func (h *oddHead) samba(s []byte, z *times.Zone) {
	t, n := plainLogTime(s[1:], z)
	end := bytes.IndexByte(s[:min(len(s), 128)], ']')
	if n == 0 || end < n+1 || s[n+1] != ',' {
		return
	}
	number, _, _ := bytes.Cut(bytes.TrimSpace(s[n+2:end]), []byte(","))
	debug := times.Digits(number, 0, len(number))
	if len(number) == 0 || debug < 0 {
		return
	}
	h.At, h.Time, h.below, h.n = t, s[1:1+n], true, len(s)
	h.caller = bytes.TrimSpace(s[end+1:])
	h.Level = []byte([...]string{"ERROR", "WARN", "NOTICE", "NOTICE", "INFO", "INFO", "DEBUG"}[min(debug, 6)])
}

// nats reads "[1] 2026/02/28 10:00:00.123456 [INF] ".
func (h *oddHead) nats(s []byte, z *times.Zone) {
	pid, rest, ok := bytes.Cut(s[1:], []byte("] "))
	if !ok || !words.IsNumber(pid) {
		return
	}
	t, n := times.ISO(rest, z)
	level, message, ok := bytes.Cut(bytes.TrimPrefix(rest[n:], []byte(" [")), []byte("] "))
	if n == 0 || !ok || !levels.Is(level) {
		return
	}
	h.At, h.Time, h.pid, h.Level, h.n = t, rest[:n], pid, level, len(s)-len(message)
}

// chromium reads "[PID:TID:MMDD/HHMMSS.micros:LEVEL:file(line)] ", with either id or both.
func (h *oddHead) chromium(s []byte, z *times.Zone) {
	head, message, ok := bytes.Cut(s[1:], []byte("] "))
	id, rest, more := bytes.Cut(head, []byte(":"))
	if !ok || !more || !words.IsNumber(id) {
		return
	}
	var thread []byte
	if w, behind, ok := bytes.Cut(rest, []byte(":")); ok && words.IsNumber(w) {
		thread, rest = w, behind
	}
	parts := bytes.SplitN(rest, []byte(":"), 3)
	if len(parts) != 3 {
		return
	}
	at, level := parts[0], bytes.TrimRight(parts[1], "0123456789") // VERBOSE1
	if !levels.Is(level) || len(at) < len("0228/100000.1") || at[4] != '/' || at[11] != '.' {
		return
	}
	hour, minute, second := times.Digits(at, 5, 2), times.Digits(at, 7, 2), times.Digits(at, 9, 2)
	micros, finer, n := times.Fraction(at[11:])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 || 11+n != len(at) {
		return
	}
	clock := int64(hour*3600 + minute*60 + second)
	local, ok := times.LastSuch(z, times.Digits(at, 0, 2), times.Digits(at, 2, 2), clock)
	if !ok {
		return
	}
	h.At = times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}
	h.Time, h.pid, h.Thread, h.Level, h.caller, h.n = at, id, thread, level, parts[2], len(s)-len(message)
}

// mosquitto reads "1772272800: ".
func (h *oddHead) mosquitto(s []byte, _ *times.Zone) {
	if len(s) > 12 && s[10] == ':' && s[11] == ' ' && words.IsNumber(s[:10]) {
		h.At, h.Time, h.n = times.Epoch(s[:10]), s[:10], 12
	}
}

// sap reads "M Sat Feb 28 10:00:00 2026": the component, and the time; the message is
// below, each line of it behind the component.
func (h *oddHead) sap(s []byte, z *times.Zone) {
	stamp := bytes.TrimSpace(s[1:])
	if s[1] != ' ' || len(stamp) > 32 || len(stamp) < 24 || stamp[3] != ' ' {
		return
	}
	plain := stamp
	if i := len("Sat Feb 28 10:00:00"); stamp[i] == ':' { // milliseconds
		plain = append(append(append(make([]byte, 0, 32), stamp[:i]...), '.'), stamp[i+1:]...)
	}
	if t, n := times.DateTime(plain, z); n == len(plain) {
		h.At, h.Time, h.Logger, h.component, h.n = t, stamp, s[:1], s[:1], len(s)
	}
}

// websphere reads the time in stamp, "M/d/yy H:mm:ss:SSS ZZZ", the thread, the
// component, and the letter of the level.
func (h *oddHead) websphere(s, stamp []byte, z *times.Zone) {
	t, ok := slashed(stamp, z)
	rest := s[len(stamp)+2:]
	if !ok || len(rest) < 10 || rest[0] != ' ' || rest[9] != ' ' {
		return
	}
	thread, rest := rest[1:9], rest[10:]
	name := words.First(rest)
	rest = bytes.TrimLeft(rest[len(name):], " ")
	if len(name) == 0 || len(rest) < 2 || rest[1] != ' ' {
		return
	}
	level := websphereLevels[rest[0]]
	if level == "" {
		return
	}
	h.At, h.Time, h.Thread, h.Logger, h.Level = t, stamp, thread, name, []byte(level)
	h.n = len(s) - len(bytes.TrimLeft(rest[1:], " "))
}

// websphereLevels are levels by the letter of an event's type.
var websphereLevels = map[byte]string{
	'F': "FATAL", 'E': "ERROR", 'W': "WARN", 'A': "INFO", 'I': "INFO", 'C': "INFO", 'D': "INFO", 'O': "INFO", 'R': "ERROR",
	'1': "DEBUG", '2': "DEBUG", '3': "TRACE", '>': "TRACE", '<': "TRACE", 'Z': "INFO",
}

// slashed reads a whole "M/d/yy H:mm:ss:SSS ZZZ", a comma behind the day or not.
func slashed(s []byte, z *times.Zone) (t times.Instant, ok bool) {
	at := 0
	number := func(end byte) int {
		n := at
		for n < len(s) && n < at+2 && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == at || n == len(s) || s[n] != end {
			return -1
		}
		v := times.Digits(s, at, n-at)
		at = n + 1
		return v
	}
	month, day := number('/'), number('/')
	year := number(' ')
	if year < 0 {
		if year = number(','); at < len(s) && s[at] == ' ' {
			at++
		}
	}
	hour, minute, second := number(':'), number(':'), number(':')
	if month < 0 || day < 0 || year < 0 || hour < 0 || minute < 0 || second < 0 || at+4 > len(s) || s[at+3] != ' ' {
		return t, false
	}
	local, ok := times.Seconds(times.Century(year), month, day, hour, minute, second)
	millis := times.Digits(s, at, 3)
	utc, n, known := z.From(s[at+3:], local)
	if !ok || millis < 0 || n == 0 || at+3+n != len(s) {
		return t, false
	}
	return times.Instant{Micros: utc*1_000_000 + int64(millis)*1000, Finer: !known, OK: true}, true
}

// clocked reads zerolog's "10:00AM INF ", and Elixir's time, metadata and level.
func (h *oddHead) clocked(s []byte, z *times.Zone) {
	if n := bytes.IndexByte(s[:min(len(s), 8)], ' '); n >= 6 && (s[n-1] == 'M') {
		t, k := kitchen(s[:n], z)
		level := words.First(s[n+1:])
		if k && levels.Is(level) {
			h.At, h.Time, h.Level = t, s[:n], level
			h.n = min(len(s), n+1+len(level)+1)
		}
		return
	}
	t, n := times.Clock(s, z)
	if n == 0 || n == len(s) || s[n] != ' ' {
		return
	}
	rest := s[n+1 : min(len(s), n+512)]
	end := bytes.Index(rest, []byte(" ["))
	if end <= 0 {
		return
	}
	for pair := range bytes.SplitSeq(rest[:end], []byte(" ")) {
		if i := bytes.IndexByte(pair, '='); i <= 0 || !words.IsWord(pair[:i]) {
			return
		}
	}
	level, _, ok := bytes.Cut(rest[end+2:], []byte("]"))
	if !ok || !levels.Is(level) {
		return
	}
	h.At, h.Time, h.Level, h.metadata = t, s[:n], level, rest[:end]
	h.n = n + 1 + end + 2 + len(level) + 1
	for h.n < len(s) && s[h.n] == ' ' {
		h.n++
	}
}

// kitchen reads a whole "3:04PM".
func kitchen(s []byte, z *times.Zone) (times.Instant, bool) {
	colon := bytes.IndexByte(s, ':')
	if colon < 1 || len(s) != colon+5 {
		return times.Instant{}, false
	}
	var clock [8]byte // with seconds, which times.Clock wants
	hour, minute := times.Digits(s, 0, colon), times.Digits(s, colon+1, 2)
	if hour < 1 || hour > 12 || minute < 0 || s[colon+3] != 'A' && s[colon+3] != 'P' {
		return times.Instant{}, false
	}
	if hour %= 12; s[colon+3] == 'P' {
		hour += 12
	}
	copy(clock[:], "00:00:00")
	clock[0], clock[1], clock[3], clock[4] = '0'+byte(hour/10), '0'+byte(hour%10), s[colon+1], s[colon+2]
	t, n := times.Clock(clock[:], z)
	return t, n > 0
}

// logrusLevels are the names that logrus cuts to four letters.
var logrusLevels = map[string]string{
	"TRAC": "TRACE", "DEBU": "DEBUG", "INFO": "INFO", "WARN": "WARN", "ERRO": "ERROR", "FATA": "FATAL", "PANI": "FATAL",
}

// logrus reads "INFO[0000] ": the number has the seconds since the program's start.
func (h *oddHead) logrus(s []byte, _ *times.Zone) {
	level := logrusLevels[string(s[:4])]
	end := bytes.IndexByte(s[:min(len(s), 32)], ']')
	if level == "" || s[4] != '[' || end < 9 || end+1 == len(s) || s[end+1] != ' ' {
		return
	}
	in := s[5:end]
	if !words.IsNumber(in) { // full_timestamp
		t, n := times.ISO(in, &times.Zone{})
		if n == 0 || n != len(in) {
			return
		}
		h.At, h.Time = t, in
	} else {
		h.elapsed = in
	}
	h.Level, h.n = []byte(level), end+2
}

// weblogic reads "<time> <level> <subsystem> <machine> <server> <thread> <user> … <id> <message>"
// behind ####, and "<time> <level> <subsystem> <id> <message>" of its console.
func (h *oddHead) weblogic(s []byte, z *times.Zone) {
	rest := bytes.TrimPrefix(s, []byte("####"))
	file := len(rest) < len(s)
	if len(rest) < 8 || rest[0] != '<' {
		return
	}
	end := bytes.IndexByte(rest[:min(len(rest), 64)], '>')
	if end < 0 {
		return
	}
	stamp := rest[1:end]
	t, n := times.DateTime(stamp, z)
	if n == 0 || n != len(stamp) {
		return
	}
	rest = rest[end+1:]
	var in [13][]byte
	k := 0
	for ; k < len(in) && len(rest) > 1 && rest[0] == ' ' && rest[1] == '<'; k++ {
		end := bytes.Index(rest[2:], []byte("> <"))
		if end < 0 {
			break
		}
		in[k], rest = rest[2:2+end], rest[2+end+1:]
		if bytes.HasPrefix(in[k], []byte("BEA-")) {
			k++
			break
		}
	}
	if k < 3 || !levels.Is(in[0]) || len(rest) < 2 {
		return
	}
	h.At, h.Time, h.Level, h.Logger = t, stamp, in[0], in[1]
	h.code = in[k-1]
	if file && k > 5 {
		h.machine, h.program, h.Thread = in[2], in[3], in[4]
	}
	h.n = len(s) - len(rest) + 2
}
