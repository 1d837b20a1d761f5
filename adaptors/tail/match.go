package tail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// A file that is new to the run is one of these, asked in this order:
//
//  1. a stored stream's file: inode, birth time, head and tail are the stored
//     ones. Reading goes on.
//  2. a stored stream's inode with other bytes: it was truncated or replaced
//     while nobody looked. The old stream is lost, a new one begins.
//  3. a lost stream's bytes in another inode: a copy made before a truncation
//     (copytruncate), or the file moved across file systems or restored. The
//     lost stream goes on there. Asked for are head and tail, and either a
//     name that rotation gives a copy or a full head of 1 KiB: short files
//     with the same bytes are common, and taking one for the other would lose
//     records.
//  4. a copy of a file that is being followed, byte for byte so far, under a
//     name that rotation gives: probably a truncation is about to follow. It
//     is held until that happens, until it differs, or until it was still for
//     5 s, and is then a file of its own.
//  5. a new file: a new stream.

// candidate is a file that is new to the run.
type candidate struct {
	path string
	info ident.Info
	head []byte
	f    *os.File // nil once a stream has taken it, or it was closed
}

// take gives the open file away: from here on an unlink does not matter.
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

// restore takes what the checkpoint holds.
func (r *run) restore() {
	now := time.Now()
	r.firstStart = true
	for _, k := range r.env.Streams.Known() {
		if k.Source == marker {
			r.firstStart = false
			continue
		}
		id, err := ident.Decode(k.Identity)
		if err != nil {
			// It would match nothing: its file is read as a new one.
			r.env.Log.Error("a stored stream can't be matched with its file, which is read again from its beginning",
				"file", k.Source, "stream", k.ID, "err", err)
			continue
		}
		s := restore(k, id, now)
		r.byID[s.id] = s
		r.lost.add(s) // also one that ended: its file may have been moved by a copy
	}
}

// begin matches all files there are with all stored streams: the sure matches
// first, so that a doubtful one takes nothing from them.
func (r *run) begin(ctx context.Context) {
	var rest []candidate
	seen := map[string]bool{}
	atEnd := r.firstStart && r.cfg.Start == "end"
	r.find.Scan(func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		info, ok := r.eligible(path)
		if !ok {
			return
		}
		c, ok := r.peek(path, info)
		if !ok {
			return
		}
		same := r.sameFile(&c)
		c.close() // there may be more of them than descriptors
		if !same {
			rest = append(rest, c)
		}
	})
	r.strays()
	for _, c := range rest {
		r.arrive(&c, atEnd)
	}
	r.finishAllReplaced()
	for s := range r.lost.all {
		if s.ended {
			s.reason, s.lostTo = "the file was gone at a start", s.sent
			r.finishReplaced(s)
		}
	}
	r.openedFirst(ctx, nil)
}

// openedFirst stores that the adaptor was started, once the streams of all
// files that were present are stored.
func (r *run) openedFirst(ctx context.Context, s *stream) {
	if !r.firstStart {
		return
	}
	if s != nil && s.mustOpen && s.id != "" {
		s.mustOpen = false
		r.opening--
	}
	if r.opening > 0 {
		return
	}
	if _, err := r.env.Streams.Open(ctx, adaptors.Stream{Source: marker}); err != nil {
		if ctx.Err() == nil {
			r.env.Log.Warn("can't store that the adaptor was started", "err", err)
		}
		return
	}
	r.firstStart = false
}

// eligible tells whether a path leads to a file that may be read.
func (r *run) eligible(path string) (ident.Info, bool) {
	if err := r.cfg.roots.HoldsPath(path); err != nil {
		if r.cfg.roots.HoldsPath(filepath.Dir(path)) == nil { // else not even names are told
			r.skip(path, adaptors.ErrOutside.Error())
		}
		return ident.Info{}, false
	}
	info, err := ident.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.board.skip(path, "")
		return info, false
	case err != nil:
		r.skip(path, "can't be looked at: "+err.Error())
		return info, false
	case info.Mode.IsDir():
		return info, false
	case !info.Mode.IsRegular():
		r.skip(path, "not a regular file: "+kindOf(info.Mode))
		return info, false
	}
	if reason := skippedName(path); reason != "" {
		r.skip(path, reason)
		return info, false
	}
	return info, true
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

func (r *run) skip(path, reason string) {
	if r.board.skip(path, reason) {
		r.env.Log.Info("a file that matches is not read", "file", path, "reason", reason)
	}
}

// check looks at one path that matches, or did: what is there now?
func (r *run) check(path string) {
	old := r.byPath[path]
	info, ok := ident.Info{}, false
	if r.find.Match(path) {
		info, ok = r.eligible(path)
	}
	if !ok {
		delete(r.held, path)
		delete(r.ignored, path)
		if old != nil {
			if !old.busy && old.info.Links > 1 { // perhaps it matches by another name
				r.scanNow, r.scanAll = true, true
			}
			r.setPath(old, "")
		}
		return
	}
	s := r.byKey[info.Key()]
	switch {
	case s != nil && s == old:
		if s.busy || info.Size != s.info.Size || info.Modified != s.info.Modified {
			r.enqueue(s)
		}
		return
	case s != nil:
		if old != nil {
			r.setPath(old, "")
		}
		if other, err := ident.Stat(s.path); s.path != "" && err == nil && other.Key() == info.Key() {
			if s.busy || info.Size != s.info.Size || info.Modified != s.info.Modified {
				r.enqueue(s)
			}
			return // another name of the same file
		}
		r.setPath(s, path)
		return
	case old != nil:
		r.setPath(old, "")
	}
	if r.stillIgnored(path, &info) {
		return
	}
	c, ok := r.peek(path, info)
	if !ok {
		return
	}
	defer c.close()
	if !r.sameFile(&c) {
		r.arrive(&c, false)
	}
}

// peek opens a file that is new to the run and looks at its head. It says
// itself why a file is not read.
func (r *run) peek(path string, info ident.Info) (candidate, bool) {
	if info.Size == 0 { // nothing to know it by, and nothing to read
		r.board.skip(path, "")
		delete(r.held, path)
		return candidate{}, false
	}
	c, err := peek(path, r.cfg.roots)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.skip(path, "can't be read: "+err.Error())
		}
		return c, false
	}
	if len(c.head) == 0 || !c.info.Mode.IsRegular() {
		c.close()
		return c, false
	}
	if !r.known[c.info.Key()] && !r.wasFollowed(&c) {
		if reason := r.skippedHead(c.f, c.head, c.info.Size); reason != "" {
			c.close()
			r.skip(path, reason)
			return c, false
		}
	}
	r.board.skip(path, "")
	if isLink(path) {
		r.find.WatchFile(path)
		r.links[path] = true
	}
	return c, true
}

func peek(path string, roots adaptors.Roots) (candidate, error) {
	f, err := openIn(path, roots)
	if err != nil {
		return candidate{}, err
	}
	info, err := ident.Fstat(f)
	var head []byte
	if err == nil && info.Mode.IsRegular() {
		head, err = ident.ReadHead(f)
	}
	if err != nil {
		return candidate{}, errors.Join(err, f.Close())
	}
	return candidate{path: path, info: info, head: head, f: f}, nil
}

// wasFollowed tells that the inode belongs to a stored stream, so that its
// file was text once: what NULs it holds now are a hole.
func (r *run) wasFollowed(c *candidate) bool { return len(r.lost.sameInode(&c.info)) > 0 }

// sameFile gives a lost stream its own file back. Where the file has its inode
// and not its bytes, the stream is marked as replaced.
func (r *run) sameFile(c *candidate) bool {
	for s := range r.telling {
		if s.ident.SameInode(&c.info) {
			return true // lost until a moment ago: the next look finds it
		}
	}
	for _, s := range r.lost.sameInode(&c.info) {
		if s.reason != "" {
			continue
		}
		same, err := s.sameBytes(c.f, c.info.Size)
		if err != nil {
			r.skip(c.path, "can't be read: "+err.Error())
			return true // not to be taken for a new file
		}
		if same {
			r.found(s, c)
			return true
		}
		s.reason = "the file was truncated or replaced while the agent was stopped"
		r.known[c.info.Key()] = true
	}
	return false
}

// found gives a lost stream a file.
func (r *run) found(s *stream, c *candidate) {
	r.lost.remove(s)
	delete(r.held, c.path)
	r.live[s] = true
	s.reason = ""
	ended := s.ended
	s.gone, s.ended, s.endMoved = false, false, false
	s.endSent.Store(false)
	s.info, s.key, s.grewAt, s.seenSize = c.info, c.info.Key(), time.Now(), c.info.Size
	s.goodSize = c.info.Size // its bytes were compared; a copy may lack what came after it was made
	s.size.Store(c.info.Size)
	r.byKey[c.info.Key()] = s
	s.f = c.take()
	r.keepOpen(s)
	s.origin = s.source
	r.byOrigin[s.origin] = append(r.byOrigin[s.origin], s)
	r.index(s)
	if id := s.ident; ended || id.Ino != c.info.Ino || id.Birth != c.info.Birth || id.Gone != 0 {
		id.Ino, id.Birth, id.Gone = c.info.Ino, c.info.Birth, 0
		r.remember(s, id)
	}
	r.setPath(s, c.path)
}

// arrive takes in a file that is no stored stream's own.
func (r *run) arrive(c *candidate, atEnd bool) {
	if s := r.byKey[c.info.Key()]; s != nil {
		return // a hard link, or a second look
	}
	if c.f == nil {
		again, err := peek(c.path, r.cfg.roots)
		if err != nil || again.info.Key() != c.info.Key() || len(again.head) == 0 {
			again.close()
			return // the next look decides
		}
		*c = again
		defer c.close()
	}
	if s, covered := r.copyOf(c, c.f); s != nil {
		if covered {
			r.start(c, c.info.Size, true)
			return
		}
		r.env.Log.Info("a file goes on in a copy of it", "file", s.source, "copy", c.path, "stream", s.id)
		r.found(s, c)
		return
	}
	if !atEnd && r.hold(c, c.f) {
		return
	}
	if atEnd {
		begin, err := r.lastLineEnd(c)
		if err != nil {
			r.skip(c.path, "can't be read: "+err.Error())
			return
		}
		r.start(c, begin, true)
		r.opening++
		return
	}
	if r.tooOld(c) {
		return
	}
	r.start(c, 0, false)
}

// start begins a new stream.
func (r *run) start(c *candidate, begin int64, mustOpen bool) *stream {
	s := &stream{path: c.path, info: c.info, key: c.info.Key(), begin: begin, mustOpen: mustOpen, grewAt: time.Now(), seenSize: c.info.Size, goodSize: c.info.Size}
	s.size.Store(c.info.Size)
	s.settled.Store(begin)
	s.read.Store(begin)
	delete(r.held, c.path)
	delete(r.known, c.info.Key())
	r.leaveLimbo(c)
	r.live[s] = true
	r.byKey[c.info.Key()] = s
	r.byPath[c.path] = s
	s.first = ident.New(c.path, &c.info, c.head)
	s.f = c.take()
	r.keepOpen(s)
	s.origin = c.path
	r.byOrigin[s.origin] = append(r.byOrigin[s.origin], s)
	r.index(s)
	r.board.show(s, c.path)
	r.enqueue(s)
	return s
}
