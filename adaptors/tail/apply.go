package tail

import (
	"cmp"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// decide judges a file that is new to the run, and does what follows.
func (r *run) decide(c *candidate) {
	r.decideBy(func() (verdict, bool) { return r.files.judge(c), true }, c)
}

// decideBy does what follows from verdicts, until one is the last. It reports
// whether there was one.
func (r *run) decideBy(judge func() (verdict, bool), c *candidate) bool {
	if !r.shared.claimed[c.info.Key()] && !r.claim(c.path, c.info.Key()) {
		return true
	}
	r.askOthers()
	for {
		v, ok := judge()
		if !ok {
			return false
		}
		if v.is >= own && v.of != nil && v.of.released {
			if _, err := r.take(v.of); err != nil {
				r.skip(c.path, "its stream can't be gone on with yet: "+err.Error())
				return true
			}
			continue // whoever has it now
		}
		if v.is == fresh && r.leaveCopy(c) {
			return true
		}
		if r.apply(c, v); v.is != otherBytes {
			return true
		}
	}
}

// apply does what follows from a verdict. Nothing else gives streams files.
func (r *run) apply(c *candidate, v verdict) {
	switch v.is {
	case skipped:
		r.skip(c.path, v.reason)
		return
	case refused:
		r.refuse(c.path, c.info.Key(), v.of.holder)
		return
	}
	if v.is != tooOld {
		r.board.Skip(c.path, "")
		delete(r.files.ignored, c.path)
	}
	if v.is != later && v.is != otherBytes && v.is != maybeCopy {
		defer r.unhold(c.path)
	}
	switch v.is {
	case own:
		r.found(v.of, c)
	case otherBytes:
		v.of.reason = "the file was truncated or replaced while the agent was stopped"
		if !r.beginning {
			v.of.lostAt = time.Now()
			r.unfound = append(r.unfound, v.of)
		}
		r.files.epochs[c.info.Key()] = ident.JoinPasts(r.files.epochs[c.info.Key()], v.of.ident.PastWith())
		if _, ok := r.files.known[c.info.Key()]; !ok {
			r.files.known[c.info.Key()] = nil
		}
		if was := r.files.known[c.info.Key()]; v.of.mayHaveFork() && (was == nil || was.out.Ended()) {
			r.markCut(v.of)
			r.files.known[c.info.Key()], v.of.seeking = v.of, r.beginning
		}
	case continues:
		r.goOn(c, v)
	case covered:
		r.start(c, v.begin, true)
	case maybeCopy:
		r.suspect(c, v)
	case tooOld:
		r.files.ignored[c.path] = ignored{c.info.Key(), c.info.Size, c.info.Modified}
		r.board.Skip(c.path, v.reason)
	case fresh:
		r.startFrom(c, v.of, v.begin, c.atEnd)
		if c.atEnd {
			r.opening++
		}
	}
}

// goOn lets a stream go on in a file that holds its bytes.
func (r *run) goOn(c *candidate, v verdict) {
	s := v.of
	if v.past != nil {
		r.revive(s, v.past)
	}
	r.env.Log.Info("a file goes on in a copy of it", "file", cmp.Or(s.out.Source(), s.origin), "copy", c.path, "stream", s.out.ID())
	if !r.files.live.has(s) {
		r.found(s, c)
		return
	}
	old := candidate{named: s.origin}
	grows := s.f != nil && mayGrow(s.f) != no
	if old.f = r.letGo(s); old.f != nil {
		defer old.close()
	}
	if r.files.live.part(s); s.out.ID() == "" { // nothing was sent of it
		mustOpen := s.mustOpen
		r.forget(s)
		r.start(c, s.begin, mustOpen)
	} else {
		r.turns.Forget(s)
		r.found(s, c)
	}
	if !v.anew {
		r.followOld(&old, v.begin, grows)
	}
}

// revive sets a stream that ended back to what it was then: what was told as
// lost may be in the copy.
func (r *run) revive(s, past *stream) {
	r.files.past.remove(past)
	if err := s.out.GoBack(past.out); err != nil {
		r.env.Log.Warn("can't journal what was sent of a file", "file", s.out.Source(), "stream", s.out.ID(), "error", err)
	}
}

// followOld reads what is written, past begin, to a file whose stream goes on in
// another one.
func (r *run) followOld(c *candidate, begin int64, grows bool) {
	if c.f == nil {
		return
	}
	var err error
	if c.info, err = ident.Fstat(c.f); err != nil || c.info.Links == 0 && !grows && c.info.Size <= begin {
		return
	}
	if c.head, err = ident.ReadHead(c.f); err != nil || r.files.trim(c) != nil {
		return
	}
	if path := nameOf(c.f); c.info.Links > 0 && r.find.Match(path) { // a backup that is not to be read
		c.path = path
	}
	r.start(c, begin, c.path != "").aside = true
}

// found gives a stream a file, its own or a copy.
func (r *run) found(s *stream, c *candidate) {
	r.files.lost.remove(s)
	s.reason, s.seeking, s.emptied = "", false, false
	ended := s.out.Ended()
	s.gone = false
	s.out.Reopen()
	s.info, s.key, s.grewAt, s.end, s.zeros = c.info, c.info.Key(), time.Now(), c.end, c.zeros
	s.goodSize = max(c.end, s.out.Sent()) // its bytes were compared; a copy may lack what came after it was made
	s.out.SetSize(c.end)
	s.f = c.take()
	r.keepOpen(s)
	s.origin = s.out.Source()
	r.files.live.add(s)
	id := s.ident
	if !id.SameHead(c.head) { // zeros at the file's end were taken for its bytes, by an older version
		id.SetHead(c.head)
	}
	if ended || id.Cut || id.HeadLen != s.ident.HeadLen || id.Ino != c.info.Ino || id.Birth != c.info.Birth || id.Gone != 0 {
		id.Ino, id.Birth, id.Gen, id.Gone, id.Cut, id.Emptied = c.info.Ino, c.info.Birth, c.info.Gen, 0, false, false
		r.remember(s, id)
	}
	r.setPath(s, c.path)
}

// start begins a new stream.
func (r *run) start(c *candidate, begin int64, mustOpen bool) *stream {
	s := &stream{tracked: tracked{
		out: replay.New(&r.env), path: c.path, origin: cmp.Or(c.path, c.named), info: c.info, key: c.info.Key(),
		first: ident.New(c.path, &c.info, c.head), begin: begin, mustOpen: mustOpen, grewAt: time.Now(), end: c.end, zeros: c.zeros, goodSize: c.end,
		doubt: r.files.doubt(c),
	}}
	s.out.SetSize(c.end)
	s.first.Past = r.files.epochs[c.info.Key()]
	if _, seen := r.files.known[c.info.Key()]; !seen && r.env.Streams.Fresh() && (r.beginning || c.info.Birth == 0 || c.info.Birth < r.began.UnixNano()) {
		s.early, s.copied = true, mayBeCopied(c)
	}
	delete(r.files.epochs, c.info.Key())
	delete(r.files.known, c.info.Key())
	r.settleEmptied(c.info.Key())
	r.leaveLimbo(c)
	s.f = c.take()
	r.keepOpen(s)
	r.files.live.add(s)
	r.files.live.move(s, c.path)
	r.board.Show(s.out, shownPath(s))
	r.turns.enqueue(s)
	return s
}

// startFrom begins a new stream that goes on from another, unless that is nil.
func (r *run) startFrom(c *candidate, of *stream, begin int64, mustOpen bool) *stream {
	s := r.start(c, begin, mustOpen)
	if of != nil {
		r.env.Log.Info("a file was cut back", "file", s.origin, "stream", of.out.ID(), "length", c.end)
		s.fork, s.doubt = of.out.ID(), 0
		s.ident.Marks = of.ident.Marks.Below(begin)
	}
	return s
}

// suspect lets a file wait that may be a copy on its way.
func (r *run) suspect(c *candidate, v verdict) {
	now := time.Now()
	h := r.files.suspects[c.path]
	if !h.is(c) {
		h = &suspect{key: c.info.Key(), size: c.info.Size, since: now}
		r.files.suspects[c.path] = h
	}
	if h.exact = h.exact || v.exact; v.exact || !h.exact {
		h.of, h.place = v.of, v.place
	}
	h.busy = v.of.Busy()
	h.next = now.Add(max(r.times.copies/20, time.Millisecond))
	if !v.of.Busy() {
		if v.of.awaited = true; v.of.path != c.path {
			r.look(v.of.path) // which may lead to another file already
		}
		r.turns.enqueue(v.of) // it may be truncated already
	}
}

// unhold ends the wait for what a file turns out to be.
func (r *run) unhold(path string) {
	if h := r.files.suspects[path]; h != nil {
		delete(r.files.suspects, path)
		if !h.of.Busy() {
			h.of.awaited = false
		}
		r.turns.enqueue(h.of) // it may be finished
	}
}

// leaveLimbo lets go of a file that was never read and is found by another name.
// One that was deleted, and whose inode is another file's now, is lost.
func (r *run) leaveLimbo(c *candidate) {
	s := r.files.limbo[c.info.Key()]
	switch {
	case s == nil:
	case s.first.SameInode(&c.info) && s.first.SameHead(c.head) && c.info.Size >= s.goodSize:
		delete(r.files.limbo, s.key)
	default:
		r.tellUnread(s)
	}
}
