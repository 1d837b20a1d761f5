// Package levels knows the names and numbers of levels.
package levels

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/colours"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

// Of maps the names that formats have for their levels, whatever their
// case: those of log4j, java.util.logging, slf4j, syslog, Apache, glog, Go,
// Python and .NET; and the numbers of bunyan and pino (10 to 60) and of syslog
// (0 to 7).
func Of(name []byte) rows.Level {
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
	case "trace", "finest", "finer", "verbose", "trc", "trce", "t", "v", "10":
		return rows.Trace
	case "debug", "fine", "dbg", "dbug", "debug1", "debug2", "debug3", "debug4", "debug5", "d", "d1", "d2", "d3", "d4", "d5", "20", "7":
		return rows.Debug
	case "info", "note", "notice", "information", "informational", "config", "log", "inf", "success", "i", "n", "30", "6", "5":
		return rows.Info
	case "warn", "warning", "wrn", "w", "40", "4":
		return rows.Warn
	case "error", "err", "eror", "severe", "fail", "e", "50", "3":
		return rows.Error
	case "fatal", "crit", "critical", "alert", "emerg", "emergency", "panic", "fault", "dpanic", "ftl", "f", "60", "2", "1", "0":
		return rows.Fatal
	}
	return rows.NoLevel
}

// Named is Of for a level as it is written: with spaces and colours around it,
// or with what Go's slog adds to it: WARN+1.
func Named(s []byte) rows.Level {
	if l := Of(s); l != rows.NoLevel { // most often
		return l
	}
	s = bytes.TrimSpace(s)
	if bytes.IndexByte(s, colours.Escape) >= 0 {
		s = bytes.TrimSpace(colours.Off(nil, s))
	}
	if i := bytes.IndexAny(s, "+-"); i >= 4 && i < len(s)-1 && words.IsNumber(s[i+1:]) {
		s = s[:i]
	}
	return Of(s)
}

// Severity maps syslog's severities (RFC 5424, 6.2.1).
func Severity(n int) rows.Level {
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

// Is reports whether a word is a level's name, in letters.
func Is(w []byte) bool {
	return len(w) >= 3 && w[0] >= 'A' && Of(w) != rows.NoLevel
}
