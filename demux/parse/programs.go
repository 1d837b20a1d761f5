package parse

import (
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
)

const (
	suricataHead = `^(?P<ts>\d\d/\d\d(?:/\d{4})?-\d\d:\d\d:\d\d\.\d+) +(?:\[(?P<action>[A-Za-z]+)\] )?\[\*\*\] \[(?P<gid>\d+):(?P<sid>\d+):(?P<rev>\d+)\] (?P<message>.*?) \[\*\*\] ` +
		`(?:\[Classification: (?:\(null\)|(?P<classification>[^\]]*))\] )?(?:\[Priority: (?P<priority>\d+)\] )?`
	// suricataAddress is one of a protocol without ports, of which a number behind a
	// shortened address of IPv6 is a part.
	suricataAddress = `[^\s:]+|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|\S*::\S*`
)

// Formats of one program, as in expressed.go.
var (
	suricataParser = simple("suricata", "alerts of Suricata and Snort in their fast format; eve.json is for json", func() format {
		f := expressed("a fast alert", "%m/%d/%Y-%H:%M:%S.%f", longs("gid", "sid", "rev", "priority", "src_port", "dest_port"),
			suricataHead+`\{(?P<proto>TCP|UDP|SCTP)\} (?P<src_ip>\S+?)(?::(?P<src_port>\d+))? -> (?P<dest_ip>\S+?)(?::(?P<dest_port>\d+))?$`,
			suricataHead+`\{(?P<proto>[^}]*)\} (?P<src_ip>`+suricataAddress+`)(?::(?P<src_port>\d+))? -> (?P<dest_ip>`+suricataAddress+`)(?::(?P<dest_port>\d+))?$`).(*expressionFormat)
		f.times = append(f.times, must(times.Compile("%m/%d-%H:%M:%S.%f"))...) // Snort's
		return f
	}).guessed(clue{sure: regexp.MustCompile(`^\d\d/\d\d(/\d{4})?-\d\d:\d\d:\d\d\.\d+ +(\[[A-Za-z]+\] )?\[\*\*\] \[\d+:\d+:\d+\] `).Match, names: []string{"fast.log"}})
	morganParser = simple("morgan", "requests as Node's morgan logs them: dev, tiny and short", func() format {
		return expressed("morgan's log", "", map[string]string{"status": "long", "size": "long", "duration_ms": "double"},
			`^(?:`+aColour+`)*(?P<method>[A-Z]+) (?P<path>\S+) (?:`+aColour+`)*(?:-|(?P<status>\d{3}))(?:`+aColour+`)* (?:-|(?P<duration_ms>[\d.]+)) ms - (?:-|(?P<size>\d+))(?:`+aColour+`)*$`,
			`^(?:(?P<client>\S+) (?:-|(?P<user>\S+)) )?(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<protocol>HTTP/[\d.]+))? (?:-|(?P<status>\d{3})) (?:-|(?P<size>\d+)) - (?:-|(?P<duration_ms>[\d.]+)) ms$`,
			`(?s)^(?P<message>.*)$`)
	}).guessed(clue{sure: regexp.MustCompile(`^(\S+ \S+ )?[A-Z]+ \S+( HTTP/[\d.]+)? (\d{3}|-) (\S+ ms - \S+|\S+ - \S+ ms)$`).Match})
	dmesgParser = outermost(simple("dmesg", "the kernel's messages as dmesg prints them; those of `dmesg -T` without a level are for log4j", func() format {
		return dmesgFormat{expressed("dmesg's output", "", map[string]string{"uptime": "double", "pri": "long"},
			`^(?:<(?P<pri>\d+)>)?(?:(?P<facility>[a-z0-9]+) *:(?P<level>[a-z]+) *: )?\[ *(?P<uptime>\d+\.\d+)\](?:\[ *(?P<thread>[TC]\d+)\])? (?P<message>(?s).*)$`,
			`^(?P<facility>[a-z0-9]+) *:(?P<level>[a-z]+) *: \[(?P<ts>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] (?P<message>(?s).*)$`).(*expressionFormat)}
	}).guessed(clue{sure: regexp.MustCompile(`^(<\d+>)?([a-z0-9]+ *:[a-z]+ *: \[[ \dA-Z]|\[ *\d+\.\d{6}\](\[ *[TC]\d+\])? )`).Match, names: []string{"dmesg", "dmesg.*"}}))
)

// dmesgFormat parses what dmesg prints, with `-r` the priorities as syslog has them.
type dmesgFormat struct{ *expressionFormat }

var dmesgPriority = regexp.MustCompile(`^<(\d{1,4})>\[ *\d+\.\d+\]`)

func (f dmesgFormat) record(r *reader, rec []byte) {
	f.expressionFormat.record(r, rec)
	if rec[0] != '<' {
		return
	}
	if m := dmesgPriority.FindSubmatch(rec); m != nil {
		r.b.SetLevel(levels.Severity(times.Digits(m[1], 0, len(m[1])) % 8))
	}
}

var (
	logcatParser = simple("logcat", "Android's logcat: threadtime, time and brief", func() format {
		f := expressed("logcat's output", "%m-%d %H:%M:%S.%f", longs("pid", "tid"),
			`^(?P<ts>(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d+(?: [+-]\d{4})?) +(?:(?P<uid>[a-z]\S*) +)?(?P<pid>\d+) +(?P<tid>\d+) (?P<level>[VDIWEFA]) (?P<logger>.*?) *: (?P<message>(?s).*)$`,
			`^(?P<ts>(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d+(?: [+-]\d{4})?) (?P<level>[VDIWEFA])/(?P<logger>.*?) *\( *(?P<pid>\d+)\): (?P<message>(?s).*)$`,
			`^(?P<level>[VDIWEFA])/(?P<logger>.*?) *\( *(?P<pid>\d+)\): (?P<message>(?s).*)$`,
			`^(?P<message>-+ beginning of .*)$`).(*expressionFormat)
		f.times = append(f.times, must(times.Compile("%Y-%m-%d %H:%M:%S.%f"))...)
		f.times = append(f.times, must(times.Compile("%Y-%m-%d %H:%M:%S.%f %z"))...)
		f.times = append(f.times, must(times.Compile("%m-%d %H:%M:%S.%f %z"))...)
		return f
	}).guessed(clue{sure: regexp.MustCompile(`^((\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d+( [+-]\d{4})? +([a-z]\S* +)?\d+ +\d+ [VDIWEFA] .*?: |((\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d+ ([+-]\d{4} )?)?[VDIWEFA]/[^(]+\( *\d+\): )`).Match})
	oslogParser = simple("oslog", "macOS' unified log as `log show` prints it, by default and compact", func() format {
		const origin = `(?:\((?P<sender>[^)]*)\) )?(?:\[(?P<subsystem>[^:\]]*):(?P<category>[^\]]*)\] )?(?P<message>(?s).*)$`
		return expressed("the output of log show", "", longs("pid", "ttl"),
			`^(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}[+-]\d{4}) (?P<thread>0x[0-9a-f]+) +(?:(?P<level>Info|Debug|Error|Fault)|(?P<type>\w+)) +(?P<activity>0x[0-9a-f]+) +(?P<pid>\d+) +(?P<ttl>\d+) +(?P<process>[^:]+): `+origin,
			`^(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) (?:(?P<level>[IEF]|D)b?|(?P<type>Df|A|St)) +(?P<process>.+?)\[(?P<pid>\d+):(?P<thread>[0-9a-f]+)\] `+origin,
			`^(?P<message>Timestamp .*)$`)
	}).guessed(clue{sure: regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.(\d{6}[+-]\d{4} 0x[0-9a-f]+ +\w+ +0x[0-9a-f]+ +\d+ +\d+ |\d{3} ([IEFA]|Df|Db|St) +[^\[]+\[\d+:[0-9a-f]+\] )`).Match})
)

// railsFormat parses what Rails writes of its requests without a formatter: a record is a
// request, from its "Started" to the next one.
type railsFormat struct{ *expressionFormat }

const railsStart = `^(\[[^\]\s]+\] )*Started [A-Z]+ "`

var startsRails = regexp.MustCompile(railsStart)

// starts implements grouper.
func (railsFormat) starts(line []byte) bool { return startsRails.Match(line) }

const railsTags = `(?:\[[^\]\s]+\] )*`

var railsParser = simple("rails", "requests as Rails logs them by default: from `Started GET` to `Completed 200`, a row each", func() format {
	f := expressed("Rails' log", "", map[string]string{"status": "long", "duration_ms": "double", "views_ms": "double", "db_ms": "double"},
		`^(?P<message>(?s:(?:\[(?P<request_id>[\w-]+)\] )?(?:\[[^\]\s]+\] )*Started (?P<method>[A-Z]+) "(?P<path>[^"]*)" for (?P<client>\S+) at (?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})`+
			`(?:\r?\n`+railsTags+`Processing by (?P<controller>[^#\s]+)#(?P<action>\S+) as (?P<format>[^\r\n]*))?`+
			`(?:.*\n`+railsTags+`Completed (?P<status>\d{3}) [^\n]*? ?in (?P<duration_ms>\d+(?:\.\d+)?)ms(?: \((?:Views: (?P<views_ms>[\d.]+)ms)?(?:[^\n]*ActiveRecord: (?P<db_ms>[\d.]+)ms)?)?)?.*))$`,
		`(?s)^(?P<message>.*)$`)
	return railsFormat{f.(*expressionFormat)}
}).guessed(clue{sure: startsRails.Match, start: railsStart})
