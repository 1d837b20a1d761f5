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
func FuzzKlog(f *testing.F) {
	fuzz(f, "klog", "I0102 15:04:05.1 1 a:1] \"m\" a={ b=[ c=<\nx\n >\n", "F00000000 00:00:00 ] \"\" a=\"")
}
func FuzzKV(f *testing.F) {
	fuzz(f, "kv", "a: b c :d", "a=\"\\\"b", "x = y|z,=", "date=2026-01-01 time=00:00:00 tz=x")
}

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
