package automaton

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func check(t *testing.T, re *regexp.Regexp, a *Automaton, s string) {
	t.Helper()
	want, got := re.FindSubmatchIndex([]byte(s)), a.Find([]byte(s))
	if !slices.Equal(want, got) {
		t.Fatalf("%q on %q: got %v, want %v", re, s, got, want)
	}
}

// randomExpr writes an expression of up to depth operators in each other.
func randomExpr(rnd *rand.Rand, depth int) string {
	sub := func() string { return randomExpr(rnd, depth-1) }
	if depth == 0 {
		return []string{"a", "b", "ab", " ", ".", `\d`, `\w`, `\s`, `\S`, "[^b]", "[a-c1]", "é", "[^é]", `\pL`, "", "(?s:.)", "(?i:k)", "(?i:[a-c])", "x", `\[`, "\n"}[rnd.IntN(21)]
	}
	switch rnd.IntN(12) {
	case 0, 1, 2, 3:
		return sub() + sub()
	case 4:
		return "(?:" + sub() + "|" + sub() + ")"
	case 5:
		return "(" + sub() + ")"
	case 6:
		return "(" + sub() + "|" + sub() + ")"
	case 7:
		return "(?:" + sub() + ")" + []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?"}[rnd.IntN(9)]
	case 8:
		return "(" + sub() + ")" + []string{"*", "+", "?", "*?", "+?", "??"}[rnd.IntN(6)]
	case 9:
		return []string{"^", "$", `\b`, `\B`, "(?m:^)", "(?m:$)", `\A`, `\z`}[rnd.IntN(8)] + sub()
	case 10:
		return sub() + []string{"^", "$", `\b`, `\B`, "(?m:^)", "(?m:$)", `\A`, `\z`}[rnd.IntN(8)]
	}
	return sub()
}

func randomText(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(14) {
		b.WriteString([]string{"a", "b", "c", "ab", " ", "1", "é", "\n", "x", "[", "K", "\u212a", "\xff", "\xe2\x82", "_", "世"}[rnd.IntN(16)])
	}
	return b.String()
}

// Whatever the expression and the text, the automaton finds what regexp finds.
func TestFindsWhatRegexpFinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	hard := 0
	for range 2500 {
		expr := randomExpr(rnd, 1+rnd.IntN(6))
		re, err := regexp.Compile(expr)
		if err != nil {
			continue
		}
		a := New(re)
		for range 12 {
			check(t, re, a, randomText(rnd))
		}
		if a.tooHard {
			hard++
		}
	}
	if hard > 100 {
		t.Errorf("%d of 2500 expressions were too hard", hard)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(`(a*)*(b|ab)c?$`, "aababc")
	f.Add(`(?P<x>\S+) (?P<y>.*?) - (?:z|(\d+))`, "a b c - - 1")
	f.Fuzz(func(t *testing.T, expr, s string) {
		if len(expr) > 200 {
			return
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		a := New(re)
		check(t, re, a, s)
		check(t, re, a, s+s)
	})
}

// An expression whose automaton would have no end is matched by regexp, and right.
func TestWhatIsTooHardIsLeftToRegexp(t *testing.T) {
	re := regexp.MustCompile(`(?:a|b)*a(?:a|b){14}c`)
	a := New(re)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var b strings.Builder
		for range 300 {
			b.WriteByte("ab"[rnd.IntN(2)])
		}
		check(t, re, a, b.String()+"c")
	}
	if !a.tooHard || len(a.states) > maxStates {
		t.Errorf("%d states, and it goes on", len(a.states))
	}
}

// States that are forgotten are made again.
func TestManyStatesAreForgottenNowAndThen(t *testing.T) {
	re := regexp.MustCompile(`(?:a|b)*(a(?:a|b){11})c`)
	a := New(re)
	rnd := rand.New(rand.NewPCG(1, 2))
	made := 0
	for range 24 {
		var b strings.Builder
		b.WriteString(strings.Repeat("x", 20_000))
		for range 600 {
			b.WriteByte("ab"[rnd.IntN(2)])
		}
		before := len(a.states)
		check(t, re, a, b.String()+"c")
		made += max(0, len(a.states)-before)
	}
	if a.tooHard || made <= maxStates {
		t.Errorf("%d states were made, given up: %v", made, a.tooHard)
	}
}

func TestStoppedTellsWhereAndWhat(t *testing.T) {
	for _, tc := range []struct {
		expr, text string
		at         int
		want       string
	}{
		{`^(\d+) \[(\w+)\] - (.*)$`, "12 [main] x", 10, `"- "`},
		{`(\d+) ERROR (.*)`, "12 WARN x", 3, `"ERROR "`},
		{`^[A-Z]+`, "x", 0, `[A-Z]`},
		{`^a.c$`, "abcd", 3, End},
		{`^a(\d+)$`, "a12x", 3, `[0-9]`},
		{`^abc`, "ab", 2, `"c"`},
	} {
		at, want := New(regexp.MustCompile(tc.expr)).Stopped([]byte(tc.text))
		if at != tc.at || want != tc.want {
			t.Errorf("%s of %q: stopped at %d, wants %s; want %d, %s", tc.expr, tc.text, at, want, tc.at, tc.want)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	const head = `(?P<ts>\S+) (?P<level>[A-Z]+) \[(?P<thread>[^\]]+)\] (?P<logger>\S+) - (?P<message>.*)`
	const access = `(?P<client>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<ts>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" (?P<status>\d+) (?P<size>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"`
	for name, tc := range map[string][2]string{
		"log":    {head, "2025-10-10T13:55:36.123Z INFO [main-thread-7] org.apache.hadoop.hdfs.DataNode - Receiving block blk_123 src: /10.0.0.1:5010 dest: /10.0.0.2:50010"},
		"access": {access, `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36"`},
	} {
		re, s := regexp.MustCompile(tc[0]), []byte(tc[1])
		a := New(re)
		b.Run(fmt.Sprintf("%s/automaton", name), func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if a.Find(s) == nil {
					b.Fatal("no match")
				}
			}
		})
		b.Run(fmt.Sprintf("%s/regexp", name), func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if re.FindSubmatchIndex(s) == nil {
					b.Fatal("no match")
				}
			}
		})
	}
}
