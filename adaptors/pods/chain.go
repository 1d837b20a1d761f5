package pods

import (
	"time"
)

// part is a piece of a file that is a piece of the stream: the file's bytes
// from From on are the stream's from Base on. One file is most often one part;
// it is several where something was written to it after the next one was begun.
type part struct {
	file *file
	From int64
	Base int64
	Len  int64 // -1: it may grow; the last part alone
	Gone bool  // its bytes can't be read any more and are told as lost
}

func (p *part) growing() bool { return p.Len < 0 }

// end is the offset in the stream behind the part, as far as it is known.
func (p *part) end() int64 {
	if p.growing() {
		return p.Base + max(0, p.file.size-p.From)
	}
	return p.Base + p.Len
}

// chain tells which files a stream is made of: parts that follow each other,
// the last one still growing. It is stored before the first byte of a new part
// is sent, and so a byte has the same offset ever after.
type chain struct {
	parts   []*part
	next    []*file // that follow the last part and are not begun
	changed bool    // since it was stored
}

func (c *chain) last() *part {
	if len(c.parts) == 0 {
		return nil
	}
	return c.parts[len(c.parts)-1]
}

// index is the index of the part that holds the byte at off, or will; len(parts)
// where none does. A part may start behind off, where those before it were
// forgotten.
func (c *chain) index(off int64) int {
	for i, p := range c.parts {
		if p.growing() || off < p.Base+p.Len {
			return i
		}
	}
	return len(c.parts)
}

// files are all files that the chain knows, each once.
func (c *chain) files() []*file {
	var out []*file
	seen := map[*file]bool{}
	for _, p := range c.parts {
		if !seen[p.file] {
			seen[p.file] = true
			out = append(out, p.file)
		}
	}
	return append(out, c.next...)
}

// start makes the file that is next the last part.
func (c *chain) start() *part {
	p := &part{file: c.next[0], Len: -1}
	if last := c.last(); last != nil {
		p.Base = last.end()
	}
	c.next = c.next[1:]
	c.parts = append(c.parts, p)
	c.changed = true
	return p
}

// lose gives up what part i has at pos and behind it. A part that is growing
// reached to atLeast. known tells that nothing more was written to it than what
// was seen; else one byte stands for what nobody knows.
func (c *chain) lose(i int, pos, atLeast int64, known bool) {
	p := c.parts[i]
	end := p.Base + p.Len
	if p.growing() {
		end = max(p.end(), pos, atLeast)
		if !known {
			end++
		}
	}
	p.Len, c.changed = pos-p.Base, true
	if end > pos {
		lost := &part{file: p.file, From: p.From + p.Len, Base: pos, Len: end - pos, Gone: true}
		c.parts = append(c.parts[:i+1], append([]*part{lost}, c.parts[i+1:]...)...)
	}
}

// late inserts at pos, inside the growing part, the bytes that were appended to
// f after its end was reported; the growing part continues behind them.
func (c *chain) late(f *file, from, pos int64) {
	last := c.last()
	rest := &part{file: last.file, From: last.From + pos - last.Base, Len: -1}
	last.Len = pos - last.Base
	after := &part{file: f, From: from, Base: pos, Len: f.size - from}
	rest.Base = after.end()
	c.parts = append(c.parts, after, rest)
	c.changed = true
}

// told is how much of a file the parts tell of; ok is false while one of them
// is growing, or none is there.
func (c *chain) told(f *file) (upTo int64, ok bool) {
	for _, p := range c.parts {
		if p.file == f {
			if p.growing() || p.Gone {
				return 0, false
			}
			upTo, ok = max(upTo, p.From+p.Len), true
		}
	}
	return upTo, ok
}

// maxParts bounds a chain; the kubelet keeps five files by default.
const maxParts = 200

// forget drops parts in the front that are settled and whose file was not found
// for as long as patience. Where names last, before keeps those of files that are
// there in spite of that, for the chain would be too long.
func (c *chain) forget(settled int64, patience time.Duration, lasting bool, before *string) {
	n := 0
	for n < len(c.parts)-1 {
		p := c.parts[n]
		there := p.file.exists() || time.Since(p.file.unseen) < patience
		if p.Base+p.Len > settled || there && (len(c.parts)-n <= maxParts || !lasting) {
			break
		}
		if n++; p.file.exists() { // by its name alone it is known as read
			*before = max(*before, p.file.name)
		}
	}
	for _, p := range c.parts[:n] {
		if !c.has(p.file, n) {
			p.file.close()
		}
	}
	c.parts = c.parts[n:]
	c.changed = c.changed || n > 0
}

// has reports whether a part from index i on is of the file.
func (c *chain) has(f *file, i int) bool {
	for _, p := range c.parts[i:] {
		if p.file == f {
			return true
		}
	}
	return false
}
