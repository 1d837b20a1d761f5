package tail

import (
	"os"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// candidate is a file that is new to the run.
type candidate struct {
	path  string // empty: nowhere that matches
	named string // what its copies are named after, where it has no path
	info  ident.Info
	head  []byte
	f     *os.File // nil once a stream has taken it, or it was closed
	was   *stream  // whose file was at the path until now; nil: none's
	atEnd bool     // it was there at the adaptor's first start, and is to be read from its end
	end   int64    // of its data
	zeros *zeros   // behind that; nil: none
}

// take returns the open file away: from here on an unlink does not matter.
func (c *candidate) take() *os.File {
	f := c.f
	c.f = nil
	return f
}

func (c *candidate) close() {
	if c.f != nil {
		_ = c.f.Close() // only read from
		c.f = nil
	}
}

// suspect is a file that may be a copy: so far it is the same as another one
// that is being followed.
type suspect struct {
	key   ident.Key
	of    *stream // whose file it may be a copy of
	place bool    // that was at the same path before
	exact bool    // it was the beginning of that, byte for byte
	busy  bool    // that was being read
	size  int64
	since time.Time // still since then
	next  time.Time // look again
}

// is reports whether the candidate is the suspect, as it was.
func (h *suspect) is(c *candidate) bool {
	return h != nil && h.key == c.info.Key() && h.size == c.info.Size
}
