package parse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
)

func FuzzRaw(f *testing.F) { fuzz(f, "raw") }
func FuzzSyslog(f *testing.F) {
	fuzz(f, "syslog", `<1>1 2026-02-28T10:00:00Z a b c - [a:"b\"]"; c:"d" ] e`, "<13>1 - - - - - [a b=\"\\\"\"][c]\n<34>Oct 11 22:14:15 m su[x]: y\n")
}
func FuzzLog4j(f *testing.F) {
	fuzz(f, "log4j", "\x1b[1m2026-02-28 10:00:00 \x1b[0;3mINFO\x1b[m [a.[b] : c\x1b[", "[a\n081109 203615\n17/06/09 20:10:40 [", "2024-05-01 10:00:01 [a@1] [b]")
}
func FuzzCombined(f *testing.F) { fuzz(f, "combined", `a b c d [x] "" 1`, `- - - [] "\`) }
func FuzzLog4jPattern(f *testing.F) {
	fuzz(f, `{parser: log4j, pattern: ["%d{ISO8601} %-5p [%t] %X %c{1} - %m%n", "%p %d{epoch} %m [%x]%n%ex"]}`,
		"2025-10-10 13:55:36,123 INFO [a] {b=c, d} e - f\ng\n\tat x", "INFO 1e9 INFO 17 a [b]\njava.lang.Error: x\n\tat y")
}
func FuzzAccessPattern(f *testing.F) {
	fuzz(f, `{parser: combined, pattern: ['%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" %{ms}T', '{"t":"$msec","r":"$request","u":"$upstream_response_time"}']}`,
		`a, b - c d [01/Mar/2026:10:00:00 +0000] "GET \" /" 200 - "\x" 1`, `{"t":"1.5","r":"\u0041 b","u":"1, 2 : 0.1"}`)
}
func FuzzDissect(f *testing.F) {
	fuzz(f, `{parser: dissect, pattern: ['%{ts} [%{a->}] %{+b/2} %{+b/1} %{?k}=%{&k}; %{n:int} %{message}', '%{a}: %{b}']}`,
		"2026-03-01T10:00:00Z [x]] y z k=v; 1 m\nn", "a: b")
}
func FuzzRegex(f *testing.F) {
	fuzz(f, `{parser: regex, pattern: ['(?P<ts>\S+) (?P<level>[A-Z]+) \[(?P<a>[^\]]+)\] (?P<message>.*)', '(?P<n>\d+)(?P<x>é?)']}`,
		"2026-03-01T10:00:00Z INFO [x] y\nz", "x 17 y")
}
func FuzzGrok(f *testing.F) {
	fuzz(f, `{parser: grok, pattern: ['%{COMBINEDAPACHELOG}', '%{SYSLOGLINE}', '%{IP:[client][ip]} %{NUMBER:took:double}']}`,
		`1.1.1.1 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "\"x"`, "Mar  1 10:00:00 h a[7]: x", "::1 .5")
}
func FuzzLogfmt(f *testing.F) {
	fuzz(f, "logfmt", `a=1 b="x\"\u00e9\ud800" c`, "=\n\"\na=\"", "ts=1e9 level= msg")
}
func FuzzDF(f *testing.F)  { fuzz(f, "df", "a 1 1 1 1% /", "- - - - - -") }
func FuzzCPU(f *testing.F) { fuzz(f, "cpu", `{"cpu":1,"user":"x","system":1e400}`) }
func FuzzMemory(f *testing.F) {
	fuzz(f, "memory", `{"total":9223372036854775808,"used":-1,"free":1.5}`)
}
func FuzzLoad(f *testing.F) { fuzz(f, "load", `{"load1":"1","load5":null,"procs_total":1e3}`) }
func FuzzDisk(f *testing.F) { fuzz(f, "disk", `{"device":1,"mountpoint":"/x","total":true}`) }
func FuzzNetwork(f *testing.F) {
	fuzz(f, "network", `{"interface":"eth0","rx_bytes":-0,"tx_bytes":[]}`)
}
func FuzzJSON(f *testing.F) {
	fuzz(f, "json", "{\"a\":{\"b\":[1,{\"c\":\"\\ud800\"}],\"d\":1e999},\"a.b\":-0.0,\"ts\":1e18}\n{\"a\":",
		`{"":{"":1},"ts":-9223372036854775808,"time":"1e3","a":0.1e-5,"A":true}`)
}

func FuzzCompose(f *testing.F) {
	fuzz(f, "{parser: compose, message: log4j}", "a  | 2026-02-28 10:00:00 INFO x\nb | \tat y\n\x1b[36ma  |\x1b[0m z", "10:00:00 a.1 | {", "|a |")
}
func FuzzSSV(f *testing.F)        { fuzz(f, "ssv", "date;time;a\n1;2:3;\"", "Date;Time\n20260101;9:5 PM\n") }
func FuzzPSV(f *testing.F)        { fuzz(f, "psv", "a|b\n|", "\"|\n") }
func FuzzCloudFront(f *testing.F) { fuzz(f, "cloudfront", "#Fields: date\tx", "2026-01-01\t") }
func FuzzSyslogJSON(f *testing.F) {
	fuzz(f, "{parser: syslog, message: {parser: json, time: a.b}}", "x", "<1>Jan  1 00:00:00 a b: {\"a\":{\"b\":1}}")
}
func FuzzJSONTimes(f *testing.F) {
	fuzz(f, "{parser: json, time: [a, b], time_format: 'd.M.yyyy H:mm'}", `{"a":"1.1.2026","b":"1:00"}`, `{"b":"::","a":""}`)
}

func FuzzPostgres(f *testing.F) {
	fuzz(f, "postgres", "2024-05-01 10:00:00 UTC [1] LOG:  a\n2024-05-01 10:00:00 UTC [2] a@b DETAIL:  c\n\td\nHINT:  e\n", "2024-05-01 10:00:00,\"a\"\"\",b\n", `{"error_severity":"LOG","statement":1}`)
}
func FuzzMySQL(f *testing.F) {
	fuzz(f, "mysql", "# Time: x\n# User@Host: a[b] @ [c\n# Q: Query_time: 1 Id:\nuse a\nSET timestamp=1;\n", "260228 10:00:00 1 [a] [MY-1] [b", "2026-02-28  9:00:00\t8 Query\t")
}
func FuzzDB2(f *testing.F) {
	fuzz(f, "db2", "2026-02-28-10.00\n00.123456+060\n2026-02-28-10.00.00.123456+060 I1E1 LEVEL: Error\nMESSAGE : x\n", "2026-02\n28-10.00.00.123456+060")
}
func FuzzGC(f *testing.F) {
	fuzz(f, "gc", "[a][1][2s][x.y] GC(1) Pause (a (b)) 1K->2M(3G) 1ms", "1.5: [GC (x) [a: 1K->2K(3K)] 1K->2K(3K), 1 secs]")
}
func FuzzAuditd(f *testing.F) {
	fuzz(f, "auditd", "type=A msg=audit(1.2:3): a={ b='c=\"d\" e=41\x1dF={ g=1 }", "type=EXECVE msg=audit(1:2): a0=414 a1=4142 'x=''")
}
func FuzzHDFSAudit(f *testing.F) { fuzz(f, "hdfs_audit", "2024-05-01 10:00:00 INFO x: a=b c d=e ==") }
func FuzzYARNAudit(f *testing.F) { fuzz(f, "yarn_audit", "2024-05-01 10:00:00 x: USER=a\tB=\t=c") }
func FuzzMetrics2(f *testing.F)  { fuzz(f, "metrics2", "1772272800000 a.b: c=1, d=null, =, e") }
func FuzzRedis(f *testing.F) {
	fuzz(f, "redis", "1:M 1 Jan 2026 00:00:00 *", "1:signal-handler (", "[1] 28 Feb 10:00:00 # ")
}
func FuzzMongoDB(f *testing.F) {
	fuzz(f, "mongodb", `{"t":{"$date":1},"s":"I","c":1,"ctx":{}}`, "2024-05-01T10:00:00Z I - [x")
}

// fuzz tests that, whatever the bytes and wherever the table's coverage cuts
// them, a parser gives rows and does not fail, that no row's text is other
// than UTF-8, and that no seq comes twice.
func FuzzZeek(f *testing.F) {
	fuzz(f, "zeek", "#fields\tts\tid.orig_p\n#types\ttime\tport\n1.5\t80\n", "#types\tbool\tx\n#fields\t\n\t", "#fields\tts\nT\n")
}
func FuzzDb2(f *testing.F) {
	fuzz(f, "db2", "2026-02-28-10.00.00.123456+060 I1 LEVEL: Event\nPID : 1 TID : 2\nMESSAGE : x\n", "2026-02-28-10.00.00.123456-999")
}
func FuzzRails(f *testing.F) {
	fuzz(f, "rails", "Started GET \"/\" for ::1 at 2026-02-28 10:00:00 +0000\nCompleted 200 OK in 1ms (Views: 1ms)\n", "[a] Started X \"")
}
func FuzzLogcat(f *testing.F) {
	fuzz(f, "logcat", "02-28 10:00:00.123  1  2 I a: b\nE/x( 1): y\n", "02-30 10:00:00.1 V/( 1): ")
}
func FuzzStamped(f *testing.F) {
	fuzz(f, "{parser: stamped, message: klog}", "2026-02-28T10:00:00.5Z I0228 10:00:00.1 1 a.go:1] x\n2026-02-28T10:00:00Z  \ty\n", "2026-02-28T10:00:00Z ")
}

func fuzz(f *testing.F, name string, seeds ...string) {
	files, _ := filepath.Glob("testdata/" + name + ".*.in")
	for _, in := range files {
		raw, err := os.ReadFile(in)
		if err != nil {
			f.Fatal(err)
		}
		for _, line := range strings.SplitAfter(string(raw), "\n") {
			f.Add([]byte(line), uint16(0))
		}
		f.Add(raw, uint16(len(raw)/2))
	}
	for _, s := range seeds {
		f.Add([]byte(s), uint16(3))
	}
	b := rows.NewBuilder(rows.Options{})
	p := mustNew(f, name, Options{})
	f.Fuzz(func(t *testing.T, raw []byte, cut uint16) {
		if len(raw) == 0 {
			return
		}
		b.Reset()
		n := int64(len(raw))
		if at := int64(cut); at > 0 && at < n {
			if err := p.Parse(t.Context(), body(string(raw)), chunk.Ranges{{First: 0, Last: at}}, b); err != nil {
				t.Fatal(err)
			}
			if err := p.Parse(t.Context(), body(string(raw)), chunk.Ranges{{First: at, Last: n}}, b); err != nil {
				t.Fatal(err)
			}
		} else {
			if err := p.Parse(t.Context(), body(string(raw)), nil, b); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.Columns()) > 200 {
			return // reading them back takes its time
		}
		seen := map[string]bool{}
		for _, r := range table(t, b) {
			if seen[r["seq"]] {
				t.Fatalf("two rows at %s", r["seq"])
			}
			seen[r["seq"]] = true
			for k, v := range r {
				if strings.ToValidUTF8(v, "") != v {
					t.Fatalf("column %s holds %q", k, v)
				}
			}
		}
	})
}
