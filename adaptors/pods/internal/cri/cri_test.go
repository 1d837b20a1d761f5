package cri

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const at = "2026-03-01T10:00:00.123456789Z "

func TestLinesAreRead(t *testing.T) {
	for _, tt := range []struct {
		line    string
		output  Output
		partial bool
		message string
	}{
		{at + "stdout F hello world\n", Stdout, false, "hello world"},
		{at + "stderr P hel", Stderr, true, "hel"},
		{"2026-03-01T10:00:00.123456789+02:00 stdout F x\n", Stdout, false, "x"},
		{"2026-03-01T10:00:00Z stdout F x\n", Stdout, false, "x"},
		{at + "stdout F \n", Stdout, false, ""},
		{at + "stdout F\n", Stdout, false, ""},
		{at + "stdout P:more:tags x y\n", Stdout, true, "x y"},
		{at + "stdout F  two\n", Stdout, false, " two"},
		{at + "stdin F x\n", None, false, at + "stdin F x"},
		{at + "stdout Full x\n", None, false, at + "stdout Full x"},
		{"not a line of a container's log at all\n", None, false, "not a line of a container's log at all"},
		{"\n", None, false, ""},
		{`{"log":"a \"b\"\\n\n","stream":"stderr","time":"2026-03-01T10:00:00Z"}` + "\n", Stderr, false, `a \"b\"\\n`},
		{`{"log":"part","stream":"stdout","time":"2026-03-01T10:00:00Z"}` + "\n", Stdout, true, "part"},
		{`{"log":"`, None, false, `{"log":"`},
		{`{"log":"\`, None, false, `{"log":"\`},
	} {
		l := Read([]byte(tt.line))
		if got := tt.line[l.First:l.Last]; l.Output != tt.output || l.Partial != tt.partial || got != tt.message {
			t.Errorf("%q: got output %d, partial %t, message %q", tt.line, l.Output, l.Partial, got)
		}
	}
}

func TestMessageJoinsPartsAndKeepsOutputsApart(t *testing.T) {
	record := at + "stdout P one \n" + at + "stderr P bad \n" + at + "stdout F two\n" + at + "stdout F three\n" + at + "stderr F luck\n"
	if got, want := string(Message([]byte(record))), "one two\nthree\nbad luck"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	line := []byte(at + "stdout F x\n")
	if got := Message(line); string(got) != "x" || &got[0] != &line[len(line)-2] {
		t.Errorf("got %q; want the part of the line", got)
	}
}

// cuts cuts data until nothing is left and gives the records, each with its
// part before it.
func cuts(t *testing.T, c *Cutter, data []byte, ends []int, step int) (records []string, sent string) {
	t.Helper()
	var st State
	off, have := 0, 0
	for off < len(data) {
		have = max(have, off)
		flush := Whole
		if have = min(have+step, len(data)); have == len(data) {
			flush = Always
		}
		for off < have {
			var rel []int
			for _, e := range ends {
				if e > off && e <= have {
					rel = append(rel, e-off)
				}
			}
			cut := c.Next(data[off:have], rel, st, flush, nil)
			if cut.N == 0 {
				break
			}
			body := data[off : off+cut.N]
			sent += string(body)
			borders := cut.Borders
			if borders == nil {
				for i, b := range body {
					if b == '\n' || i == len(body)-1 {
						borders = append(borders, int64(i+1))
					}
				}
			}
			if borders[len(borders)-1] != int64(cut.N) || !slices.IsSorted(borders) {
				t.Fatalf("borders %v of %d bytes", borders, cut.N)
			}
			from := int64(0)
			for _, b := range borders {
				records = append(records, cut.Part+":"+string(body[from:b]))
				from = b
			}
			st = cut.After
			off += cut.N
		}
		if have == len(data) && off < have {
			t.Fatalf("the flush left %q", data[off:])
		}
	}
	return records, sent
}

func TestRecordsAreCut(t *testing.T) {
	o, e := at+"stdout ", at+"stderr "
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name  string
		start string
		max   int
		files []string
		want  []string
	}{
		{name: "lines", files: []string{o + "F a\n" + e + "F b\n"}, want: []string{":" + o + "F a\n", ":" + e + "F b\n"}},
		{name: "parts", files: []string{o + "P a\n" + o + "F b\n" + o + "F c\n"}, want: []string{":" + o + "P a\n" + o + "F b\n", ":" + o + "F c\n"}},
		{
			name: "interleaved", files: []string{o + "P a\n" + e + "P b\n" + o + "F c\n" + e + "F d\n" + o + "F e\n"},
			want: []string{":" + o + "P a\n" + e + "P b\n" + o + "F c\n" + e + "F d\n", ":" + o + "F e\n"},
		},
		{name: "across files", files: []string{o + "P a\n", o + "F b\n"}, want: []string{":" + o + "P a\n" + o + "F b\n"}},
		{name: "torn at a file's end", files: []string{o + "F a\n" + o + "F to", o + "F b\n"}, want: []string{":" + o + "F a\n", ":" + o + "F to", ":" + o + "F b\n"}},
		{name: "never finished", files: []string{o + "F a\n" + o + "P b\n"}, want: []string{":" + o + "F a\n", "first:" + o + "P b\n"}},
		{
			name: "too long", max: 100, files: []string{o + "P " + long[:40] + "\n" + o + "P " + long[:40] + "\n" + o + "F c\n" + o + "F d\n"},
			want: []string{"first:" + o + "P " + long[:40] + "\n", "middle:" + o + "P " + long[:40] + "\n", "last:" + o + "F c\n", ":" + o + "F d\n"},
		},
		{
			name: "a line too long", max: 100, files: []string{o + "F " + long + "\n" + o + "F d\n"},
			want: []string{"first:" + (o + "F " + long)[:100], "middle:" + (o + "F " + long)[100:200], "middle:" + (o + "F " + long)[200:300], "last:" + (o + "F " + long)[300:] + "\n", ":" + o + "F d\n"},
		},
		{
			name: "a trace", start: `^\d+ `, files: []string{o + "F 1 x\n" + o + "F  at y\n" + o + "P  at \n" + o + "F z\n" + o + "F 2 x\n" + o + "F 3 x\n"},
			want: []string{":" + o + "F 1 x\n" + o + "F  at y\n" + o + "P  at \n" + o + "F z\n", ":" + o + "F 2 x\n", ":" + o + "F 3 x\n"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Cutter{Max: tt.max}
			if c.Max == 0 {
				c.Max = 1 << 20
			}
			if tt.start != "" {
				c.Start = regexp.MustCompile(tt.start)
			}
			var data []byte
			var ends []int
			for _, f := range tt.files {
				data = append(data, f...)
				ends = append(ends, len(data))
			}
			got, _ := cuts(t, c, data, ends, len(data))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestCutsDoNotDependOnHowTheFileGrew cuts what comes in pieces of any size.
func TestCutsDoNotDependOnHowTheFileGrew(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var data []byte
		for i := range 1 + rnd.IntN(40) {
			data = fmt.Appendf(data, "%s%s %s %d%s\n", at, []string{"stdout", "stderr"}[rnd.IntN(2)], []string{"F", "F", "P"}[rnd.IntN(3)], i, strings.Repeat("y", rnd.IntN(50)))
		}
		ends := []int{len(data)}
		for _, start := range []*regexp.Regexp{nil, regexp.MustCompile(`^\d*[05]`)} {
			c := &Cutter{Max: 1 << 20, Start: start}
			want, _ := cuts(t, c, data, ends, len(data))
			for _, step := range []int{1, 7, 64, 333} {
				got, sent := cuts(t, c, data, ends, step)
				if !slices.Equal(got, want) || sent != string(data) {
					t.Fatalf("in steps of %d: got  %q\nwant %q", step, got, want)
				}
			}
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte(at+"stdout P a\n"+at+"stderr F b\n"+at+"stdout F c"), uint8(3), uint8(40), uint8(20))
	f.Add([]byte(`{"log":"a","stream":"stdout"}`+"\n"), uint8(200), uint8(5), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, step, limit, end uint8) {
		ends := []int{len(data)}
		if int(end) < len(data) && end > 0 {
			ends = []int{int(end), len(data)}
		}
		for _, start := range []*regexp.Regexp{nil, regexp.MustCompile(`^[a-f]`)} {
			c := &Cutter{Max: int(limit) + 1, Start: start}
			if _, sent := cuts(t, c, data, ends, int(step)+1); !bytes.Equal([]byte(sent), data) {
				t.Fatalf("got %q, want %q", sent, data)
			}
		}
		m := Message(data)
		if len(m) > len(data)+3 {
			t.Fatalf("a message of %d bytes from a record of %d", len(m), len(data))
		}
	})
}
