package filter

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// decoder turns records of one encoding into UTF-8. Its zero value leaves them
// as they are.
type decoder struct {
	t     transform.Transformer
	ascii bool // bytes below 0x80 are ASCII
	buf   []byte
}

// newDecoder takes an IANA name. Text of an encoding that is not known is
// looked at as it is.
func newDecoder(name string) decoder {
	e, ascii := encodingOf(name)
	if e == nil {
		return decoder{}
	}
	return decoder{t: e.NewDecoder(), ascii: ascii}
}

func encodingOf(name string) (e encoding.Encoding, ascii bool) {
	switch strings.ToLower(name) {
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), false
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), false
	case "iso-8859-1", "latin-1", "latin1":
		return charmap.ISO8859_1, true
	case "gbk":
		return simplifiedchinese.GBK, true
	case "gb18030":
		return simplifiedchinese.GB18030, true
	case "shift_jis", "shift-jis":
		return japanese.ShiftJIS, true
	}
	return nil, true
}

// text gives the record's text without its line's end. It is valid until the
// next call.
func (d *decoder) text(b []byte) []byte {
	if d.t != nil && !(d.ascii && isASCII(b)) {
		d.t.Reset()
		if need := 3*len(b) + 16; cap(d.buf) < need {
			d.buf = make([]byte, need)
		}
		n, _, _ := d.t.Transform(d.buf[:cap(d.buf)], b, true) // what can't be decoded ends the text
		b = d.buf[:n]
	}
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
