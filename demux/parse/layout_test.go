package parse

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// columnsOf returns what a row's columns hold, those of every row left out.
func columnsOf(r map[string]string) string {
	var out []string
	for _, k := range []string{"ts", "level", "message", "attributes", "parse_error"} {
		if r[k] != "" {
			out = append(out, fmt.Sprintf("%s=%q", k, r[k]))
		}
		delete(r, k)
	}
	for _, k := range []string{"host", "source", "stream", "seq"} {
		delete(r, k)
	}
	for _, k := range sortedKeys(r) {
		out = append(out, fmt.Sprintf("%s=%q", k, r[k]))
	}
	return strings.Join(out, " ")
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestLayoutsReadWhatTheyWrite(t *testing.T) {
	for _, tc := range []struct{ pattern, record, want string }{
		{`%d{yy/MM/dd HH:mm:ss} %p %c: %m%n`, "17/06/09 20:10:40 INFO executor.Foo: it's: done",
			`ts="2017-06-09T20:10:40Z" level="INFO" message="it's: done" logger="executor.Foo"`},
		{`%d{ISO8601} %-5p [%t] %c{2} (%F:%M(%L)) - %m%n`, "2025-10-10 13:55:36,123 WARN  [pool-[1]-t 2] a.B (B.java:run(77)) - x\n\tat y\n",
			`ts="2025-10-10T13:55:36.123Z" level="WARN" message="x\n\tat y" file="B.java" line="77" logger="a.B" method="run" thread="pool-[1]-t 2"`},
		{`%date %level [%thread] %logger{10} [%file:%line] %msg%n`, "2025-10-10 13:55:36,123 ERROR [main] c.e.A [A.java:12] no\njava.io.IOException: disk\nis full\n\tat c.e.A.b(A.java:1)\nCaused by: java.lang.Error: x\n\tat q",
			`ts="2025-10-10T13:55:36.123Z" level="ERROR" message="no\njava.io.IOException: disk\nis full\n\tat c.e.A.b(A.java:1)\nCaused by: java.lang.Error: x\n\tat q" exception.class="java.io.IOException" exception.message="disk\nis full" file="A.java" line="12" logger="c.e.A" thread="main"`},
		{`%clr(%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}){faint} %clr(${LOG_LEVEL_PATTERN:-%5p}) %clr(${PID:-}){magenta} %clr(--- [%15.15t]){faint} %clr(%-40.40logger{39}){cyan} %clr(:){faint} %m%n${LOG_EXCEPTION_CONVERSION_WORD:-%wEx}`,
			"2025-10-10T13:55:36.123+02:00  INFO 77 --- [           main] c.e.Application                          : Started: ok",
			`ts="2025-10-10T11:55:36.123Z" level="INFO" message="Started: ok" logger="c.e.Application" pid="77" thread="main"`},
		{`%highlight{%d{HH:mm:ss.SSS} %-5level}{FATAL=red} %style{%c{1.}}{cyan} - %msg%n%throwable`, "\x1b[32m11:55:36.123 INFO \x1b[m \x1b[36mo.a.B\x1b[m - x y",
			`ts="2026-03-01T11:55:36.123Z" level="INFO" message="x y" logger="o.a.B"`},
		{`%d{yyyy-MM-dd HH:mm:ss.SSS}{Europe/Berlin} [%X{traceId:-}] [%X] %p %m%n`, "2025-07-10 13:55:36.123 [4bf9] [{a=1, b.c=x y}] INFO ok",
			`ts="2025-07-10T11:55:36.123Z" level="INFO" message="ok" mdc.a="1" mdc.b.c="x y" mdc.traceId="4bf9"`},
		{`%d %p %m [%t]%n%ex`, "2025-07-10 13:55:36,123 INFO a [b] c [main]\njava.lang.IllegalStateException\n\tat x",
			`ts="2025-07-10T13:55:36.123Z" level="INFO" message="a [b] c\njava.lang.IllegalStateException\n\tat x" exception.class="java.lang.IllegalStateException" thread="main"`},
		{`%d{DATE} %r [%x] %-5.5p %replace(%msg){'\n', ' '}%nopex%n`, "06 Nov 2025 15:49:37,459 1234 [ctx 1] DEBUG one two",
			`ts="2025-11-06T15:49:37.459Z" level="DEBUG" message="one two" elapsed_ms="1234" ndc="ctx 1"`},
		{`%d{UNIX_MILLIS} %p %notEmpty{[%marker] }%equals{%c}{root}{} %m`, "1700000000123 INFO  x", `ts="2023-11-14T22:13:20.123Z" level="INFO" message="x"`},
		{`%p\t%d{epoch}\t100%% %m`, "INFO\t1700000000\t100% x", `ts="2023-11-14T22:13:20Z" level="INFO" message="x"`},
		{`%d{"yyyy-MM-dd HH:mm:ss,SSS", UTC} %p %m`, "2025-07-10 13:55:36,123 I x", `ts="2025-07-10T13:55:36.123Z" level="INFO" message="x"`},
		{`%d %p [%property{app}] %logger -%kvp- %msg%nmore`, "2025-07-10 13:55:36,123 INFO [shop] a.B -k=\"v\"- x\nmore",
			`ts="2025-07-10T13:55:36.123Z" level="INFO" message="x" kvp="k=\"v\"" logger="a.B" property.app="shop"`},
		{`%d{HH:mm:ss.SSS, Asia/Tokyo} %p %m`, "19:55:36.123 W x", `ts="2026-03-01T10:55:36.123Z" level="WARN" message="x"`},
	} {
		spec := "parser: log4j\npattern: |-\n  " + tc.pattern
		oneRow(t, spec, tc.record, tc.want)
	}
}

func TestLayoutsThatAreWrongSayWhere(t *testing.T) {
	for pattern, want := range map[string]string{
		"%d %q %m":             `the conversion "%q" at byte 3 is not known`,
		"%d %propertie{app}":   `the conversion "%propertie" at byte 3 is not known; allowed: %C, `,
		"%d %property %m":      "want the key in braces, %property{KEY}",
		"%d{nope} %m":          `%d: "nope" is taken for a Java pattern`,
		"%d{HH:mm}{No/Zone} x": `the time zone "No/Zone" is not known`,
		"%highlight{%p":        "is not closed",
		"%clr(%p":              "is not closed",
		"${FOO} %m":            "put what it stands for in its place",
		"%":                    "it ends within a conversion",
	} {
		if _, problems := ReadText("{parser: log4j, pattern: '" + pattern + "'}"); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %s", pattern, problems, want)
		}
	}
}

// Of several layouts the first that fits counts; a line that none starts with
// belongs to the record before, and a chunk with none is lines that failed.
func TestSeveralLayoutsAreTried(t *testing.T) {
	const spec = `{parser: log4j, pattern: ["%d %p [%t] %m%n", "%p %d - %m%n"]}`
	got := parsed(t, spec, Options{}, body("2025-07-10 13:55:36,1 INFO [a] one\nmore\nWARN 2025-07-10 13:55:36,2 - two\n2025-07-10 13:55:36,3 INFO no\n"), nil)
	if len(got) != 2 || got[0]["message"] != "one\nmore" || got[1]["level"] != "WARN" || got[1]["message"] != "two\n2025-07-10 13:55:36,3 INFO no" {
		t.Errorf("got %v", got)
	}
	got = parsed(t, spec, Options{}, body("2025-07-10 13:55:36,3 INFO no\nx\n"), nil)
	if len(got) != 2 || got[0]["parse_error"] != `not the pattern: at byte 27, want "["` {
		t.Errorf("got %v", got)
	}
}

func TestExceptionsOfStackTraces(t *testing.T) {
	for _, tc := range [][3]string{
		{"a\njava.io.IOException: x\n\tat b\nCaused by: java.lang.Error: y\n\tat c", "java.io.IOException", "x"},
		{"Failed: java.io.IOException: x: y\n\tat b", "java.io.IOException", "x: y"},
		{"Failed org.apache.hadoop.ipc.RemoteException(java.io.IOException): x\n\tat b", "org.apache.hadoop.ipc.RemoteException", "x"},
		{"a\njava.lang.NullPointerException", "java.lang.NullPointerException", ""},
		{"a\nsome text\nKeyError\n    at b", "KeyError", ""},
		{"a\nscala.MatchFault: 1\n\tat b", "", ""},
		{"a\nscala.util.MatchFault: 1\n\tat b", "scala.util.MatchFault", "1"},
		{"a\nb.c.d: 1", "", ""},
		{"a\nCaused by: java.lang.Error: y\n\tat c", "", ""},
		{"java.lang.Error: y", "", ""},
		{"a\n\tat b.c\njava.lang.Error", "", ""},
	} {
		class, text := exceptionIn([]byte(tc[0]))
		if string(class) != tc[1] || string(text) != tc[2] {
			t.Errorf("%q: got %q and %q, want %q and %q", tc[0], class, text, tc[1], tc[2])
		}
	}
}

// oneRow makes sure that a record becomes one row with these columns.
func oneRow(t *testing.T, spec, record, want string) {
	t.Helper()
	got := parsed(t, spec, Options{}, body(record), nil)
	if len(got) != 1 {
		t.Errorf("%s: got %d rows, want one", spec, len(got))
		return
	}
	if have := columnsOf(got[0]); have != want {
		t.Errorf("%s\ngot  %s\nwant %s", spec, have, want)
	}
}
