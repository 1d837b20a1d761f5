package tail

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// shared is what the run has to do with other adaptors of its kind: a file has
// one reader per data type, and a stream goes to the adaptor that finds its file.
type shared struct {
	claimant *adaptors.Claimant
	claimed  map[ident.Key]bool
	refused  map[string]refusal // by path: files that others read
	version  uint64             // of the claims, when the refused files were looked at last
	asked    *uint64            // version of the claims when others' streams were asked for; nil: never
}

// refusal is why a file is left to another adaptor for now.
type refusal struct {
	key     ident.Key
	version uint64
	since   time.Time
	copy    bool // it may be the copy of a file that another adaptor reads
}

func newShared(env *adaptors.Env) shared {
	return shared{claimant: env.Claims.Join(env.Name), claimed: map[ident.Key]bool{}, refused: map[string]refusal{}}
}

// claim asks to be the one who reads a file.
func (r *run) claim(path string, key ident.Key) bool {
	holder, ok := r.shared.claimant.Claim(r.env.Type, key.Dev, key.Ino)
	if !ok {
		r.refuse(path, key, holder)
		return false
	}
	r.shared.claimed[key] = true
	if !r.shared.refused[path].copy {
		delete(r.shared.refused, path)
	}
	return true
}

// refuse leaves a file to the adaptor that reads it.
func (r *run) refuse(path string, key ident.Key, holder string) {
	r.shared.refused[path] = refusal{key: key, version: r.env.Claims.Version(), since: time.Now()}
	r.unhold(path)
	r.skip(path, fmt.Sprintf("adaptor %q of the same type reads it", holder))
}

// stillRefused reports whether another adaptor reads a file, as it did at the
// last look. Since a stream may be forgotten without a word, it is asked for
// anew now and then.
func (r *run) stillRefused(path string, info *ident.Info) bool {
	was, ok := r.shared.refused[path]
	if !ok {
		return false
	}
	now := time.Now()
	switch {
	case was.key != info.Key():
	case was.copy:
		return now.Sub(was.since) < 2*r.times.copies
	case was.version == r.env.Claims.Version() && now.Sub(was.since) < r.times.missing:
		return true
	}
	delete(r.shared.refused, path)
	return false
}

// leaveCopy reports whether a file may be the copy of one that another adaptor
// reads, which then finds it, and leaves it to that for a while.
func (r *run) leaveCopy(c *candidate) bool {
	if was := r.shared.refused[c.path]; was.copy && was.key == c.info.Key() { // it was
		delete(r.shared.refused, c.path)
		return false
	}
	other := false
	originals(c.path, func(path string) bool {
		was, ok := r.shared.refused[path]
		other = ok && !was.copy
		return other
	})
	if other {
		r.drop(c.info.Key())
		r.shared.refused[c.path] = refusal{key: c.info.Key(), since: time.Now(), copy: true}
	}
	return other
}

func (r *run) drop(key ident.Key) {
	delete(r.shared.claimed, key)
	r.shared.claimant.Drop(r.env.Type, key.Dev, key.Ino)
}

// share lets others have the files and streams that the run does not have any
// more, and looks at what they have let go of.
func (r *run) share() {
	if len(r.shared.claimed) > len(r.files.live.byKey) { // else they are the same files
		r.dropClaims()
	}
	r.release()
	version := r.env.Claims.Version()
	news := version != r.shared.version
	r.shared.version = version
	for path, was := range r.shared.refused {
		if news || was.copy {
			r.check(path)
		}
	}
}

// dropClaims lets others have the files that no stream has and that are not held.
func (r *run) dropClaims() {
	held := map[ident.Key]bool{}
	for _, h := range r.files.suspects {
		held[h.key] = true
	}
	for key := range r.shared.claimed {
		if r.files.live.byKey[key] == nil && !held[key] {
			r.drop(key)
		}
	}
}

// release lets others take the streams whose file is not found.
func (r *run) release() {
	for s := range r.files.lost.all {
		if !s.released && s.reason == "" {
			s.released = true
			r.env.Streams.Release(s.out.ID())
		}
	}
}

// askOthers looks up the streams of other adaptors, if there may be new ones.
func (r *run) askOthers() {
	version := r.env.Claims.Version()
	if r.shared.asked != nil && *r.shared.asked == version {
		return
	}
	r.shared.asked = &version
	before := map[string]*stream{}
	for s := range r.files.others.all {
		before[s.out.ID()] = s
	}
	r.files.others = newLostSet()
	for _, k := range r.env.Streams.Others() {
		if k.Source == marker || k.Type != r.env.Type {
			continue
		}
		s := before[k.ID]
		if s == nil || s.out.Sent() != k.Sent || s.out.Ended() != k.Ended || !bytes.Equal(s.out.Identity(), k.Identity) {
			id, err := ident.Decode(k.Identity)
			if err != nil {
				continue // its own adaptor tells of it
			}
			s = restore(&r.env, k, id, time.Now())
		}
		s.released, s.holder = true, ""
		r.files.others.add(s)
	}
}

// take makes a stream that was released, by this adaptor or another, the run's
// own again, as it is stored now. It returns nil if another adaptor has it, or
// it is forgotten; after an error the stream is as it was.
func (r *run) take(s *stream) (*stream, error) {
	k, err := r.env.Streams.Take(s.out.ID())
	var held adaptors.HeldError
	switch {
	case errors.As(err, &held) && r.files.others.has(s):
		s.holder = held.Adaptor
		return nil, nil
	case err != nil && !errors.As(err, &held) && !errors.Is(err, adaptors.ErrNoStream):
		return nil, err
	case err != nil:
		r.files.others.remove(s)
		r.files.forget(s)
		r.board.Hide(s.out)
		return nil, nil //nolint:nilerr // it is another's, or nobody's
	case r.files.lost.has(s) && k.Sent == s.out.Sent() && bytes.Equal(k.Identity, s.out.Identity()): // nobody took it meanwhile
		s.released = false
		return s, nil
	}
	r.files.others.remove(s)
	r.files.forget(s)
	id, err := ident.Decode(k.Identity)
	if err != nil {
		return nil, nil //nolint:nilerr // it was decoded before
	}
	own := restore(&r.env, k, id, s.lostAt)
	own.told = s.told
	r.files.byID[k.ID] = own
	r.files.lost.add(own)
	return own, nil
}
