package tail

import (
	"slices"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// pastSet holds what is known of streams that ended because their file was
// truncated or deleted. Copy and truncation may both be over before anybody
// looks, and the copy may be seen last: it is known by this.
type pastSet struct {
	lostSet
	order []*stream // the oldest first
}

// maxPast bounds how many are known.
const maxPast = 1024

func newPastSet() *pastSet { return &pastSet{lostSet: *newLostSet()} }

// add notes the stream as it is when its file is gone, which was at a time.
func (p *pastSet) add(s *stream, gone time.Time) {
	if s.out.ID() == "" || s.out.Sent() == 0 || slices.ContainsFunc(p.order, func(o *stream) bool { return o.out.ID() == s.out.ID() }) {
		return
	}
	o := &stream{lostAt: gone, tracked: tracked{
		out: replay.Restore(nil, adaptors.Stream{
			ID: s.out.ID(), Source: s.out.Source(), Begin: s.begin, Settled: s.out.Settled(), Sent: s.out.Sent(), Tail: s.out.Tail(),
		}),
		ident: s.ident, begin: s.begin, marks: s.marks,
	}}
	p.lostSet.add(o)
	if p.order = append(p.order, o); len(p.order) > maxPast {
		p.remove(p.order[0])
	}
}

func (p *pastSet) remove(o *stream) {
	p.lostSet.remove(o)
	p.order = slices.DeleteFunc(p.order, func(other *stream) bool { return other == o })
}

// expire forgets those whose file is gone for long.
func (p *pastSet) expire(before time.Time) {
	for len(p.order) > 0 && p.order[0].lostAt.Before(before) {
		p.remove(p.order[0])
	}
}

// copyOfPast finds the stream that has ended and of whose file this is a copy,
// by a name that rotation gives it, and made before the file was gone: what was
// written to that file, or in its place, later is new. A copy that was made before
// the last bytes were read is a fork.
func (k *catalog) copyOfPast(c *candidate) (v verdict, ok bool) {
	for _, o := range k.past.alike(c) {
		made := time.Unix(0, c.info.Birth)
		if !o.isNear(c) || o.ident.SameInode(&c.info) ||
			c.info.Birth != 0 && (made.After(o.lostAt) || c.info.Birth < o.ident.Birth) {
			continue
		}
		if o.ident.HeadLen < ident.MaxHead && !related(o.ident.Path, c.path) && !related(o.out.Source(), c.path) {
			continue
		}
		same, err := o.sameBytes(c.f, c.info.Size)
		if err != nil {
			continue
		}
		s := k.byID[o.out.ID()]
		switch {
		case same && s != nil && s.Busy():
			return verdict{is: maybeCopy, of: s}, true
		case same && s != nil && s.gone:
			return verdict{is: continues, of: s, past: o}, true
		case same && s == nil: // it is secured and forgotten
			return verdict{is: covered, past: o, begin: o.out.Sent()}, true
		case !same && c.info.Size < o.out.Sent() && o.endsAsSent(c.f, c.end):
			return verdict{is: covered, past: o, begin: c.end}, true
		case !same:
			if begin, ok := o.cutBack(c.f, c.end); ok {
				return verdict{is: fresh, of: o, begin: begin}, true
			}
		}
	}
	return verdict{}, false
}
