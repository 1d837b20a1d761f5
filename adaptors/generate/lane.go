package generate

import (
	"context"
	"hash/crc64"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

// How much is sent at once: what is due after a tick, at most a chunk.
const (
	chunkBytes = 256 << 10
	tick       = 100 * time.Millisecond
	// arrears is how much a stream that had to wait makes up for.
	arrears = time.Second
	// After an error of the output the same is tried again.
	firstRetry, lastRetry = 50 * time.Millisecond, 10 * time.Second
)

// lane is one stream at work, in a goroutine of its own.
type lane struct {
	env     adaptors.Env // its output is patient
	board   *board.Board
	out     *replay.Stream
	id      identity
	length  int64 // bytes; -1: it never ends
	step    time.Duration
	retired bool // not the config's any more: forgotten once its end is secured
	body    []byte
	wake    chan struct{}
}

func (a *Adaptor) newLane(env adaptors.Env, id identity) *lane {
	l := &lane{env: env, board: &a.board, id: id, length: a.cfg.length(), step: a.cfg.step(), wake: make(chan struct{}, 1)}
	l.env.Out = &replay.Patient{Out: env.Out, First: firstRetry, Last: lastRetry, Note: func(err error) {
		if err == nil {
			a.board.Well(l.out)
		} else if a.board.Fail(l.out, err) {
			env.Log.Warn("a chunk was not taken; it is tried again", "stream", l.out.ID(), "error", err)
		}
	}}
	return l
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run sends the stream until ctx is done, or it is forgotten. The error is that
// of the journal, or of a chunk that can't be taken.
func (l *lane) run(ctx context.Context) error {
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := l.out.Resend(ctx, l.makeAgain); err != nil {
			return err
		}
		var wait <-chan time.Time
		last, at := l.next(due, time.Now())
		switch off := l.out.Off(); {
		case last > off:
			if err := l.send(ctx, off, last); err != nil {
				return err
			}
			due = at
			continue
		case l.length >= 0 && off >= l.length:
			if gone, err := l.finish(ctx); gone || err != nil {
				return err
			}
		default:
			timer.Reset(max(time.Until(at), time.Millisecond))
			wait = timer.C
		}
		select {
		case <-wait:
		case <-l.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// next returns up to which offset lines are due at now, and when the ones after
// them count from. With none due, it is when to look again.
func (l *lane) next(due, now time.Time) (last int64, at time.Time) {
	line := l.id.Content.LineBytes
	lines := chunkBytes / line
	if l.length >= 0 {
		lines = min(lines, (l.length-l.out.Off())/line)
	}
	if lines <= 0 {
		return l.out.Off(), due
	}
	// What was sent before comes again as fast as it is taken.
	if l.out.Off() < l.out.Sent() {
		return min(l.out.Off()+lines*line, l.out.Sent()), due
	}
	if l.step == 0 {
		return l.out.Off() + lines*line, due
	}
	if late := now.Add(-arrears); due.Before(late) {
		due = late
	}
	ready := int64(now.Sub(due) / l.step)
	if whole := max(int64(tick/l.step), 1); ready < min(whole, lines) {
		return l.out.Off(), due.Add(time.Duration(min(whole, lines)) * l.step)
	}
	ready = min(ready, lines)
	return l.out.Off() + ready*line, due.Add(time.Duration(ready) * l.step)
}

// send makes and sends [first, last), both at a line's border.
func (l *lane) send(ctx context.Context, first, last int64) error {
	l.body = l.id.Content.Append(l.body[:0], first, last)
	tail := l.body[len(l.body)-int(l.id.Content.LineBytes):]
	c := chunk.Chunk{First: first, Last: last, Body: l.body}
	return l.out.Data(ctx, c, crc64.Checksum(tail, crc64.MakeTable(crc64.ECMA)))
}

// makeAgain sends the lines of a range that was sent before.
func (l *lane) makeAgain(ctx context.Context, r chunk.Range) error {
	line := l.id.Content.LineBytes
	for first := r.First - r.First%line; first < r.Last; {
		last := min(first+chunkBytes/line*line, (r.Last+line-1)/line*line)
		if err := l.send(ctx, first, last); err != nil {
			return err
		}
		first = last
	}
	return nil
}

// finish ends the stream, and forgets a retired one whose end is secured: gone.
func (l *lane) finish(ctx context.Context) (gone bool, err error) {
	secured := l.id.EndSecured && l.out.Settled() >= l.length
	if !secured {
		if err := l.out.End(ctx, "all of it was made"); err != nil {
			return false, err
		}
	}
	switch {
	case l.retired && (secured || l.out.Done()):
		l.out.Forget()
		l.board.Hide(l.out)
		return true, nil
	case l.out.Done() && !l.id.EndSecured:
		l.id.EndSecured = true
		return false, l.out.Update(l.id.encode())
	}
	return false, nil
}
