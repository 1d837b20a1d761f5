package cut

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
)

func patterns() []string {
	return []string{
		`^\d{4}-\d\d-\d\d`, `^\d{4}-\d{2}-\d{2}[ T]\d\d:\d\d`, `^\[`, `^(INFO|WARN|ERROR) `, `^\S`, `^[^\s]`, `;$`, `^}$`, `^END$`,
		`ERROR|Exception`, `(?i)^error`, `^$`, `$`, ``, `^`, `a*`, `\bfoo\b`, `^.*x$`, `^é`, `[^a]`, `x$|^y`, `(^a|b$)`, `^a|b`, `\z`, `a\z|\Ab`,
		`(?m)^a$`, `(?s).b`, `^(a|ab)(c|bcd)(d*)$`, `a.{3}b`, `^.{30}x`, `^(\w+\s){2}[A-Z]+`, `^\x{1F600}`, `[[:upper:]]{3}$`, `a^b`, `a$b`,
	}
}

// FuzzMatcher holds the table against the pattern.
func FuzzMatcher(f *testing.F) {
	for _, p := range patterns() {
		for _, line := range []string{"", "a", "2026-01-02 03:04 INFO x", "\tat x", "ERROR é;", "foo bar", "}", "END", "x\xff", "abcd", "ab b", "ABC"} {
			f.Add(p, []byte(line))
		}
	}
	f.Fuzz(func(t *testing.T, pattern string, line []byte) {
		if len(pattern) > 40 || bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		if got, want := newMatcher(re).match(line), re.Match(line); got != want {
			t.Errorf("%s and %q: got %v, want %v", pattern, line, got, want)
		}
	})
}

func TestUsualPatternsNeedNoRegexp(t *testing.T) {
	for _, p := range []string{`^\d{4}-\d\d-\d\d`, `^\d{4}-\d{2}-\d{2}[ T]\d\d:\d\d:\d\d[,.]\d{3}`, `^\[`, `^(INFO|WARN|ERROR) `, `^\S`, `;$`, `^}$`, `ERROR`} {
		if newMatcher(regexp.MustCompile(p)).table == nil {
			t.Errorf("%s has no table", p)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	var text bytes.Buffer
	for i := 0; text.Len() < 512<<10; i++ {
		fmt.Fprintf(&text, "2026-01-02 03:04:05,%03d INFO [main] org.example.Service: request %d took 12 ms and was served from the cache\n", i%1000, i)
		if i%10 == 0 {
			text.WriteString("java.lang.IllegalStateException: no\n\tat org.example.Service.run(Service.java:12)\n\tat java.lang.Thread.run(Thread.java:1)\n")
		}
	}
	for _, bm := range []struct {
		name  string
		rules Rules
	}{
		{"lines", Rules{Max: 1 << 20}},
		{"start", Rules{Max: 1 << 20, Start: regexp.MustCompile(`^\d{4}-\d{2}-\d{2} `)}},
		{"start, a word boundary", Rules{Max: 1 << 20, Start: regexp.MustCompile(`^\d{4}-\d{2}-\d{2}\b`)}},
		{"end", Rules{Max: 1 << 20, End: regexp.MustCompile(`cache$`)}},
		{"indented", Rules{Max: 1 << 20, Indented: true}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := cutter(b, bm.rules)
			var borders []int64
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				if cut := c.Next(text.Bytes(), AtRecord, None, borders); cut.N == 0 {
					b.Fatal("nothing was cut")
				} else if cut.Borders != nil {
					borders = cut.Borders
				}
			}
		})
	}
}
