package generate

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc64"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
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

// lane is one stream at work. Its goroutine alone touches what stands before
// mu.
type lane struct {
	stream  adaptors.Stream
	id      identity
	length  int64 // bytes; -1: it never ends
	step    time.Duration
	retired bool // not the config's any more: forgotten once its end is secured
	off     int64
	endSent bool
	body    []byte
	log     *slog.Logger
	wake    chan struct{}

	mu      sync.Mutex
	read    int64
	settled int64
	said    bool // a receipt came since the End was sent
	waits   bool // the End was sent and no receipt came since
	asked   []chunk.Range
	lastErr string
}

func newLane(s adaptors.Stream, id identity, length int64, step time.Duration) *lane {
	l := &lane{stream: s, id: id, length: length, step: step, wake: make(chan struct{}, 1)}
	// A position within a line, which is none of ours, is taken for that line's start.
	l.off = s.Settled - s.Settled%id.Content.LineBytes
	l.read, l.settled = l.off, s.Settled
	return l
}

func (l *lane) shown() (src adaptors.Source, lastErr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := l.read
	if l.length > 0 {
		size = l.length
	}
	return adaptors.Source{Stream: l.stream.ID, Path: l.stream.Source, Size: size, Read: l.read, Settled: l.settled}, l.lastErr
}

func sortSources(list []adaptors.Source) {
	slices.SortFunc(list, func(a, b adaptors.Source) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Stream, b.Stream))
	})
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) settle(upTo int64) {
	l.mu.Lock()
	l.settled = max(l.settled, upTo)
	l.said = l.waits
	wake := l.said
	l.mu.Unlock()
	if wake {
		l.nudge()
	}
}

func (l *lane) ask(r chunk.Range) {
	l.mu.Lock()
	l.asked = append(l.asked, r)
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) takeAsked() []chunk.Range {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

// run sends the stream until ctx is done. The error is that of the journal.
func (l *lane) run(ctx context.Context, env adaptors.Env) error {
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for _, r := range l.takeAsked() {
			if err := l.again(ctx, env, r); err != nil {
				return err
			}
		}
		var wait <-chan time.Time
		last, at := l.next(due, time.Now())
		switch {
		case last > l.off:
			if err := l.send(ctx, env, l.off, last); err != nil {
				return err
			}
			due = at
			continue
		case l.length >= 0 && l.off >= l.length:
			if gone, err := l.finish(ctx, env); gone || err != nil {
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

// next tells up to which offset lines are due at now, and when the ones after
// them count from. With none due, it is when to look again.
func (l *lane) next(due, now time.Time) (last int64, at time.Time) {
	line := l.id.Content.LineBytes
	lines := chunkBytes / line
	if l.length >= 0 {
		lines = min(lines, (l.length-l.off)/line)
	}
	if lines <= 0 {
		return l.off, due
	}
	// What was sent before comes again as fast as it is taken.
	if l.off < l.stream.Sent {
		return min(l.off+lines*line, l.stream.Sent), due
	}
	if l.step == 0 {
		return l.off + lines*line, due
	}
	if late := now.Add(-arrears); due.Before(late) {
		due = late
	}
	ready := int64(now.Sub(due) / l.step)
	if whole := max(int64(tick/l.step), 1); ready < min(whole, lines) {
		return l.off, due.Add(time.Duration(min(whole, lines)) * l.step)
	}
	ready = min(ready, lines)
	return l.off + ready*line, due.Add(time.Duration(ready) * l.step)
}

// send sends [first, last), which goes on at l.off.
func (l *lane) send(ctx context.Context, env adaptors.Env, first, last int64) error {
	l.body = l.id.Content.Append(l.body[:0], first, last)
	if last > l.stream.Sent {
		tail := l.body[len(l.body)-int(l.id.Content.LineBytes):]
		if err := env.Streams.Sent(l.stream.ID, last, crc64.Checksum(tail, crc64.MakeTable(crc64.ECMA))); err != nil {
			return fmt.Errorf("journal stream %s: %w", l.stream.ID, err)
		}
		l.stream.Sent = last
	}
	if !l.out(ctx, env, chunk.Chunk{Kind: chunk.Data, First: first, Last: last, Body: l.body}) {
		return ctx.Err()
	}
	l.off = last
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = max(l.read, last)
	return nil
}

// out hands a chunk over, and tries for as long as it takes; false: ctx is done.
func (l *lane) out(ctx context.Context, env adaptors.Env, c chunk.Chunk) bool {
	c.Type, c.Host, c.Source, c.Stream, c.Time = env.Type, env.Host, l.stream.Source, l.stream.ID, time.Now()
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := env.Out.Send(ctx, &c)
		if ctx.Err() != nil && err != nil {
			return false
		}
		l.failed(err)
		if err == nil {
			return true
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
}

func (l *lane) failed(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	l.mu.Lock()
	news := text != l.lastErr && text != ""
	l.lastErr = text
	l.mu.Unlock()
	if news {
		l.log.Warn("a chunk was not taken; it is tried again", "err", err)
	}
}

// again sends once more what is asked for, as far as it was sent before. An
// empty range asks for the End.
func (l *lane) again(ctx context.Context, env adaptors.Env, r chunk.Range) error {
	line := l.id.Content.LineBytes
	if r.Empty() {
		l.endSent = l.endSent && r.First != l.length
		return nil
	}
	for first := r.First - r.First%line; first < min(r.Last, l.off); {
		last := min(first+chunkBytes/line*line, (r.Last+line-1)/line*line, l.off)
		l.body = l.id.Content.Append(l.body[:0], first, last)
		if !l.out(ctx, env, chunk.Chunk{Kind: chunk.Data, First: first, Last: last, Body: l.body}) {
			return ctx.Err()
		}
		first = last
	}
	return nil
}

// finish tells the stream's end, and forgets a retired stream whose end is
// secured: gone.
func (l *lane) finish(ctx context.Context, env adaptors.Env) (gone bool, err error) {
	l.mu.Lock()
	secured := l.said && l.settled >= l.length
	l.mu.Unlock()
	switch {
	case l.retired && (secured || l.id.EndSecured && l.stream.Settled >= l.length):
		if err := env.Streams.Forget(l.stream.ID); err != nil {
			return false, fmt.Errorf("forget stream %s: %w", l.stream.ID, err)
		}
		return true, nil
	case secured && !l.id.EndSecured:
		l.id.EndSecured = true
		return false, l.store(env)
	case l.endSent || l.id.EndSecured && l.stream.Settled >= l.length:
		return false, nil
	}
	if !l.stream.Ended {
		l.stream.Ended = true
		if err := l.store(env); err != nil {
			return false, err
		}
	}
	if !l.out(ctx, env, chunk.Chunk{Kind: chunk.End, First: l.length, Last: l.length, Reason: "all of it was made"}) {
		return false, nil
	}
	l.endSent = true
	l.mu.Lock()
	l.waits = true
	l.mu.Unlock()
	return false, nil
}

func (l *lane) store(env adaptors.Env) error {
	l.stream.Identity = l.id.encode()
	if err := env.Streams.Update(l.stream); err != nil {
		return fmt.Errorf("store stream %s: %w", l.stream.ID, err)
	}
	return nil
}
