package parse

import (
	"strings"
	"testing"
)

// What a syslog adaptor sends: messages behind each other without line ends,
// told apart by the chunk's borders, some with newlines inside.
func TestSyslogRecordsMayHoldNewlinesAndNoLineEnd(t *testing.T) {
	messages := []string{
		"<35>Oct 11 22:14:15 host su[7]: failed\n\tat one\n\tat two",
		"<34>1 2026-02-03T04:05:06Z host app 7 ID [x@1 k=\"a\nb\"] first\nsecond\n",
		"<13>no time\nat all",
		"<14>1 2026-02-03T04:05:07Z host app - - -",
		"<30>Oct 11 22:14:15 app[1]: local, without a host",
	}
	c := body(strings.Join(messages, ""))
	end := int64(0)
	for _, m := range messages {
		end += int64(len(m))
		c.Borders = append(c.Borders, end)
	}
	got := parsed(t, "syslog", Options{}, c, nil)
	want := []map[string]string{
		{"message": "failed\n\tat one\n\tat two", "app": "su", "pid": "7", "hostname": "host", "facility": "auth"},
		{"message": "first\nsecond", "app": "app", "attributes": "x@1.k=a\nb ", "ts": "2026-02-03T04:05:06Z"},
		{"message": "no time\nat all", "facility": "user"},
		{"message": "", "app": "app", "ts": "2026-02-03T04:05:07Z"},
		{"message": "local, without a host", "app": "app", "hostname": ""},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		for k, v := range w {
			if got[i][k] != v {
				t.Errorf("%s of message %d: got %q, want %q", k, i, got[i][k], v)
			}
		}
		if e := got[i]["parse_error"]; e != "" {
			t.Errorf("message %d: parse_error %q, want none", i, e)
		}
	}
}
