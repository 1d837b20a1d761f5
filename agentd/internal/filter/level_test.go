package filter

import (
	"regexp"
	"strings"
	"testing"
)

func TestLevelsAreFoundWhereProgramsWriteThem(t *testing.T) {
	for text, want := range map[string]Level{
		`{"level":"debug","msg":"x"}`:                          Debug,
		`{"ts": 1, "level" : "WARN" }`:                         Warn,
		`{"msg":"level","level":"error"}`:                      Error,
		`{"msg":"{\"level\":\"debug\"}","level":"error"}`:      Error,
		`{"ctx":{"level":"debug"},"level":"error"}`:            Error,
		`{"log":{"level":"debug"},"m":1}`:                      Debug,
		`{"severity":"CRITICAL"}`:                              Critical,
		`{"level":30,"msg":"pino"}`:                            Info,
		`{"PRIORITY":"6","MESSAGE":"x"}`:                       Info,
		`{"level":"no level","severity":"info"}`:               Info,
		`{"m":"ERROR"}`:                                        Unknown,
		`  {"level":"info"}`:                                   Info,
		`time=2026 level=info msg="ERROR in x"`:                Info,
		`level=warning a=b`:                                    Warn,
		`ts=1 lvl=eror`:                                        Unknown,
		`sublevel=error`:                                       Unknown,
		`2026-01-02 03:04:05,678 INFO [main] a.B: level=error`: Info,
		`2026-01-02 03:04:05,678 DEBUG org.apache.Foo: x`:      Debug,
		`2026/01/02 03:04:05 [error] 12#0: *1 x`:               Error,
		`[Fri Sep 09 10:42:29 2011] [core:error] x`:            Error,
		`INFO:root:hello`:                                      Info,
		`warning: something`:                                   Warn,
		`the error is here`:                                    Unknown,
		`an ERROR_CODE`:                                        Unknown,
		`com.foo.ERROR x`:                                      Unknown,
		`I0102 15:04:05.000000 1 main.go:1] x`:                 Info,
		`E0102 15:04:05.000000 1 main.go:1] x`:                 Error,
		`F0102 15:04:05.000000 1 main.go:1] x`:                 Critical,
		`<11>1 2026-01-02T03:04:05Z h a - - - x`:               Error,
		`<191>Jan  2 03:04:05 h a: x`:                          Debug,
		`<999>x`:                                               Unknown,
		`<b>INFO</b>`:                                          Info,
		`Jan  2 03:04:05 h kernel: WARNING: x`:                 Warn,
		`2026-01-02T03:04:05Z  FATAL x`:                        Critical,
		`FATAL:  password authentication failed`:               Critical,
		`SEVERE: x`:                                            Error,
		``:                                                     Unknown,
		`  `:                                                   Unknown,
		strings.Repeat("x ", 100) + "ERROR":                    Unknown,
		`{`:                                                    Unknown,
		`{"level`:                                              Unknown,
		`{"level":`:                                            Unknown,
		`{"level":"`:                                           Unknown,
	} {
		if got := levelOf([]byte(text)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestLoggersAndMessagesAreFoundWhereProgramsWriteThem(t *testing.T) {
	for text, want := range map[string][2]string{
		`2026-01-02 03:04:05,678 INFO [main] com.acme.pay.Foo - paid 5`:       {"com.acme.pay.Foo", "paid"},
		`2026-01-02 INFO  com.acme.Foo (Foo.java:12) - paid 5`:                {"com.acme.Foo", "paid"},
		`2026-01-02 INFO 1234 --- [main] com.acme.Foo  : paid 5`:              {"com.acme.Foo", "paid"},
		`26/01/02 03:04:05 INFO org.apache.hadoop.hdfs.StateChange: BLOCK* x`: {"org.apache.hadoop.hdfs.StateChange", "BLOCK"},
		`INFO:root:hello`: {"root", "hello"},
		`{"logger":"com.acme.Foo","message":"paid 5"}`: {"com.acme.Foo", "paid"},
		`{"logger_name":"a.b","msg":"paid"}`:           {"a.b", "pa"},
		`ts=1 level=info logger=a.b msg="paid 5"`:      {"a.b", "paid 5"},
		`[checkout] cart is empty`:                     {"", "[checkout]"},
		`ERROR Connection refused`:                     {"Connection", "Connection refused"},
	} {
		r := record{text: []byte(text)}
		if got := string(r.loggerOf()); got != want[0] {
			t.Errorf("%q: logger %q, want %q", text, got, want[0])
		}
		if !r.startsWith([]byte(want[1])) {
			t.Errorf("%q: does not start with %q; messages %q", text, want[1], r.messages())
		}
		if r.startsWith([]byte("zzz")) {
			t.Errorf("%q starts with zzz", text)
		}
	}
}

func TestPatternsMatchAsTheirExpressions(t *testing.T) {
	texts := []string{"", "debug", "DEBUG", "xDebugx", "GET /health HTTP", "KUBE kube", "\u212aube", "ſystem SYSTEM", "a\xffb", "a\ufffdb",
		"foo bar", "foobar", "ab", "aab", "日本", "É é", "status=204", "status=500", "s", "k"}
	for _, expr := range []string{"debug", "(?i)debug", "DEBUG|TRACE", "(?i)kube", "(?i)system", "(?i)s", "GET /health\\S*", "a\ufffdb", "a.b", "(foo|bar)+",
		"^debug$", "\\bGET\\b", "(?i)é", "status=(2\\d\\d|5)", "a{2}b", "(ab)?", "fo*", "", "日", "(?:foo|ba)r", "foo.*bar|kube"} {
		p, err := newPattern(expr)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(expr)
		for _, text := range texts {
			if got, want := p.match([]byte(text)), re.MatchString(text); got != want {
				t.Errorf("%q on %q: got %v, want %v", expr, text, got, want)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("(?i)debug|x+", "a DEBUG")
	f.Add("(?i)k[a-z]", "\u212aa")
	f.Add("a{0,2}b|cd", "cd")
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 100 {
			return
		}
		p, err := newPattern(expr)
		if err != nil {
			return
		}
		if got, want := p.match([]byte(text)), regexp.MustCompile(expr).MatchString(text); got != want {
			t.Errorf("%q on %q: got %v, want %v", expr, text, got, want)
		}
	})
}

// FuzzRecord looks for panics: records are anybody's bytes.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{`{"level":"debug"}`, "<13>x", "INFO [a] b (c) d", "level=\"x", "I0102 x", `{"a":{"level":`, "\\\"level\":"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := record{text: b}
		_ = r.levelOf()
		_ = r.loggerOf()
		_ = r.startsWith([]byte("x"))
	})
}

func BenchmarkLevel(b *testing.B) {
	line := []byte(`{"ts":"2026-01-02T03:04:05.678Z","host":"web-17","level":"info","msg":"request done","path":"/api/v1/orders/12345","status":200,"took_ms":12.5,"ctx":{"user":"u-998","ip":"10.0.0.7","agent":"Mozilla/5.0 (X11; Linux x86_64)"}}`)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_ = levelOf(line)
	}
}
