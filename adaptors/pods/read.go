package pods

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
)

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

// openAhead opens the files and the stream of an instance that waits for a
// reader, so that whatever disappears before its turn can be reported as lost.
// What goes wrong is reported in its turn.
func (r *reader) openAhead(ctx context.Context, in *instance) result {
	if in.at.forked || in.out.Ended() {
		return result{ahead: true}
	}
	if in.mail.dirty.Swap(false) {
		if err := in.look(); err != nil || in.folder.again {
			in.mail.dirty.Store(true)
			return result{ahead: true}
		}
	}
	if in.at.cutBack != nil { // its turn says what follows
		return result{ahead: true}
	}
	if wait, err := r.decide(ctx, in); wait > 0 || err != nil || in.choice.excluded || in.isOpen() {
		return result{ahead: true}
	}
	instead, err := r.own(in)
	if instead != nil || err != nil || in.choice.holder != "" {
		return result{ahead: true, instead: instead}
	}
	_, _ = r.open(ctx, in)
	in.measure()
	return result{ahead: true}
}

func (r *reader) tryTurn(ctx context.Context, in *instance) (result, error) {
	if in.at.forked {
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
	sent := in.out.Sent()
	if at := last.From + sent - last.Base; !in.at.quiet && sent > last.Base && info.Size >= at {
		// It may have been truncated, and be longer again by now.
		same, err := ident.SameTail(last.file.f, at, in.out.Tail())
		if err != nil {
			return fmt.Errorf("read %s before %d: %w", last.file.id.Path, at, err)
		}
		if !same {
			in.startOver(len(in.parts)-1, sent, &info)
			return nil
		}
	}
	if info.Size > last.file.size { // a shorter one is looked into when it is read
		last.file.saw(info.Size)
	}
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
