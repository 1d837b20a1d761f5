package tail

import (
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// origins remembers who was named by which origin a moment ago: where the file
// system numbers no generations, a file that is deleted and made again at once
// may have all that the old one is named by.
type origins struct {
	mu    sync.Mutex
	of    map[string]*replay.Stream
	order []string
}

// maxOrigins bounds how many are remembered.
const maxOrigins = 1024

func newOrigins() *origins { return &origins{of: map[string]*replay.Stream{}} }

// isOthers reports whether another stream than s has the origin, which is s's
// from now on if none has.
func (o *origins) isOthers(origin string, s *replay.Stream) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if of := o.of[origin]; of != nil {
		return of != s
	}
	if o.of[origin] = s; len(o.order) == maxOrigins {
		delete(o.of, o.order[0])
		o.order = o.order[1:]
	}
	o.order = append(o.order, origin)
	return false
}

// name sets what the stream to be opened is known by when the agent's state is
// lost or older than it. Where it can't be known, and nothing is known of what
// was sent before, what is in the file by now may be in the table already.
func (r *reader) name(s *tracked, id *ident.Identity, head []byte, st *adaptors.Stream) {
	if line := ident.FirstLine(head); line != nil {
		id.Line = ident.Sum(line)
	}
	if s.fork == "" && !id.IsPast() && !r.nameless {
		st.Origin = ident.Origin(s.f, &s.info, head, false)
	}
	if st.Origin != "" && r.origins.isOthers(st.Origin, s.out) {
		st.Origin = ""
	}
	if s.early && s.fork == "" && (st.Origin == "" || s.copied) {
		st.Doubt = max(st.Doubt, s.end)
	}
}

// isRipe reports whether a stream may be opened: its first record is whole, by
// which it is named, or is taken as it is; wait is how long that takes if nothing
// else happens.
func (r *reader) isRipe(s *tracked) (ripe bool, wait time.Duration, err error) {
	if s.mustOpen || s.begin > 0 || s.end >= ident.MaxHead {
		return true, 0, nil
	}
	head, err := ident.ReadHead(s.f)
	if err != nil {
		return false, 0, err
	}
	if head = head[:min(int64(len(head)), s.end)]; ident.FirstLine(head) != nil {
		return true, 0, nil
	}
	if s.info.Links > 0 && s.path == s.origin && !rotatedName(s.path) {
		return false, 0, nil
	}
	wait = r.times.still - time.Since(s.grewAt)
	return wait <= 0, wait, nil
}

// mayBeCopied reports whether a file may hold what another stream had: it is
// younger than one whose copy it is by its name, as copytruncate makes them.
func mayBeCopied(c *candidate) (is bool) {
	originals(c.path, func(path string) bool {
		info, err := ident.Stat(path)
		is = err == nil && info.Key() != c.info.Key() && (info.Birth == 0 || c.info.Birth == 0 || info.Birth < c.info.Birth)
		return is
	})
	return is
}
