package parse

import (
	"os"
	"strings"
	"testing"
)

func TestSpecsThatAreWrongSayWhereAndWhy(t *testing.T) {
	for text, want := range map[string]string{
		"{parser: json, time_format: [epoch_ms, yy-bb]}": `time_format[1]`,
		"{parser: cri, time_format: epoch}":              "time_format: the parser cri reads times in one form alone",
		"nope":                                           `parser:1:1: "nope" is not known`,
		"{parser: jsn}":                                  `parser:1:10: parser: "jsn" is not known; did you mean json?; allowed: `,
		"{message: json}":                                "want the name of a parser, or a section with the key parser",
		"{parser: json, patern: x}":                      `"patern"`,
		"{parser: json, message: logfmt}":                "only the parsers compose, cri, stamped, syslog have messages for another one; its parser is json",
		"{parser: syslog, message: cri}":                 "the parser cri reads whole records alone; parsers of messages are ",
		"{parser: cri, message: {parser: no}}":           `message.parser: "no" is not known`,
		"{parser: syslog, message: {parser: syslog, message: {parser: syslog, message: {parser: syslog, message: {parser: syslog, message: json}}}}}": "4 levels are allowed",
	} {
		if _, problems := ReadText(text); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, problems, want)
		}
	}
}

func TestMessagesAreReadWithinMessages(t *testing.T) {
	const spec = "{parser: cri, message: {parser: syslog, message: {parser: syslog, message: json}}}"
	line := `2026-02-28T10:00:00.5Z stdout F <11>Feb 28 09:00:00 web1 relay: <14>Feb 28 08:00:00 web2 shop[7]: {"msg":"no stock","item":77}` + "\n"
	got := parsed(t, spec, Options{}, body(line), nil)
	if len(got) != 1 || got[0]["message"] != "no stock" || got[0]["item"] != "77" || got[0]["app"] != "shop" || got[0]["ts"] != "2026-02-28T10:00:00.5Z" {
		t.Errorf("got %v", got)
	}
}

// TestEachParserIsToldAndShown holds the README's table and the golden pairs
// against the parsers that there are.
func TestEachParserIsToldAndShown(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := metrics()
	at := 0
	for _, d := range Docs() {
		if _, ok := metrics[d.Name]; ok {
			continue
		}
		row := "\n| `" + d.Name + "` | " + d.Doc + " |"
		i := strings.Index(string(readme[at:]), row)
		if i < 0 {
			t.Errorf("the README's table of parsers has no line, or not at this place:%s", row)
			continue
		}
		at += i
		if pairs, err := os.ReadDir("testdata"); err != nil || !hasPair(pairs, d.Name) {
			t.Errorf("parser %s has no golden pair in testdata (%v)", d.Name, err)
		}
	}
}

func hasPair(files []os.DirEntry, name string) bool {
	found := map[string]bool{}
	for _, f := range files {
		if rest, ok := strings.CutPrefix(f.Name(), name+"."); ok {
			found[rest[strings.LastIndexByte(rest, '.')+1:]] = true
		}
	}
	return found["in"] && found["golden"]
}
