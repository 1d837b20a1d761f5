package filter

import (
	"bytes"
	"strings"
)

// Level is how much a record matters. Unknown is the level of a record that
// tells none.
type Level int8

const (
	Unknown Level = iota
	Trace
	Debug
	Info
	Notice
	Warn
	Error
	Critical
	Alert
	Emergency
)

var levelNames = [...]string{"unknown", "trace", "debug", "info", "notice", "warn", "error", "critical", "alert", "emergency"}

func (l Level) String() string { return levelNames[l] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// levelWords are the names that programs give to levels, in lower case.
var levelWords = map[string]Level{
	"trace": Trace, "trc": Trace, "verbose": Trace, "finest": Trace, "finer": Trace,
	"debug": Debug, "dbg": Debug, "fine": Debug,
	"info": Info, "inf": Info, "information": Info, "informational": Info,
	"notice": Notice,
	"warn":   Warn, "warning": Warn, "wrn": Warn,
	"error": Error, "err": Error, "severe": Error,
	"critical": Critical, "crit": Critical, "fatal": Critical, "ftl": Critical, "dpanic": Critical,
	"alert":     Alert,
	"emergency": Emergency, "emerg": Emergency, "panic": Emergency,
}

const maxLevelWord = 13 // bytes of the longest of them

// parseLevel reads a level's name, in any case.
func parseLevel(word []byte) Level {
	if len(word) < 3 || len(word) > maxLevelWord {
		return Unknown
	}
	var lower [maxLevelWord]byte
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return levelWords[string(lower[:len(word)])]
}

// syslogLevels are the severities of RFC 5424, section 6.2.1.
var syslogLevels = [...]Level{Emergency, Alert, Critical, Error, Warn, Notice, Info, Debug}

// levelOf finds the level that a record tells, without parsing it whole: a
// syslog priority, a klog prefix, a key of a JSON object or of logfmt, or a
// level's name near the start.
func levelOf(b []byte) Level {
	b = bytes.TrimLeft(b, " \t")
	if len(b) == 0 {
		return Unknown
	}
	switch b[0] {
	case '{':
		return jsonLevel(b)
	case '<':
		if l := priority(b); l != Unknown {
			return l
		}
	case 'I', 'W', 'E', 'F':
		if l := klogLevel(b); l != Unknown {
			return l
		}
	}
	key, keyAt := logfmtLevel(b)
	word, wordAt, _ := wordLevel(b)
	if key != Unknown && (word == Unknown || keyAt < wordAt) {
		return key
	}
	return word
}

// priority reads "<134>".
func priority(b []byte) Level {
	n := 0
	for i := 1; i < len(b) && i < 5; i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + int(c-'0')
		case c == '>' && i > 1 && n <= 191:
			return syslogLevels[n&7]
		default:
			return Unknown
		}
	}
	return Unknown
}

// klogLevel reads "I0102 15:04:05.000000".
func klogLevel(b []byte) Level {
	if len(b) < 6 || b[5] != ' ' {
		return Unknown
	}
	for _, c := range b[1:5] {
		if c < '0' || c > '9' {
			return Unknown
		}
	}
	switch b[0] {
	case 'I':
		return Info
	case 'W':
		return Warn
	case 'E':
		return Error
	}
	return Critical
}

// The keys of JSON objects that hold a level, the usual ones first.
var levelKeys = []string{"level", "severity", "lvl", "levelname", "loglevel", "log.level", "severity_text", "PRIORITY", "@l"}

func jsonLevel(b []byte) Level {
	for _, key := range levelKeys {
		value, ok := jsonValue(b, key)
		if !ok {
			continue
		}
		if l := parseLevel(value); l != Unknown {
			return l
		}
		if l := numberLevel(value); l != Unknown {
			return l
		}
	}
	return Unknown
}

// numberLevel reads a syslog severity, or a multiple of ten as bunyan and pino
// write them.
func numberLevel(b []byte) Level {
	if len(b) == 1 && b[0] >= '0' && b[0] <= '7' {
		return syslogLevels[b[0]-'0']
	}
	if len(b) == 2 && b[1] == '0' && b[0] >= '1' && b[0] <= '6' {
		return [...]Level{Trace, Debug, Info, Warn, Error, Critical}[b[0]-'1']
	}
	return Unknown
}

// jsonValue returns the raw value of a key of the object that b is: what is
// between the quotes of a string, or a number. Where the object itself has no
// such key, one of an object in it does.
func jsonValue(b []byte, key string) (value []byte, ok bool) {
	var inner []byte
	for from := 0; ; {
		i := indexKey(b[from:], key)
		if i < 0 {
			return inner, inner != nil
		}
		at := from + i
		from = at + len(key) + 2
		v, isKey := valueAfter(b[from:])
		if !isKey {
			continue
		}
		if depth(b[:at]) == 1 {
			return v, true
		}
		if inner == nil {
			inner = v
		}
	}
}

// indexKey finds the key in its quotes.
func indexKey(b []byte, key string) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(key))
		if i < 0 {
			return -1
		}
		at := from + i
		end := at + len(key)
		if at > 0 && b[at-1] == '"' && end < len(b) && b[end] == '"' && (at < 2 || b[at-2] != '\\') {
			return at - 1
		}
		from = end
	}
}

// valueAfter reads ": value".
func valueAfter(b []byte) (value []byte, ok bool) {
	b = bytes.TrimLeft(b, " \t")
	if len(b) == 0 || b[0] != ':' {
		return nil, false
	}
	b = bytes.TrimLeft(b[1:], " \t")
	if len(b) > 0 && b[0] == '"' {
		return quoted(b[1:]), true
	}
	n := 0
	for n < len(b) && (b[n] >= '0' && b[n] <= '9' || b[n] == '-' || b[n] == '.') {
		n++
	}
	return b[:n], true
}

// quoted is what stands before the next quote that is not escaped.
func quoted(b []byte) []byte {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 {
			return b
		}
		end := from + i
		slashes := 0
		for end-slashes > 0 && b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return b[:end]
		}
		from = end + 1
	}
}

// depth tells how many objects and lists are open at the end of b.
func depth(b []byte) int {
	if bytes.IndexByte(b[1:], '{') < 0 && bytes.IndexByte(b[1:], '[') < 0 {
		return 1
	}
	n := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			n++
		case '}', ']':
			n--
		case '"':
			i += len(quoted(b[i+1:])) + 1
		}
	}
	return n
}

var logfmtLevels = []string{"level=", "lvl=", "severity=", "loglevel="}

func logfmtLevel(b []byte) (Level, int) {
	for _, key := range logfmtLevels {
		if value, at := logfmtValue(b, key); at >= 0 {
			if l := parseLevel(value); l != Unknown {
				return l, at
			}
		}
	}
	return Unknown, -1
}

// logfmtValue returns the value behind "key=", without its quotes; at is -1
// where there is none.
func logfmtValue(b []byte, key string) (value []byte, at int) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(key))
		if i < 0 {
			return nil, -1
		}
		at := from + i
		from = at + len(key)
		if at > 0 && !strings.ContainsRune(" \t,[|", rune(b[at-1])) {
			continue
		}
		v := b[from:]
		if len(v) > 0 && v[0] == '"' {
			return quoted(v[1:]), at
		}
		if n := bytes.IndexAny(v, " \t,]|"); n >= 0 {
			v = v[:n]
		}
		return v, at
	}
}

// nearStart is how far a level's name may be from a record's start.
const nearStart = 160

// wordLevel finds a level's name as a word of its own near the start of b:
// in capitals, or in brackets, or with a colon behind it.
func wordLevel(b []byte) (l Level, at, end int) {
	b = b[:min(len(b), nearStart+maxLevelWord)]
	for i := 0; i < len(b) && i < nearStart; {
		if !isLetter(b[i]) {
			i++
			continue
		}
		start, upper := i, true
		for i < len(b) && isLetter(b[i]) {
			upper = upper && b[i] < 'a'
			i++
		}
		if i-start < 3 || i-start > maxLevelWord {
			continue
		}
		before, after := byte(' '), byte(' ')
		if start > 0 {
			before = b[start-1]
		}
		if i < len(b) {
			after = b[i]
		}
		if joins(before) || before == '.' || before == '-' || before == '/' || joins(after) {
			continue
		}
		if !upper && after != ':' && !(after == ']' && (before == '[' || before == ':')) {
			continue
		}
		if l := parseLevel(b[start:i]); l != Unknown {
			return l, start, i
		}
	}
	return Unknown, -1, -1
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// joins reports whether c makes one word with the letters beside it.
func joins(c byte) bool { return c >= '0' && c <= '9' || c == '_' || c == '=' || c >= 0x80 }
