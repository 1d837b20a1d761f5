package charset

import (
	"fmt"
	"strings"
)

// Choice is the encoding of a kind of files, as a config says it: a name that
// Canonical knows; utf-16, whose byte order each file's byte order mark tells;
// or auto, which is also what the empty Choice means: UTF-16 where a file starts
// with its byte order mark, else UTF-8.
type Choice string

const (
	auto   = "auto"
	byMark = "utf-16"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Choice) UnmarshalText(text []byte) error {
	name := string(text)
	if _, known := Canonical(name); !known && plain(name) != auto && plain(name) != plain(byMark) {
		return fmt.Errorf("allowed are %s", Allowed())
	}
	*c = Choice(name)
	return nil
}

// Want says what is allowed, for messages.
func (Choice) Want() string {
	return "a text encoding, such as auto, utf-8, utf-16, latin1, gbk or shift-jis"
}

// Allowed lists all that a Choice may be.
func Allowed() string {
	return strings.ToLower(strings.Join(append([]string{auto, "utf-8", byMark}, Names()...), ", "))
}

// Of is the IANA name of the encoding of a file that starts with head, at least
// 4 bytes where the file has them; empty for UTF-8. decided is false while the
// file is too short to tell, and the name is that of what it can't be told from
// yet. It depends on the first 4 bytes alone.
//
// UTF-16 without a byte order mark is taken for little-endian, as Windows
// writes it.
func (c Choice) Of(head []byte) (iana string, decided bool) {
	switch plain(string(c)) {
	case "", auto:
		short := len(head) < 2 && (len(head) == 0 || head[0] == 0xff || head[0] == 0xfe)
		return FromBOM(head), !short
	case plain(byMark):
		if len(head) >= 2 && head[0] == 0xfe && head[1] == 0xff {
			return UTF16BE, true
		}
		return UTF16LE, len(head) >= 2
	}
	iana, _ = Canonical(string(c))
	return iana, true
}

// Auto tells that nothing but UTF-8 and what a byte order mark speaks of is
// expected.
func (c Choice) Auto() bool {
	p := plain(string(c))
	return p == "" || p == auto
}
