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
	of      *turn
	instead *instance     // that goes on in its place,
	forked  bool          // as a fork: what it was is still to be ended
	held    bool          // it was not read: its files were opened
	more    bool          // there is more to read
	wake    time.Duration // look again after so long without an event; 0: no need
	err     error         // try again later
}

// reader gives instances their turns. Several run side by side, each with one
// instance at a time.
type reader struct {
	env     *adaptors.Env
	cfg     *Config
	times   times
	cutter  cri.Cutter
	meta    metadata
	buffers *sync.Pool // of *[]byte, readBytes long
	borders []int64
	owners  *owners
	opened  func() // tells the run that the instance's stream has an id
}

func (r *reader) turn(ctx context.Context, in *instance) result {
	in.at.quiet = !in.mail.written.Swap(false)
	in.at.eof = in.at.quiet
	res, err := r.tryTurn(ctx, in)
	if !in.at.eof {
		in.mail.written.Store(true)
	}
	in.measure()
	res.err = err
	if errors.Is(err, errStale) || errors.Is(err, errUnseen) {
		in.mail.dirty.Store(true)
		res.err, res.wake = nil, r.times.poll
	}
	if in.folder.again {
		in.folder.again = false
		in.mail.dirty.Store(true)
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
	if in.mail.dirty.Swap(false) {
		if err := in.look(); err != nil || in.folder.again {
			in.mail.dirty.Store(true)
			return result{held: true}
		}
	}
	if in.at.cutBack != nil { // its turn says what follows
		return result{held: true}
	}
	if wait, err := r.decide(ctx, in); wait > 0 || err != nil || in.choice.excluded || in.isOpen() {
		return result{held: true}
	}
	instead, err := r.own(in)
	if instead != nil || err != nil || in.choice.holder != "" {
		return result{held: true, instead: instead}
	}
	_, _ = r.open(ctx, in)
	in.measure()
	return result{held: true}
}

func (r *reader) tryTurn(ctx context.Context, in *instance) (result, error) {
	if in.at.cutBack != nil {
		return result{}, r.endForked(ctx, in)
	}
	if in.out.Ended() {
		in.mail.dirty.Store(false)
		for _, f := range in.mail.takeFresh() { // another stream's, if they are still there at the next scan
			f.close()
		}
		return result{}, r.finish(ctx, in, deletedLog)
	}
	if in.mail.dirty.Swap(false) {
		if err := in.look(); err != nil {
			in.mail.dirty.Store(true)
			return result{}, err
		}
	}
	if in.at.cutBack != nil {
		return result{instead: r.fork(in), forked: true}, nil
	}
	wake, err := r.decide(ctx, in)
	if wake > 0 || err != nil {
		return result{wake: wake}, err
	}
	if wait := r.elsewhere(in); wait != 0 {
		return result{wake: max(0, wait)}, nil
	}
	if in.choice.excluded && !in.isOpen() {
		return result{}, r.finish(ctx, in, deletedLog)
	}
	instead, err := r.own(in)
	if instead != nil || err != nil || in.choice.holder != "" {
		return result{instead: instead}, err
	}
	if in.choice.excluded {
		return result{}, r.finish(ctx, in, deletedLog+"; it was not collected any more")
	}
	if !in.isOpen() {
		if ok, err := r.open(ctx, in); !ok || err != nil {
			return result{}, err
		}
	}
	if err := in.out.Announce(ctx); err != nil {
		return result{}, err
	}
	if err := r.resend(ctx, in); err != nil {
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
	if !in.isOpen() || !in.changed {
		return nil
	}
	if id := in.encode(); !bytes.Equal(id, in.out.Identity()) {
		if err := in.out.Update(id); err != nil {
			return err
		}
	}
	in.changed = false
	return nil
}

// read sends what there is past off, up to the last record's border.
func (r *reader) read(ctx context.Context, in *instance) (result, error) {
	lent := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(lent)
	buf := *lent
	if in.out.Off() != in.at.cut.at {
		in.at.cut = cutState{in.out.Off(), in.between(in.out.Off())}
	}
	flush := cri.Whole
	for turn := 0; turn < turnBytes; {
		limit := int64(math.MaxInt64)
		if in.out.Off() < in.out.Sent() {
			limit = in.out.Sent()
		}
		var wake time.Duration
		n, ends, why, err := in.fill(buf, in.out.Off(), limit, func(pos int64) (bool, error) { return r.advance(in, pos, &wake) })
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
		in.at.eof = why == dry && err == nil
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
