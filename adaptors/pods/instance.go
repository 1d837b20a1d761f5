package pods

import (
	"container/list"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/chunk"
)

// instance is one instance of a container, which is one stream. While it is
// busy, a reader alone touches it; else the run's goroutine alone. The last
// group is shared.
type instance struct {
	container
	chain
	times  times
	root   string
	dir    string // the pod's folder
	place  place  // of its files
	source string // the path of its log
	found  time.Time

	id        string   // empty until it is opened, with the first byte
	begin     int64    // the stream starts here
	beginSent bool     // or there is nothing to tell
	off       int64    // read and handed over
	sent      int64    // journalled
	tail      uint64   // fingerprint before sent
	before    string   // rotated files whose names are not greater were read
	done      bool     // read to its end, and the container's next instance has begun
	cut       cutState // what is unfinished at off, where it is known
	mark      cutState // and where a record was cut last
	stored    []byte   // the Identity as stored
	ended     bool     // journalled as ended
	reason    string   // of the end

	atEnd      bool // what is there at the first look is not read
	looked     bool // at its folder, in this run
	lookAgain  bool // soon: something was on its way there
	absent     bool // none of its files is there
	since      time.Time
	later      bool // the container's next instance is there
	certain    bool // it was seen to be deleted
	atEOF      bool // all that is known to have been written was read
	quietSince bool // nothing was written since it was read to its end
	decided    bool // whether and as what it is collected
	excluded   bool // by its labels
	dataType   string
	labelled   int64                        // generation of the metadata that tags are of
	tags       map[string]map[string]string // by part

	// The run's own, also while the instance is busy.
	busy     bool
	queued   bool
	toLook   bool // among those whose files are to be opened
	again    bool // something happened while it was busy
	wakeAt   time.Time
	heapAt   int // in the heap of those that wait; -1: not there
	lru      *list.Element
	fds      int
	glimpse  glimpse
	target   string // what its log leads to, where that is a symlink
	endMoved bool   // a receipt came after the End was sent

	dirty               atomic.Bool // its folder is to be looked at
	written             atomic.Bool // there may be more in its files than was read
	watched             atomic.Bool // every write is told
	size, read, settled atomic.Int64
	endSent             atomic.Bool

	mu     sync.Mutex
	shown  string  // id, for a status
	fresh  []*file // that were opened when they appeared
	resend []chunk.Range
	seen   seen // at the last look
}

// cutState is what is unfinished at an offset.
type cutState struct {
	at int64
	cri.State
}

func newInstance(root string, c container, t times) *instance {
	in := &instance{
		container: c, times: t, root: root, dir: filepath.Join(root, c.dir), source: filepath.Join(root, c.key()),
		place: place{dir: filepath.Join(root, c.dir), log: c.logName()}, found: time.Now(), heapAt: -1, tags: map[string]map[string]string{}, beginSent: true,
	}
	in.dirty.Store(true)
	in.written.Store(true)
	return in
}

// restore makes the instance that a checkpoint speaks of.
func restore(root string, k adaptors.Stream, t times) (*instance, error) {
	elements := strings.Split(k.Source, "/")
	c, _, ok := parsePath(strings.Join(elements[max(0, len(elements)-3):], "/"))
	if !ok {
		return nil, fmt.Errorf("%q is no container's log", k.Source)
	}
	in := newInstance(root, c, t)
	if err := in.decode(k.Identity, time.Now()); err != nil {
		return nil, err
	}
	in.source = k.Source
	in.setID(k.ID)
	in.begin, in.sent, in.tail, in.off = k.Begin, max(k.Sent, k.Begin), k.Tail, k.Settled
	in.ended, in.beginSent = k.Ended, k.Begin == 0 || k.Settled > k.Begin
	in.stored = k.Identity
	in.settled.Store(k.Settled)
	in.read.Store(k.Settled)
	in.size.Store(max(k.Sent, k.Settled))
	if in.ended {
		in.reason = "the container's log was deleted"
	}
	return in, nil
}

func (in *instance) setID(id string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.id, in.shown = id, id
}

func (in *instance) idNow() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shown
}

// stream is what the checkpoint has to know.
func (in *instance) stream() adaptors.Stream {
	return adaptors.Stream{
		ID: in.id, Source: in.source, Identity: in.encode(), Begin: in.begin,
		Settled: in.settled.Load(), Sent: in.sent, Tail: in.tail, Ended: in.ended,
	}
}

// patience is how long a file that is found under no name may still turn up.
func (in *instance) patience() time.Duration {
	if in.absent && !in.certain {
		return in.times.missing
	}
	return in.times.unseen
}

// arrive takes files that were opened when they appeared.
func (in *instance) arrive(fs ...*file) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fresh = append(in.fresh, fs...)
}

func (in *instance) takeFresh() []*file {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.fresh
	in.fresh = nil
	return out
}

func (in *instance) takeResend() []chunk.Range {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.resend
	in.resend = nil
	return out
}

func (in *instance) addResend(rs []chunk.Range) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.resend = append(in.resend, rs...)
}

// pending tells that something is to be done that no event tells of.
func (in *instance) pending() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.resend)+len(in.fresh) > 0 || in.dirty.Load() && in.looked
}

// unknown tells that files may have to be opened, or that the stream is not.
func (in *instance) unknown() bool { return in.dirty.Load() || in.id == "" }

func (in *instance) setSeen(s seen) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen = s
}

func (in *instance) lastSeen() seen {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.seen
}

// finished tells that nothing of the instance is left to be read or told.
func (in *instance) finished() bool { return in.ended && in.endSent.Load() }

// descriptors counts the files that are open.
func (in *instance) descriptors() int {
	in.mu.Lock()
	n := len(in.fresh)
	in.mu.Unlock()
	for _, f := range in.files() {
		if f.isOpen() {
			n++
		}
	}
	return n
}

// closeSettled closes the files of which everything is settled, but for the
// last.
func (in *instance) closeSettled() {
	settled := in.settled.Load()
	for i, p := range in.parts {
		if p.growing() || p.Base+p.Len > settled {
			return
		}
		if i < len(in.parts)-1 && !in.has(p.file, i+1) {
			p.file.close()
		}
	}
}

// close closes the files that can be opened again; all of them where that is
// asked for.
func (in *instance) close(all bool) {
	for _, f := range in.files() {
		if all || f.exists() {
			if f.f != nil && f.id.HeadLen == 0 { // it has to be known again
				_ = f.look() // what can't be read now won't be known
				_, _ = f.growHead(f.f)
				in.changed = true
			}
			f.close()
		}
	}
	if !all {
		return
	}
	for _, f := range in.takeFresh() {
		f.close()
	}
}

// tagsOf gives the tags of a chunk that is the given part of a record.
func (in *instance) tagsOf(part string) map[string]string {
	if part == "" {
		return in.tags[""]
	}
	if in.tags[part] == nil {
		t := maps.Clone(in.tags[""])
		t["part"] = part
		in.tags[part] = t
	}
	return in.tags[part]
}

// measure tells a status how long the stream is, as far as it is seen.
func (in *instance) measure() {
	size := in.off
	if last := in.last(); last != nil {
		size = max(size, last.end())
	}
	for _, f := range in.next {
		size += f.size
	}
	in.size.Store(size)
}
