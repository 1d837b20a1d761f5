package pods

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
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

// late lets what was written to a file after its end was told be read at pos,
// which lies in the last part: that one goes on behind it.
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

// has tells whether a part from index i on is of the file.
func (c *chain) has(f *file, i int) bool {
	for _, p := range c.parts[i:] {
		if p.file == f {
			return true
		}
	}
	return false
}

// stored is a stream's Identity.
type stored struct {
	Parts  []storedPart `json:"parts"`
	Link   string       `json:"link,omitempty"`   // what the log leads to, where it is a symlink
	Typed  bool         `json:"typed,omitempty"`  // the stream's stored type is that of its chunks
	Before string       `json:"before,omitempty"` // rotated files whose names are not greater were read
	Done   bool         `json:"done,omitempty"`   // read to its end, and the container's next instance has begun
	CutAt  int64        `json:"cut_at,omitempty"` // where a record was cut last
	Cut    cri.State    `json:"cut,omitzero"`
}

type storedPart struct {
	File ident.Identity `json:"file"`
	GZ   bool           `json:"gz,omitempty"`   // it is compressed: so it is the inode's
	Same bool           `json:"same,omitempty"` // the file of an earlier part: File is its name alone
	From int64          `json:"from,omitempty"`
	Base int64          `json:"base"`
	Len  int64          `json:"len"`
	Gone bool           `json:"gone,omitempty"`
}

func (in *instance) encode() []byte {
	s := stored{Before: in.folder.before, Done: in.at.done, CutAt: in.at.mark.at, Cut: in.at.mark.State}
	s.Typed = in.choice.typed || !in.isOpen()
	if in.folder.place.link {
		s.Link = in.folder.place.path()
	}
	for i, p := range in.parts {
		sp := storedPart{File: p.file.id, GZ: p.file.gz, From: p.From, Base: p.Base, Len: p.Len, Gone: p.Gone}
		for _, q := range in.parts[:i] {
			sp.Same = sp.Same || q.file == p.file
		}
		s.Parts = append(s.Parts, sp)
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("pods: %v", err)) // plain fields only
	}
	return b
}

func (in *instance) decode(b []byte, now time.Time) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode a chain of log files: %w", err)
	}
	in.folder.before, in.at.done, in.at.mark = s.Before, s.Done, cutState{s.CutAt, s.Cut}
	in.at.cut, in.choice.typed = in.at.mark, s.Typed
	if s.Link != "" {
		in.folder.place = linkedPlace(s.Link)
	}
	for i, sp := range s.Parts {
		growing := sp.Len < 0 && i == len(s.Parts)-1
		if sp.File.HeadLen < 0 || sp.File.HeadLen > ident.MaxHead || sp.Base < 0 || sp.From < 0 || sp.Len < 0 && !growing {
			return fmt.Errorf("decode a chain of log files: part %d can't be", i)
		}
		p := &part{From: sp.From, Base: sp.Base, Len: sp.Len, Gone: sp.Gone}
		for _, q := range in.parts {
			if sp.Same && q.file.id.Path == sp.File.Path && q.file.id.Ino == sp.File.Ino {
				p.file = q.file
			}
		}
		if p.file == nil {
			p.file = &file{id: sp.File, gz: sp.GZ, grewAt: now} // unseen from the first look on
		}
		p.file.size = max(p.file.size, p.From+max(p.Len, 0))
		in.parts = append(in.parts, p)
	}
	return nil
}

// stop says why fill has read no further.
type stop int

const (
	full    stop = iota // the buffer
	limited             // off reached the limit
	dry                 // there is nothing more now
	lost                // what follows can't be read any more
)

// fill reads the stream from off on, over the borders of files, until buf is
// full or limit is reached. ends are the offsets in buf where a file ends.
func (in *instance) fill(buf []byte, off, limit int64, next func(pos int64) (bool, error)) (n int, ends []int, why stop, err error) {
	for {
		pos := off + int64(n)
		if n == len(buf) {
			return n, ends, full, nil
		}
		if pos >= limit {
			return n, ends, limited, nil
		}
		i := in.index(pos)
		if i == len(in.parts) {
			more, err := next(pos)
			if err != nil || !more {
				return n, ends, dry, err
			}
			continue
		}
		p := in.parts[i]
		if p.Gone || pos < p.Base {
			return n, ends, lost, nil
		}
		want := buf[n:min(int64(len(buf)), int64(n)+limit-pos)]
		if !p.growing() {
			want = want[:min(int64(len(want)), p.Base+p.Len-pos)]
		}
		k, err := in.readPart(p, want, pos)
		n += k
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			if in.givesUp(p, err) {
				in.lose(i, pos+int64(k), in.out.Sent(), in.at.done || in.at.quiet && in.mail.watched.Load())
				continue
			}
			return n, ends, dry, err
		case !p.growing() && k < len(want): // it is shorter than it was
			in.lose(i, pos+int64(k), 0, true)
			continue
		case p.growing() && k < len(want):
			if short, err := in.truncated(i, pos+int64(k)); err != nil || short {
				return n, ends, dry, err
			}
			more, err := next(pos + int64(k))
			if err != nil || !more {
				return n, ends, dry, err
			}
		}
		if last := in.parts[i]; !last.growing() && off+int64(n) == last.Base+last.Len {
			ends = append(ends, n)
		}
	}
}

// truncated makes a new file of one that holds less than was read of it, up
// to pos: nobody who keeps to the rules does that.
func (in *instance) truncated(i int, pos int64) (bool, error) {
	p := in.parts[i]
	f := p.file
	if f.f == nil {
		return false, nil
	}
	info, err := ident.Fstat(f.f)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", f.id.Path, err)
	}
	if pos = max(pos, in.out.Sent()); info.Size >= p.From+pos-p.Base {
		f.saw(info.Size)
		return false, nil
	}
	anew := &file{id: ident.Identity{Path: f.id.Path}, name: f.name}
	anew.attach(f.f, &info)
	f.f = nil
	f.gone()
	in.lose(i, pos, 0, true)
	in.next = append([]*file{anew}, in.next...)
	in.mail.dirty.Store(true)
	return true, nil
}

// readPart reads a part's bytes at pos of the stream.
func (in *instance) readPart(p *part, buf []byte, pos int64) (int, error) {
	r, err := p.file.reader(in.folder.place.dir, in.same(p.file))
	if err != nil {
		return 0, err
	}
	n, err := r.ReadAt(buf, p.From+pos-p.Base)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("read %s at %d: %w", p.file.id.Path, p.From+pos-p.Base+int64(n), err)
	}
	return n, err
}

// givesUp tells whether an error means that the rest of a part is lost.
func (in *instance) givesUp(p *part, err error) bool {
	f := p.file
	switch {
	case errors.Is(err, errUnseen):
		return !f.unseen.IsZero() && time.Since(f.unseen) >= in.patience()
	case unzip.Damaged(err): // it may be written just now
		return time.Since(f.grewAt) >= in.times.still
	}
	return false
}

// same gives what tells whether bytes are those that were sent of a file, as
// far as fingerprints tell. A size of -1 is not known.
func (in *instance) same(f *file) func(r io.ReaderAt, size int64) (bool, error) {
	return func(r io.ReaderAt, size int64) (bool, error) {
		head := make([]byte, f.id.HeadLen)
		if n, err := r.ReadAt(head, 0); n < len(head) {
			if errors.Is(err, io.EOF) {
				return false, nil
			}
			return false, err
		}
		if !f.id.SameHead(head) {
			return false, nil
		}
		for _, p := range in.parts {
			if p.file != f || p.Gone || in.out.Sent() <= p.Base || !p.growing() && in.out.Sent() > p.Base+p.Len {
				continue
			}
			at := p.From + in.out.Sent() - p.Base
			if size >= 0 && size < at {
				return false, nil
			}
			return ident.SameTail(r, at, in.out.Tail())
		}
		return true, nil
	}
}
