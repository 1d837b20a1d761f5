package parse

import (
	"bytes"
	"regexp"
)

// Times at the start of a record, as log4j and its like write them.
const (
	clockLike     = `[0-2]\d:[0-5]\d:[0-6]\d`
	apacheLike    = `\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d ` + clockLike + `([.,]\d+)? \d{4}\]`
	isoLike       = `\[?\d{4}[-/]\d\d[-/]\d\d[ T_]` + clockLike // 2026-11-22 21:09:57,123
	frameworkLike = isoLike + `|` +
		`\d\d(0\d|1[0-2])([0-2]\d|3[01]) [0-2]\d[0-5]\d[0-6]\d\b|` + // 081109 203615, as Hadoop's older logs have it
		`\d\d/\d\d/\d\d ` + clockLike + `|` + // 17/06/09 20:10:40, as Spark has it
		`\d\d-[A-Z][a-z]{2}-\d{4} ` + clockLike + `|` + // 28-Nov-2026 10:00:00.123, as Tomcat has it
		julLike + `|` +
		clockLike + `[.,]\d+ +(\[|[A-Z]{4,7} )|` + // 10:00:00.123 [main], logback's without a config
		`\[?` + levelLike + `\s*\]?\s+(\[[^\]]{0,200}\] )?` + isoLike // INFO  [main] 2026-11-28 10:00:00,123, Cassandra's
	julLike   = `[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:[0-5]\d:[0-6]\d [AP]M` // Nov 28, 2026 10:00:00 AM, java.util.logging's
	levelLike = `(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)`

	// mysqlLike is what MySQL's and MariaDB's logs of all versions have: 161128 10:00:00,
	// 2016-11-28  9:00:00, 2026-02-28T10:00:00.123456Z.
	mysqlLike = `(\d{6}|\d{4}-\d\d-\d\d)[T ] ?\d{1,2}:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`

	// log4jStart matches the first line of a record: lines without a time, such as
	// those of stack traces, belong to the record before them.
	log4jStart = `^(` + apacheLike + `|` + frameworkLike + `)`
)

var (
	// A priority, as in RFC 5424; or RFC 3164 without one, also with an ISO time, as
	// rsyslog and systemd write it today; or what Cisco's systems write.
	sureSyslog = regexp.MustCompile(`^(<\d{1,3}>|([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)) \S+ [^\s:]+:|[^%]{0,120}%[A-Z0-9_]+-([A-Z0-9_]+-)?[0-7]-[A-Z0-9_]+:)`)
	// Apache's common and combined log format, which nginx writes, too; perhaps with the
	// virtual host before it.
	sureCombined = regexp.MustCompile(`^(\S+ )?\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "`)
	sureALB      = regexp.MustCompile(`^(https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ `)
	sureELB      = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ `)
	sureHAProxy  = regexp.MustCompile(`:\d{1,5} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] \S+ `)
	sureGC       = regexp.MustCompile(`^(\[[^\]]+\])*\[gc[,\] ]|\[(Full )?GC( |\()`)
	// The slow log; the error log, whose old times, with a year of two digits, no other
	// program writes; the general log; and the error log as JSON.
	sureMySQL = regexp.MustCompile(`^# (Time|User@Host): |` +
		`^` + mysqlLike + `( (0x)?[0-9a-f]+ \[(Note|Warning|ERROR|System)\] | +((0x)?[0-9a-f]+ )?InnoDB: | mysqld_safe |\t+ *\d+ [A-Z][A-Za-z ]{2,20}(\t|$))|` +
		`^\d{6}  ?\d{1,2}:\d\d:\d\d \[(Note|Warning|ERROR)\] |^\{ "prio" : `)
	sureMongoDB = regexp.MustCompile(`^(\{"t":\{"\$date":|\d{4}-\d\d-\d\dT\S+ [DIWEF]\d? [A-Z-]+ +\[)`)
	sureEnvoy   = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\S+\] "\S+ .* \S+" `)
	// What logging frameworks write: a time and, near it, a level; and Apache's error
	// log and java.util.logging, whose times are like no others'.
	sureLog4j = regexp.MustCompile(`^(` + levelLike + `\s+(\[[^\]]{0,200}\] )?` + isoLike + `|(` + frameworkLike + `).{0,80}?(\b` + levelLike + `\b|` +
		`\[([a-z0-9_]+:)?(trace\d?|debug|info|notice|warn|error|crit|alert|emerg)\])|` + apacheLike + `|` + julLike + `)`)
)

// surePairs reports whether a line is pairs of keys and values, and hardly anything
// else.
func surePairs(line []byte) bool {
	s := line
	pairs, bare := 0, 0
	for {
		s = bytes.TrimLeft(s, " \t")
		if len(s) == 0 {
			break
		}
		n := keyEnd(s)
		if n == 0 {
			return false
		}
		key := s[:n]
		if s = s[n:]; len(s) == 0 || s[0] != '=' {
			if bare++; pairs == 0 {
				return false
			}
			continue
		}
		if !plainKey(key) {
			return false
		}
		pairs++
		if s = s[1:]; len(s) > 0 && s[0] == '"' {
			end := closing(s)
			if end < 0 {
				return false
			}
			s = s[end:]
			continue
		}
		s = s[valueEnd(s):]
	}
	return pairs >= 2 && bare*4 <= pairs
}

// closing returns where the quotes that s starts with end; -1 if they don't.
func closing(s []byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func plainKey(key []byte) bool {
	for i, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '.' && c != '-' && c != '/') {
			return false
		}
	}
	return true
}

// evenly returns a check of a text: whether it is a heading of names with a delimiter
// between, and rows of as many fields.
func evenly(delimiter byte) func(text []byte) bool {
	return func(text []byte) bool {
		var rows, like, names int
		for row := range unquotedLines(text) {
			if rows++; rows > 1 {
				if width(row, delimiter) == names {
					like++
				}
				continue
			}
			for name := range bytes.SplitSeq(row, []byte{delimiter}) {
				if !columnLike.Match(name) {
					return false
				}
				names++
			}
		}
		return names >= 3 && like > 0 && like*10 >= (rows-1)*9
	}
}

// hasLine returns a check of a text: whether a line of it starts so.
func hasLine(start string) func(text []byte) bool {
	return func(text []byte) bool {
		return bytes.HasPrefix(text, []byte(start)) || bytes.Contains(text, []byte("\n"+start))
	}
}

// columnLike is how headings name columns.
var columnLike = regexp.MustCompile(`^"?[\pL_#@][\pL\d_.@/()%-]*( [\pL\d_.@/()%-]+){0,3}"?$`)

// unquotedLines gives the lines of a text that do not end in quotes, without the empty
// ones.
func unquotedLines(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		first, quotes := 0, false
		for i, c := range text {
			if c == '"' {
				quotes = !quotes
			}
			if c != '\n' || quotes {
				continue
			}
			if line := trimLine(text[first : i+1]); len(line) > 0 && !yield(line) {
				return
			}
			first = i + 1
		}
	}
}

// width counts what delimiters outside of quotes part.
func width(line []byte, delimiter byte) int {
	n, quotes := 1, false
	for _, c := range line {
		switch {
		case c == '"':
			quotes = !quotes
		case c == delimiter && !quotes:
			n++
		}
	}
	return n
}
