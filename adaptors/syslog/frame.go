package syslog

import "bytes"

// part says which part of a message a piece is: "" is a whole one.
type part string

const (
	whole  part = ""
	first  part = "first"  // the beginning of one that is longer than the bound, or was never ended
	middle part = "middle" // neither its beginning nor its end
	last   part = "last"   // the end of one whose beginning came before
)

// framer finds the messages in the bytes of a connection (RFC 6587). A message
// is counted, "LEN SP MSG" (3.4.1), or ended by a trailer (3.4.2): LF, CR LF or
// NUL. Which it is shows at its start, message by message, as some senders
// change: a number and a space before a "<" are a count; once a connection has
// counted, any number and space are.
type framer struct {
	max     int  // bytes of a piece
	counted bool // a message of this connection was counted
	left    int  // bytes of a counted message still to come
	inside  bool // the message's beginning was given out already
}

// maxDigits of a count: a longer number is text.
const maxDigits = 9

// next finds the first message, or piece of one, in data, which starts where
// the one before ended. It is data[from:to]; used bytes are done with. used 0
// says that more data is needed. An empty message has from == to, and is whole.
func (f *framer) next(data []byte) (from, to, used int, p part) {
	if f.left == 0 && !f.inside {
		n, length, more := f.count(data)
		if more {
			return 0, 0, 0, whole
		}
		if n > 0 {
			f.counted, f.left = true, length
			from, to, used, p = f.body(data[n:])
			if used == 0 && length > 0 {
				f.left = 0 // the count is read again
				return 0, 0, 0, whole
			}
			return n + from, n + to, n + used, p
		}
	}
	if f.left > 0 {
		return f.body(data)
	}
	return f.line(data)
}

// count reads "LEN SP" at the start of data: n is its length, 0 where there is
// none; more says that it can't be told yet.
func (f *framer) count(data []byte) (n, length int, more bool) {
	for n < len(data) && n <= maxDigits && data[n] >= '0' && data[n] <= '9' {
		length = length*10 + int(data[n]-'0')
		n++
	}
	switch {
	case n > maxDigits || n > 0 && data[0] == '0':
		return 0, 0, false
	case n == len(data):
		return 0, 0, true
	case n == 0 || data[n] != ' ':
		return 0, 0, false
	case f.counted:
		return n + 1, length, false
	case n+1 == len(data):
		return 0, 0, true
	case data[n+1] != '<':
		return 0, 0, false
	}
	return n + 1, length, false
}

// body returns a counted message, or a piece of it.
func (f *framer) body(data []byte) (from, to, used int, p part) {
	n := min(f.left, f.max)
	if len(data) < n {
		return 0, 0, 0, whole
	}
	f.left -= n
	return 0, n, n, f.piece(f.left == 0)
}

// piece marks what is given out, and remembers whether a message is begun.
func (f *framer) piece(ends bool) part {
	began := f.inside
	f.inside = !ends
	switch {
	case ends && !began:
		return whole
	case ends:
		return last
	case began:
		return middle
	}
	return first
}

// line gives a message up to its trailer, or a piece of it.
func (f *framer) line(data []byte) (from, to, used int, p part) {
	i := bytes.IndexAny(data[:min(len(data), f.max+2)], "\n\x00")
	switch {
	case i >= 0 && i <= f.max || i == f.max+1 && data[i-1] == '\r':
		end := i
		if data[i] == '\n' && i > 0 && data[i-1] == '\r' {
			end--
		}
		return 0, end, i + 1, f.piece(true)
	case len(data) < f.max+2:
		return 0, 0, 0, whole
	}
	return 0, f.max, f.max, f.piece(false)
}

// end returns what was read and not ended when the connection's end came; broken
// says that it broke within the message.
func (f *framer) end(data []byte, broken bool) ([]byte, part) {
	if f.left == 0 && !f.inside {
		if n, length, more := f.count(data); n > 0 && !more {
			data, f.left = data[n:], length
		}
	}
	return data, f.piece(!broken && f.left == 0)
}

// pieces cuts a datagram's message at the bound. Its trailing LF, CR and NUL,
// which senders add, are not part of it.
func pieces(msg []byte, bound int, yield func(piece []byte, p part) bool) {
	msg = bytes.TrimRight(msg, "\r\n\x00")
	f := framer{max: bound}
	for len(msg) > 0 {
		n := min(len(msg), bound)
		if !yield(msg[:n], f.piece(n == len(msg))) {
			return
		}
		msg = msg[n:]
	}
}
