package pods

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/chunk"
)

const (
	readBytes = 512 << 10 // of one read, and thereby of most chunks
	turnBytes = 8 << 20   // that one instance may send before others get their turn
)

// result is what a reader reports of a turn.
type result struct {
	in   *instance
	held bool          // it was not read: its files were opened
	more bool          // there is more to read
	wake time.Duration // look again after so long without an event; 0: no need
	err  error         // try again later
}

// reader gives instances their turns. Several run side by side, each with one
// instance at a time.
type reader struct {
	env     adaptors.Env
	cfg     *Config
	times   times
	cutter  cri.Cutter
	meta    metadata
	buffers *sync.Pool // of *[]byte, readBytes long
	borders []int64
	opened  func(in *instance) // tells the run an instance's new id
}

func (r *reader) turn(ctx context.Context, in *instance) result {
	in.quietSince = !in.written.Swap(false)
	in.atEOF = in.quietSince
	res, err := r.tryTurn(ctx, in)
	if !in.atEOF {
		in.written.Store(true)
	}
	in.measure()
	res.in, res.err = in, err
	if errors.Is(err, errStale) || errors.Is(err, errUnseen) {
		in.dirty.Store(true)
		res.err, res.wake = nil, r.times.poll
	}
	if in.lookAgain {
		in.lookAgain = false
		in.dirty.Store(true)
		if soon := r.times.poll / 20; res.wake == 0 || res.wake > soon {
			res.wake = soon
		}
	}
	return res
}

// hold opens the files of an instance whose turn to be read is not to be seen
// yet, and its stream: what may be gone until then is known to be missing. What
// goes wrong is told in its turn.
func (r *reader) hold(ctx context.Context, in *instance) result {
	if in.dirty.Swap(false) {
		if err := in.look(); err != nil || in.lookAgain {
			in.dirty.Store(true)
			return result{in: in, held: true}
		}
	}
	if wait, err := r.decide(ctx, in); wait > 0 || err != nil || in.excluded || in.id != "" {
		return result{in: in, held: true}
	}
	_, _ = r.open(ctx, in)
	in.measure()
	return result{in: in, held: true}
}

func (r *reader) tryTurn(ctx context.Context, in *instance) (result, error) {
	if in.ended {
		in.dirty.Store(false)
		for _, f := range in.takeFresh() { // another stream's, if they are still there at the next scan
			f.close()
		}
		return result{}, r.finish(ctx, in)
	}
	if in.dirty.Swap(false) {
		if err := in.look(); err != nil {
			in.dirty.Store(true)
			return result{}, err
		}
	}
	wake, err := r.decide(ctx, in)
	if wake > 0 || err != nil || in.excluded && !in.absent {
		return result{wake: wake}, err
	}
	if in.excluded {
		if wait := in.times.missing - time.Since(in.since); wait > 0 && in.id != "" {
			return result{wake: wait}, nil
		}
		in.reason = "the container's log was deleted; it was not collected any more"
		return result{}, r.finish(ctx, in)
	}
	if in.id == "" {
		if ok, err := r.open(ctx, in); !ok || err != nil {
			return result{}, err
		}
	}
	if err := r.tellBegin(ctx, in); err != nil {
		return result{}, err
	}
	if err := r.resendAll(ctx, in); err != nil {
		return result{}, err
	}
	if err := in.lookAtLast(); err != nil {
		return result{}, err
	}
	return r.read(ctx, in)
}

// lookAtLast takes note of the size of the file that grows.
func (in *instance) lookAtLast() error {
	last := in.last()
	if last == nil || !last.growing() || last.file.f == nil {
		return nil
	}
	info, err := ident.Fstat(last.file.f)
	if err != nil {
		return fmt.Errorf("look at %s: %w", last.file.id.Path, err)
	}
	if info.Size > last.file.size { // a shorter one is looked into when it is read
		last.file.saw(info.Size)
	}
	return nil
}

// store writes what is known of the stream's files, where that changed.
func (r *reader) store(in *instance) error {
	if in.id == "" || !in.changed {
		return nil
	}
	st := in.stream()
	if bytes.Equal(st.Identity, in.stored) {
		in.changed = false
		return nil
	}
	if err := r.env.Streams.Update(st); err != nil {
		return fmt.Errorf("store what is known of %s: %w", in.source, err)
	}
	in.stored, in.changed = st.Identity, false
	return nil
}

// read sends what there is past off, up to the last record's border.
func (r *reader) read(ctx context.Context, in *instance) (result, error) {
	lent := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(lent)
	buf := *lent
	if in.off != in.cut.at {
		in.cut = cutState{in.off, in.between(in.off)}
	}
	flush := cri.Whole
	for turn := 0; turn < turnBytes; {
		limit := int64(math.MaxInt64)
		if in.off < in.sent {
			limit = in.sent
		}
		var wake time.Duration
		n, ends, why, err := in.fill(buf, in.off, limit, func(pos int64) (bool, error) { return r.advance(in, pos, &wake) })
		if err != nil && n == 0 {
			return result{}, err
		}
		if storeErr := r.store(in); storeErr != nil {
			return result{}, storeErr
		}
		how := flush
		switch {
		case why == limited: // what was sent ended here
			how = cri.Always
		case why == lost:
			how = cri.Always
			ends = append(ends, n)
		case flush == cri.Always:
			ends = append(ends, n)
		}
		in.atEOF = why == dry && err == nil
		sent, err2 := r.sendAll(ctx, in, buf[:n], ends, how)
		if err2 != nil {
			return result{}, err2
		}
		turn += sent
		switch {
		case sent < n && why == full && sent == 0: // one record, longer than the buffer
			buf = make([]byte, int(r.cfg.MaxRecord)+readBytes)
			continue
		case why == lost:
			if err := r.tellLost(ctx, in); err != nil {
				return result{}, err
			}
			continue
		case why != dry || err == nil && sent == n && in.findLate():
			continue
		case err != nil:
			return result{}, err
		}
		if sent > 0 && flush == cri.Whole {
			continue // nothing more, or a rest that decides for itself
		}
		var res result
		if flush, res, err = r.rest(ctx, in, buf[sent:n], wake, flush); flush == cri.Whole || err != nil {
			return res, err
		}
	}
	return result{more: true}, nil
}

// between gives the state at an offset where nothing is known of the bytes
// before it but what they are.
func (in *instance) between(off int64) cri.State {
	i := in.at(off - 1)
	if off == in.begin || i >= len(in.parts) || off <= in.parts[i].Base || in.parts[i].Gone {
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
		c := r.cutter.Next(buf[sent:], here, in.cut.State, flush, r.borders)
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
	end := in.off + int64(c.N)
	if end > in.sent {
		// The cut comes first: whoever finds the journalled end must know it.
		if c.After != (cri.State{}) {
			in.mark, in.changed = cutState{end, c.After}, true
		}
		p := in.parts[in.at(end-1)]
		src, err := p.file.reader(in.place.dir, in.same(p.file))
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
		if err := r.env.Streams.Sent(in.id, end, ident.Sum(window)); err != nil {
			return fmt.Errorf("journal what is sent of %s: %w", in.source, err)
		}
		in.sent, in.tail = end, ident.Sum(window)
	}
	ch := r.chunk(in, chunk.Range{First: in.off, Last: end})
	ch.Tags, ch.Borders, ch.Body = in.tagsOf(c.Part), c.Borders, body
	if err := r.env.Out.Send(ctx, &ch); err != nil {
		return fmt.Errorf("send %v of %s: %w", ch.Range(), in.source, err)
	}
	in.off = end
	in.cut = cutState{end, c.After}
	in.read.Store(end)
	return nil
}

func (r *reader) chunk(in *instance, rg chunk.Range) chunk.Chunk {
	c := chunk.Chunk{
		Type: r.env.Type, Host: r.env.Host, Source: in.source, Stream: in.id,
		First: rg.First, Last: rg.Last, Time: time.Now(), Tags: in.tagsOf(""),
	}
	if in.dataType != "" {
		c.Type = in.dataType
	}
	return c
}
