package parse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/rows"
)

// odd are records that cost more than their bytes are worth where a parser looks
// at what it has seen again and again.
func odd() map[string]func(n int) string {
	fill := func(n int, head, foot string, part func(i int) string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < n; i++ {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(part(i))
		}
		b.WriteString(foot)
		return b.String()
	}
	long := func(n int) string { return strings.Repeat("k", n/2) }
	m := map[string]func(n int) string{
		"one key":     func(n int) string { return fill(n, "{", "}", func(int) string { return `"a":1` }) },
		"one bad key": func(n int) string { return fill(n, "{", "}", func(int) string { return `"a\u0001":1` }) },
		"many keys":   func(n int) string { return fill(n, "{", "}", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) },
		"many bad keys": func(n int) string {
			return fill(n, "{", "}", func(i int) string { return fmt.Sprintf(`"\u0001%d":1`, i) })
		},
		"numbered keys": func(n int) string {
			return fill(n, "{", "}", func(i int) string { return [...]string{fmt.Sprintf(`"ts_hour#%d":1`, i), `"ts_hour":2`}[i%2] })
		},
		"under a long key": func(n int) string {
			return fill(n, `{"`+long(n)+`":{`, "}}", func(i int) string { return fmt.Sprintf(`"%d":1`, i) })
		},
		"deep":       func(n int) string { return strings.Repeat(`{"a":`, n/6) + "1" + strings.Repeat("}", n/6) },
		"deep lists": func(n int) string { return `{"a":` + strings.Repeat(`[`, n/2) + strings.Repeat("]", n/2) + "}" },
		"deep and wide": func(n int) string {
			return fill(n, "{", "}", func(i int) string { return fmt.Sprintf(`"%d":{"b":{"c":{"d":{"e":{}}}}}`, i) })
		},
		"many times": func(n int) string {
			return fill(n, "{", "}", func(int) string { return `"time":"x","level":"y","msg":1` })
		},
		"escapes":      func(n int) string { return `{"a":"` + strings.Repeat(`\u00e9\\`, n/8) + `"}` },
		"bad escapes":  func(n int) string { return `{"a":"` + strings.Repeat(`\ud800`, n/6) + `"}` },
		"spaces":       func(n int) string { return "{" + strings.Repeat(" ", n) + "}" },
		"nested space": func(n int) string { return strings.Repeat(`{"a":`+strings.Repeat(" ", 100), n/106) },
		"bytes":        func(n int) string { return strings.Repeat("\xff", n) },
		"backslashes":  func(n int) string { return strings.Repeat(`\`, n) },
		"quotes":       func(n int) string { return strings.Repeat(`"`, n) },
		"brackets":     func(n int) string { return strings.Repeat("[", n) },
		"words":        func(n int) string { return strings.Repeat("a ", n/2) },
		"digits":       func(n int) string { return strings.Repeat("9", n) },
		"colons":       func(n int) string { return strings.Repeat("1:", n/2) },
		"sd names":     func(n int) string { return "<13>1 - - - - - [a" + strings.Repeat(" b", n/2) + "] x" },
		"sd one pair":  func(n int) string { return "<13>1 - - - - - [a" + strings.Repeat(` b="c"`, n/6) + "] x" },
		"sd long id":   func(n int) string { return "<13>1 - - - - - [" + long(n) + strings.Repeat(` b="c"`, n/12) + "] x" },
		"sd elements":  func(n int) string { return "<13>1 - - - - - " + strings.Repeat(`[a b="c"]`, n/9) + " x" },
		"labels": func(n int) string {
			return fill(n, "m{", "} 1", func(i int) string { return fmt.Sprintf(`l%d="x"`, i) })
		},
		"one label": func(n int) string { return fill(n, "m{", "} 1", func(int) string { return `l="x"` }) },
		"access": func(n int) string {
			return `1.1.1.1 - - [10/Oct/2000:13:55:36 -0700] "` + strings.Repeat(`GET \"`, n/6) + `" 200 1 "-" "-"`
		},
		"forwarded": func(n int) string {
			return strings.Repeat("1.1.1.1, ", n/9) + `- - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1`
		},
		"log4j": func(n int) string { return "2024-05-01 10:00:00,000 INFO " + strings.Repeat("[a] ", n/4) },
		"outputs": func(n int) string {
			var b strings.Builder
			for i := 0; b.Len() < n; i++ {
				fmt.Fprintf(&b, "{\"log\":\"x\",\"stream\":\"%d\",\"time\":\"\"}\n", i)
			}
			return b.String()
		},
		"no frames": func(n int) string {
			return "2024-05-01T10:00:00Z stdout P a\n" + strings.Repeat("x\n2024-05-01T10:00:00Z stdout P a\n", n/34)
		},
		"no traces": func(n int) string {
			return "2024-05-01 10:00:00,123 INFO [x] y - z\n" + strings.Repeat("a.b.CExceptiox: \n", n/17)
		},
		"cut lines": func(n int) string { return "2024-05-01 10:00:00,000 INFO a: x\n" + strings.Repeat("\tat b\n", n/6) },
	}
	for name, record := range m {
		if len(record(100)) > 2 && record(100)[0] == '{' {
			m[name+" in a container"] = func(n int) string { return "2024-05-01T10:00:00Z stdout F " + record(n) }
			m[name+" in the journal"] = func(n int) string { return `{"__REALTIME_TIMESTAMP":"1","MESSAGE":` + strconv.Quote(record(n)) + "}" }
		}
	}
	return m
}

// cost is how long a parser takes for a record, at best of some times.
func cost(t *testing.T, p Parser, b *rows.Builder, record string, times int) time.Duration {
	t.Helper()
	c := body(record + "\n")
	c.Borders = []int64{int64(len(c.Body))}
	best := time.Duration(1 << 62)
	for range times {
		b.Reset()
		start := time.Now()
		if err := p.Parse(t.Context(), c, nil, b); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	return best
}

// checkLinear fails the test where eight times as many bytes do not take about
// eight times as long. What is short is not weighed.
func checkLinear(t *testing.T, kind string, p Parser, b *rows.Builder, n int, record func(n int) string) {
	t.Helper()
	const more = 8
	small, large := record(n), record(more*n)
	var s, l time.Duration
	// A machine that is busy with other things measures too much, never too
	// little: one good measurement is enough.
	for range 8 {
		if s, l = cost(t, p, b, small, 3), cost(t, p, b, large, 1); l-3*more*s < 20*time.Millisecond {
			return
		}
	}
	t.Errorf("%s: %d bytes take %v, %d take %v", kind, len(small), s, len(large), l)
}

// alike are parsers that differ from others in their columns alone.
var alike = []string{"memory", "load", "disk", "network", "heartbeat", "process", "tsv", "elb", "elf", "iis", "ps", "vmstat", "ss", "lsof"}

// Whatever a record holds, its cost is linear in its bytes.
func TestCostIsLinearInARecordsBytes(t *testing.T) {
	for _, name := range Names() {
		if d, _ := lookup(name); slices.Contains(alike, name) || d.example != "" { // those are weighed by patterns
			continue
		}
		p := mustNew(t, name, Options{})
		b := rows.NewBuilder(rows.Options{})
		for kind, record := range odd() {
			checkLinear(t, name+", "+kind, p, b, 16<<10, record)
		}
	}
	// What is cheap shows in large records alone.
	for _, kind := range []string{"outputs", "no frames"} {
		checkLinear(t, kind, mustNew(t, "cri", Options{}), rows.NewBuilder(rows.Options{}), 64<<10, odd()[kind])
	}
}

// FuzzCost looks for a record whose cost is not: a head, a part that is repeated,
// with its number where there is a 0, and a foot.
func FuzzCost(f *testing.F) {
	for _, s := range [][4]string{
		{"json", "{", `"a":1,`, `"b":0}`}, {"json", "{", `"k0":1,`, `"b":0}`}, {"cpu", `{"a":`, "[", "]}"},
		{"syslog", "<13>1 - - - - - [a", ` b="c"`, "] x"}, {"prometheus", "m{", `l0="x",`, "} 1"},
		{"cri", "", `{"log":"x","stream":"0","time":""}` + "\n", ""}, {"log4j", "2024-05-01 10:00:00,000 INFO ", "[a] ", ""},
	} {
		f.Add(uint8(slices.Index(Names(), s[0])), s[1], s[2], s[3])
	}
	b := rows.NewBuilder(rows.Options{})
	f.Fuzz(func(t *testing.T, parser uint8, head, part, foot string) {
		if part == "" || len(head)+len(part)+len(foot) > 1<<10 {
			return
		}
		name := Names()[int(parser)%len(Names())]
		if d, _ := lookup(name); d.example != "" {
			name = d.example
		}
		checkLinear(t, name, mustNew(t, name, Options{}), b, 16<<10, func(n int) string {
			var s strings.Builder
			s.WriteString(head)
			for i := 0; s.Len() < n; i++ {
				s.WriteString(strings.ReplaceAll(part, "0", strconv.Itoa(i)))
			}
			return s.String() + foot
		})
	})
}

// NaN and Infinity are values as others are; what is none of a long's is kept.
func TestJSONTakesNumbersThatAreNone(t *testing.T) {
	b := rows.NewBuilder(rows.Options{})
	p := mustNew(t, "json", Options{})
	in := `{"f":NaN,"g":-Infinity,"h":[NaN,Infinity],"ts":NaN,"time":1772272800,"msg":"x"}` + "\n" + `{"f":1.5,"ts":1772272800,"msg":"y"}` + "\n" + `{"f":-NaN}` + "\n" + `{"f":Inf}` + "\n"
	if err := p.Parse(t.Context(), body(in), nil, b); err != nil {
		t.Fatal(err)
	}
	got := table(t, b)
	if len(got) != 4 || b.Failed() != 2 {
		t.Fatalf("%d rows, %d failed", len(got), b.Failed())
	}
	if r := got[0]; r["f"] != "NaN" || r["g"] != "-Inf" || r["h"] != "[NaN,Infinity]" || r["message"] != "x" || r["attributes"] != "ts=NaN " {
		t.Errorf("got %v", r)
	}
}

// What a pattern matches costs as little, whatever it is.
func TestCostOfPatternsIsLinear(t *testing.T) {
	for _, spec := range []string{
		`{parser: log4j, pattern: "%d{ISO8601} %-5p [%t] %X %c - %m%n"}`,
		`{parser: log4j, pattern: "%d{ISO8601} %-5p [%t] %c - %m%n"}`,
		`{parser: combined, pattern: '%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"'}`,
		`{parser: combined, pattern: '%{X-Forwarded-For}i %u %q %f %U'}`,
		`{parser: grok, pattern: '%{COMBINEDAPACHELOG}'}`,
		`{parser: regex, pattern: '(?P<a>\w+).*(?P<b>x|y)z(?P<c>.*?) (?P<d>\d+)$'}`,
		`{parser: dissect, pattern: '%{a->} %{b} [%{+b}] %{?k}=%{&k}'}`,
		`{parser: log4j, pattern: "%t %c %x %m [%t] (%F)%n"}`,
	} {
		p := mustNew(t, spec, Options{})
		for _, kind := range []string{"words", "brackets", "digits", "quotes", "log4j", "access", "forwarded", "cut lines", "no traces"} {
			n := 16 << 10
			if kind == "forwarded" { // beyond 64 KiB automatons forget their states, once
				n = 64 << 10
			}
			checkLinear(t, spec+", "+kind, p, rows.NewBuilder(rows.Options{}), n, odd()[kind])
		}
	}
	// A longer line is no header.
	checkLinear(t, "a header of one column", mustNew(t, "{parser: columns, gap: 2}", Options{}), rows.NewBuilder(rows.Options{}), maxHeading/8-8, odd()["words"])
}
