package tail

import (
	"time"

	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// catalog is what the run knows of files: which stream has which. judge
// (match.go) only reads it; apply (apply.go), and what happens to streams
// (leave.go), change it.
type catalog struct {
	cfg    *Config
	cutter *cut.Cutter
	times  times

	watched  bool  // events tell of all changes
	overflow int64 // when events were lost last, Unix nanoseconds

	live     *liveSet
	lost     *lostSet                // stored streams whose file is not found
	others   *lostSet                // stored streams of other adaptors
	past     *pastSet                // what is known of those that ended a moment ago
	byID     map[string]*stream      // live and lost ones
	telling  map[*stream]bool        // live ones that were lost a moment ago, and go back when their loss is reported
	limbo    map[ident.Key]*stream   // that were never stored and whose file is gone or, perhaps, renamed
	suspects map[string]*suspect     // by path: files that may be copies
	blank    map[string]*blank       // by path: files of NULs alone
	known    map[ident.Key]*stream   // files that were followed until they were truncated; by what stream, if they may have been cut back
	epochs   map[ident.Key][]uint64  // first lines of what files held that were truncated
	emptied  map[ident.Key][]*stream // that are done, and kept while their file is empty
	ignored  map[string]ignored      // by path: files that are too old
}

func newCatalog(cfg *Config, cutter *cut.Cutter, t times) *catalog {
	return &catalog{
		cfg: cfg, cutter: cutter, times: t,
		live: newLiveSet(), lost: newLostSet(), others: newLostSet(), past: newPastSet(), byID: map[string]*stream{}, telling: map[*stream]bool{}, limbo: map[ident.Key]*stream{},
		suspects: map[string]*suspect{}, blank: map[string]*blank{}, known: map[ident.Key]*stream{}, epochs: map[ident.Key][]uint64{}, emptied: map[ident.Key][]*stream{}, ignored: map[string]ignored{},
	}
}

// forget drops a stream for good.
func (k *catalog) forget(s *stream) {
	k.live.remove(s)
	k.lost.remove(s)
	delete(k.byID, s.out.ID())
}

// waitedFor reports whether a file that may be a copy has waited long enough.
func (k *catalog) waitedFor(c *candidate) bool {
	h := k.suspects[c.path]
	return h.is(c) && time.Since(h.since) >= k.times.copies
}

// at returns the stream whose file is at a path, or was there until a moment ago;
// nil: none's.
func (k *catalog) at(path string) *stream {
	if s := k.live.byPath[path]; s != nil {
		return s
	}
	if h := k.suspects[path]; h != nil && h.place {
		return h.of
	}
	return nil
}

// awaited reports whether a file that may be a copy waits for the stream.
func (k *catalog) awaited(s *stream) bool {
	for _, h := range k.suspects {
		if h.of == s {
			return true
		}
	}
	return false
}
