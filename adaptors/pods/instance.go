package pods

import (
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
)

// instance is one instance of a container, which is one stream. A reader alone
// touches it while it has it, else the run's goroutine alone; out and mail are
// safe for both as they say. Whose turn it is stands apart from it (turn).
type instance struct {
	container
	times  times
	root   string
	dir    string // the pod's folder
	source string // the path of its log
	out    *replay.Stream
	mail   mail

	chain          // which files the stream is made of
	folder folder  // what the last look found
	at     reading // how far its reader is
	choice choice  // whether and as what it is collected
}

// mail is what the run and a reader leave for each other. It is safe for both at
// any time.
type mail struct {
	dirty   atomic.Bool // the instance's folder is to be looked at
	written atomic.Bool // there may be more in its files than was read
	watched atomic.Bool // every write is told

	mu    sync.Mutex
	fresh []*file // that were opened when they appeared
	seen  seen    // at the last look
}

// folder is what the last look at an instance's files found.
type folder struct {
	place   place     // of its files
	before  string    // rotated files whose names are not greater were read
	looked  bool      // in this run
	again   bool      // soon: something was on its way there
	absent  bool      // none of its files is there
	since   time.Time // when that was found
	nowhere bool      // the log is a symlink to nothing
	later   bool      // the container's next instance is there
}

// reading is how far an instance is read.
type reading struct {
	found   time.Time
	atEnd   bool     // what is there at the first look is not read
	cut     cutState // what is unfinished where the stream is, where that is known
	mark    cutState // and where a record was cut last
	eof     bool     // all that is known to have been written was read
	quiet   bool     // nothing was written since it was read to its end
	atStart bool     // it was there when the adaptor started
	cutBack *cutBack // holds less than was sent of it, or other bytes behind its first
	forked  bool     // a fork goes on in its place
	fork    string   // id of the stream that it goes on from
	begin   int64    // where that fork begins
	done    bool     // read to its end, and the container's next instance has begun
	certain bool     // the log was seen to be deleted
}

// choice is whether and as what an instance is collected.
type choice struct {
	made     bool
	excluded bool                         // by its labels or the rules
	owned    bool                         // no other adaptor collects it
	holder   string                       // that does
	released bool                         // others may take its stream
	typed    bool                         // its stream's type is stored; else the rules say it, as they did before
	dataType string                       // empty: the adaptor's
	labelled int64                        // generation of the metadata that tags are of
	tags     map[string]map[string]string // by part
}

// cutState is what is unfinished at an offset.
type cutState struct {
	at int64
	cri.State
}

func newInstance(env *adaptors.Env, root string, c container, t times) *instance {
	in := &instance{
		container: c, times: t, root: root, dir: filepath.Join(root, c.dir), source: filepath.Join(root, c.key()), out: replay.New(env),
		choice: choice{tags: map[string]map[string]string{}}, at: reading{found: time.Now()},
	}
	in.folder.place = place{dir: in.dir, log: c.logName()}
	in.mail.dirty.Store(true)
	in.mail.written.Store(true)
	return in
}

// isOpen reports whether the stream is opened: with its first byte.
func (in *instance) isOpen() bool { return in.out.ID() != "" }

// patience is how long a file that is found under no name may still turn up.
func (in *instance) patience() time.Duration {
	if in.folder.absent && !in.at.certain {
		return in.times.missing
	}
	return in.times.unseen
}

// arrive takes files that were opened when they appeared.
func (m *mail) arrive(fs ...*file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh = append(m.fresh, fs...)
}

func (m *mail) takeFresh() []*file {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.fresh
	m.fresh = nil
	return out
}

func (m *mail) arrived() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.fresh)
}

func (m *mail) setSeen(s seen) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = s
}

func (m *mail) lastSeen() seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

// pending reports whether something is to be done that no event tells of.
func (in *instance) pending() bool {
	return in.out.Asked() || in.mail.arrived() > 0 || in.mail.dirty.Load() && in.folder.looked
}

// unknown reports whether files may have to be opened, or the stream.
func (in *instance) unknown() bool { return in.mail.dirty.Load() || !in.isOpen() }

// isRead reports whether all there is was read and handed over.
func (in *instance) isRead() bool {
	s := in.out.Shown()
	return in.mail.arrived()+len(in.next) == 0 && s.Read >= s.Size
}

// descriptors counts the files that are open.
func (in *instance) descriptors() int {
	n := in.mail.arrived()
	for _, f := range in.files() {
		if f.isOpen() {
			n++
		}
	}
	return n
}

// takeNew takes the open files of which nothing was read.
func (in *instance) takeNew() []*file {
	out := in.mail.takeFresh()
	for _, f := range in.next {
		if f.f != nil {
			out = append(out, f)
		}
	}
	in.next = nil
	return out
}

// closeSettled closes the files of which everything is settled, but for the
// last.
func (in *instance) closeSettled() {
	settled := in.out.Settled()
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
	for _, f := range in.mail.takeFresh() {
		f.close()
	}
}

// tagsOf returns the tags of a chunk that is the given part of a record.
func (in *instance) tagsOf(part string) map[string]string {
	tags := in.choice.tags
	if part == "" {
		return tags[""]
	}
	if tags[part] == nil {
		t := maps.Clone(tags[""])
		t["part"] = part
		tags[part] = t
	}
	return tags[part]
}

// measure tells a status how long the stream is, as far as it is seen.
func (in *instance) measure() {
	size := in.out.Off()
	if last := in.last(); last != nil {
		size = max(size, last.end())
	}
	for _, f := range in.next {
		size += f.size
	}
	if in.choice.excluded || in.choice.holder != "" {
		size = 0
	}
	in.out.SetSize(size)
}

// cutBack tells that a file has lost bytes which were sent of it.
type cutBack struct {
	file *file
	head []byte // what the file begins with now
}

// unread tells that there may be something to read in files that were not
// begun yet.
func (in *instance) unread() bool {
	for _, f := range in.next {
		if f.f != nil {
			_ = f.look() // what can't be looked at counts as it was seen
		}
		if f.size > 0 || f.gz {
			return !in.choice.excluded
		}
	}
	return false
}
