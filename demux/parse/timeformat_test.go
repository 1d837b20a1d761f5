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
	if got[0]["attributes"] != "ts=2025-12-01T00:00:00Z " || got[0]["parse_error"] != noTime {
		t.Errorf("a time in another form: got %v", got)
	}
}
