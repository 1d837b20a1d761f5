package applog

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// form is a way in which records begin. A new one is a line here, and for an odd one
// the function that reads it.
type form struct {
	// examples are records of it: tests read them.
	examples []string
	// start matches the beginning of such a record's first line. Agents try it on each
	// line, so it looks at no more than it must.
	start string
	// sure matches the beginning of a line that is surely of an application's log, or of
	// one that is so if a level follows; both are empty where many other texts look like
	// it.
	sure, withLevel string
	// first are the bytes that an odd form begins with, and read reads it.
	first string
	read  func(h *oddHead, s []byte, z *times.Zone)
}

// Parts of the expressions.
const (
	clockLike = `[0-2]\d:[0-5]\d:[0-6]\d`
	isoLike   = `\[?\d{4}[-/]\d\d[-/]\d\d(, |[ T_])` + clockLike // 2026-11-22 21:09:57,123
	julLike   = `[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:[0-5]\d:[0-6]\d [AP]M`
	levelLike = `(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)`
	shortLike = `(VRB|TRC|DBG|INF|WRN|ERR|FTL)` // Serilog's, zerolog's
	lowerLike = `(trace\d?|debug|verbose|info|information|notice|warn|warning|error|crit|critical|alert|emerg|fatal)`
	monthLike = `[A-Z][a-z][a-z]`
)

// timeForms begin with a time, or with a level and a time: Time and levelFirst read them.
var timeForms = []form{
	{
		examples: []string{
			"2015-10-18 18:01:47,978 INFO [main] org.apache.Foo: message",
			"2015-07-29 17:41:44,747 - INFO  [thread:Class@774] - message",
			"2024-05-01T10:00:00.123Z [main] WARN  c.e.Foo - message",
			"2024-05-01 10:00:00.123  INFO 77 --- [main] c.e.Foo : message",
			"[2024-05-01T10:00:00,123][INFO ][o.e.n.Node] message",
			"2026-11-28 10:00:00,123 INFO  [org.jboss.as.server] (main) message",
			"2026-11-28 10:00:00,123 INFO  org.apache.flink.Foo    [] - message",
		},
		start:     `\[?\d{4}[-/.]\d\d[-/.]\d\d,?[ T_]\d\d:\d\d:`,
		withLevel: isoLike,
	},
	{ // Spark and Hadoop; Tomcat, PHP; Apache's access log among them
		examples:  []string{"17/06/09 20:10:40 INFO executor.Foo: message", "28-Nov-2026 10:00:00.123 INFO [main] org.apache.catalina.Foo.bar message"},
		start:     `\[?\d\d(-[A-Z][A-Za-z][A-Za-z]-\d{4}|/\d\d/\d\d|/` + monthLike + `/\d{4}) ?:?\d\d:\d\d:`,
		withLevel: `\d\d/\d\d/\d\d ` + clockLike + `|\[?\d\d-` + monthLike + `-\d{4} ` + clockLike,
	},
	{ // Splunk, the month first
		examples:  []string{"02-28-2026 10:00:00.123 +0000 INFO  TailReader [12 tailreader0] - message"},
		start:     `\d\d-\d\d-\d{4} \d\d:\d\d:\d\d\.\d+ [+-]\d{4} `,
		withLevel: `\d\d-\d\d-\d{4} ` + clockLike + `\.\d+ [+-]\d{4}`,
	},
	{ // with points, the day first
		examples:  []string{"28.02.2026 10:00:00,123 INFO [main] org.example.Foo: message"},
		start:     `\[?\d\d\.\d\d\.\d{4} \d\d:\d\d:`,
		withLevel: `\[?\d\d\.\d\d\.\d{4} ` + clockLike,
	},
	{ // Windows' setup and CBS
		examples: []string{"2026-02-28 10:00:00, Info                  CBS    message"},
		sure:     `\d{4}-\d\d-\d\d ` + clockLike + `, (Info|Warning|Error|Perf) {2,}`,
	},
	{ // Forge's Minecraft
		examples:  []string{"[28Feb2026 10:00:02.123] [main/INFO] [cpw.mods.Launcher/MOD]: message"},
		start:     `\[?\d\d` + monthLike + `\d{4} \d\d:\d\d:`,
		withLevel: `\[?\d\d` + monthLike + `\d{4} ` + clockLike,
	},
	{ // PHP's error log
		examples: []string{"[28-Nov-2026 10:00:00 UTC] PHP Warning:  message"},
		sure:     `\[\d\d-` + monthLike + `-\d{4} ` + clockLike + `(\.\d+)?[^\]]{0,40}\] (PHP )?[A-Z]`,
	},
	{ // Redis, Perl's localtime without its weekday
		examples: []string{"28 Nov 2026 10:00:00.123 # message", "2026 Nov 28 10:00:00 message"},
		start:    `\d\d? ` + monthLike + ` \d{4} \d\d:\d\d:|\d{4} ` + monthLike + ` \d\d? \d\d:\d\d:`,
	},
	{ // Hadoop's older logs
		examples:  []string{"081109 203615 148 INFO dfs.Foo: message"},
		start:     `\d{6} \d{6}\b`,
		withLevel: `\d\d(0\d|1[0-2])([0-2]\d|3[01]) [0-2]\d[0-5]\d[0-6]\d\b`,
	},
	{ // Apache's error log, ctime
		examples: []string{"[Sun Dec 04 04:47:44 2005] [notice] message"},
		start:    `\[?(` + monthLike + `,? )?` + monthLike + ` [ \d]?\d,? (\d{4},? )?\d\d:\d\d:`,
		sure:     `\[` + monthLike + ` ` + monthLike + ` [ \d]\d ` + clockLike + `([.,]\d+)? \d{4}\]`,
	},
	{ // RFC 1123, RFC 850
		examples: []string{"Sat, 28 Nov 2026 10:00:00 GMT message"},
		start:    monthLike + `, \d\d?[ -]` + monthLike + `[ -]\d+ \d\d:`,
	},
	{ // java.util.logging
		examples: []string{"Nov 28, 2026 10:00:00 AM org.apache.catalina.Foo bar\nINFO: message"},
		start:    monthLike + ` \d+, \d{4} \d+:\d\d:\d\d [AP]M`,
		sure:     julLike,
	},
	{ // .NET in the United States
		examples: []string{"11/28/2026 10:00:00 AM message"},
		start:    `\[?\d+/\d+/\d{4},? \d+:\d\d:\d\d [AP]M`,
	},
	{ // logback without a config
		examples:  []string{"10:00:00.123 [main] INFO  c.e.Foo - message"},
		start:     `\d\d:\d\d:\d\d([.,]\d+)?\s+(\[|[A-Z]{4,8}\s)`,
		withLevel: clockLike + `[.,]\d+ +(\[|[A-Z]{4,7} )`,
	},
	{ // Minecraft
		examples: []string{"[10:00:00] [Server thread/INFO]: message"},
		start:    `\[\d\d:\d\d:\d\d([.,]\d+)?\] (\[|[A-Z]{4,8}\b)`,
	},
	{ // Cassandra, Dropwizard
		examples:  []string{"INFO  [main] 2026-11-28 10:00:00,123 Foo.java:155 - message", "INFO  [2026-11-28 10:00:00,123] org.eclipse.jetty.server.Server: message"},
		start:     `\[?(` + levelLike + `|` + lowerLike + `)\s*\]?\s+(\[[^\]]*\] )?\[?\d{4}[-/]`,
		sure:      levelLike + `\s+(\[[^\]]{0,200}\] )?` + isoLike,
		withLevel: `\[?` + levelLike + `\s*\]?\s+(\[[^\]]{0,200}\] )?` + isoLike,
	},
	{ // Nagios
		examples: []string{"[1767225600] message"},
		start:    `\[1\d{9}\] `,
	},
	{ // Ethereum, Grafana's old logs
		examples: []string{"INFO [11-28|10:00:00.123] message"},
		start:    levelLike + `\s+\[\d\d-\d\d\|`,
	},
	{ // Go's programs that indent their logs
		examples: []string{"  2026-11-28T10:00:00Z [INFO]  message"},
		start:    ` {1,8}\d{4}[-/]\d\d[-/]\d\d[ T][\d:.Z+-]+ \[[A-Z]`,
	},
}

// oddForms begin with neither a time nor a level and a time.
var oddForms = []form{
	{ // Ruby
		examples: []string{"I, [2026-11-28T10:00:00.123456 #1234]  INFO -- app: message"},
		start:    `[DIWEFA], \[\d{4}-`,
		sure:     `[DIWEFA], \[\d{4}-\d\d-\d\dT` + clockLike,
		first:    "DIWEFA", read: (*oddHead).ruby,
	},
	{ // glog
		examples: []string{"I1128 10:00:00.123456    1234 server.go:123] message"},
		start:    `[IWEF]\d{4}(\d\d){0,2} \d\d:\d\d:\d\d\.\d+ +\d+ `,
		first:    "IWEF", read: (*oddHead).glog,
	},
	{ // Rust's env_logger, Celery
		examples: []string{"[2026-11-28T10:00:00Z INFO  crate::module] message", "[2026-11-28 10:00:00,123: INFO/MainProcess] message"},
		first:    "[", read: (*oddHead).bracketed,
	},
	{ // .NET; it has no time
		examples: []string{"info: Category[0]\n      message"},
		start:    `(trce|dbug|info|warn|fail|crit): \S+\[\d+\]`,
		sure:     `(trce|dbug|info|warn|fail|crit): [^\s\[]+\[\d+\]`,
		first:    "tdiwfc", read: (*oddHead).dotnet,
	},
	{ // Serilog's console; WebSphere
		examples: []string{"[10:00:00 INF] message", "[3/1/26 10:00:00:123 UTC] 0000000a Server  E   message"},
		start:    `\[\d\d:\d\d:\d\d [A-Z]{3}\] |\[\d+/\d+/\d\d,? \d+:\d\d:\d\d:\d{3} `,
		sure:     `\[` + clockLike + ` ` + shortLike + `\] |\[\d{1,2}/\d{1,2}/\d\d,? \d{1,2}:[0-5]\d:[0-6]\d:\d{3} [A-Z]{3,5}\] [0-9a-f]{8} `,
		first:    "[", read: (*oddHead).consoles,
	},
	{ // NATS
		examples: []string{"[1] 2026/02/28 10:00:00.123456 [INF] message"},
		start:    `\[\d+\] \d{4}/\d\d/\d\d \d\d:`,
		sure:     `\[\d+\] \d{4}/\d\d/\d\d ` + clockLike + `\.\d+ \[[A-Z]{3}\] `,
		first:    "[", read: (*oddHead).nats,
	},
	{ // Chromium and what is made of it
		examples: []string{"[1234:1234:0228/100000.123456:ERROR:gpu_process.cc(12)] message"},
		start:    `\[(\d+:){1,2}\d{4}/\d{6}\.\d+:`,
		sure:     `\[(\d+:){1,2}\d{4}/[0-2]\d[0-5]\d[0-6]\d\.\d+:(VERBOSE|INFO|WARNING|ERROR|FATAL)\d*:`,
		first:    "[", read: (*oddHead).chromium,
	},
	{ // Mosquitto
		examples: []string{"1772272800: message"},
		start:    `1\d{9}: `,
		first:    "1", read: (*oddHead).mosquitto,
	},
	{ // NestJS; Rust's tracing, Linkerd's proxy; CoreDNS, Maven
		examples: []string{
			"[Nest] 77  - 03/01/2026, 10:00:00 AM     LOG [logger] message",
			"[     0.001234s]  INFO ThreadId(01) logger: message",
			"[INFO] message",
		},
		start: `\[Nest\] |\[ *\d+\.\d+s\] +[A-Z]|\[` + levelLike + `\] `,
		first: "[", read: (*oddHead).tagged,
	},
	{ // Samba; the message is below
		examples: []string{"[2026/03/01 10:00:00.123,  0] file.c:12(function)\n  message"},
		start:    `\[\d{4}/\d\d/\d\d \d\d:`,
		first:    "[", read: (*oddHead).samba,
	},
	{ // Erlang, RabbitMQ; the message is below
		examples: []string{"=INFO REPORT==== 1-Mar-2026::10:00:00 ===\nmessage"},
		start:    `=[A-Z ]+ REPORT==== `,
		first:    "=", read: (*oddHead).erlang,
	},
	{ // WebLogic: its file and its console
		examples: []string{"####<Mar 1, 2026 10:00:00 AM UTC> <Info> <Server> <host> <srv> <main> <> <> <> <1> <BEA-1> <message>",
			"<Mar 1, 2026 10:00:00 AM UTC> <Info> <Server> <BEA-000001> <message>"},
		start: `(####)?<` + monthLike + ` \d+, \d{4}`,
		sure:  `(####)?<` + monthLike + ` \d{1,2}, \d{4},? \d{1,2}:[0-5]\d:[0-6]\d([,.]\d+)? [AP]M [A-Z]{3,5}> <`,
		first: "<#", read: (*oddHead).weblogic,
	},
	{ // zerolog's console; Elixir, with metadata
		examples: []string{"10:00AM INF message", "10:00:00.123 request_id=F1 [info] message"},
		start:    `\d+:\d\d[AP]M[ \x1b\[\dm]+[A-Z]{3}[ \x1b]|\d\d:\d\d:\d\d([.,]\d+)?\s+[a-z_]+=`,
		sure:     `\d{1,2}:[0-5]\d[AP]M ` + shortLike + ` |` + clockLike + `[.,]\d+ ([a-z_]+=\S+ )*\[` + lowerLike + `\] `,
		first:    "0123456789", read: (*oddHead).clocked,
	},
	{ // SAP's traces; the message is below
		examples: []string{"M Sat Feb 28 10:00:00 2026\nM  message"},
		start:    `[A-Z]  ?` + monthLike + ` ` + monthLike + ` [ \d]\d \d\d:\d\d:\d\d(:\d{3})? \d{4}\s*$`,
		sure:     `[A-Z]  ?` + monthLike + ` ` + monthLike + ` [ \d]\d ` + clockLike + `(:\d{3})? \d{4}\s*$`,
		first:    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", read: (*oddHead).sap,
	},
	{ // Zabbix
		examples: []string{"  1234:20260301:100000.123 message"},
		start:    ` {0,6}\d+:\d{8}:\d{6}\.\d`,
		first:    " 0123456789", read: (*oddHead).zabbix,
	},
	{ // CUPS
		examples: []string{"E [01/Mar/2026:10:00:00 +0000] message"},
		start:    `[EWNIDXAC] \[\d\d/` + monthLike + `/\d{4}:`,
		first:    "EWNIDXACd", read: (*oddHead).cups,
	},
	{ // logrus on a terminal
		examples: []string{"INFO[0000] message"},
		start:    `[A-Z]{4}(\x1b\[\d*m)?\[\d{4,}\] `,
		sure:     `(TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[\d{4,}\] `,
		first:    "TDIWEFP", read: (*oddHead).logrus,
	},
	{ // Python's basicConfig, uvicorn; they have no time
		examples: []string{"INFO:logger:message", "INFO:     message"},
		start:    `(DEBUG|INFO|WARNING|ERROR|CRITICAL):([^\s:]+:|  )`,
		sure:     `(DEBUG|INFO|WARNING|ERROR|CRITICAL):([^\s:]{1,200}:| {2,5}\S)`,
		first:    "DIWEC", read: (*oddHead).python,
	},
}

// oddReaders are those of the odd forms by the byte that they begin with.
var oddReaders = func() (t [256][]func(*oddHead, []byte, *times.Zone)) {
	for _, f := range oddForms {
		for i := range len(f.first) {
			t[f.first[i]] = append(t[f.first[i]], f.read)
		}
	}
	return t
}()

// all joins what is chosen of all forms.
func all(choose func(form) string) string {
	var out []string
	for _, forms := range [...][]form{timeForms, oddForms} {
		for _, f := range forms {
			if expr := choose(f); expr != "" {
				out = append(out, expr)
			}
		}
	}
	return strings.Join(out, "|")
}

// Start matches the first line of a record, coloured or not: lines without a time, such
// as those of stack traces, belong to the record before them.
var Start = `^(\x1b\[[0-9;]*m)*(` + all(func(f form) string { return f.start }) + `)`

// sure matches what logging frameworks write.
var sure = regexp.MustCompile(`^(` + all(func(f form) string { return f.sure }) + `|(` + all(func(f form) string { return f.withLevel }) +
	`).{0,80}?(\b` + levelLike + `\b|\b` + shortLike + `\b|\[([a-z0-9_]+:)?` + lowerLike + `\]))`)

// Sure reports whether a line is surely one of an application's log.
func Sure(line []byte) bool { return sure.Match(line) }

// Likely reports whether a line begins with a time, or as records do that have none.
// Behind a time stands no comma, as in a table.
func (r *Reader) Likely(line []byte) bool {
	if !r.Starts(line) {
		return false
	}
	_, n := r.time(line, &r.seen)
	if n == len(line) {
		i := bytes.LastIndexByte(line, ',')
		return i < 0 || n-i == len(",123") || n-i == len(",123456")
	}
	return line[n] != ','
}
