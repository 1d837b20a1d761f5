package parse

import (
	"strings"
	"testing"
)

// TestSyslogFramesAnyFormat puts JSON and logfmt into syslog, and syslog with JSON
// into a container's log.
func TestSyslogFramesAnyFormat(t *testing.T) {
	for _, tc := range []struct {
		name, parser, message, line string
		want                        map[string]string
	}{
		{"JSON with its own time and level", "syslog", "json",
			`<14>Feb 28 10:00:00 web1 shop[7]: {"ts":"2026-02-28T09:59:59.5Z","level":"error","msg":"no stock","item":77}`,
			map[string]string{"ts": "2026-02-28T09:59:59.5Z", "level": "ERROR", "message": "no stock", "item": "77", "hostname": "web1",
				"app": "shop", "pid": "7", "facility": "user", "attributes": "syslog.time=Feb 28 10:00:00 ", "parse_error": ""}},
		{"JSON without a time or level", "syslog", "json",
			`<11>1 2026-02-28T10:00:00Z web1 shop 7 - - {"msg":"no stock"}`,
			map[string]string{"ts": "2026-02-28T10:00:00Z", "level": "ERROR", "message": "no stock", "app": "shop", "attributes": "", "parse_error": ""}},
		{"logfmt", "syslog", "logfmt", `<14>Feb 28 10:00:00 web1 shop: msg="no stock" item=77`,
			map[string]string{"ts": "2026-02-28T10:00:00Z", "level": "INFO", "message": "no stock", "item": "77", "parse_error": ""}},
		{"what is not JSON by auto", "syslog", "auto", `<14>Feb 28 10:00:00 web1 shop: no stock`,
			map[string]string{"ts": "2026-02-28T10:00:00Z", "level": "INFO", "message": "no stock", "app": "shop", "parse_error": ""}},
		{"what is not JSON", "syslog", "json", `<14>Feb 28 10:00:00 web1 shop: no stock`,
			map[string]string{"ts": "2026-02-28T10:00:00Z", "message": "no stock", "app": "shop", "parse_error": "not JSON: it is no object"}},
		{"no message", "syslog", "json", `<14>Feb 28 10:00:00 web1 shop: `,
			map[string]string{"ts": "2026-02-28T10:00:00Z", "app": "shop", "parse_error": ""}},
		{"syslog in a container's log", "cri", "syslog", `2026-02-28T10:00:00.5Z stdout F <11>Feb 28 09:00:00 web1 shop[7]: no stock`,
			map[string]string{"ts": "2026-02-28T10:00:00.5Z", "level": "ERROR", "message": "no stock", "app": "shop", "attributes": "time=Feb 28 09:00:00 stream=stdout "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := parsed(t, "{parser: "+tc.parser+", message: "+tc.message+"}", Options{}, body(tc.line+"\n"), nil)
			if len(got) != 1 {
				t.Fatalf("got %d rows, want one", len(got))
			}
			for k, want := range tc.want {
				if have := got[0][k]; have != want {
					t.Errorf("%s: got %q, want %q", k, have, want)
				}
			}
		})
	}
}

func TestOnlyFramesTakeAParserOfMessages(t *testing.T) {
	for _, name := range Names() {
		_, problems := ReadText("{parser: " + name + ", message: json}")
		if got, want := len(problems) == 0, name == "cri" || name == "compose" || name == "stamped" || name == "syslog"; got != want {
			t.Errorf("%s: got %v", name, problems)
		}
	}
}

// TestLinesOfAnUnknownLayoutAreNotGluedTogether gives log4j lines none of which
// starts as it knows records to start.
func TestLinesOfAnUnknownLayoutAreNotGluedTogether(t *testing.T) {
	unknown := strings.Repeat("at ten past nine somebody said something\n", 100)
	if got := parsed(t, "log4j", Options{}, body(unknown), nil); len(got) != 100 {
		t.Errorf("got %d rows of 100 lines", len(got))
	}
	known := "\tat the end of a stack trace\n\tat its very end\n2026-02-28 10:00:00,000 INFO a: b\n"
	if got := parsed(t, "log4j", Options{}, body(known), nil); len(got) != 2 {
		t.Errorf("got %d rows, want the rest of a stack trace and a record", len(got))
	}
}
