package discover

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Formats are the types that a file may get. Each is the name of its parser,
// too.
var Formats = []string{"syslog", "combined", "log4j", "json", "raw"}

const sniffBytes = 16 << 10

// Times that the parser log4j reads at the start of a record.
const (
	clock         = `[0-2]\d:[0-5]\d:[0-6]\d`
	apacheTime    = `\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d ` + clock + `([.,]\d+)? \d{4}\]`
	isoTime       = `\[?\d{4}[-/]\d\d[-/]\d\d[ T_]` + clock // 2026-11-22 21:09:57,123
	frameworkTime = isoTime + `|` +
		`\d\d(0\d|1[0-2])([0-2]\d|3[01]) [0-2]\d[0-5]\d[0-6]\d\b|` + // 081109 203615, as Hadoop's older logs have it
		`\d\d/\d\d/\d\d ` + clock + `|` + // 17/06/09 20:10:40, as Spark has it
		`\d\d-[A-Z][a-z]{2}-\d{4} ` + clock + `|` + // 28-Nov-2026 10:00:00.123, as Tomcat has it
		julTime + `|` +
		clock + `[.,]\d+ +(\[|[A-Z]{4,7} )|` + // 10:00:00.123 [main], logback's without a config
		`\[?` + levelName + `\s*\]?\s+(\[[^\]]{0,200}\] )?` + isoTime // INFO  [main] 2026-11-28 10:00:00,123, Cassandra's
	julTime   = `[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:[0-5]\d:[0-6]\d [AP]M` // Nov 28, 2026 10:00:00 AM, java.util.logging's
	levelName = `(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)`
)

// Log4jStart matches the first line of a record in files of the format log4j:
// lines without a time, such as those of stack traces, belong to the record
// before them.
const Log4jStart = `^(` + apacheTime + `|` + frameworkTime + `)`

var (
	// RFC 3164 with or without a priority, RFC 5424, and what rsyslog and
	// systemd write today: the RFC 3164 line with an ISO time.
	syslogRE = regexp.MustCompile(`^(<\d{1,3}>1 \d{4}-|(<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)) \S+ [^\s:]+:)`)
	// Apache's common and combined log format, which nginx writes, too.
	combinedRE = regexp.MustCompile(`^\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "`)
	// What logging frameworks write: a time and, near it, a level.
	log4jRE = regexp.MustCompile(`^(` + levelName + `\s+(\[[^\]]{0,200}\] )?` + isoTime + `|(` + frameworkTime + `).{0,80}?(\b` + levelName + `\b|` +
		`\[([a-z0-9_]+:)?(trace\d?|debug|info|notice|warn|error|crit|alert|emerg)\]))`)
	// Apache's error log and java.util.logging: their times are like no others'.
	ownTimeRE = regexp.MustCompile(`^(` + apacheTime + `|` + julTime + `)`)
)

// sniff tells a text's format by its first lines.
func sniff(head []byte) string {
	var lines [][]byte
	for _, l := range bytes.Split(head, []byte("\n")) {
		if l = bytes.TrimRight(l, "\r"); len(bytes.TrimSpace(l)) > 0 && len(lines) < 100 {
			lines = append(lines, l)
		}
	}
	if len(head) >= sniffBytes && len(lines) > 1 {
		lines = lines[:len(lines)-1] // the last one may be cut off
	}
	if len(lines) == 0 {
		return ""
	}
	count := map[string]int{}
	for _, l := range lines {
		switch {
		case l[0] == '{' && json.Valid(l):
			count["json"]++
		case combinedRE.Match(l):
			count["combined"]++
		case syslogRE.Match(l):
			count["syslog"]++
		case log4jRE.Match(l), ownTimeRE.Match(l):
			count["log4j"]++
		}
	}
	for _, f := range Formats {
		need := 0.7
		if f == "log4j" {
			need = 0.1 // most lines may belong to stack traces
		}
		if n := count[f]; n > 0 && float64(n) >= need*float64(len(lines)) {
			return f
		}
	}
	return "raw"
}

// guess tells an empty file's format by its name, "" where that says nothing.
func guess(base string) string {
	name := path.Base(base)
	switch {
	case slices.Contains([]string{"syslog", "messages", "secure", "maillog", "cron", "auth.log", "kern.log",
		"daemon.log", "user.log", "mail.log", "mail.err", "mail.warn", "cron.log", "debug"}, name):
		return "syslog"
	case strings.HasSuffix(name, "access.log") || name == "access_log":
		return "combined"
	case strings.HasSuffix(name, "error.log") || name == "error_log":
		return "log4j" // of Apache, nginx and their like
	}
	return ""
}

// logins are records of fixed size that login and its like keep.
var logins = []string{"wtmp", "btmp", "utmp", "lastlog", "faillog", "tallylog", "wtmpx", "btmpx"}

var packed = map[string]bool{".gz": true, ".xz": true, ".bz2": true, ".zst": true, ".lz4": true, ".zip": true, ".Z": true, ".lzma": true}

// notText says why a file with that name can't be read as text, "" if it can.
func notText(name string) string {
	base := name
	if i := strings.IndexAny(name, ".-"); i > 0 {
		base = name[:i]
	}
	switch {
	case slices.Contains(logins, base):
		return "binary records of logins"
	case strings.HasSuffix(name, ".journal") || strings.HasSuffix(name, ".journal~"):
		return "a journal of systemd, binary"
	case packed[path.Ext(name)]:
		return "compressed"
	case strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".tmp"):
		return "a temporary file"
	}
	return ""
}

var magics = map[string]string{
	"\x1f\x8b": "compressed", "\x28\xb5\x2f\xfd": "compressed", "\xfd7zXZ\x00": "compressed", "BZh": "compressed",
	"PK\x03\x04": "compressed", "\x04\x22\x4d\x18": "compressed", "LPKSHHRH": "a journal of systemd, binary",
	"SQLite format 3\x00": "a database", "\x7fELF": "a program", "Obj\x01": "an Avro file", "PAR1": "a Parquet file",
}

// notTextHead says why a file that starts like that is no text, "" if it is.
func notTextHead(head []byte) string {
	for magic, reason := range magics {
		if bytes.HasPrefix(head, []byte(magic)) {
			return reason
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return "binary"
	}
	// Latin-1 and its like are text, too: only many bytes that are no UTF-8
	// speak against it.
	bad := 0
	for b := head; len(b) > 0; {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) > utf8.UTFMax || n == 1 && b[0] < ' ' && !strings.ContainsRune("\t\n\r\x1b\f\b", rune(b[0])) {
			bad++
		}
		b = b[n:]
	}
	if bad*10 > len(head) {
		return "binary"
	}
	return ""
}

// rotated ends the name of a file that logrotate and its like moved away:
// .1, .12, -20260131, .2026-01-31, -20260131-1769817601.
var rotated = regexp.MustCompile(`([.-](\d{1,3}|\d{8}([.-]\d+)?|\d{4}-\d\d-\d\d([.-]\d+)?|old|\d{10}))+$`)

// baseOf is the name that a rotated file had before: /var/log/syslog of
// /var/log/syslog.1 and /var/log/syslog.2.gz.
func baseOf(name string) string {
	if packed[path.Ext(name)] {
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	if base := rotated.ReplaceAllString(name, ""); path.Base(base) != "." && !strings.HasSuffix(base, "/") {
		return base
	}
	return name
}

var globSpecial = regexp.MustCompile(`[][{}*?\\]`)

// globOf matches the file and what it is called once it was rotated.
func globOf(base string) string {
	return globSpecial.ReplaceAllString(base, `\$0`) + "{,[.-][0-9]*,[.-]old}"
}
