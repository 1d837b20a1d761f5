package parse

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func best(g *Guesser, text string) string {
	guesses := g.Guess([]byte(text), false)
	if len(guesses) == 0 {
		return ""
	}
	return guesses[0].Parser
}

// TestEachParserIsGuessed looks at testdata/guess/PARSER.WHAT: beginnings of files
// whose format is PARSER's.
func TestEachParserIsGuessed(t *testing.T) {
	g := NewGuesser()
	have := map[string]bool{}
	files, _ := filepath.Glob("testdata/guess/*")
	for _, file := range files {
		want, _, _ := strings.Cut(filepath.Base(file), ".")
		have[want] = true
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := best(g, string(text)); got != want {
			t.Errorf("%s: got %q of %+v", file, got, g.Guess(text, false))
		}
		lines := strings.SplitAfter(string(text), "\n")
		if len(lines) < 4 || lines[0][0] == '#' || slices.Contains([]string{"df", "csv", "tsv", "ssv", "psv", "iostat"}, want) { // a heading is needed
			continue
		}
		if got := best(g, "the rest of a line\n"+string(text)); got != want {
			t.Errorf("%s: below an odd line got %q", file, got)
		}
	}
	for _, name := range Guessed() {
		if !have[name] {
			t.Errorf("no file in testdata/guess shows that %s is guessed: put one there, or say by its clue that it is kinNone", name)
		}
	}
}

func TestHeadingsSayNothingAboutAGuess(t *testing.T) {
	g := NewGuesser()
	for file, want := range map[string]int{
		"top.batch": 1, "vmstat.every": 8, "sar.cpu": 6, "netstat.an": 8, "iostat.runs": 6, "iostat.extended": 3, "mysql.general": 3,
	} {
		text, err := os.ReadFile(filepath.Join("testdata/guess", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Guess(text, false)[0]; got.Parsed != want || got.Records != want {
			t.Errorf("%s: got %d records of %d, want all %d", file, got.Parsed, got.Records, want)
		}
	}
	const clocks = "10:00:00 Linux kernel ready\n10:00:01 eth0 link up\n10:00:02 attempt 3 done\n10:00:03 attempt 4 done\n"
	if got := best(g, clocks); got != "raw" {
		t.Errorf("of lines with a time of day got %q, want raw", got)
	}
}

func TestBytesThatAreNoUTF8AreNotParsed(t *testing.T) {
	g := NewGuesser()
	const (
		log4j  = "2026-11-22 21:09:57,123 ERROR [main] org.example.Main: caf\xe9\n"
		syslog = "Nov 22 21:09:57 web1 app[123]: caf\xe9 \\ na\xefve\n"
		access = `10.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /caf` + "\xe9" + ` HTTP/1.1" 200 1` + "\n"
		free   = "caf\xe9 is free text\nand \\ na\xefve is more\n"
	)
	for text, want := range map[string]string{
		log4j: "log4j", log4j + log4j: "log4j", syslog + syslog: "syslog", access: "combined", free: "raw",
	} {
		if got := g.Guess([]byte(text), false); got[0].Parser != want || want == "raw" && len(got) > 1 || len(got) > 2 {
			t.Errorf("%q: got %+v, want %s and raw alone", text, got, want)
		}
	}
}

func TestARecordsStartMatchesThoseOfItsFormat(t *testing.T) {
	files, _ := filepath.Glob("testdata/guess/*")
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		if StartOf(name) == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := body(string(text))
		start := regexp.MustCompile(StartOf(name))
		for _, r := range mustNew(t, name, Options{}).Records(c) {
			if rec := c.Bytes(r); len(bytes.TrimSpace(rec)) > 0 && !start.Match(rec) {
				t.Errorf("%s: %q is a record, and the start does not match it", file, rec)
			}
		}
	}
}

func TestFreeTextIsRaw(t *testing.T) {
	g := NewGuesser()
	for _, text := range []string{
		"one word\n",
		"hello\n",
		"key=value\n",
		"setting a=b and c=d for the user\nsetting a=b and e=f for the user\n",
		"error: x=1 y=2 z=3\n",
		"if a=\"b\" then c=d else e=f\n",
		"PATH=/bin\n",
		"# a comment\nexport A=b C=d\n",
		"first, second, and third\nfourth, fifth, and sixth\n",
		"Start-Date: 2026-11-22  20:47:01\nCommandline: apt-get install x\nInstall: x:amd64 (1.0)\n\nEnd-Date: 2026-11-22  20:47:02\n",
		"Lorem ipsum dolor sit amet, consectetur adipiscing elit,\nsed do eiusmod tempor incididunt ut labore.\n",
		"Unpacking x (1.0) ...\nSetting up x (1.0) ...\n",
		"[ OK ] Started\n[FAIL] Stopped\n",
		"{not json\n",
		"1 2 3\n4 5 6\n",
		"<html>\n<body class=\"x\" id=y>\n</body>\n",
		strings.Repeat("x", 5000) + "\n",
	} {
		if got := g.Guess([]byte(text), false); got[0].Parser != "raw" {
			t.Errorf("%.100q: got %+v", text, got[0])
		}
	}
}

func TestFewLinesAreEnough(t *testing.T) {
	g := NewGuesser()
	const json, access = `{"a":1}` + "\n", `10.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1` + "\n"
	for text, want := range map[string]string{
		json: "json", access: "combined",
		"of a line\n" + access:                                         "combined",
		access + "of a line\n":                                         "raw",
		strings.Repeat("# heading\n", 20) + json:                       "json",
		"a\nb\n" + strings.Repeat(json, 18):                            "json",
		strings.Repeat(json, 15) + strings.Repeat("text\n", 5):         "json",
		strings.Repeat(json, 10) + strings.Repeat("text\n", 10):        "raw",
		strings.Repeat("\n", 50) + json:                                "json",
		"ts=2026-11-30T10:00:00Z level=info msg=\"a b\" n=1\n":         "logfmt",
		"\xef\xbb\xbf" + json:                                          "json",
		strings.Repeat("free text\n", 30) + strings.Repeat(json, 1000): "raw",
	} {
		if got := best(g, text); got != want {
			t.Errorf("%.60q: got %q, want %q", text, got, want)
		}
	}
	if got := g.Guess([]byte(" \n\n"), false); got != nil {
		t.Errorf("of nothing: got %+v", got)
	}
	if got := g.Guess([]byte(json+`{"b`), true); got[0].Parser != "json" || got[0].Records != 1 {
		t.Errorf("of a text that goes on: got %+v", got[0])
	}
}

// FuzzGuess: whatever the text, there is an answer, and raw is its last.
func FuzzGuess(f *testing.F) {
	for _, s := range append(prose, shared...) {
		f.Add([]byte(s + "\n"))
	}
	g := NewGuesser()
	f.Fuzz(func(t *testing.T, text []byte) {
		got := g.Guess(text, true)
		if i := slices.IndexFunc(got, func(g Guess) bool { return g.Parser == "raw" }); i != len(got)-1 {
			t.Errorf("got %+v", got)
		}
	})
}
