package parse

import (
	"strings"
	"testing"
)

func TestTimeFormatHoldsForTheTimesOfRecords(t *testing.T) {
	for spec, lines := range map[string]string{
		"{parser: json, time_format: [epoch_ms, 'dd.MM.yyyy HH:mm:ss']}":             `{"ts":1764547200123,"msg":"x"}` + "\n" + `{"time":"01.12.2025 00:00:00","msg":"x"}`,
		"{parser: logfmt, time_format: '%Y%m%d-%H%M%S'}":                             "ts=20251201-000000 msg=x\ntime=20251201-000000 msg=x",
		"{parser: log4j, time_format: 'yyyyMMdd-HH:mm:ss:SSS'}":                      "20251201-00:00:00:000 INFO [main] a.B - x\n[20251201-00:00:00:123] INFO [main] a.B - x\n\tat y",
		"{parser: combined, time_format: \"yyyy-MM-dd'T'HH:mm:ssXXX\"}":              `1.1.1.1 - - [2025-12-01T01:00:00+01:00] "GET / HTTP/1.1" 200 1`,
		"{parser: syslog, message: {parser: json, time_format: 'dd.MM.yyyy HH:mm'}}": `<13>Dec  1 00:00:00 h a: {"msg":"x","ts":"01.12.2025 00:00"}`,
	} {
		for _, r := range parsed(t, spec, Options{}, body(lines), nil) {
			if !strings.HasPrefix(r["ts"], "2025-12-01T00:00:00") || r["parse_error"] != "" {
				t.Errorf("%s: got %v", spec, r)
			}
		}
	}
	got := parsed(t, "{parser: json, time_format: epoch_ms}", Options{}, body(`{"ts":"2025-12-01T00:00:00Z","msg":"x"}`), nil)
	if got[0]["attributes"] != "ts=2025-12-01T00:00:00Z " || got[0]["parse_error"] == "" {
		t.Errorf("a time in another form: got %v", got)
	}
}

func TestATimeThatTimeFormatDoesNotFitIsShownWithThePlace(t *testing.T) {
	for _, c := range [...]struct{ spec, line, want string }{
		{"{parser: json, time_format: [epoch_ms, '%d/%b/%Y:%H:%M']}", `{"ts":"01/Mar/26:10:00","msg":"x"}`,
			`the time in ts is not as time_format says: %d/%b/%Y:%H:%M does not match "01/Mar/26:10:00" at column 8`},
		{"{parser: csv, fields: [time, n], time_format: yyyy-MM-dd HH:mm}", "2026-03-01T10:00,1",
			`the time in time is not as time_format says: yyyy-MM-dd HH:mm does not match "2026-03-01T10:00" at column 11`},
		{"{parser: combined, time_format: 'yyyy-MM-dd'}", `1.1.1.1 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
			`not an access log line: the time in [] is not as time_format says: yyyy-MM-dd does not match "01/Mar/2026:10:00:00 +0000" at column 1`},
		{"{parser: log4j, time_format: 'yyyyMMdd HH:mm'}", "20260301-10:00 INFO x",
			`not log4j: it does not start with a time as time_format says: yyyyMMdd HH:mm does not match "20260301-10:00 INFO x" at column 9`},
		{"{parser: json, time: a.b}", `{"ts":1,"msg":"x"}`, "there is no time under a.b: ts is when it was read"},
	} {
		if got := parsed(t, c.spec, Options{}, body(c.line), nil); len(got) != 1 || got[0]["parse_error"] != c.want {
			t.Errorf("%s: got %v, want %s", c.spec, got, c.want)
		}
	}
}

func TestTheTimeIsUnderTheKeysThatAConfigNames(t *testing.T) {
	const want = "2026-02-28T10:00:00Z"
	for spec, lines := range map[string]string{
		"{parser: json, time: when}":     `{"when":"2026-02-28T10:00:00Z","ts":"2026-01-01T00:00:00Z"}` + "\n" + `{"when":1772272800}`,
		"{parser: json, time: a.b}":      `{"a":{"b":"2026-02-28T10:00:00Z"}}` + "\n" + `{"a.b":1772272800}`,
		"{parser: json, time: [d, a.t]}": `{"d":"2026-02-28","a":{"t":"10:00:00"}}` + "\n" + `{"a":{"t":"10:00"},"d":20260228}`,
		"{parser: csv, time: [Day, At], time_format: 'M/d/yyyy h:mm:ss a', fields: [Day, At]}": "2/28/2026,10:00:00 AM",
		"{parser: logfmt, time: [a, b], timezone: Europe/Berlin}":                              "a=28.02.2026 b=11:00:00 tz=+0100",
		"{parser: grok, time: at, pattern: '%{TIMESTAMP_ISO8601:at}'}":                         "2026-02-28T10:00:00Z",
		"json":   `{"date":"2026-02-28","time":"10:00:00","x":{"time":"10:00"}}` + "\n" + `{"Date":"28.02.2026","Time":"10:00:00.000"}`,
		"logfmt": `date=2026-02-28 time=05:00:00 tz="-0500" level=info`,
		"csv":    "Date,Time,n\n20260228,10:00,1\n2026-02-28,10:00:00 AM,2\n28.02.2026,10:00:00.0,3\n",
	} {
		spec = strings.Replace(spec, ", timezone: Europe/Berlin", "", 1)
		rows := parsed(t, spec, Options{}, body(lines), nil)
		for _, r := range rows {
			if r["ts"] != want || r["parse_error"] != "" {
				t.Errorf("%s: got %v", spec, r)
			}
		}
		if len(rows) == 0 {
			t.Errorf("%s: got no rows", spec)
		}
	}
}
