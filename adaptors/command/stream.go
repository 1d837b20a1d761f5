package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk"
)

// Lines are sent together when there are so many bytes of them, or when the
// first has waited so long.
const (
	streamBytes = 64 << 10
	streamAge   = 200 * time.Millisecond
)

// stream runs the program for ever and sends its records as they come.
func (a *Adaptor) stream(ctx context.Context, env adaptors.Env) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer r.Close()
	stderr := &tail{}
	// Reading goes on in a goroutine of its own: the process binds this one to
	// its thread.
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := start(runCtx, a.cfg.Command, w, stderr)
	w.Close() // the program's own is open
	if err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() {
		err := a.lines(ctx, env, r)
		if err != nil {
			cancel() // nobody reads any more
		}
		read <- err
	}()
	code, waitErr := p.wait()
	// Whoever of its group held the pipe is gone now; a program that left the
	// group on purpose must not hold us.
	late := time.AfterFunc(grace, func() { r.Close() })
	readErr := <-read
	late.Stop()
	if ctx.Err() != nil {
		return nil
	}
	if readErr != nil {
		return readErr
	}
	if waitErr != nil {
		return fmt.Errorf("wait for %s: %w", a.cfg.program(), waitErr)
	}
	text := fmt.Sprintf("%s ended with exit code %d", a.cfg.program(), code)
	if said := strings.TrimSpace(string(stderr.kept)); said != "" {
		text += ": " + strings.ToValidUTF8(said, "�")
	}
	a.setErr(text)
	return errors.New(text)
}

// lines sends whole records until r ends. What is unfinished then is sent as it
// is; a record longer than the limit, in parts.
func (a *Adaptor) lines(ctx context.Context, env adaptors.Env, r *os.File) error {
	cutter := a.cutter.For("")
	in := pending{cutter: cutter, buf: make([]byte, 0, 2*streamBytes), want: streamBytes}
	for ended := false; !ended; {
		in.grow()
		_ = r.SetReadDeadline(in.deadline(a.cfg.RecordTimeout.Std()))
		n, err := r.Read(in.buf[len(in.buf):cap(in.buf)])
		in.add(n)
		late := errors.Is(err, os.ErrDeadlineExceeded)
		ended = errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed)
		flush := cut.None
		switch {
		case err != nil && !late && !ended:
			return fmt.Errorf("read output of %s: %w", a.cfg.program(), err)
		case ended:
			flush = cut.Always
		case late && time.Since(in.news) >= a.cfg.RecordTimeout.Std():
			flush = cut.Lines
		case len(in.buf) < in.want && !late:
			continue
		}
		if err := in.each(flush, func(body []byte, c cut.Cut) error { return a.send(ctx, env, body, c) }); err != nil {
			return err
		}
	}
	return nil
}

// pending is what was read of a program's output and not sent yet.
type pending struct {
	cutter  *cut.Cutter
	buf     []byte
	want    int       // bytes that are worth a look
	from    cut.From  // what buf starts with
	off     int64     // bytes sent
	since   time.Time // when the first line came that was not looked at; zero: there is none
	news    time.Time // when something came last
	borders []int64
}

func (p *pending) grow() {
	if len(p.buf) == cap(p.buf) {
		p.buf = append(make([]byte, 0, min(2*cap(p.buf), p.cutter.Enough()+streamBytes)), p.buf...)
	}
}

func (p *pending) add(n int) {
	if n == 0 {
		return
	}
	fresh := p.buf[len(p.buf) : len(p.buf)+n]
	p.buf = p.buf[:len(p.buf)+n]
	p.news = time.Now()
	if p.since.IsZero() && bytes.IndexByte(fresh, '\n') >= 0 {
		p.since = p.news
	}
}

// deadline is when what is there has to be looked at although nothing else
// comes; zero: never.
func (p *pending) deadline(recordTimeout time.Duration) (at time.Time) {
	if !p.since.IsZero() {
		at = p.since.Add(streamAge)
	}
	if late := p.news.Add(recordTimeout); p.waits() && (at.IsZero() || late.Before(at)) {
		at = late
	}
	return at
}

// waits tells that a record of several lines may have come to its end.
func (p *pending) waits() bool {
	return p.cutter.MultiLine() && bytes.IndexByte(p.buf, '\n') >= 0
}

// each returns all that can be cut off to send.
func (p *pending) each(flush cut.Flush, send func(body []byte, c cut.Cut) error) error {
	p.since = time.Time{}
	at := 0
	for {
		rest := p.buf[at:]
		c := p.cutter.Next(rest, p.from, flush, p.borders)
		if c.N == 0 {
			break
		}
		if c.Borders != nil {
			p.borders = c.Borders
		}
		if err := send(rest[:c.N], c); err != nil {
			return err
		}
		at += c.N
		p.off += int64(c.N)
		p.from, _ = p.cutter.From(p.off, rest[:c.N])
	}
	p.want = streamBytes
	if at == 0 { // one record, longer than that
		p.want = min(max(2*len(p.buf), streamBytes), p.cutter.Enough())
	}
	p.buf = append(p.buf[:0], p.buf[at:]...)
	return nil
}

// send outlives ctx by a moment: what the program said before it was ended is
// kept.
func (a *Adaptor) send(ctx context.Context, env adaptors.Env, body []byte, of cut.Cut) error {
	if ctx.Err() != nil {
		var cancel func()
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
	}
	c := chunk.Chunk{Source: a.source, Time: time.Now(), Tags: of.Part.Tags(), Borders: of.Borders, Body: body}
	if err := env.Out.Send(ctx, &c); err != nil {
		return fmt.Errorf("send lines of %s: %w", a.cfg.program(), err)
	}
	return nil
}

// tail keeps the last bytes that are written to it.
type tail struct{ kept []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}
