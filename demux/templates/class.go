package templates

// Classes of bytes.
const (
	blank   = 1 << iota // parts words
	border              // parts atoms: brackets, quotes, punctuation between words
	digit               // 0-9
	hexa                // a-f, A-F
	letter              // other letters; bytes of characters that are not ASCII
	joining             // may stand between two parts of one variable
	special             // has a meaning in an atom
	keeping             // digits behind it may stay in the template

	alnum = digit | hexa | letter
)

var class = func() (c [256]uint8) {
	for i := range c {
		switch b := byte(i); {
		case b <= ' ' || b == 0x7f:
			c[i] = blank | joining
		case b >= '0' && b <= '9':
			c[i] = digit
		case b >= 'a' && b <= 'f', b >= 'A' && b <= 'F':
			c[i] = hexa
		case b >= 'g' && b <= 'z', b >= 'G' && b <= 'Z', b >= 0x80:
			c[i] = letter
		}
	}
	for _, b := range []byte(`()[]{}<>"'=,;:|`) {
		c[b] |= border
	}
	for _, b := range []byte(`=,;:|-+/#.~&@_*`) {
		c[b] |= joining
	}
	for _, b := range []byte(`/\.@?`) {
		c[b] |= special
	}
	for _, b := range []byte(`"'?`) {
		c[b] |= keeping
	}
	return c
}()
