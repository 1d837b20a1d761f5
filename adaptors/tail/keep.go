package tail

import (
	"cmp"
	"os"
	"slices"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// keepOpen counts the stream among those with an open file, and closes the
// files that were used least recently when there are too many.
func (r *run) keepOpen(s *stream) {
	r.turns.Hold(s, s.isOpen())
	r.closeExcess(s)
}

// isOpen is how many files the stream has open.
func (s *stream) isOpen() int {
	if s.f == nil {
		return 0
	}
	return 1
}

// closeExcess closes files while there are too many, but for that of one
// stream. What has no path can't be opened again; nor can be what was deleted,
// but without descriptors nothing works any more: what waits for receipts goes
// first, then what is not read yet.
func (r *run) closeExcess(but *stream) {
	r.turns.Excess(but, 3, func(s *stream, round int) int {
		switch {
		case round == 0 && !s.gone && s.path != "":
			r.close(s)
		case round > 0 && (s.gone || round == 2 && s.path == ""):
			r.giveUp(s)
		}
		return s.isOpen()
	})
}

// giveUp closes the file of a stream that can't be opened again. What was not
// read of it is lost, and so is what should have to be sent again.
func (r *run) giveUp(s *stream) {
	if s.isUnread() && !s.grewUnseen() {
		r.forget(s)
		return
	}
	if !s.gone {
		size := s.end
		if info, err := ident.Fstat(s.f); err == nil && info.Links > 0 {
			r.vanished(s) // it was renamed, and is found again by its name
			return
		} else if err == nil {
			if end, err := s.dataEnd(&info); err == nil {
				size = end
			}
		}
		s.gone, s.lostTo = true, max(s.out.Sent(), s.goodSize, size)
		s.reason = "the file was deleted before it could be read, and too many such files were open"
		r.turns.enqueue(s)
	}
	r.close(s)
	r.files.live.part(s) // another file may get its inode now
}

func (r *run) close(s *stream) {
	if f := r.letGo(s); f != nil {
		_ = f.Close() // only read from
	}
}

// letGo takes the open file from a stream. One that has no name any more is
// claimed no longer: once it is closed, its inode may be another file's.
func (r *run) letGo(s *stream) *os.File {
	f := s.f
	if f != nil {
		if info, err := ident.Fstat(f); err == nil && info.Links == 0 {
			r.drop(s.key)
		}
	}
	s.f = nil
	r.turns.Hold(s, 0)
	return f
}

// readMail takes receipts and requests to send again.
func (r *run) readMail() {
	for id, l := range r.box.Take() {
		s := r.files.byID[id]
		if s == nil {
			continue // forgotten, or of an earlier life
		}
		s.out.Take(l)
		if len(l.Resend) > 0 {
			if s.told = false; !r.files.lost.has(s) { // else when its file is found, or counts as missing
				r.turns.enqueue(s)
			}
		}
		if !s.Busy() {
			r.settle(s)
		}
	}
}

// settle forgets a stream that is finished and secured whole.
func (r *run) settle(s *stream) {
	if s.Busy() || s.queued() || !s.gone || !s.out.Done() || r.files.awaited(s) {
		return
	}
	if s.f != nil { // somebody wrote on to the deleted file
		if info, err := ident.Fstat(s.f); err == nil && info.Links == 0 && s.holdsMore(&info) {
			s.gone = false
			s.out.Reopen()
			r.turns.enqueue(s)
			return
		} else if err == nil && info.Links == 0 {
			r.files.past.add(s, time.Unix(0, info.Changed))
		}
	}
	if r.keepWhileEmpty(s) {
		return
	}
	s.out.Forget()
	r.forget(s)
}

// keepWhileEmpty keeps a stream that is done in store for as long as its file is
// empty. What is written to the file next may begin with the same line, and must
// not be named as this stream was, also if the run ends before.
func (r *run) keepWhileEmpty(s *stream) bool {
	info, err := ident.Stat(s.ident.Path)
	if err != nil || info.Size > 0 || !s.ident.SameInode(&info) {
		return false
	}
	if !s.ident.Emptied {
		id := s.ident
		id.Emptied = true
		r.remember(s, id)
		r.board.Hide(s.out)
	}
	if kept := r.files.emptied[info.Key()]; !slices.Contains(kept, s) {
		r.files.emptied[info.Key()] = append(kept, s)
	}
	return true
}

// settleEmptied forgets the streams that were kept while their file was empty, if
// it is so no more.
func (r *run) settleEmptied(key ident.Key) {
	kept := r.files.emptied[key]
	delete(r.files.emptied, key)
	for _, s := range kept {
		r.settle(s)
	}
}

// forget lets go of a stream.
func (r *run) forget(s *stream) {
	r.close(s)
	r.files.forget(s)
	r.turns.Forget(s)
	r.board.Hide(s.out)
}

// setPath notes where a stream's file is now.
func (r *run) setPath(s *stream, path string) {
	r.files.live.move(s, path)
	if s.Busy() {
		s.newPath = &path
		r.turns.enqueue(s)
		return
	}
	if path == "" && s.f == nil {
		s.path = path
		r.vanished(s)
		return
	}
	if s.path = path; path != "" {
		s.leftPath, s.overPath = false, false
	}
	r.board.Show(s.out, shownPath(s))
	if path != "" && s.out.ID() != "" && s.ident.Path != path {
		id := s.ident
		id.Path, id.Gone = path, 0
		r.remember(s, id)
	}
	r.turns.enqueue(s)
}

func shownPath(s *stream) string {
	return cmp.Or(s.path, s.out.Source(), s.origin)
}

// remember stores a new identity. An error costs no data: the identity finds
// the file by its bytes all the same.
func (r *run) remember(s *stream, id ident.Identity) {
	id.Size = s.goodSize
	s.setIdent(id)
	if err := s.out.Update(id.Encode()); err != nil {
		r.env.Log.Warn("can't store where a file is now", "file", s.path, "stream", s.out.ID(), "error", err)
	}
}
