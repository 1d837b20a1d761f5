package parse

import "regexp"

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

	// log4jStart matches the first line of a record: lines without a time, such as
	// those of stack traces, belong to the record before them.
	log4jStart = `^(` + apacheLike + `|` + frameworkLike + `)`
)

// What logging frameworks write: a time and, near it, a level; and Apache's error
// log and java.util.logging, whose times are like no others'.
var sureLog4j = regexp.MustCompile(`^(` + levelLike + `\s+(\[[^\]]{0,200}\] )?` + isoLike + `|(` + frameworkLike + `).{0,80}?(\b` + levelLike + `\b|` +
	`\[([a-z0-9_]+:)?(trace\d?|debug|info|notice|warn|error|crit|alert|emerg)\])|` + apacheLike + `|` + julLike + `)`)
