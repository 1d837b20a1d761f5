package charset

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesInUseAreKnown(t *testing.T) {
	for name, want := range map[string]string{
		"utf-8": "", "UTF8": "", "us-ascii": "", "latin1": "ISO-8859-1", "Latin-1": "ISO-8859-1", "iso-8859-1": "ISO-8859-1", "ISO8859-15": "ISO-8859-15",
		"windows-1252": "windows-1252", "CP1252": "windows-1252", "gbk": "GBK", "GB2312": "GBK", "gb18030": "GB18030", "shift-jis": "Shift_JIS",
		"Shift_JIS": "Shift_JIS", "sjis": "Shift_JIS", "euc-jp": "EUC-JP", "big5": "Big5", "euc-kr": "EUC-KR", "utf-16le": UTF16LE, "UTF-16BE": UTF16BE,
	} {
		if got, known := Canonical(name); !known || got != want {
			t.Errorf("%s: got %q, known %v, want %q", name, got, known, want)
		}
	}
	for _, name := range []string{"", "utf-16", "utf-32", "klingon", "iso-8859", "ebcdic"} {
		if got, known := Canonical(name); known {
			t.Errorf("%q is taken for %s", name, got)
		}
	}
	for _, name := range Names() {
		if got, known := Canonical(name); !known || got != name {
			t.Errorf("%s: got %s, known %v", name, got, known)
		}
		var c Choice
		if err := c.UnmarshalText([]byte(strings.ToLower(name))); err != nil || !strings.Contains(Allowed(), strings.ToLower(name)) {
			t.Errorf("%s is not allowed: %v", name, err)
		}
	}
}

func TestChoiceFollowsAFilesHead(t *testing.T) {
	for _, tt := range []struct {
		choice, head, want string
		decided            bool
	}{
		{"", "", "", false},
		{"", "a", "", true},
		{"", "\xff", "", false},
		{"", "\xfe", "", false},
		{"auto", "\xff\xfe", UTF16LE, true},
		{"AUTO", "\xfe\xff\x00a", UTF16BE, true},
		{"", "\xff\xfe\x00\x00", "", true},
		{"", "\xef\xbb\xbfa", "", true},
		{"utf-16", "", UTF16LE, false},
		{"utf-16", "\xfe", UTF16LE, false},
		{"UTF16", "\xfe\xff", UTF16BE, true},
		{"utf-16", "\xff\xfe", UTF16LE, true},
		{"utf-16", "a\x00", UTF16LE, true},
		{"utf-8", "\xff\xfe", "", true},
		{"gbk", "", "GBK", true},
		{"utf-16be", "\xff\xfe", UTF16BE, true},
	} {
		if got, decided := Choice(tt.choice).Of([]byte(tt.head)); got != tt.want || decided != tt.decided {
			t.Errorf("%q, a file that starts with %q: got %q, decided %v, want %q, %v", tt.choice, tt.head, got, decided, tt.want, tt.decided)
		}
	}
	var c Choice
	if err := c.UnmarshalText([]byte("utf-17")); err == nil || !strings.Contains(err.Error(), "auto, utf-8, utf-16, ") {
		t.Errorf("got %v, want what is allowed", err)
	}
}

func TestWholeCharactersAreCounted(t *testing.T) {
	for _, tt := range []struct {
		encoding, text string
		want           int
	}{
		{"GBK", "a\xba\xba\xba", 3}, {"GBK", "a\xba\xba", 3}, {"GB18030", "a\x81\x30\x81", 1}, {"Shift_JIS", "\x8a\xbf\x8a", 2},
		{"EUC-JP", strings.Repeat("\x8f\xb0\xa1", 3000) + "\x8f\xb0", 9000}, {"ISO-8859-1", "\xe9\xff", 2},
	} {
		if got := NewDecoder(tt.encoding).Whole([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: got %d whole of %d bytes, want %d", tt.encoding, got, len(tt.text), tt.want)
		}
	}
	if got := (*Decoder)(nil).Text([]byte("é")); !slices.Equal(got, []byte("é")) {
		t.Errorf("UTF-8: got %q", got)
	}
}
