package parse

import (
	"testing"

	"github.com/akupara/akupara/chunk"
)

func FuzzALB(f *testing.F) { fuzz(f, "alb", `h 2026-01-01T00:00:00Z "\`) }
func FuzzELB(f *testing.F) { fuzz(f, "elb", `2026-01-01T00:00:00Z a b:1 c:2 0 0 0 1 1 1 1 "- - " "`) }
func FuzzS3(f *testing.F)  { fuzz(f, "s3", `a b [27/Feb/2026:00:01:57 +0000] "" "" ""`) }
func FuzzVPCFlow(f *testing.F) {
	fuzz(f, "vpcflow", "version start\n2 1772236800\n", "srcaddr\n1\n\n-\n")
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
