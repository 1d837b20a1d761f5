package syslog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cut returns the messages that a framer finds in the stream when it comes in
// steps of that many bytes, and what stays at its end. A piece is marked.
func cut(f *framer, stream string, step int) (got []string, rest string) {
	var buf []byte
	for len(stream) > 0 || step == 0 {
		n := min(step, len(stream))
		buf, stream = append(buf, stream[:n]...), stream[n:]
		for {
			from, to, used, p := f.next(buf)
			if used == 0 {
				break
			}
			if to > from {
				got = append(got, mark(p)+string(buf[from:to]))
			}
			buf = buf[used:]
		}
	}
	return got, string(buf)
}

func mark(p part) string {
	if p == whole {
		return ""
	}
	return "{" + string(p) + "}"
}

func TestFraming(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
		rest     string
	}{
		{"newlines", "<1>a\n<2>b\n<3>c", []string{"<1>a", "<2>b"}, "<3>c"},
		{"carriage returns", "<1>a\r\n<2>b\r\n", []string{"<1>a", "<2>b"}, ""},
		{"NULs", "<1>a\x00<2>b\x00", []string{"<1>a", "<2>b"}, ""},
		{"empty ones", "\n\n<1>a\n\n\r\n\x00", []string{"<1>a"}, ""},
		{"counted", "4 <1>a5 <2>bb", []string{"<1>a", "<2>bb"}, ""},
		{"counted, with newlines in them", "7 <1>a\nb\n4 <2>b", []string{"<1>a\nb\n", "<2>b"}, ""},
		{"counted, and ended by a newline as well", "4 <1>a\n4 <2>b\n", []string{"<1>a", "<2>b"}, ""},
		{"changing", "4 <1>a<2>b\n4 <3>c<4>d\n", []string{"<1>a", "<2>b", "<3>c", "<4>d"}, ""},
		{"a text that starts with a number", "2026-01 x\n12 monkeys\n", []string{"2026-01 x", "12 monkeys"}, ""},
		{"counted without a priority, once it was counted", "4 <1>a2 xy", []string{"<1>a", "xy"}, ""},
		{"a number that is no count", "0 <1>a\n1234567890\n", []string{"0 <1>a", "1234567890"}, ""},
		{"only a count", "4 <1>a12", []string{"<1>a"}, "12"},
		{"a counted one that is not whole", "4 <1>a9 <2>b", []string{"<1>a"}, "9 <2>b"},
		{"exactly the bound", "<1>4567890\n<2>b\n", []string{"<1>4567890", "<2>b"}, ""},
		{"exactly the bound, with a carriage return", "<1>4567890\r\n<2>b\n", []string{"<1>4567890", "<2>b"}, ""},
		{"over the bound", "<1>45678901\n<2>b\n", []string{"{first}<1>4567890", "{last}1", "<2>b"}, ""},
		{"far over the bound", "<1>4567890123456789012\n<2>b\n", []string{"{first}<1>4567890", "{middle}1234567890", "{last}12", "<2>b"}, ""},
		{"counted, over the bound", "22 <1>45678901234567890124 <2>b", []string{"{first}<1>4567890", "{middle}1234567890", "{last}12", "<2>b"}, ""},
		{"counted, exactly the bound", "10 <1>45678904 <2>b", []string{"<1>4567890", "<2>b"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for step := 1; step <= len(tt.in); step++ {
				got, rest := cut(&framer{max: 10}, tt.in, step)
				if !slices.Equal(got, tt.want) || rest != tt.rest {
					t.Fatalf("in steps of %d bytes: got %q and %q, want %q and %q", step, got, rest, tt.want, tt.rest)
				}
			}
		})
	}
}

func TestWhatIsLeftAtTheEndOfAConnectionIsMarkedWhenItWasCut(t *testing.T) {
	for _, tt := range []struct {
		in     string
		broken bool
		want   string
	}{
		{"<1>a\n<2>b", false, "<2>b"},
		{"<1>a\n<2>b", true, "{first}<2>b"},
		{"4 <1>a9 <2>b", false, "{first}<2>b"},
		{"4 <1>a4", false, "4"},
		{"<1>456789012345", false, "{last}12345"},
		{"<1>456789012345", true, "{middle}12345"},
	} {
		f := &framer{max: 10}
		_, rest := cut(f, tt.in, len(tt.in))
		msg, p := f.end([]byte(rest), tt.broken)
		if got := mark(p) + string(msg); got != tt.want {
			t.Errorf("%q, broken %v: got %q, want %q", tt.in, tt.broken, got, tt.want)
		}
	}
}

func TestDatagramsMessageEndsBeforeWhatSendersAdd(t *testing.T) {
	for in, want := range map[string][]string{
		"<1>a": {"<1>a"}, "<1>a\n": {"<1>a"}, "<1>a\r\n\x00": {"<1>a"}, "<1>a\nb\n": {"<1>a\nb"}, "\n": nil, "": nil,
		"<1>45678901": {"{first}<1>4567890", "{last}1"},
	} {
		var got []string
		pieces([]byte(in), 10, func(b []byte, p part) bool {
			got = append(got, mark(p)+string(b))
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPriority(t *testing.T) {
	for in, want := range map[string]priority{
		"<0>x": 0, "<34>1 x": 34, "<191>x": 191, "<192>x": noPriority, "<>x": noPriority, "<1": noPriority, "<1234>": noPriority,
		"x": noPriority, "": noPriority, "<a>": noPriority, " <1>": noPriority, "<13>": 13,
	} {
		if got := priorityOf([]byte(in)); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

// However the bytes come and whatever they are: the framer gives the same
// messages, keeps the bound, and loses nothing but framing.
func FuzzFraming(f *testing.F) {
	f.Add("<1>a\n4 <2>b\x00\r\n", byte(1))
	f.Add("22 <1>45678901234567890124 <2>b", byte(3))
	f.Add(strings.Repeat("7", 40)+" <", byte(7))
	f.Fuzz(func(t *testing.T, in string, step byte) {
		if len(in) == 0 {
			return
		}
		one, restOne := cut(&framer{max: 10}, in, len(in))
		got, rest := cut(&framer{max: 10}, in, int(step)+1)
		if !slices.Equal(one, got) || rest != restOne {
			t.Fatalf("at once %q and %q, in steps of %d %q and %q", one, restOne, int(step)+1, got, rest)
		}
		if len(rest) > 10+maxDigits+3 {
			t.Fatalf("%d bytes are held back", len(rest))
		}
		for _, m := range got {
			if body := m[strings.IndexByte(m, '}')+1:]; strings.HasPrefix(m, "{") && len(body) > 10 {
				t.Fatalf("a piece of %d bytes", len(body))
			}
		}
		priorityOf([]byte(in))
	})
}

func BenchmarkFraming(b *testing.B) {
	line := fmt.Sprintf("<34>1 2026-01-01T00:00:00Z host app 1 - - %s\n", strings.Repeat("x", 150))
	data := bytes.Repeat([]byte(line), 300)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		f := framer{max: 64 << 10}
		for rest := data; len(rest) > 0; {
			_, _, used, _ := f.next(rest)
			rest = rest[used:]
		}
	}
}
