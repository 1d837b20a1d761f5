package parse

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
)

// iana finds an encoding by another list of names than ours.
func iana(t testing.TB, name string) encoding.Encoding {
	t.Helper()
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil || e == nil {
		t.Fatalf("%s is no IANA name of a known encoding: %v", name, err)
	}
	if canonical, _ := ianaindex.IANA.Name(e); canonical != name {
		if mime, _ := ianaindex.MIME.Name(e); mime != name {
			t.Errorf("%s: its IANA name is %s", name, canonical)
		}
	}
	return e
}

// sayable returns what of the text an encoding can say.
func sayable(e encoding.Encoding, text string) string {
	var out strings.Builder
	for _, c := range text {
		if b, err := e.NewEncoder().String(string(c)); err == nil {
			if back, err := e.NewDecoder().String(b); err == nil && back == string(c) {
				out.WriteRune(c)
			}
		}
	}
	return out.String()
}

func TestEveryEncodingBecomesTheSameText(t *testing.T) {
	for _, name := range charset.Names() {
		e := iana(t, name)
		var letters strings.Builder
		for c := rune(' '); c < 0x10ffff; c += 1 + c/300 {
			if utf8.ValidRune(c) && c != '\\' && c != utf8.RuneError && c != 0xfeff && (c < 0x7f || c > 0xa0) {
				letters.WriteRune(c)
			}
		}
		first, second := sayable(e, "1 äöüßéñ€ Жя 漢字ソ表 한국 中文許 𝄞"), sayable(e, letters.String())
		if len(second) < 90 {
			t.Fatalf("%s says only %q", name, second)
		}
		text, err := e.NewEncoder().String(first + "\r\n" + second + "\n" + first)
		if err != nil {
			t.Fatal(err)
		}
		c := body(text)
		c.Encoding = name
		got := parsed(t, "raw", Options{}, c, nil)
		if len(got) != 3 {
			t.Errorf("%s: %d rows, want 3", name, len(got))
			continue
		}
		for i, want := range []string{first, second, first} {
			if got[i]["message"] != want || got[i]["parse_error"] != "" {
				t.Errorf("%s: row %d: got %q %s, want %q", name, i, got[i]["message"], got[i]["parse_error"], want)
			}
		}
	}
}

func TestNewlineIsOneByteInAllButUTF16(t *testing.T) {
	for _, name := range charset.Names() {
		if width, _ := chunk.Unit(name); width != 1 {
			continue
		}
		e := iana(t, name)
		if nl, err := e.NewEncoder().String("\n"); err != nil || nl != "\n" {
			t.Errorf("%s: a newline is %q", name, nl)
		}
		for b := range 0x100 { // no character of several bytes has a newline's in it
			if text, err := e.NewDecoder().String(string([]byte{byte(b), '\n'})); err != nil || !strings.HasSuffix(text, "\n") {
				t.Errorf("%s: the byte %#x and a newline are %q", name, b, text)
			}
		}
	}
}

func TestBytesThatAreNoCharactersAreKeptAndMarked(t *testing.T) {
	for _, tt := range []struct{ name, encoding, body, want, err string }{
		{"half a pair", "UTF-16LE", "a\x00\x3d\xd8b\x00\n\x00", `a\xed\xa0\xbdb`, "not all its bytes are UTF-16LE"},
		{"the other half", "UTF-16BE", "\x00a\xdc\x00\x00\n", `a\xed\xb0\x80`, "not all its bytes are UTF-16BE"},
		{"a pair", "UTF-16BE", "\xd8\x34\xdd\x1e\x00\n", "𝄞", ""},
		{"half a unit", "UTF-16LE", "a\x00\xe9\x00x", `aé\x78`, "not all its bytes are UTF-16LE"},
		{"half a unit alone", "UTF-16LE", "x", `\x78`, "not all its bytes are UTF-16LE"},
		{"a replacement character of its own", "UTF-16LE", "a\x00\xfd\xff\n\x00", "a\ufffd", ""},
		{"the same in GB18030", "GB18030", "a\x84\x31\xa4\x37\xba\xba\n", "a\ufffd汉", ""},
		{"a byte that means nothing", "windows-1252", "\xe9\x81\\\n", `é\x81\\`, "not all its bytes are windows-1252"},
		{"half a character", "GBK", "\xba\xba\xba\n", `汉\xba`, "not all its bytes are GBK"},
		{"half a character before a letter", "Shift_JIS", "\x8a\xbf\x81 a\n", `漢\x81 a`, "not all its bytes are Shift_JIS"},
		{"CR alone and before a newline", "UTF-16LE", "a\x00\r\x00b\x00\r\x00\n\x00", "a\rb", ""},
		{"NULs", "", "a\x00\x00b\n", "a\x00\x00b", ""},
		{"NULs of two bytes", "UTF-16LE", "a\x00\x00\x00b\x00\n\x00", "a\x00b", ""},
		{"no UTF-8", "", "a\xffé\\\r\n", `a\xffé\\`, "message is not UTF-8"},
	} {
		c := body(tt.body)
		c.Encoding = tt.encoding
		got := parsed(t, "raw", Options{}, c, nil)
		if len(got) != 1 || got[0]["message"] != tt.want || !strings.Contains(got[0]["parse_error"], tt.err) || tt.err == "" && got[0]["parse_error"] != "" {
			t.Errorf("%s: got %q, want %q and %q", tt.name, got, tt.want, tt.err)
		}
	}
}

func TestByteOrderMarkIsNoText(t *testing.T) {
	for encoding, text := range map[string]string{
		"":         "\xef\xbb\xbfa=1\na=2\n",
		"UTF-16LE": "\xff\xfea\x00=\x001\x00\n\x00a\x00=\x002\x00\r\x00\n\x00",
		"UTF-16BE": "\xfe\xff\x00a\x00=\x001\x00\n\x00a\x00=\x002\x00\n",
	} {
		c := body(text)
		c.Encoding = encoding
		got := parsed(t, "raw", Options{}, c, nil)
		if len(got) != 2 || got[0]["message"] != "a=1" || got[1]["message"] != "a=2" || got[0]["parse_error"] != "" {
			t.Errorf("%q: got %v, want two records without errors", encoding, got)
		}
		c = body(text[:len(text)/2]) // partly in the table already
		c.Encoding = encoding
		if got := parsed(t, "raw", Options{}, c, chunk.Ranges{{First: 0, Last: 8}}); len(got) != 1 || strings.Contains(got[0]["message"], "\ufeff") {
			t.Errorf("%q: got %v, want a part without the mark", encoding, got)
		}
	}
}

func TestPartsOfRecordsShowAsSuch(t *testing.T) {
	parts := []string{"2026-01-01 12:00:00,000 ERROR [main] a.B: first ", "middle ", "last\n"}
	for _, parser := range []string{"raw", "log4j", "json"} {
		at := int64(0)
		for i, name := range []string{"first", "middle", "last"} {
			c := body(parts[i])
			c.First, c.Last, c.Tags = at, at+int64(len(parts[i])), map[string]string{"part": name}
			at = c.Last
			got := parsed(t, parser, Options{}, c, nil)
			if len(got) != 1 || got[0]["tags"] != "part="+name+" " {
				t.Fatalf("%s: the %s part: got %v, want one row with the tag", parser, name, got)
			}
			failed := strings.Contains(got[0]["parse_error"], "the "+name+" part of a record")
			if want := parser != "raw" && i > 0; failed != want {
				t.Errorf("%s: the %s part: got %v, want marked in parse_error: %v", parser, name, got, want)
			}
			if parser == "log4j" && i == 0 && got[0]["level"] != "ERROR" {
				t.Errorf("the first part: got %v, want what its head says", got)
			}
			if i > 0 && got[0]["message"] != strings.TrimSuffix(parts[i], "\n") {
				t.Errorf("%s: the %s part: got %q", parser, name, got[0]["message"])
			}
		}
	}
}

func TestLinesOfOneRecordAreJoinedInWideText(t *testing.T) {
	text, err := iana(t, "UTF-16LE").NewEncoder().String("2026-01-01 12:00:00,000 ERROR [main] a.B: x\n\tat y\n2026-01-01 12:00:01,000 INFO [main] a.B: z\n")
	if err != nil {
		t.Fatal(err)
	}
	c := body(text)
	c.Encoding = "UTF-16LE"
	if got := parsed(t, "log4j", Options{}, c, nil); len(got) != 2 || got[0]["level"] != "ERROR" || got[1]["message"] != "z" {
		t.Errorf("got %v, want two records", got)
	}
}

// FuzzEncodings tests that any bytes in any encoding become rows of UTF-8.
func FuzzEncodings(f *testing.F) {
	f.Add([]byte("a\x00\n\x00\xd8\x34\n"), byte(0), byte(1))
	f.Add([]byte("\x81\x30\xba\xba\n\xff"), byte(3), byte(2))
	names := charset.Names()
	f.Fuzz(func(t *testing.T, raw []byte, which, at byte) {
		if len(raw) == 0 {
			return
		}
		c := body(string(raw))
		c.Encoding = names[int(which)%len(names)]
		n := int64(len(raw))
		rows := parsed(t, "raw", Options{}, c, chunk.Ranges{{First: 0, Last: int64(at) % n}, {First: int64(at) % n, Last: n}})
		for _, row := range rows {
			if !utf8.ValidString(row["message"]) {
				t.Fatalf("%s: a message is %q", c.Encoding, row["message"])
			}
		}
	})
}
