package parse

import "encoding/binary"

// follower is what came between two values of an object: brackets, commas and the next
// key, just as they were written. Records of one writer are alike: with a look at a few
// followers the scanner mostly has the next value's key, whatever keys a record has or
// lacks. A text that is not among them is read byte by byte.
//
// A follower is right wherever its text comes again: what a text means depends on the
// key before it alone, as that says in which objects the text stands.
type follower struct {
	text []byte
	node *node // of the value behind it; nil: the object ends
	// head are the first bytes of the text, as far as mask says: most texts that don't
	// come are told by these.
	head, mask uint64
}

// is reports whether s, whose first bytes are head, begins with the follower's text.
func (f *follower) is(s []byte, head uint64) bool {
	return (head^f.head)&f.mask == 0 && len(f.text) <= len(s) && (len(f.text) <= 8 || string(s[8:len(f.text)]) == string(f.text[8:]))
}

// firstEight returns the first eight bytes of a text, or those that it has.
func firstEight(s []byte) uint64 {
	if len(s) >= 8 {
		return binary.LittleEndian.Uint64(s)
	}
	var h [8]byte
	copy(h[:], s)
	return binary.LittleEndian.Uint64(h[:])
}

const (
	maxFollowers    = 8       // of a key
	maxFollowerText = 256     // bytes
	maxLearnt       = 1 << 20 // bytes of all followers of a parser
)

// follow reads one of the followers of last, if it comes next.
func (p *scanner) follow(last *node) (next *node, ok bool) {
	rest := p.s[p.i:]
	begin := firstEight(rest)
	for i := range last.followers {
		f := &last.followers[i]
		if !f.is(rest, begin) {
			continue
		}
		if f.node == nil {
			p.i += len(f.text)
			return nil, true
		}
		if len(rest) == len(f.text) {
			return nil, false
		}
		switch rest[len(f.text)] {
		case '{', ' ', '\t', '\n', '\r': // there is more between
			continue
		}
		p.i += len(f.text)
		return f.node, true
	}
	return nil, false
}

// learn notes what came between two values. Where there is no room, it takes that of
// the last one.
func (k *keyed) learn(last *node, text []byte, n *node) {
	if len(text) > maxFollowerText || k.learnt+len(text) > maxLearnt || !k.remembers(last) || !k.remembers(n) {
		return
	}
	if len(last.followers) < maxFollowers {
		last.followers = append(last.followers, follower{})
	}
	f := &last.followers[len(last.followers)-1]
	k.learnt += len(text) - len(f.text)
	*f = follower{text: append(f.text[:0], text...), node: n, head: firstEight(text), mask: ^uint64(0) >> (64 - 8*min(len(text), 8))}
}

// remembers reports whether a key is found again.
func (k *keyed) remembers(n *node) bool {
	return n == nil || n == k.root || n.parent.kids[n.key] == n
}
