package parse

import "bytes"

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
}

const (
	maxFollowers    = 8       // of a key
	maxFollowerText = 256     // bytes
	maxLearnt       = 1 << 20 // bytes of all followers of a parser
)

// follow reads one of the followers of last, if it comes next.
func (p *scanner) follow(last *node) (next *node, ok bool) {
	rest := p.s[p.i:]
	for i := range last.followers {
		f := &last.followers[i]
		if !bytes.HasPrefix(rest, f.text) {
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
	*f = follower{append(f.text[:0], text...), n}
}

// remembers reports whether a key is found again.
func (k *keyed) remembers(n *node) bool {
	return n == nil || n == k.root || n.parent.kids[n.key] == n
}
