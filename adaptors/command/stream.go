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
	"github.com/akupara/akupara/chunk"
)

// Lines are sent together when there are so many bytes of them, or when the
// first has waited so long.
const (
	streamBytes = 64 << 10
	streamAge   = 200 * time.Millisecond
)

// stream runs the program for ever and sends its lines as they come.
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
		return fmt.Errorf("wait for %s: %w", a.cfg.Program(), waitErr)
	}
	text := fmt.Sprintf("%s ended with exit code %d", a.cfg.Program(), code)
	if said := strings.TrimSpace(string(stderr.kept)); said != "" {
		text += ": " + strings.ToValidUTF8(said, "�")
	}
	a.setErr(text)
	return errors.New(text)
}

// lines sends whole lines until r ends. What follows the last newline at the
// end is sent as it is; so is a line longer than the limit, in pieces.
func (a *Adaptor) lines(ctx context.Context, env adaptors.Env, r *os.File) error {
	buf := make([]byte, 0, 2*streamBytes)
	var since time.Time // when the first whole line in buf came
	ended := false
	for !ended {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf), int(a.cfg.Max)+streamBytes)), buf...)
		}
		var deadline time.Time
		if !since.IsZero() {
			deadline = since.Add(streamAge)
		}
		_ = r.SetReadDeadline(deadline)
		n, err := r.Read(buf[len(buf):cap(buf)])
		fresh := buf[len(buf) : len(buf)+n]
		buf = buf[:len(buf)+n]
		if since.IsZero() && bytes.IndexByte(fresh, '\n') >= 0 {
			since = time.Now()
		}
		late := errors.Is(err, os.ErrDeadlineExceeded)
		ended = errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed)
		if err != nil && !late && !ended {
			return fmt.Errorf("read output of %s: %w", a.cfg.Program(), err)
		}
		whole := bytes.LastIndexByte(buf, '\n') + 1
		switch {
		case ended || whole == 0 && len(buf) >= int(a.cfg.Max):
			whole = min(len(buf), int(a.cfg.Max))
		case whole < streamBytes && !late:
			continue
		}
		if whole == 0 {
			continue
		}
		if err := a.send(ctx, env, buf[:whole]); err != nil {
			return err
		}
		buf = append(buf[:0], buf[whole:]...)
		since = time.Time{}
	}
	if len(buf) > 0 {
		return a.send(ctx, env, buf)
	}
	return nil
}

// send outlives ctx by a moment: what the program said before it was ended is
// kept.
func (a *Adaptor) send(ctx context.Context, env adaptors.Env, body []byte) error {
	if ctx.Err() != nil {
		var cancel func()
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
	}
	for len(body) > 0 {
		n := min(len(body), chunk.MaxBody)
		c := chunk.Chunk{Source: a.source, Time: time.Now(), Body: body[:n]}
		if err := env.Out.Send(ctx, &c); err != nil {
			return fmt.Errorf("send lines of %s: %w", a.cfg.Program(), err)
		}
		body = body[n:]
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
