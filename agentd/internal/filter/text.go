package filter

import (
	"bytes"

	"github.com/akupara/akupara/chunk/charset"
)

// decoder turns records of one encoding into UTF-8. Its zero value leaves them
// as they are.
type decoder struct{ of *charset.Decoder }

// newDecoder takes an IANA name. Text of an encoding that is not known is
// looked at as it is.
func newDecoder(name string) decoder {
	if name == "" {
		return decoder{}
	}
	return decoder{charset.NewDecoder(name)}
}

// text returns the record's text without its line's end, nor the byte order mark
// that a file may begin with. It is valid until the next call.
func (d *decoder) text(b []byte) []byte {
	b = bytes.TrimPrefix(d.of.Text(b), []byte("\ufeff"))
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}
