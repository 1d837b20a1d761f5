package filter

import "bytes"

// record is one record's text, and what was found in it so far.
type record struct {
	text  []byte
	level Level
	known bool // level was looked for
}

func (r *record) levelOf() Level {
	if !r.known {
		r.level, r.known = levelOf(r.text), true
	}
	return r.level
}

// The keys of JSON objects and of logfmt that hold a logger's name and a
// message.
var (
	loggerKeys  = []string{"logger", "logger_name", "loggerName", "log.logger", "category", "SYSLOG_IDENTIFIER", "name"}
	messageKeys = []string{"message", "msg", "MESSAGE", "log", "body"}
)

func (r *record) isJSON() bool {
	b := bytes.TrimLeft(r.text, " \t")
	return len(b) > 0 && b[0] == '{'
}

// loggerOf returns the logger's name, empty where none is found: of a JSON
// object, of logfmt, or what stands behind the level as log4j, logback and
// Python write it.
func (r *record) loggerOf() []byte {
	if r.isJSON() {
		for _, key := range loggerKeys {
			if v, ok := jsonValue(r.text, key); ok && len(v) > 0 {
				return v
			}
		}
		return nil
	}
	if v, at := logfmtValue(r.text, "logger="); at >= 0 {
		return v
	}
	_, logger, _ := r.layout()
	return logger
}

// layout takes a line such as "TIME LEVEL [thread] logger - message" apart:
// what stands behind the level, the logger, and what stands behind it.
func (r *record) layout() (afterLevel, logger, afterLogger []byte) {
	_, _, end := wordLevel(r.text)
	if end < 0 {
		return nil, nil, nil
	}
	rest := r.text[end:]
	for {
		rest = bytes.TrimLeft(rest, " \t:-]|,)")
		if len(rest) == 0 {
			return afterLevel, nil, nil
		}
		if afterLevel == nil {
			afterLevel = rest
		}
		if rest[0] == '[' || rest[0] == '(' { // a thread, a place in the source
			end := bytes.IndexAny(rest, "])")
			if end < 0 {
				return afterLevel, nil, nil
			}
			rest = rest[end+1:]
			continue
		}
		n := bytes.IndexAny(rest, " \t:,(")
		if n < 0 {
			n = len(rest)
		}
		if n > 0 && allDigits(rest[:n]) { // a process' number
			rest = rest[n:]
			continue
		}
		return afterLevel, rest[:n], messageBehind(rest[n:])
	}
}

// messageBehind skips what stands between a logger and its message.
func messageBehind(b []byte) []byte {
	b = bytes.TrimLeft(b, " \t")
	if len(b) > 0 && (b[0] == '(' || b[0] == '[') {
		if end := bytes.IndexAny(b, ")]"); end >= 0 {
			b = b[end+1:]
		}
	}
	return bytes.TrimLeft(b, " \t:-")
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// messages returns where the record's message may start.
func (r *record) messages() [][]byte {
	if r.isJSON() {
		var out [][]byte
		for _, key := range messageKeys {
			if v, ok := jsonValue(r.text, key); ok {
				out = append(out, v)
			}
		}
		return out
	}
	for _, key := range []string{"msg=", "message="} {
		if v, at := logfmtValue(r.text, key); at >= 0 {
			return [][]byte{v}
		}
	}
	afterLevel, _, afterLogger := r.layout()
	return [][]byte{afterLevel, afterLogger}
}
