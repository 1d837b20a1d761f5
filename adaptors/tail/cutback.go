package tail

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// A file that is truncated to a shorter length above zero, and written on, still
// begins with what was read of it. Its new stream is a fork of the old one: what
// equals that one's bytes at the same offsets is no second record. So it may
// begin too early, but not too late, and a file must not be taken for one that
// was cut back because two programs, or two runs of one, begin alike: the second
// one's lines would be missing.

const (
	sharedBytes = 256 // that a file must still begin with, at least,
	sharedLines = 8   // or so many lines, or one with a time
)

// cutBack reports whether a file whose data has an end was the stream's and was
// cut back, or is a copy of its beginning, and where its new stream begins then.
func (s *tracked) cutBack(f io.ReaderAt, end int64) (begin int64, ok bool) {
	if s.out.ID() == "" {
		return 0, false
	}
	head, err := ident.ReadHead(f)
	if err != nil {
		return 0, false
	}
	data := head[:min(int64(len(head)), end)]
	if !tellsApart(data[:s.ident.Shared(data)]) && !s.ident.Filled(head) {
		return 0, false
	}
	// What is not settled may have to be sent again, and only the new stream
	// can do that.
	begin, err = s.ident.Marks.Last(f, min(end, s.out.Settled()))
	return begin, err == nil
}

// mayBeCutBack reports whether a file that is not the stream's any more may hold
// something of what was sent. One that is empty, or was, holds nothing of it.
func (s *tracked) mayBeCutBack(f *os.File, path string) bool {
	if f == nil {
		info, err := ident.Stat(path)
		return err == nil && info.Size > 0
	}
	head, err := ident.ReadHead(f)
	return err == nil && (s.ident.Shared(head) > 0 || s.ident.Filled(head))
}

// markCut stores that another stream may go on from this one, which ends: the agent
// may be stopped before that one is opened.
func (r *run) markCut(s *stream) {
	if id := s.ident; !id.Cut {
		id.Cut = true
		r.remember(s, id)
	}
}

// mayHaveFork reports whether the file of a lost stream, which holds other bytes
// now, may have been cut back: it was not seen to be empty, or deleted.
func (s *stream) mayHaveFork() bool { return !s.emptied && (!s.out.Ended() || s.ident.Cut) }

// tellsApart reports whether a file's first bytes are enough to know it by: a
// line with a time is, and so are several lines that differ. Lines that repeat
// each other, or have no number, are what a program writes each time it starts.
func tellsApart(head []byte) bool {
	lines, numbered, different := 0, 0, map[string]bool{}
	for line := range bytes.Lines(head) {
		lines++
		if bytes.ContainsAny(line, "0123456789") {
			numbered++
		}
		different[string(line)] = true
	}
	if 2*len(different) <= lines {
		return false
	}
	return timed.Match(head) || (len(head) >= sharedBytes || lines >= sharedLines) && 4*numbered >= 3*lines
}

// timed matches what has a time of a day, or the seconds of an epoch, in it.
var timed = regexp.MustCompile(`\d\d:\d\d:\d\d|\d{10}`)

// doubt returns how many of a file's bytes may have been read before, of a file
// of which too little is known to be unchanged.
func (k *catalog) doubt(c *candidate) int64 {
	was := k.known[c.info.Key()]
	if was == nil || was.emptied || k.live.byKey[was.key] == was || was.ident.Shared(c.head) == 0 {
		return 0
	}
	return min(c.end, was.goodSize)
}

// forkOf finds the stream that had the file until it was cut back. later: that is
// not known before copies of the file were looked for. A stream that goes on in
// a copy has no fork: the file was emptied then, and what is in it is new.
//
// A copy that was made before the last bytes were read that the file had is such
// a fork, too.
func (k *catalog) forkOf(c *candidate) (of *stream, begin int64, later bool) {
	of = k.known[c.info.Key()]
	if of != nil && !of.emptied && k.live.byKey[of.key] != of {
		if begin, ok := of.cutBack(c.f, c.end); ok {
			return of, begin, of.seeking
		}
	}
	ended := slices.DeleteFunc(k.lost.alike(c), func(s *stream) bool { return s.reason == "" })
	for _, s := range k.known { // a reader may be ending it
		if s != nil && k.live.byKey[s.key] != s {
			ended = append(ended, s)
		}
	}
	for _, s := range ended {
		if s.isNear(c) {
			if begin, ok := s.cutBack(c.f, c.end); ok {
				return s, begin, false
			}
		}
	}
	return nil, 0, false
}

// emptied notes that a file is empty that a lost stream had: what is written to it
// from now on is new.
func (r *run) emptied(info *ident.Info) {
	if s := r.files.known[info.Key()]; s != nil {
		s.emptied = true
	}
	for _, s := range r.files.lost.sameInode(info) {
		s.emptied = true
		r.files.epochs[info.Key()] = ident.JoinPasts(r.files.epochs[info.Key()], s.ident.PastWith())
		if r.beginning && s.reason == "" && s.ident.Birth != 0 && info.Birth != 0 {
			s.reason = "the file was truncated while the agent was stopped"
		}
	}
}
