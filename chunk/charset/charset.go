// Package charset knows the text encodings that a chunk's body may be in. It is
// the one list that whoever names, cuts, matches or decodes text goes by. In all
// of them but UTF-16 a byte below 0x80 at a character's start is ASCII, and the
// byte 0x0A is a newline wherever it stands.
package charset

import (
	"maps"
	"slices"
	"strings"

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

// table gives the encodings by their IANA names (the registry's preferred MIME
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

// Canonical gives an encoding's IANA name by any of its names, whatever their
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
	wide bool
	out  []byte
}

// NewDecoder makes a decoder; nil for UTF-8 and for a name that is not known.
func NewDecoder(name string) *Decoder {
	iana, known := Canonical(name)
	if !known || iana == "" {
		return nil
	}
	return &Decoder{dec: table()[iana].NewDecoder(), wide: iana == UTF16LE || iana == UTF16BE}
}

// Text gives whole characters as UTF-8, U+FFFD for what is none: good for
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
