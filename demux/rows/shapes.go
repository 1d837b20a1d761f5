package rows

// shapes remember the templates of messages by their shapes, while these repeat.
type shapes struct {
	texts dictionary
	at    []uint32 // the entry of each shape's template
	asked int
	bytes int
	off   bool // they don't repeat
	buf   []byte
}

// of returns the entry of a message's template: that of its shape, or what fresh gives.
func (s *shapes) of(m *memory, by *Templates, message []byte, fresh func(by *Templates, message []byte) uint32) uint32 {
	if by.Shape == nil || s.off {
		return fresh(by, message)
	}
	shape, known := by.Shape(s.buf[:0], message)
	s.buf = shape
	if s.asked++; !known {
		return fresh(by, message)
	}
	i := int(s.texts.intern(m, shape))
	if i == len(s.at) {
		s.at = append(s.at, fresh(by, message))
		s.bytes += len(shape)
		s.off = len(s.at) >= tryEntries && 2*len(s.at) > s.asked || s.bytes > maxDictionary
	}
	return s.at[i]
}

// forget drops all shapes, after the memory's trim.
func (s *shapes) forget(m *memory) {
	s.texts.reset(m)
	*s = shapes{texts: s.texts, at: s.at[:0], buf: s.buf}
}
