package pods

import (
	"context"
	"errors"
	"fmt"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/chunk"
)

// between returns the state at an offset where nothing is known of the bytes
// before it but what they are.
func (in *instance) between(off int64) cri.State {
	i := in.index(off - 1)
	if off == in.out.Begin() || i >= len(in.parts) || off <= in.parts[i].Base || in.parts[i].Gone {
		return cri.State{}
	}
	p := in.parts[i]
	var b [1]byte
	if _, err := in.readPart(p, b[:], off-1); err != nil || b[0] == '\n' || !p.growing() && off == p.Base+p.Len {
		return cri.State{}
	}
	return cri.State{Mid: true, Rest: true}
}

// sendAll sends what can be cut off buf, which starts at off.
func (r *reader) sendAll(ctx context.Context, in *instance, buf []byte, ends []int, flush cri.Flush) (sent int, err error) {
	for len(buf) > sent {
		for len(ends) > 0 && ends[0] <= sent {
			ends = ends[1:]
		}
		here := ends
		if sent > 0 {
			here = make([]int, len(ends))
			for i, e := range ends {
				here[i] = e - sent
			}
		}
		c := r.cutter.Next(buf[sent:], here, in.at.cut.State, flush, r.borders)
		if c.Borders != nil {
			r.borders = c.Borders[:0]
		}
		if c.N == 0 {
			return sent, nil
		}
		if err := r.send(ctx, in, buf[sent:sent+c.N], &c); err != nil {
			return sent, err
		}
		sent += c.N
	}
	return sent, nil
}

// send journals and hands over one chunk.
func (r *reader) send(ctx context.Context, in *instance, body []byte, c *cri.Cut) error {
	end := in.out.Off() + int64(c.N)
	tail := in.out.Tail()
	if end > in.out.Sent() {
		// The cut comes first: whoever finds the journalled end must know it.
		if c.After != (cri.State{}) {
			in.at.mark, in.changed = cutState{end, c.After}, true
		}
		p := in.parts[in.index(end-1)]
		src, err := p.file.reader(in.folder.place.dir, in.same(p.file))
		if err != nil {
			return err
		}
		grew, err := p.file.growHead(src)
		if err != nil {
			return err
		}
		in.changed = in.changed || grew
		if err := r.store(in); err != nil {
			return err
		}
		window, err := ident.Window(src, p.From+end-p.Base)
		if err != nil {
			return fmt.Errorf("read %s before %d: %w", p.file.id.Path, p.From+end-p.Base, err)
		}
		tail = ident.Sum(window)
	}
	data := chunk.Chunk{First: in.out.Off(), Last: end, Tags: in.tagsOf(c.Part), Borders: c.Borders, Body: body}
	if err := in.out.Data(ctx, data, tail); err != nil {
		return err
	}
	in.at.cut = cutState{end, c.After}
	return nil
}

// tellLost tells that the bytes at off, up to the next part that can be read,
// are lost.
func (r *reader) tellLost(ctx context.Context, in *instance) error {
	rg := chunk.Range{First: in.out.Off()}
	p := in.parts[in.index(in.out.Off())]
	reason := "a rotated log was removed before it was read"
	switch {
	case in.out.Off() < p.Base:
		rg.Last, reason = p.Base, "a log that is to be read again is there no more"
	case in.folder.absent:
		rg.Last, reason = p.end(), "the container's log was deleted while it was not watched; if more was written to it than was seen, that stands here as one byte"
	default:
		rg.Last = p.end()
		if rg.Len() == 1 {
			reason = "a rotated log was removed while it was not watched: what was written to it, and to others since, is not known and stands here as one byte"
		}
	}
	if err := in.out.Lost(ctx, rg, reason); err != nil {
		return err
	}
	in.at.cut = cutState{at: rg.Last}
	return nil
}

// resend sends again what was asked for, as far as it was sent before.
func (r *reader) resend(ctx context.Context, in *instance) error {
	return in.out.Resend(ctx, func(ctx context.Context, rg chunk.Range) error { return r.again(ctx, in, rg) })
}

func (r *reader) again(ctx context.Context, in *instance, rg chunk.Range) error {
	buf := make([]byte, min(max(rg.Len(), 1), int64(r.cfg.MaxRecord)+readBytes))
	looked := false
	for !rg.Empty() {
		n, ends, why, err := in.fill(buf, rg.First, rg.Last, func(int64) (bool, error) { return false, nil })
		if stale := errors.Is(err, errStale) || errors.Is(err, errUnseen); stale && n == 0 && !looked {
			if err := in.look(); err != nil {
				return err
			}
			looked = true
			continue
		} else if err != nil && !stale && n == 0 {
			return err
		}
		if n == 0 {
			gone := rg
			if i := in.index(rg.First); i < len(in.parts) {
				gone.Last = min(rg.Last, in.parts[i].end())
				if rg.First < in.parts[i].Base {
					gone.Last = min(rg.Last, in.parts[i].Base)
				}
			}
			if gone.Empty() {
				gone.Last = rg.Last
			}
			if err := in.out.Lost(ctx, gone, "the log was deleted before it was secured"); err != nil {
				return err
			}
			rg.First = gone.Last
			continue
		}
		flush := cri.Whole
		if why != full {
			flush = cri.Always
		}
		c := r.cutter.Next(buf[:n], ends, in.between(rg.First), flush, nil)
		if c.N == 0 {
			c = cri.Cut{N: n, Borders: []int64{int64(n)}}
		}
		data := chunk.Chunk{First: rg.First, Last: rg.First + int64(c.N), Tags: in.tagsOf(c.Part), Borders: c.Borders, Body: buf[:c.N]}
		if err := in.out.Data(ctx, data, 0); err != nil {
			return err
		}
		rg.First += int64(c.N)
	}
	return nil
}
