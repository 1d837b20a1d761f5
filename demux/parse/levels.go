package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/rows"
)

// levelOf maps the names that formats have for their levels, whatever their
// case: those of log4j, java.util.logging, slf4j, syslog, Apache, glog, Go,
// Python and .NET; and the numbers of bunyan and pino (10 to 60) and of syslog
// (0 to 7).
func levelOf(name []byte) rows.Level {
	var buf [14]byte
	if len(name) >= len(buf) {
		return rows.NoLevel
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(name)]) {
	case "trace", "finest", "finer", "verbose", "trc", "trce", "t", "10":
		return rows.Trace
	case "debug", "fine", "dbg", "dbug", "debug1", "debug2", "debug3", "debug4", "debug5", "d", "d1", "d2", "d3", "d4", "d5", "20", "7":
		return rows.Debug
	case "info", "note", "notice", "information", "informational", "config", "log", "inf", "success", "i", "n", "30", "6", "5":
		return rows.Info
	case "warn", "warning", "wrn", "w", "40", "4":
		return rows.Warn
	case "error", "err", "eror", "severe", "fail", "e", "50", "3":
		return rows.Error
	case "fatal", "crit", "critical", "alert", "emerg", "emergency", "panic", "dpanic", "ftl", "f", "60", "2", "1", "0":
		return rows.Fatal
	}
	return rows.NoLevel
}

// levelNamed is levelOf for a level as it is written: with spaces and colours around it,
// or with what Go's slog adds to it: WARN+1.
func levelNamed(s []byte) rows.Level {
	if l := levelOf(s); l != rows.NoLevel { // most often
		return l
	}
	s = bytes.TrimSpace(s)
	if bytes.IndexByte(s, escape) >= 0 {
		s = bytes.TrimSpace(uncoloured(nil, s))
	}
	if i := bytes.IndexAny(s, "+-"); i >= 4 && i < len(s)-1 && isNumber(s[i+1:]) {
		s = s[:i]
	}
	return levelOf(s)
}

// severity maps syslog's severities (RFC 5424, 6.2.1).
func severity(n int) rows.Level {
	switch {
	case n <= 2:
		return rows.Fatal
	case n == 3:
		return rows.Error
	case n == 4:
		return rows.Warn
	case n <= 6:
		return rows.Info
	}
	return rows.Debug
}
