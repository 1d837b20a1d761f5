package spooldir

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/akupara/akupara/adaptors"
)

// shared is what the run knows of the other adaptors of its kind: which files
// they read, and their streams.
type shared struct {
	claims  *adaptors.Claimant
	version uint64          // of the claims, as seen last
	refused map[*entry]bool // files that others read

	asked   bool // for others
	byInode map[uint64][]*stream
	byPath  map[string][]*stream
}

func newShared(env *adaptors.Env) shared {
	return shared{claims: env.Claims.Join(env.Name), version: env.Claims.Version(), refused: map[*entry]bool{}}
}

// claim asks to be the one who reads a file.
func (r *run) claim(e *entry) bool {
	holder, ok := r.claims.Claim(r.env.Type, e.info.Dev, e.info.Ino)
	if !ok {
		r.refuse(e, holder)
		return false
	}
	if r.refused[e] {
		delete(r.refused, e)
		r.board.Skip(e.path, "")
	}
	return true
}

// refuse leaves a file to the adaptor that reads it.
func (r *run) refuse(e *entry, holder string) {
	r.refused[e], e.refused = true, r.version
	r.note(e.path, fmt.Sprintf("adaptor %q of the same type reads it", holder))
	r.hideWaiting(e)
	delete(r.todo, e)
}

// unclaim lets others read what was at a name, if no other name leads to it.
func (r *run) unclaim(e *entry) {
	delete(r.refused, e)
	if e.info.Links > 1 {
		for _, o := range r.entries {
			if o.info.Key() == e.info.Key() {
				return
			}
		}
	}
	r.claims.Drop(r.env.Type, e.info.Dev, e.info.Ino)
}

// lookAgain looks at files that others read, when these may have let go of them,
// and asks anew for their streams.
func (r *run) lookAgain() {
	version := r.env.Claims.Version()
	if version == r.version {
		return
	}
	r.version, r.asked = version, false
	for e := range r.refused {
		r.look(happening{path: e.path})
	}
}

// foreign returns the streams of other adaptors that a file may have.
func (r *run) foreign(e *entry) []*stream {
	if !r.asked {
		r.asked, r.shared.byInode, r.byPath = true, map[uint64][]*stream{}, map[string][]*stream{}
		for _, k := range r.env.Streams.Others() {
			id, err := decodeIdentity(k.Identity)
			if err != nil || k.Type != r.env.Type {
				continue
			}
			s := restore(&r.env, k, id)
			s.released = true
			r.shared.byInode[id.Ino] = append(r.shared.byInode[id.Ino], s)
			r.byPath[id.Path] = append(r.byPath[id.Path], s)
		}
	}
	out := r.shared.byInode[e.info.Ino]
	for _, s := range r.byPath[e.path] {
		if s.ident.Ino != e.info.Ino {
			out = append(out[:len(out):len(out)], s)
		}
	}
	return out
}

// release lets other adaptors have a stream whose file is not found.
func (r *run) release(s *stream) {
	s.released = true
	r.env.Streams.Release(s.out.ID())
}

// take makes a stream that was released, here or by another adaptor, the run's
// own again. It returns it as it is stored now.
func (r *run) take(s *stream) (*stream, error) {
	k, err := r.env.Streams.Take(s.out.ID())
	if errors.Is(err, adaptors.ErrHeld) {
		r.part(s)
	}
	if err != nil {
		return nil, err
	}
	if r.streams[k.ID] == s && k.Sent == s.out.Sent() && bytes.Equal(k.Identity, s.out.Identity()) { // nobody took it meanwhile
		s.released = false
		return s, nil
	}
	id, err := decodeIdentity(k.Identity)
	if err != nil {
		return nil, err
	}
	r.part(s)
	own := restore(&r.env, k, id)
	own.missing = s.missing
	r.add(own)
	return own, nil
}

// part lets go of a stream that may be another adaptor's.
func (r *run) part(s *stream) {
	if r.streams[s.out.ID()] == s {
		delete(r.streams, s.out.ID())
		r.unlist(s)
		r.board.Hide(s.out)
	}
}
