package cut

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
)

func cutter(t testing.TB, r Rules) *Cutter {
	t.Helper()
	c, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNext(t *testing.T) {
	lines := Rules{Max: 16}
	start := Rules{Max: 16, Start: regexp.MustCompile(`^#`)}
	end := Rules{Max: 16, End: regexp.MustCompile(`;$`)}
	indented := Rules{Max: 16, Indented: true}
	tests := []struct {
		name    string
		rules   Rules
		data    string
		from    From
		flush   Flush
		n       int
		part    Part
		borders []int64
	}{
		{name: "whole lines", rules: lines, data: "a\nb\nc", n: 4},
		{name: "no line", rules: lines, data: "abc", n: 0},
		{name: "no line at the end of all", rules: lines, data: "abc", flush: Always, n: 3},
		{name: "a flush of lines keeps the rest", rules: lines, data: "a\nb", flush: Lines, n: 2},
		{name: "as long as allowed", rules: lines, data: "0123456789abcde\nx", n: 16},
		{name: "too long", rules: lines, data: "0123456789abcdefg", n: 16, part: First},
		{name: "too long, and there at once", rules: lines, data: "0123456789abcdefg\nx\n", n: 16, part: First},
		{name: "whole lines before one that is too long", rules: lines, data: "a\nb\n0123456789abcdefg\nx\n", n: 4},
		{name: "too long at the end of all", rules: lines, data: "0123456789abcdefg", flush: Always, n: 16, part: First},
		{name: "the middle of a long line", rules: lines, data: "0123456789abcdefg", from: InLine, n: 16, part: Middle},
		{name: "the rest of a long line alone", rules: lines, data: "x\nb\n", from: InLine, n: 2, part: Last},
		{name: "the rest of a long line is awaited", rules: lines, data: "x", from: InLine, n: 0},
		{name: "the end of all ends a long line", rules: lines, data: "x", from: InLine, flush: Always, n: 1, part: Last},
		{name: "no character is cut", rules: lines, data: "0123456789abcd€fg", n: 14, part: First},
		{name: "nothing", rules: lines, data: "", n: 0},

		{name: "records", rules: start, data: "#a\nb\n#c\n", n: 5, borders: []int64{5}},
		{name: "one record is not finished", rules: start, data: "#a\nb\n", n: 0},
		{name: "a line that is not whole may start one", rules: start, data: "#a\nb\n#", n: 0},
		{name: "a timeout ends it", rules: start, data: "#a\nb\n#c\nd", flush: Lines, n: 8, borders: []int64{5, 8}},
		{name: "the end of all", rules: start, data: "#a\nb\n#c\nd", flush: Always, n: 9, borders: []int64{5, 9}},
		{name: "the end of all starts one", rules: start, data: "#a\nb\n#c", flush: Always, n: 7, borders: []int64{5, 7}},
		{name: "what does not start a record is one at the beginning", rules: start, data: "b\n#c\n", n: 2, borders: []int64{2}},
		{name: "a long record is cut at a line", rules: start, data: "#a\nbbbbb\nccccccccc\n#", n: 9, part: First, borders: []int64{9}},
		{name: "its rest", rules: start, data: "ccccccccc\n#b\n", from: AtLine, n: 10, part: Last, borders: []int64{10}},
		{name: "its middle", rules: start, data: "cccccccccc\ndddd\neee\n#b\n", from: AtLine, n: 16, part: Middle, borders: []int64{16}},
		{name: "no rest at a line that starts a record", rules: start, data: "#a\nb\n#c\n", from: AtLine, n: 5, borders: []int64{5}},
		{name: "a long line is cut", rules: start, data: "#aaaaaaaaaaaaaaaaa\n", n: 16, part: First, borders: []int64{16}},
		{name: "a record before a long one", rules: start, data: "#a\n#bbbbbbbbbbbbbbbbb\n", n: 3, borders: []int64{3}},
		{name: "the rest of a cut line, and what belongs to it", rules: start, data: "x\ny\n#c\n", from: InLine, n: 4, part: Last, borders: []int64{4}},

		{name: "ended records", rules: end, data: "a\nb;\nc;\r\nd", n: 9, borders: []int64{5, 9}},
		{name: "one is not ended", rules: end, data: "a\nb\n", n: 0},
		{name: "a timeout ends it too", rules: end, data: "a\nb", flush: Lines, n: 2, borders: []int64{2}},
		{name: "the rest of an ended one", rules: end, data: "a\nb;\nc;\n", from: AtLine, n: 5, part: Last, borders: []int64{5}},
		{name: "a cut line ends its record", rules: end, data: "a\nb\nc;\n", from: InLine, n: 2, part: Last, borders: []int64{2}},
		{name: "an ended one too long", rules: end, data: "aaaaaaaa\nbbbbbbbb\nc;\n", n: 9, part: First, borders: []int64{9}},

		{name: "indented", rules: indented, data: "a\n\tb\n c\nd\n", n: 8, borders: []int64{8}},
		{name: "an indented line may follow", rules: indented, data: "a\n\tb\n", n: 0},
		{name: "one byte of the next line is enough", rules: indented, data: "a\n\tb\nc", n: 5, borders: []int64{5}},
		{name: "an empty line is not indented", rules: indented, data: "a\n\nb", n: 3, borders: []int64{2, 3}},
		{name: "indented at first", rules: indented, data: " a\n b\nc", n: 6, borders: []int64{6}},
		{name: "the rest of an indented one", rules: indented, data: " a\n b\nc", from: AtLine, n: 6, part: Last, borders: []int64{6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := cutter(t, tt.rules).Next([]byte(tt.data), tt.from, tt.flush, nil)
			if got.N != tt.n || got.Part != tt.part || !slices.Equal(got.Borders, tt.borders) {
				t.Fatalf("got %+v, want n %d part %q borders %v", got, tt.n, tt.part, tt.borders)
			}
		})
	}
}

func TestRulesThatExcludeEachOtherAreRefused(t *testing.T) {
	re := regexp.MustCompile("a")
	for _, r := range []Rules{
		{Max: 100, Start: re, End: re}, {Max: 100, Start: re, Indented: true}, {Max: 100, End: re, Indented: true}, {},
	} {
		if _, err := New(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

// record is one record or part of one, as a chunk tells it.
type record struct {
	first, last int64
	part        Part
}

// feed cuts a text as a tailer does that sees it grow: at each step it has what
// step allows, from the position on, and knows the position alone.
func feed(t testing.TB, c *Cutter, text []byte, step func(have, all int) int) []record {
	t.Helper()
	var out []record
	at, have := 0, 0
	for at < len(text) {
		from, more := c.From(int64(at), text[max(0, at-8):at])
		if more {
			if from, more = c.From(int64(at), text[max(0, at-c.Max()-2):at]); more {
				t.Fatalf("at %d Max bytes do not suffice to tell what is there", at)
			}
		}
		flush := None
		if have == len(text) {
			flush = Always
		}
		got := c.Next(text[at:have], from, flush, nil)
		if got.N < 0 || got.N > have-at {
			t.Fatalf("a cut of %d bytes in %d", got.N, have-at)
		}
		if got.N == 0 {
			if have-at >= c.Enough() || flush == Always {
				t.Fatalf("no progress at %d with %d bytes, flush %d", at, have-at, flush)
			}
			have = min(len(text), max(have+1, step(have, len(text))))
			continue
		}
		ch := chunk.Chunk{Type: "x", Stream: "s", Body: text[at : at+got.N], Last: int64(got.N), Borders: got.Borders, Encoding: c.rules.Encoding}
		if err := ch.Check(); err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		if c.MultiLine() != (got.Borders != nil) {
			t.Fatalf("at %d: borders %v", at, got.Borders)
		}
		for first, last := range ch.Records() {
			out = append(out, record{int64(at + first), int64(at + last), got.Part})
			if last-first > c.Max() {
				t.Fatalf("a record of %d bytes, want at most %d", last-first, c.Max())
			}
		}
		at += got.N
	}
	return out
}

// check makes sure that the records do not depend on how the text was read, and
// are what the rules say.
func check(t testing.TB, r Rules, text []byte, steps *rand.Rand) {
	t.Helper()
	c := cutter(t, r)
	want := feed(t, c, text, func(_, all int) int { return all })
	got := feed(t, c, text, func(have, all int) int { return have + steps.IntN(2*r.Max) })
	if !slices.Equal(got, want) {
		t.Fatalf("%q\nread in pieces:  %v\nread at once:    %v", text, got, want)
	}
	at := int64(0)
	for _, r := range want {
		if r.first != at || r.last <= r.first {
			t.Fatalf("%q\nrecords do not join up at %d: %v", text, at, want)
		}
		at = r.last
	}
	if at != int64(len(text)) {
		t.Fatalf("%d of %d bytes are in records", at, len(text))
	}
	for i, n := range naive(r, text) {
		if n.whole && !slices.Contains(want, record{n.first, n.last, Whole}) {
			t.Fatalf("%q\nrecord %d, %v, is not whole among %v", text, i, n, want)
		}
	}
}

type span struct {
	first, last int64
	whole       bool
}

// naive returns the records of a text, and which of them are no longer than
// allowed. It knows nothing of how they are found so fast.
func naive(r Rules, text []byte) []span {
	width, _ := chunk.Unit(r.Encoding)
	longest := int64(r.Max / width * width)
	var lines []span
	var texts []string
	dec := charset.NewDecoder(r.Encoding)
	ch := chunk.Chunk{Body: text, Encoding: r.Encoding}
	for first, last := range ch.Records() {
		lines = append(lines, span{int64(first), int64(last), true})
		texts = append(texts, strings.TrimRight(string(dec.Text(text[first:last])), "\r\n"))
	}
	var out []span
	for i, l := range lines {
		join := false
		if i > 0 {
			switch {
			case r.Start != nil:
				join = !r.Start.MatchString(texts[i])
			case r.End != nil:
				before := lines[i-1]
				join = !r.End.MatchString(texts[i-1]) && before.last-before.first <= longest
			case r.Indented:
				join = texts[i] != "" && (texts[i][0] == ' ' || texts[i][0] == '\t')
			}
		}
		if join {
			out[len(out)-1].last = l.last
		} else {
			out = append(out, l)
		}
	}
	for i := range out {
		out[i].whole = out[i].last-out[i].first <= longest
	}
	return out
}

// rules are all sorts; a start's pattern is matched on up to lookAhead bytes,
// more than the texts here have.
func rules(kind byte, encoding string, maxBytes int) Rules {
	r := Rules{Encoding: encoding, Max: maxBytes}
	switch kind % 5 {
	case 1:
		r.Start = regexp.MustCompile(`^#\d?`)
	case 2:
		r.End = regexp.MustCompile(`(;|é)$`)
	case 3:
		r.Indented = true
	case 4:
		r.Start = regexp.MustCompile(`é|\bz`)
	}
	return r
}

var encodings = []string{"", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "GBK", "Shift_JIS", "GB18030"}

func TestBordersDoNotDependOnReads(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	words := []string{"#", "#1", ";", "é", "a", "z", " ", "\t", "\n", "\n", "\n", "\r\n", "漢字", "𝄞", "\x00", "bbbbbbbb"}
	for i := range 4_000 {
		var b strings.Builder
		for range rng.IntN(60) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		encoding := encodings[rng.IntN(len(encodings))]
		text := encode(b.String(), encoding)
		if rng.IntN(10) == 0 {
			text = append(text, byte(rng.Uint32()))
		}
		r := rules(byte(i), encoding, 16+rng.IntN(60))
		if !t.Run("", func(t *testing.T) { check(t, r, text, rng) }) {
			t.Fatalf("seed %d, text %d, rules %+v", seed, i, r)
		}
	}
}

// encode returns the text in an encoding, without what that can't say.
func encode(s, name string) []byte {
	width, big := chunk.Unit(name)
	if width == 1 {
		return []byte(s) // for the others that is nonsense, which has borders as well
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

// FuzzNext holds any bytes, in any pieces, against the same at once.
func FuzzNext(f *testing.F) {
	f.Add([]byte("#a\nb\n#c"), byte(1), byte(0), uint64(1))
	f.Add([]byte("a\n\tb\n#c;\r\n\r\n"), byte(3), byte(1), uint64(2))
	f.Add([]byte("a\x00\n\x00\n\n\x0a\x0a\n\x00"), byte(2), byte(1), uint64(3))
	f.Add(bytes.Repeat([]byte("x"), 50), byte(0), byte(0), uint64(0))
	f.Add([]byte("\x81\x30\x81\x30\n\x84\x31;\n"), byte(2), byte(6), uint64(9))
	f.Fuzz(func(t *testing.T, text []byte, kind, encoding byte, seed uint64) {
		r := rules(kind, encodings[int(encoding)%len(encodings)], 16+int(seed%64))
		check(t, r, text, rand.New(rand.NewPCG(seed, 1)))
	})
}

func TestLongLinesAreCutBetweenCharacters(t *testing.T) {
	for _, tt := range []struct{ encoding, char string }{
		{"", "€"}, {"", "𝄞"}, {"UTF-16LE", "\x34\xd8\x1e\xdd"}, {"UTF-16BE", "\xd8\x34\xdd\x1e"},
		{"GBK", "\xba\xba"}, {"GB18030", "\x81\x30\x81\x30"}, {"Shift_JIS", "\x8a\xbf"}, {"EUC-JP", "\x8f\xb0\xa1"},
	} {
		text := []byte("a" + strings.Repeat(tt.char, 40))
		if strings.HasPrefix(tt.encoding, "UTF-16") {
			text = append(text[1:], text[1:5]...)
		}
		dec := charset.NewDecoder(tt.encoding)
		for _, p := range feed(t, cutter(t, Rules{Max: 19, Encoding: tt.encoding}), text, func(_, all int) int { return all }) {
			piece := dec.Text(text[p.first:p.last])
			if bytes.ContainsRune(piece, utf8.RuneError) {
				t.Errorf("%s: the %s part %q has half a character", tt.encoding, p.part, piece)
			}
		}
	}
}

func TestPatternsMatchTextWhateverItsEncoding(t *testing.T) {
	for _, tt := range []struct{ encoding, line, pattern string }{
		{"UTF-16LE", "2\x000\x00 \x00\xe9\x00\r\x00\n\x00", `^\d+ é$`},
		{"UTF-16BE", "\x002\x000\x00 \x00\xe9\x00\r\x00\n", `^\d+ é$`},
		{"ISO-8859-1", "\xe9 a\n", `^é a$`},
		{"GBK", "\xba\xba\xd7\xd6 a\n", `^\p{Han}{2} a$`},
		{"Shift_JIS", "\x8a\xbf\x8e\x9a [a]\n", `^漢字 \[a`},
		{"", "漢字 [a]\n", `^漢字 \[a`},
		{"", "\ufeffEND\r\n", `^END$`},
		{"UTF-16LE", "\xff\xfeE\x00N\x00D\x00\n\x00", `^END$`},
	} {
		c := cutter(t, Rules{Start: regexp.MustCompile(tt.pattern), Max: 100, Encoding: tt.encoding})
		if !c.matches([]byte(tt.line)) {
			t.Errorf("%s: %s does not match %q", tt.encoding, tt.pattern, tt.line)
		}
	}
	// The second byte of a character may be a letter's.
	if cutter(t, Rules{Start: regexp.MustCompile(`\[`), Max: 100, Encoding: "Shift_JIS"}).matches([]byte("\x83\x5b\n")) {
		t.Error("a pattern matched half a character")
	}
}
