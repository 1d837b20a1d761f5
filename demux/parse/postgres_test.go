package parse

import (
	"strings"
	"testing"
)

func TestPostgresReadsTheServersOwnPrefix(t *testing.T) {
	for _, tc := range []struct{ prefix, line, want string }{
		{"%n %-6p %e ", "1772272800.123 77     00000 LOG:  x", "ts=2026-02-28T10:00:00.123Z pid=77 state_code=00000 message=x"},
		{"%m [%p] %q[user=%u,db=%d,app=%a] ", "2026-02-28 10:00:00 UTC [7] [user=a,db=b,app=c d] LOG:  x", "user=a dbname=b application_name=c d message=x"},
		{"%m [%p] %q[user=%u,db=%d,app=%a] ", "2026-02-28 10:00:00 UTC [7] LOG:  of no session", "pid=7 message=of no session"},
		{"%t %c %l %s %v %x [%b] %Q%% ", "2026-02-28 10:00:00 UTC 65df.1 3 2026-02-28 09:00:00 UTC 3/7 0 [client backend] -7% LOG:  x", "session_id=65df.1 line_num=3 vxid=3/7 backend_type=client backend query_id=-7 message=x"},
		{"%m [%p] ", "2026-02-28 10:00:00 UTC [x] LOG:  x", "parse_error=not postgres: the prefix does not fit, at byte 25"},
	} {
		got := parsed(t, "{parser: postgres, prefix: '"+tc.prefix+"'}", Options{}, body(tc.line), nil)
		if len(got) != 1 {
			t.Fatalf("%s: got %d rows", tc.line, len(got))
		}
		var have []string
		for _, pair := range strings.Split(tc.want, " ") {
			if key, _, ok := strings.Cut(pair, "="); ok {
				have = append(have, key+"="+got[0][key])
			}
		}
		if strings.Join(have, " ") != tc.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.line, have, tc.want)
		}
	}
	if _, problems := ReadText("{parser: postgres, prefix: '%m %z '}"); len(problems) != 1 || !strings.Contains(problems[0].String(), `prefix: "%z" at byte 3 is no escape of log_line_prefix`) {
		t.Errorf("got %v", problems)
	}
}
