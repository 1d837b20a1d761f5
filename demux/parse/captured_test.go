package parse

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/rows"
)

func TestPatternsCaptureColumns(t *testing.T) {
	for _, tc := range []struct{ spec, record, want string }{
		{`{parser: regex, pattern: '(?P<ts>\S+) (?P<level>[A-Z]+) \[(?P<thread>[^\]]+)\] (?P<logger>\S+) - (?P<message>.*)'}`,
			"2026-03-01T10:00:00.5Z WARN [main 1] a.B - x y\n\tat z",
			`ts="2026-03-01T10:00:00.5Z" level="WARN" message="x y\n\tat z" logger="a.B" thread="main 1"`},
		{`{parser: regex, pattern: ['^no (?P<a>x)', 'took (?P<took>[\d.]+)ms (?P<n>\d+) (?P<ok>true|false)(?P<none>z)?'], time_format: epoch}`,
			"it took 1.5ms 7 true; done", `ts="2026-03-01T12:00:00Z" attributes="before=it after=; done " n="7" ok="true" took="1.5"`},
		{`{parser: regex, time_format: 'dd.MM.yyyy HH:mm', pattern: '(?P<time>[\d.]+ [\d:]+) (?P<x>.*)'}`,
			"01.03.2026 10:00 007", `ts="2026-03-01T10:00:00Z" x="007"`},
		{`{parser: regex, pattern: '(?P<ts>\S+) (?P<x>.*)'}`, "then y", `ts="2026-03-01T12:00:00Z" attributes="ts=then " parse_error="` + noTime + `" x="y"`},
		{`{parser: regex, pattern: ['^(?P<a>\d+) (?P<b>\d+)$', '^(?P<a>x)']}`, "12 a", `ts="2026-03-01T12:00:00Z" message="12 a" parse_error="not the regex: at byte 3, want [0-9]"`},

		{`{parser: grok, pattern: '%{COMBINEDAPACHELOG}'}`,
			`83.149.9.216 - frank [01/Mar/2026:11:00:00 +0100] "GET /a?b HTTP/1.1" 200 203023 "http://x.example/" "Moz \"5\""`,
			`ts="2026-03-01T10:00:00Z" agent="Moz \\\"5\\\"" auth="frank" bytes="203023" clientip="83.149.9.216" httpversion="1.1" referrer="http://x.example/" request="/a?b" response="200" verb="GET"`},
		{`{parser: grok, pattern: '%{COMBINEDAPACHELOG}'}`, `::1 - - [01/Mar/2026:11:00:00 +0100] "\x16" 400 - "-" "-"`,
			`ts="2026-03-01T10:00:00Z" clientip="::1" rawrequest="\\x16" response="400"`},
		{`{parser: grok, pattern: '%{SYSLOGLINE}'}`, "Mar  1 10:00:00 web-1 sshd[77]: Accepted x",
			`ts="2026-03-01T10:00:00Z" message="Accepted x" logsource="web-1" pid="77" program="sshd"`},
		{`{parser: grok, pattern: '%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} %{IP:[client][ip]} %{NUMBER:took:double} %{INT:n:int} %{WORD:flag:boolean} %{GREEDYDATA:message}'}`,
			"2026-03-01 10:00:00,250 Error 2001:db8::ff00:42:8329 12 +007 TRUE it is",
			`ts="2026-03-01T10:00:00.25Z" level="ERROR" message="it is" client.ip="2001:db8::ff00:42:8329" flag="true" n="7" took="12"`},
		{`{parser: grok, pattern: '%{QUEUE:queue}: (?<id>%{HEX}) %{NOTSPACE:code:string}', patterns: {QUEUE: 'q-%{WORD}', HEX: '[0-9a-f]+'}}`,
			"q-mail: 00ff 007", `ts="2026-03-01T12:00:00Z" code="007" id="00ff" queue="q-mail"`},
		{`{parser: grok, pattern: '%{HTTPD24_ERRORLOG}'}`, `[Sun Mar 01 10:00:00.123456 2026] [core:error] [pid 7:tid 8] [client 1.1.1.1:80] AH1: x`,
			`ts="2026-03-01T10:00:00.123456Z" level="ERROR" message="x" clientip="1.1.1.1" clientport="80" errorcode="AH1" module="core" pid="7" tid="8"`},

		{`{parser: dissect, pattern: '%{ts} [%{thread}] %{level->} %{logger} - %{message}'}`, "2026-03-01T10:00:00Z [main] INFO    a.B - x - y\nz",
			`ts="2026-03-01T10:00:00Z" level="INFO" message="x - y\nz" logger="a.B" thread="main"`},
		{`{parser: dissect, pattern: '%{+ts} %{+ts} %{+name/2} %{+name/1} %{} %{?no} %{*k}=%{&k}|%{?q}=%{&q};'}`, "2026-03-01 10:00:00 last first a b dept=it|n=7;more",
			`ts="2026-03-01T10:00:00Z" attributes="after=more " dept="it" n="7" name="first last"`},
		{`{parser: dissect, append_separator: '', pattern: '<%{a} %{+a}> %{n|long} %{s:string} %{e},%{f:boolean}'}`, "<x y> 12 12 ,true",
			`ts="2026-03-01T12:00:00Z" a="xy" f="true" n="12" s="12"`},
		{`{parser: dissect, pattern: ['<%{a}> - %{b}', '%{c}: %{d}']}`, "<x> = y", `ts="2026-03-01T12:00:00Z" message="<x> = y" parse_error="not the pattern: at byte 1, want \"> - \""`},
		{`{parser: cri, message: {parser: dissect, pattern: '%{a} %{message}'}}`, "2026-03-01T10:00:00Z stdout F 7 x y",
			`ts="2026-03-01T10:00:00Z" message="x y" attributes="stream=stdout " a="7"`},
	} {
		got := parsed(t, tc.spec, Options{}, body(tc.record), nil)
		if tc.spec[9] != 'c' && strings.Contains(tc.record, "\n") { // the agent says what records are
			c := body(tc.record)
			c.Borders = []int64{int64(len(c.Body))}
			got = parsed(t, tc.spec, Options{}, c, nil)
		}
		if len(got) != 1 {
			t.Errorf("%s: got %d rows, want one", tc.spec, len(got))
			continue
		}
		if have := columnsOf(got[0]); have != tc.want {
			t.Errorf("%s\ngot  %s\nwant %s", tc.spec, have, tc.want)
		}
	}
}

func TestPatternsThatAreWrongSayWhy(t *testing.T) {
	for spec, want := range map[string]string{
		"regex":                                      "the key pattern is missing",
		"{parser: regex}":                            `key "pattern" is missing`,
		"{parser: regex, pattern: 'a(b'}":            "missing closing )",
		"{parser: regex, pattern: 'a(b)'}":           "has no named group",
		"{parser: regex, pattern: ['(?P<a>b)', '']}": "want text, or a list of texts",
		"{parser: regex, pattern: '(?P<a>(((x{100}){100}){100}))'}": "repe",
		"{parser: grok, pattern: '%{SYSLOGLIN:x}'}":                 "SYSLOGLIN is not known, did you mean SYSLOGLINE?",
		"{parser: grok, pattern: '%{IP:x:inet}'}":                   `the type "inet" of x is not known; allowed: int`,
		"{parser: grok, pattern: '%{IP}'}":                          "names no field",
		"{parser: grok, pattern: '%{A:x}', patterns: {A: '%{A}'}}":  "more than 20 patterns within each other",
		"{parser: grok, pattern: '%{A:x}', patterns: {A: '%{B}%{B}%{B}%{B}', B: '%{C}%{C}%{C}%{C}', C: '%{D}%{D}%{D}%{D}', D: '%{E}%{E}%{E}%{E}', E: '%{F}%{F}%{F}%{F}', F: '%{G}%{G}%{G}%{G}', G: '%{H}%{H}%{H}%{H}', H: '%{I}%{I}%{I}%{I}', I: '%{IPV6}%{IPV6}%{IPV6}'}}": "written out it has more than",
		"{parser: dissect, pattern: 'x'}":              "it has no field",
		"{parser: dissect, pattern: '%{a}%{b}'}":       "nothing stands behind %{a}",
		"{parser: dissect, pattern: '%{a} %{a}'}":      "%{a} stands twice",
		"{parser: dissect, pattern: '%{&a} %{b}'}":     "has no %{?a} before it",
		"{parser: dissect, pattern: '%{a'}":            "is not closed",
		"{parser: dissect, pattern: '%{+a/x} %{b}'}":   "is no number",
		"{parser: dissect, pattern: '%{a|inet} %{b}'}": `the type "inet"`,
	} {
		if _, problems := ReadText(spec); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", spec, problems, want)
		}
	}
}

// Every pattern of Grok's library is one, on its own.
func TestAllGrokPatternsAreExpressions(t *testing.T) {
	for name := range grokPatterns {
		if _, problems := ReadText("{parser: grok, pattern: '%{" + name + ":x}'}"); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	for text, name := range map[string]string{
		"2001:db8::1": "IP", "10.0.0.255": "IP", "::ffff:1.2.3.4": "IPV6", "fe80::1%eth0": "IPV6", "a-b.example.org": "HOSTNAME", "-1.5": "NUMBER",
		"0xff": "BASE16NUM", "http://u@h.org:80/p/q?a=b": "URI", `C:\a\b`: "PATH", "/var/log/x-1.log": "PATH", `"a \" b"`: "QS",
		"Mon Dec 06 10:00:00 2026": "HTTPDERROR_DATE", "10/Oct/2000:13:55:36 -0700": "HTTPDATE", "2026-03-01T10:00:00.123+01:00": "TIMESTAMP_ISO8601",
		"Mar  1 10:00:00": "SYSLOGTIMESTAMP", "01-02-2026": "DATE", "a.b+c@example.org": "EMAILADDRESS", "00:1b:44:11:3a:b7": "MAC",
		"f47ac10b-58cc-4372-a567-0e02b2c3d479": "UUID", "java.util.List": "JAVACLASS", "WARNING": "LOGLEVEL", "h.org:80": "HOSTPORT",
	} {
		if got := parsed(t, `{parser: grok, pattern: '^%{`+name+`:x:string}$'}`, Options{}, body(text), nil)[0]; got["x"] != text {
			t.Errorf("%s of %q: got %v", name, text, got)
		}
	}
	for text, name := range map[string]string{"10.0.0.256": "IP", "1.2.3": "IP", "abc:d": "IPV6", "25:00:00": "TIME", "Foo  1 10:00:00": "SYSLOGTIMESTAMP", "12.5.": "NUMBER"} {
		if got := parsed(t, `{parser: grok, pattern: '^%{`+name+`:x:string}$'}`, Options{}, body(text), nil)[0]; got["parse_error"] == "" {
			t.Errorf("%s of %q: got %v, want no match", name, text, got)
		}
	}
}

// usualPatterns are what people write, each with a record of its kind.
var usualPatterns = []struct{ name, parser, pattern, record string }{
	{"COMBINEDAPACHELOG", "grok", `%{COMBINEDAPACHELOG}`, `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"`},
	{"SYSLOGLINE", "grok", `%{SYSLOGLINE}`, `Jun 14 15:16:01 combo sshd[19939]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4`},
	{"application", "regex", `(?P<ts>\S+) (?P<level>[A-Z]+) \[(?P<thread>[^\]]+)\] (?P<logger>\S+) - (?P<message>.*)`, `2025-10-10T13:55:36.123Z INFO [main-thread-7] org.apache.hadoop.hdfs.DataNode - Receiving block blk_123 src: /10.0.0.1:5010 dest: /10.0.0.2:50010`},
	{"fields", "grok", `%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} %{IP:client} %{WORD:verb} %{URIPATHPARAM:path} %{NUMBER:took:double} %{GREEDYDATA:message}`, `2025-10-10T13:55:36.123Z INFO 10.0.0.1 GET /a/b/c?d=e 12.5 it took its time`},
	{"HAPROXYHTTP", "grok", `%{SYSLOGTIMESTAMP:ts} %{IPORHOST:host} %{WORD:program}\[%{INT:pid}\]: %{IP:client}:%{INT:port} \[%{NOTSPACE:accepted}\] %{NOTSPACE:frontend} %{NOTSPACE:backend}/%{NOTSPACE:server} %{INT:request_ms}/%{INT:queue_ms}/%{INT:connect_ms}/%{INT:response_ms}/%{INT:total_ms} %{INT:status} %{INT:bytes} %{GREEDYDATA:message}`, `Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"`},
	{"pairs", "regex", `(?:^|\s)time=(?P<ts>\S+) level=(?P<level>\w+) msg="(?P<message>[^"]*)" user=(?P<user>\S+) took=(?P<took>[\d.]+)ms`, `time=2025-10-10T13:55:36.123Z level=info msg="request was handled" user=anna took=12.5ms`},
}

// usualOther is a record that none of the patterns matches.
const usualOther = `[2025-10-10T13:55:36,123][WARN ][o.e.c.r.a.DiskThreshold ] (node-1) high disk watermark exceeded on _aBcD, shards will be relocated away from this node`

// BenchmarkPatterns compares usual patterns with package regexp alone, by turns: on
// records that match, and on one that does not.
func BenchmarkPatterns(b *testing.B) {
	const turns, times = 20, 100
	for _, p := range usualPatterns {
		g := grok{}
		expr, err := g.expand(p.pattern, 0)
		if err != nil {
			b.Fatal(err)
		}
		re, err := config.CompileExpanded(expr)
		if err != nil {
			b.Fatal(err)
		}
		a := automaton.New(re)
		for name, rec := range map[string][]byte{"matched": []byte(p.record), "unmatched": []byte(usualOther)} {
			if (re.Match(rec)) != (name == "matched") {
				b.Fatalf("%s of %q: want it %s", p.name, rec, name)
			}
			b.Run(p.name+"/"+name, func(b *testing.B) {
				ours, theirs := time.Duration(1<<62), time.Duration(1<<62)
				for b.Loop() {
					for range turns {
						ours = min(ours, timeOf(times, func() { a.Find(rec) }))
						theirs = min(theirs, timeOf(times/10, func() { re.FindSubmatchIndex(rec) })*10)
					}
				}
				b.ReportMetric(float64(ours.Nanoseconds())/times, "ns/record")
				b.ReportMetric(float64(theirs)/float64(ours), "x-regexp")
			})
		}
	}
}

func timeOf(times int, do func()) time.Duration {
	start := time.Now()
	for range times {
		do()
	}
	return time.Since(start)
}

// The automaton finds in records of usual kinds what regexp finds.
func TestUsualPatternsMatchAsRegexpDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range usualPatterns {
		g := grok{}
		expr, err := g.expand(p.pattern, 0)
		if err != nil {
			t.Fatal(err)
		}
		re, err := config.CompileExpanded(expr)
		if err != nil {
			t.Fatal(err)
		}
		a := automaton.New(re)
		for range 300 {
			rec := []byte(p.record)
			for range rnd.IntN(4) {
				rec[rnd.IntN(len(rec))] = ` -"[]:.19az`[rnd.IntN(11)]
			}
			if got, want := a.Find(rec), re.FindSubmatchIndex(rec); !slices.Equal(got, want) {
				t.Fatalf("%s of %q: got %v, want %v", p.name, rec, got, want)
			}
		}
	}
}

// BenchmarkPatternRows is BenchmarkPatterns with the rows that the parsers make.
func BenchmarkPatternRows(b *testing.B) {
	for _, p := range usualPatterns {
		b.Run(p.name, func(b *testing.B) {
			parser := mustNew(b, "{parser: "+p.parser+", pattern: '"+p.pattern+"'}", Options{})
			c := body(strings.Repeat(p.record+"\n", 1000))
			builder := rows.NewBuilder(rows.Options{})
			b.SetBytes(int64(len(c.Body)))
			best := time.Duration(1 << 62)
			for b.Loop() {
				builder.Reset()
				start := time.Now()
				if err := parser.Parse(b.Context(), c, nil, builder); err != nil || builder.Failed() > 0 {
					b.Fatal(err, builder.Failed())
				}
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(best.Nanoseconds())/1000, "ns/record")
		})
	}
}
