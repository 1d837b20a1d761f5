package templates

import "slices"

// Shape appends a text that says what the template of a message is: messages of one
// shape have one template. It is the line that counts, with each number of one digit
// as 0 and each longer one as 00. So the many messages that differ in their numbers
// alone have one shape, which is found in a fraction of the time that a template takes.
// It is not known of all messages: of long ones, and of those with quotes or question
// marks, behind which digits may be no variable.
func Shape(dst, message []byte) (shape []byte, known bool) {
	line, cut := firstLine(message)
	if cut {
		return dst, false
	}
	n := len(dst)
	dst = slices.Grow(dst, len(line))
	out := dst[n : n+len(line)]
	at, digits, classes := 0, 0, uint8(0)
	for _, b := range line {
		if b-'0' < 10 {
			if digits++; digits > 2 {
				continue
			}
			b = '0'
		} else {
			digits = 0
			classes |= class[b]
		}
		out[at] = b
		at++
	}
	return dst[:n+at], classes&keeping == 0
}
