package parse

import (
	"bytes"
	"regexp"
)

// Times at the start of a record, as log4j and its like write them.
const (
	clockLike     = `[0-2]\d:[0-5]\d:[0-6]\d`
	apacheLike    = `\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d ` + clockLike + `([.,]\d+)? \d{4}\]`
	isoLike       = `\[?\d{4}[-/]\d\d[-/]\d\d(, |[ T_])` + clockLike // 2026-11-22 21:09:57,123
	frameworkLike = isoLike + `|` +
		`\d\d(0\d|1[0-2])([0-2]\d|3[01]) [0-2]\d[0-5]\d[0-6]\d\b|` + // 081109 203615, as Hadoop's older logs have it
		`\d\d/\d\d/\d\d ` + clockLike + `|` + // 17/06/09 20:10:40, as Spark has it
		`\[?\d\d-[A-Z][a-z]{2}-\d{4} ` + clockLike + `|` + // 28-Nov-2026 10:00:00.123, as Tomcat and PHP have it
		julLike + `|` +
		clockLike + `[.,]\d+ +(\[|[A-Z]{4,7} )|` + // 10:00:00.123 [main], logback's without a config
		`\[?` + levelLike + `\s*\]?\s+(\[[^\]]{0,200}\] )?` + isoLike // INFO  [main] 2026-11-28 10:00:00,123, Cassandra's
	julLike   = `[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:[0-5]\d:[0-6]\d [AP]M` // Nov 28, 2026 10:00:00 AM, java.util.logging's
	levelLike = `(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)`
	shortLike = `(VRB|TRC|DBG|INF|WRN|ERR|FTL)` // Serilog's, zerolog's
	lowerLike = `(trace\d?|debug|verbose|info|information|notice|warn|warning|error|crit|critical|alert|emerg|fatal)`

	// oddLike are heads that no others look like.
	oddLike = `[DIWEFA], \[\d{4}-\d\d-\d\dT` + clockLike + `|` + // Ruby's
		`(trce|dbug|info|warn|fail|crit): [^\s\[]+\[\d+\]|` + // .NET's
		`(DEBUG|INFO|WARNING|ERROR|CRITICAL):([^\s:]{1,200}:| {2,5}\S)|` + // Python's basicConfig, uvicorn's
		clockLike + `[.,]\d+ ([a-z_]+=\S+ )*\[` + lowerLike + `\] |` + // Elixir's
		`\[` + clockLike + ` ` + shortLike + `\] |` + // Serilog's on a console
		`\d{1,2}:[0-5]\d[AP]M ` + shortLike + ` |` + // zerolog's on a console
		`(TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[\d{4,}\] |` + // logrus' on a terminal
		`(####)?<[A-Z][a-z]{2} \d{1,2}, \d{4},? \d{1,2}:[0-5]\d:[0-6]\d([,.]\d+)? [AP]M [A-Z]{3,5}> <|` + // WebLogic's
		`\[\d{1,2}/\d{1,2}/\d\d,? \d{1,2}:[0-5]\d:[0-6]\d:\d{3} [A-Z]{3,5}\] [0-9a-f]{8} ` // WebSphere's

	// log4jStart matches the first line of a record, coloured or not: lines without a
	// time, such as those of stack traces, belong to the record before them. Agents
	// try it on each line, so it looks at no more than it must.
	log4jStart = `^(\x1b\[[0-9;]*m)*(` +
		`\[?\d{4}[-/.]\d\d[-/.]\d\d,?[ T_]\d\d:\d\d:|` +
		`\[?\d\d(-[A-Z][A-Za-z][A-Za-z]-\d{4}|/\d\d/\d\d|/[A-Z][a-z][a-z]/\d{4}) ?:?\d\d:\d\d:|` +
		`\d\d? [A-Z][a-z][a-z] \d{4} \d\d:\d\d:|\d{4} [A-Z][a-z][a-z] \d\d? \d\d:\d\d:|` +
		`\d{6} \d{6}\b|` +
		`\[?([A-Z][a-z][a-z],? )?[A-Z][a-z][a-z] [ \d]?\d,? (\d{4},? )?\d\d:\d\d:|` +
		`[A-Z][a-z][a-z], \d\d?[ -][A-Z][a-z][a-z][ -]\d+ \d\d:|` +
		`[A-Z][a-z][a-z] \d+, \d{4} \d+:\d\d:\d\d [AP]M|` +
		`\[?\d+/\d+/\d{4},? \d+:\d\d:\d\d [AP]M|` +
		`\d\d:\d\d:\d\d([.,]\d+)?\s+(\[|[A-Z]{4,8}\s|[a-z_]+=)|` +
		`\[\d\d:\d\d:\d\d([.,]\d+)?\] (\[|[A-Z]{4,8}\b)|` +
		`\[?(` + levelLike + `|` + lowerLike + `)\s*\]?\s+(\[[^\]]*\] )?\[?\d{4}[-/]|` +
		`[DIWEFA], \[\d{4}-|(trce|dbug|info|warn|fail|crit): \S+\[\d+\]|(DEBUG|INFO|WARNING|ERROR|CRITICAL):([^\s:]+:|  )|` +
		`\[\d\d:\d\d:\d\d [A-Z]{3}\] |\d+:\d\d[AP]M[ \x1b\[\dm]+[A-Z]{3}[ \x1b]|[A-Z]{4}(\x1b\[\d*m)?\[\d{4,}\] |(####)?<[A-Z][a-z][a-z] \d+, \d{4}|` +
		`\[\d+/\d+/\d\d,? \d+:\d\d:\d\d:\d{3} |` +
		`[EWNIDXAC] \[\d\d/[A-Z][a-z][a-z]/\d{4}:|\[1\d{9}\] |` + levelLike + `\s+\[\d\d-\d\d\||\[\d{4}/\d\d/\d\d \d\d:| {0,6}\d+:\d{8}:\d{6}\.\d|` +
		`=[A-Z ]+ REPORT==== |\[Nest\] |\[ *\d+\.\d+s\] +[A-Z]|\[` + levelLike + `\] |` +
		` {1,8}\d{4}[-/]\d\d[-/]\d\d[ T][\d:.Z+-]+ \[[A-Z])`
)

// What logging frameworks write: a time and, near it, a level; and Apache's error
// log, java.util.logging and PHP, whose times are like no others'.
var likeLog4j = regexp.MustCompile(`^(` + levelLike + `\s+(\[[^\]]{0,200}\] )?` + isoLike + `|(` + frameworkLike + `).{0,80}?(\b` + levelLike + `\b|` +
	`\b` + shortLike + `\b|\[([a-z0-9_]+:)?` + lowerLike + `\])|` + apacheLike + `|` + julLike + `|` + oddLike + `|\[\d\d-[A-Z][a-z]{2}-\d{4} ` + clockLike + `(\.\d+)?[^\]]{0,40}\] (PHP )?[A-Z])`)

// likelyLog4j reports whether a line begins with a time, or as records do that have none.
// Behind a time stands no comma, as in a table.
func likelyLog4j(line []byte) bool {
	f := newLog4j()
	if !f.starts(line) {
		return false
	}
	_, n := f.time(line, &f.seen)
	if n == len(line) {
		i := bytes.LastIndexByte(line, ',')
		return i < 0 || n-i == len(",123") || n-i == len(",123456")
	}
	return line[n] != ','
}

// sureLog4j reports whether a line is one of a logging framework, which what the JVM
// writes of its collector with the same decorations is not.
func sureLog4j(line []byte) bool {
	return likeLog4j.Match(line) && (line[0] != '[' || !bytes.Contains(line[:min(len(line), 80)], []byte("s][")) || !sureGC.Match(line))
}
