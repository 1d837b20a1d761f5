package tail

import (
	"errors"
	"fmt"
	"io"

	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// cutters are one goroutine's, by encoding.
type cutters struct {
	rules *cut.Cutter
	made  map[string]*cut.Cutter
}

func newCutters(rules *cut.Cutter) cutters {
	return cutters{rules: rules, made: map[string]*cut.Cutter{}}
}

func (c cutters) of(encoding string) *cut.Cutter {
	out := c.made[encoding]
	if out == nil {
		out = c.rules.For(encoding)
		c.made[encoding] = out
	}
	return out
}

// markBytes is how much of a file's head tells its encoding.
const markBytes = 4

// cutterFor returns the cutter for the stream, whose file is open. Its encoding
// follows from the config and the file's first bytes alone, so that it is the
// same after each start.
func (r *reader) cutterFor(s *tracked) (*cut.Cutter, error) {
	if !s.decided {
		head := make([]byte, markBytes)
		n, err := s.f.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the head of %s: %w", s.path, err)
		}
		s.encoding, s.decided = r.encoding.Of(head[:n])
	}
	return r.cutters.of(s.encoding), nil
}

// enough is the length of a buffer in which each read gives something to send.
func (r *reader) enough() int { return r.cutters.rules.Enough() + ident.MaxTail }

// from tells what stands at an offset of the stream's file; before are the
// file's bytes before it. Where they do not suffice, more are read.
func (r *reader) from(s *tracked, cutter *cut.Cutter, off int64, before []byte) (cut.From, error) {
	off -= s.begin
	before = before[len(before)-int(min(off, int64(len(before)))):]
	from, more := cutter.From(off, before)
	for n := int64(4 << 10); more && n < 4*int64(cutter.Enough()); n *= 4 {
		before = make([]byte, min(n, off, int64(cutter.Enough())))
		if _, err := s.f.ReadAt(before, s.begin+off-int64(len(before))); err != nil {
			return 0, fmt.Errorf("read %s before %d: %w", s.path, s.begin+off, err)
		}
		from, more = cutter.From(off, before)
	}
	return from, nil
}

// lastLineEnd is the offset past the last newline in a file, so that a line that
// is just being written is read whole; the file's size where no line ends within
// as many bytes as a record may have.
func (k *catalog) lastLineEnd(c *candidate) (int64, error) {
	encoding, _ := k.cfg.Encoding.Of(c.head)
	cutter := k.cutter.For(encoding)
	size := cutter.Align(c.end)
	buf := make([]byte, cutter.Align(min(size, int64(cutter.Max()))))
	n, err := c.f.ReadAt(buf, size-int64(len(buf)))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for the last line: %w", err)
	}
	if end := cutter.LastLineEnd(buf[:n]); end > 0 {
		return size - int64(len(buf)) + int64(end), nil
	}
	if size <= int64(cutter.Max()) {
		return 0, nil // one line, not finished yet
	}
	return size, nil
}
