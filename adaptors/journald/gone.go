package journald

import (
	"context"
	"fmt"
	"strconv"
)

// look makes sure at the start that the journal holds the last entry that was
// read. journalctl itself goes on at the next number, and passes over entries
// that have got the numbers of lost ones.
func (r *run) look(ctx context.Context) error {
	if r.live == nil || r.end.Cursor == "" {
		return nil
	}
	ok, err := r.holds(ctx, r.live, r.end)
	if err == nil && !ok {
		err = r.anew(ctx, errVacuumed{cursor: r.end.Cursor})
	}
	return err
}

// anew goes on where the journal does not hold the last entry that was read: it
// was vacuumed, or the journal lost its end with the machine's power. What comes
// behind the last entry that is still there is read: new entries may stand where
// lost ones stood.
func (r *run) anew(ctx context.Context, v errVacuumed) error {
	old := r.live
	if err := r.flush(ctx); err != nil { // what an earlier session could not
		return err
	}
	p, ok, err := r.lastHeld(ctx, old)
	switch {
	case err != nil:
		return err
	case ok && old.out.Settled() >= old.ident.last().Off:
		r.lostEnd(old, p)
		r.behind = &p // it goes on with the first entry that is new
		return nil
	case ok:
		// Which of the entries behind it are in the table is not known here: they
		// come again at their offsets, in a fork, and their bytes decide.
		r.lostEnd(old, p)
		if err := r.open(ctx, old.ident.Number+1, p, old.out.ID()); err != nil {
			return err
		}
		return old.out.End(ctx, reasonLostEnd)
	case v.next == "": // nothing is there at all
		return r.idle(ctx, r.times.retry)
	}
	reason := "the journal forgot the last entry that was read, and maybe others after it: it goes on at " + v.next
	r.env.Log.Error("entries of the journal may be lost", "after", v.cursor, "goes on at", v.next)
	r.note(old.out.Source(), "after stream "+old.out.ID()+": "+reason)
	if err := r.follow(ctx, old, pair{Cursor: v.next, At: true}); err != nil {
		return err
	}
	return old.out.End(ctx, reason)
}

const reasonLostEnd = "the journal does not hold the last entries that were read any more; another stream goes on behind the last one that it holds"

func (r *run) lostEnd(old *stream, p pair) {
	r.env.Log.Warn("the journal does not hold the last entries that were read any more; it goes on behind the last one that it holds",
		"stream", old.out.ID(), "read", old.ident.last().Cursor, "holds", p.Cursor)
	r.note(old.out.Source(), fmt.Sprintf("after stream %s: %s", old.out.ID(), reasonLostEnd))
}

// lastHeld finds the last of a stream's pairs whose entry the journal holds.
func (r *run) lastHeld(ctx context.Context, s *stream) (p pair, ok bool, err error) {
	for i := len(s.ident.Pairs) - 1; i >= 0 && !ok; i-- {
		if p = s.ident.Pairs[i]; p.Cursor == "" {
			continue
		}
		if ok, err = r.holds(ctx, s, p); err != nil {
			return p, false, err
		}
	}
	return p, ok, nil
}

// wasRead reports whether an entry that the journal gives behind a pair of a
// stream was read before the stream's last one: it is of one of the boots that
// were read, and not later.
func (s *stream) wasRead(e entry, behind pair) bool {
	last, got := cursorParts(s.ident.last().Cursor), cursorParts(e.cursor)
	if got["b"] == last["b"] {
		return number(got["m"], 16) <= number(last["m"], 16)
	}
	for i := len(s.ident.Pairs) - 1; i >= 0 && s.ident.Pairs[i].Off >= behind.Off; i-- {
		if cursorParts(s.ident.Pairs[i].Cursor)["b"] == got["b"] {
			return true
		}
	}
	return false
}

// number reads a number of a cursor; what is none is 0.
func number(text string, base int) int64 {
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		return 0
	}
	return n
}

// micros is when an entry was written, in Unix microseconds.
func (e *entry) micros() int64 { return number(cursorParts(e.cursor)["t"], 16) }
