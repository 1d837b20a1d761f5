package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

func FuzzALB(f *testing.F) { fuzz(f, "alb", `h 2026-01-01T00:00:00Z "\`) }
func FuzzELB(f *testing.F) { fuzz(f, "elb", `2026-01-01T00:00:00Z a b:1 c:2 0 0 0 1 1 1 1 "- - " "`) }
func FuzzS3(f *testing.F)  { fuzz(f, "s3", `a b [27/Feb/2026:00:01:57 +0000] "" "" ""`) }
func FuzzVPCFlow(f *testing.F) {
	fuzz(f, "vpcflow", "version start\n2 1772236800\n", "srcaddr\n1\n\n-\n")
}
func FuzzW3C(f *testing.F) {
	fuzz(f, "w3c", "#Fields: time x-a x-b\n#Date: 2026-02-28\n10:00:00 1 \"a\"\"\"\n", "#Fields: date\tcs(X)\n2026-02-28\ta+b\n", "#Fields:\nx\n")
}
func FuzzELF(f *testing.F)        { fuzz(f, "elf") }
func FuzzIIS(f *testing.F)        { fuzz(f, "iis", "#Fields: date time\n2026-02-28 00:00\n") }
func FuzzCloudfront(f *testing.F) { fuzz(f, "cloudfront", "#Fields: cs(User-Agent)\n%2520%\n%2\n") }
func FuzzHAProxy(f *testing.F) {
	fuzz(f, "haproxy", "a:1 [27/Feb/2026:12:14:14] b~ c/d 1/2/3", "Connect from (", "a [b] c : d", `a [27/Feb/2026:12:14:14] b c/ 1/2/3/4/5 1 2 - - - ////+ / {`)
}
func FuzzEnvoy(f *testing.F) { fuzz(f, "envoy", `[2026-02-27T20:37:02Z] "`, "[") }
func FuzzCEF(f *testing.F)   { fuzz(f, "cef", `CEF:0|a|b\||c|d|e|9|rt=1 a=b c= =\=`, "CEF:0|") }
func FuzzLEEF(f *testing.F) {
	fuzz(f, "leef", "LEEF:1.0|a|b|c|d|e=f\tg", "LEEF:2.0|a|b|c|d|x5E|e=f^g=h", "LEEF:2.0|a|b|c|d||")
}
func FuzzSquid(f *testing.F) { fuzz(f, "squid", "1763459462.123 1 - A/000 0 - - - A/- -") }
func FuzzXferlog(f *testing.F) {
	fuzz(f, "xferlog", "Wed Nov 18 10:01:02 2025 1 h 1 / b _ i r a ftp 0 * c")
}
func FuzzUWSGI(f *testing.F) {
	fuzz(f, "uwsgi", "[pid: 1|app: 0|req: 1/1]  () {} [x] GET  => generated 1 bytes in 1 msecs (HTTP/1.1 200)")
}
func FuzzGin(f *testing.F)      { fuzz(f, "gin", `[GIN] 2025/11/18 - 10:01:02 | 200 | 1s |  | GET ""`) }
func FuzzWerkzeug(f *testing.F) { fuzz(f, "werkzeug", `- - - [18/Nov/2025 10:01:02] "" - -`) }
func FuzzKlog(f *testing.F) {
	fuzz(f, "klog", "I0102 15:04:05.1 1 a:1] \"m\" a={ b=[ c=<\nx\n >\n", "F00000000 00:00:00 ] \"\" a=\"")
}
func FuzzKV(f *testing.F) {
	fuzz(f, "kv", "a: b c :d", "a=\"\\\"b", "x = y|z,=", "date=2026-01-01 time=00:00:00 tz=x")
}
func FuzzColumns(f *testing.F) { fuzz(f, "columns", "a b  c\n1\n  2 3 4 5\n", "%\n1%\n") }
func FuzzTop(f *testing.F) {
	fuzz(f, "top", "top - \nTasks: ,. ,x\n%Cpu0 : 1 a. 2 b\nPID COMMAND\n1\n", "PID VIRT COMMAND\n1 g x\n1 1e9t y\n")
}
func FuzzPS(f *testing.F)      { fuzz(f, "ps", "PID CMD\n1\n") }
func FuzzIostat(f *testing.F)  { fuzz(f, "iostat", "avg-cpu: %a\n1\n02/30/2026\n") }
func FuzzVmstat(f *testing.F)  { fuzz(f, "vmstat", "r b\n1 2026-02-27 10:00:01\n") }
func FuzzSar(f *testing.F)     { fuzz(f, "sar", "Linux 02/27/26\n10:00:01 a\nAverage: 1\n", "10:00:01\n") }
func FuzzNetstat(f *testing.F) { fuzz(f, "netstat", "Proto Local Address\ntcp :\n") }
func FuzzSS(f *testing.F)      { fuzz(f, "ss", "State Recv-Q Peer Address:PortProcess\n a b\n") }
func FuzzLsof(f *testing.F)    { fuzz(f, "lsof", "COMMAND PID\n") }

// checkRow fails the test where a row does not have these values; "" is null.
func checkRow(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: got %q, want %q, in %v", k, got[k], v, got)
		}
	}
}

// What a chunk's header says holds for the rows after it also where the table has
// the header already.
func TestAHeaderIsReadWhereTheTableHasIt(t *testing.T) {
	for spec, text := range map[string]string{
		"w3c":     "#Version: 1.0\n#Fields: date time c-ip x-a\n2026-02-28 10:00:00 10.0.0.1 5\n2026-02-28 10:00:01 10.0.0.2 6\n",
		"ps":      "PID CMD\n1 a\n2 b\n",
		"columns": "n what\n1 a\n2 b\n",
		"csv":     "time,n\n2026-02-28T10:00:00Z,5\n2026-02-28T10:00:01Z,6\n",
		"vpcflow": "version srcaddr start action\n5 10.0.0.62 1772236870 ACCEPT\n5 10.0.0.63 1772236871 REJECT\n",
	} {
		whole := parsed(t, spec, Options{}, body(text), nil)
		if len(whole) != 2 || whole[1]["parse_error"] != "" {
			t.Fatalf("%s: got %v, want two rows", spec, whole)
		}
		n := int64(len(text))
		rest := parsed(t, spec, Options{}, body(text), chunk.Ranges{{First: n / 2, Last: n}})
		checkRow(t, rest[len(rest)-1], whole[1])
	}
}

func TestFieldsOfFlowLogsAreThoseOfTheConfig(t *testing.T) {
	got := parsed(t, "{parser: vpcflow, fields: [start, srcaddr, dstport, x-new]}", Options{}, body("1772236870 10.0.0.62 443 7\n"), nil)
	checkRow(t, got[0], map[string]string{"ts": "2026-02-28T00:01:10Z", "srcaddr": "10.0.0.62", "dstport": "443", "x_new": "7", "parse_error": ""})
}

func TestFieldsOfW3CAreThoseOfTheConfig(t *testing.T) {
	got := parsed(t, "{parser: w3c, fields: [date, time, c-ip, cs-uri-stem, x-new]}", Options{}, body("2026-02-28 10:00:00 10.0.0.1 /a \"b c\"\n"), nil)
	checkRow(t, got[0], map[string]string{"ts": "2026-02-28T10:00:00Z", "client": "10.0.0.1", "path": "/a", "x_new": "b c", "parse_error": ""})
}

// However often fields are named anew, there are only so many columns.
func TestFieldsThatAreNamedAnewHaveABound(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "#Fields: time c-a%d x-b%d cs(c%d)\n10:00:00 1 2 3\n", i, i, i)
	}
	b := rows.NewBuilder(rows.Options{})
	if err := mustNew(t, "w3c", Options{}).Parse(t.Context(), body(text.String()), nil, b); err != nil {
		t.Fatal(err)
	}
	if n := len(b.Columns()); n > schema.MaxColumns || b.Len() != 2000 {
		t.Errorf("got %d columns and %d rows, want at most %d and 2000", n, b.Len(), schema.MaxColumns)
	}
}

func TestPairsAreWrittenInManyWays(t *testing.T) {
	for _, c := range []struct {
		spec, line string
		want       map[string]string
	}{
		{`{parser: kv, pair: ": ", separator: " | "}`, "started | user name: anna b | n: 5\n", map[string]string{"user name": "anna b", "n": "5", "message": "started"}},
		{"{parser: kv, pair: '=>'}", "a=>1 b=>x=y\n", map[string]string{"a": "1", "b": "x=y"}},
		{"{parser: kv, separator: '&'}", "q=a b&n=7&e=\n", map[string]string{"q": "a b", "n": "7"}},
		{"{parser: kv, quotes: '<['}", "a=<x y> b=[1 2] c=\"d\n", map[string]string{"a": "x y", "b": "1 2", "c": "\"d"}},
		{"kv", "key:value other:7 http://x\n", map[string]string{"key": "value", "other": "7", "message": "http://x"}},
	} {
		checkRow(t, parsed(t, c.spec, Options{}, body(c.line), nil)[0], c.want)
	}
}

func TestTablesAreReadAsTheirCommandsPrintThem(t *testing.T) {
	docker := "CONTAINER ID   IMAGE     CREATED       PORTS     NAMES\n1a2b3c4d5e6f   nginx:1   2 days ago              web\n"
	for _, c := range []struct {
		spec, text string
		want       map[string]string // of the last row
	}{
		{"{parser: columns, gap: 2}", docker, map[string]string{"container_id": "1a2b3c4d5e6f", "image": "nginx:1", "created": "2 days ago", "names": "web"}},
		{"{parser: columns, fields: [size, name]}", "12 a b\n", map[string]string{"size": "12", "name": "a b"}},
		{"{parser: columns, fields: [a, b, c]}", "12 13\n", map[string]string{"parse_error": "not columns: 2 fields instead of 3, at byte 5"}},
		{"iostat", "10:00:01 x\n", map[string]string{"parse_error": "not iostat: there is no header before it"}},
		{"top", "%Cpu0  : 12.5 us,  0.7 sy\nKiB Mem:  16265572k total\n", map[string]string{"cpu0_us": "12.5", "cpu0_sy": "0.7"}},
	} {
		text := body(c.text)
		text.Borders = []int64{int64(len(c.text))}
		got := parsed(t, c.spec, Options{}, text, nil)
		checkRow(t, got[len(got)-1], c.want)
	}
	// Line by line, as a program that runs for ever prints them.
	got := parsed(t, "vmstat", Options{}, body("procs -----------memory----------\n r  b   swpd\n 1  0      5\n 2  0      6\n"), nil)
	if len(got) != 2 || got[1]["r"] != "2" || got[1]["swpd"] != "6" {
		t.Errorf("got %v", got)
	}
}
