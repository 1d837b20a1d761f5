package journald

import (
	"context"
	"fmt"
	"strconv"
)

// anew goes on where the journal does not hold the last entry that was read: it
// was vacuumed, or the journal lost its end with the machine's power. What comes
// behind the last entry that is still there is read: new entries may stand where
// lost ones stood. Where nothing is there at all, it did not go on.
func (r *run) anew(ctx context.Context, v errVacuumed) (went bool, err error) {
	old := r.live
	if err := r.flush(ctx); err != nil { // what an earlier session could not
		return false, err
	}
	p, ok, err := r.lastHeld(ctx, old)
	switch {
	case err != nil:
		return false, err
	case ok && old.out.Settled() >= old.ident.last().Off:
		r.lostEnd(old, p)
		r.behind = &p // it goes on with the first entry that is new
		return true, nil
	case ok:
		// Which of the entries behind it are in the table is not known here: they
		// come again at their offsets, in a fork, and their bytes decide.
		r.lostEnd(old, p)
		if err := r.open(ctx, old.ident.Number+1, p, old.out.ID()); err != nil {
			return false, err
		}
		return true, old.out.End(ctx, reasonLostEnd)
	case v.next == "":
		return false, nil
	}
	reason := "the journal forgot the last entry that was read, and maybe others after it: it goes on at " + v.next
	r.env.Log.Error("entries of the journal may be lost", "after", v.cursor, "goes on at", v.next)
	r.note(old.out.Source(), "after stream "+old.out.ID()+": "+reason)
	if err := r.follow(ctx, old, pair{Cursor: v.next, At: true}); err != nil {
		return false, err
	}
	return true, old.out.End(ctx, reason)
}

const reasonLostEnd = "the journal does not hold the last entries that were read any more; another stream goes on behind the last one that it holds"

func (r *run) lostEnd(old *stream, p pair) {
	r.env.Log.Warn("the journal does not hold the last entries that were read any more; it goes on behind the last one that it holds",
		"stream", old.out.ID(), "read", old.ident.last().Cursor, "holds", p.Cursor)
	r.note(old.out.Source(), fmt.Sprintf("after stream %s: %s", old.out.ID(), reasonLostEnd))
}

// lastHeld finds the last of a stream's pairs whose entry the journal holds.
func (r *run) lastHeld(ctx context.Context, s *stream) (p pair, ok bool, err error) {
	if newest, err := r.newest(ctx); newest == "" || err != nil {
		return p, false, err
	}
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
