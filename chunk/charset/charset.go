// Package charset knows the text encodings that a chunk's body may be in. It is
// the one list that whoever names, cuts, matches or decodes text goes by. In all
// of them but UTF-16 a byte below 0x80 at a character's start is ASCII, and the
// byte 0x0A is a newline wherever it stands.
package charset

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// UTF-16 in its two byte orders, by their IANA names.
const (
	UTF16LE = "UTF-16LE"
	UTF16BE = "UTF-16BE"
)

// table returns the encodings by their IANA names (the registry's preferred MIME
// name where it has one). UTF-8 is not among them: its name is the empty one.
func table() map[string]encoding.Encoding {
	return map[string]encoding.Encoding{
		UTF16LE:        unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
		UTF16BE:        unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
		"ISO-8859-1":   charmap.ISO8859_1,
		"ISO-8859-2":   charmap.ISO8859_2,
		"ISO-8859-3":   charmap.ISO8859_3,
		"ISO-8859-4":   charmap.ISO8859_4,
		"ISO-8859-5":   charmap.ISO8859_5,
		"ISO-8859-6":   charmap.ISO8859_6,
		"ISO-8859-7":   charmap.ISO8859_7,
		"ISO-8859-8":   charmap.ISO8859_8,
		"ISO-8859-9":   charmap.ISO8859_9,
		"ISO-8859-10":  charmap.ISO8859_10,
		"ISO-8859-13":  charmap.ISO8859_13,
		"ISO-8859-14":  charmap.ISO8859_14,
		"ISO-8859-15":  charmap.ISO8859_15,
		"ISO-8859-16":  charmap.ISO8859_16,
		"windows-874":  charmap.Windows874,
		"windows-1250": charmap.Windows1250,
		"windows-1251": charmap.Windows1251,
		"windows-1252": charmap.Windows1252,
		"windows-1253": charmap.Windows1253,
		"windows-1254": charmap.Windows1254,
		"windows-1255": charmap.Windows1255,
		"windows-1256": charmap.Windows1256,
		"windows-1257": charmap.Windows1257,
		"windows-1258": charmap.Windows1258,
		"IBM437":       charmap.CodePage437,
		"IBM850":       charmap.CodePage850,
		"IBM852":       charmap.CodePage852,
		"IBM866":       charmap.CodePage866,
		"KOI8-R":       charmap.KOI8R,
		"KOI8-U":       charmap.KOI8U,
		"GBK":          simplifiedchinese.GBK,
		"GB18030":      simplifiedchinese.GB18030,
		"Big5":         traditionalchinese.Big5,
		"Shift_JIS":    japanese.ShiftJIS,
		"EUC-JP":       japanese.EUCJP,
		"EUC-KR":       korean.EUCKR,
	}
}

// Names are the IANA names of all encodings but UTF-8, sorted.
func Names() []string { return slices.Sorted(maps.Keys(table())) }

// aliases are names in use that differ from the IANA name in more than case and
// punctuation.
var aliases = map[string]string{
	"utf8": "", "ascii": "", "usascii": "",
	"latin1": "ISO-8859-1", "latin2": "ISO-8859-2", "latin9": "ISO-8859-15",
	"cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": "windows-1252", "cp437": "IBM437",
	"cp850": "IBM850", "cp852": "IBM852", "cp866": "IBM866",
	"gb2312": "GBK", "cp936": "GBK", "sjis": "Shift_JIS", "cp932": "Shift_JIS", "windows31j": "Shift_JIS",
	"cp949": "EUC-KR", "cp950": "Big5",
}

// Canonical returns an encoding's IANA name by any of its names, whatever their
// case, hyphens and underscores. It is empty for UTF-8 and ASCII.
func Canonical(name string) (iana string, known bool) {
	key := plain(name)
	if iana, known = aliases[key]; known {
		return iana, true
	}
	for iana := range table() {
		if plain(iana) == key {
			return iana, true
		}
	}
	return "", false
}

func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// FromBOM tells the encoding that a byte order mark at a text's beginning
// speaks of, where that is UTF-16; empty where it is not. FF FE 00 00 is
// UTF-32's.
func FromBOM(head []byte) string {
	switch {
	case len(head) >= 4 && string(head[:4]) == "\xff\xfe\x00\x00":
		return ""
	case len(head) >= 2 && head[0] == 0xff && head[1] == 0xfe:
		return UTF16LE
	case len(head) >= 2 && head[0] == 0xfe && head[1] == 0xff:
		return UTF16BE
	}
	return ""
}

// Decoder turns text in one encoding into UTF-8. It is not safe for concurrent
// use.
type Decoder struct {
	dec  *encoding.Decoder
	wide bool // UTF-16
	big  bool // its high byte comes first
	out  []byte
}

// NewDecoder makes a decoder; nil for UTF-8 and for a name that is not known.
func NewDecoder(name string) *Decoder {
	iana, known := Canonical(name)
	if !known || iana == "" {
		return nil
	}
	return &Decoder{dec: table()[iana].NewDecoder(), wide: iana == UTF16LE || iana == UTF16BE, big: iana == UTF16BE}
}

// Text returns whole characters as UTF-8, U+FFFD for what is none: good for
// matching, not for keeping. The result is b itself where that is ASCII, or
// else valid until the next call. A nil Decoder gives b.
func (d *Decoder) Text(b []byte) []byte {
	if d == nil || !d.wide && ascii(b) {
		return b
	}
	d.dec.Reset()
	if want := 3*len(b) + 4; cap(d.out) < want {
		d.out = make([]byte, want)
	}
	n, _, err := d.dec.Transform(d.out[:cap(d.out)], b, true)
	if err != nil {
		return b
	}
	return d.out[:n]
}

// Decode returns text as UTF-8, to be kept. Where bytes are no characters, it is
// not ok: such bytes stay as they are; of UTF-16, half a pair of surrogates
// stands as the three bytes that UTF-8 would give it, and half a unit at the end
// as \xNN. The result is valid until the next call.
func (d *Decoder) Decode(b []byte) (text []byte, ok bool) {
	text = d.Text(b)
	if !bytes.ContainsRune(text, utf8.RuneError) {
		return text, true
	}
	out := make([]byte, 0, 2*len(b))
	ok = true
	for at := 0; at < len(b); {
		var char []byte
		var n int
		var valid bool
		if d.wide {
			char, n, valid = d.unit(b[at:])
		} else {
			char, n, valid = d.char(b[at:])
		}
		out = append(out, char...)
		ok = ok && valid
		at += n
	}
	return out, ok
}

// char returns the character that b starts with, or its first byte.
func (d *Decoder) char(b []byte) (char []byte, length int, valid bool) {
	var out [16]byte
	for n := 1; n <= min(len(b), 4); n++ {
		d.dec.Reset()
		wrote, read, _ := d.dec.Transform(out[:], b[:n], false)
		if read == 0 {
			continue
		}
		char = out[:wrote]
		if !bytes.ContainsRune(char, utf8.RuneError) || string(b[:read]) == "\x84\x31\xa4\x37" { // GB18030 can say U+FFFD
			return char, read, true
		}
		return b[:read], read, false
	}
	return b[:1], 1, false
}

// unit returns the character that b, which is UTF-16, starts with.
func (d *Decoder) unit(b []byte) (char []byte, length int, valid bool) {
	if len(b) == 1 {
		return fmt.Appendf(nil, `\x%02x`, b[0]), 1, false
	}
	r := d.at(b)
	switch {
	case !utf16.IsSurrogate(r):
		return utf8.AppendRune(nil, r), 2, true
	case len(b) >= 4:
		if both := utf16.DecodeRune(r, d.at(b[2:])); both != utf8.RuneError {
			return utf8.AppendRune(nil, both), 4, true
		}
	}
	return []byte{0xe0 | byte(r>>12), 0x80 | byte(r>>6)&0x3f, 0x80 | byte(r)&0x3f}, 2, false
}

func (d *Decoder) at(b []byte) rune {
	if d.big {
		return rune(b[0])<<8 | rune(b[1])
	}
	return rune(b[1])<<8 | rune(b[0])
}

// Whole is how many of b's bytes are whole characters, where b starts with one.
// For UTF-8 and encodings of single bytes that is all of them.
func (d *Decoder) Whole(b []byte) int {
	if d == nil {
		return len(b)
	}
	d.dec.Reset()
	var out [4096]byte
	for at := 0; ; {
		_, n, err := d.dec.Transform(out[:], b[at:], false)
		at += n
		if at == len(b) || n == 0 || err == nil {
			return at
		}
	}
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
