package pods

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// open stores the stream, durably, before its first byte is sent. It is false
// while there is no byte.
func (r *reader) open(ctx context.Context, in *instance) (bool, error) {
	for _, f := range in.next {
		if _, err := f.reader(in.place.dir, in.same(f)); err != nil && !in.givesUp(&part{file: f}, err) {
			return false, err
		}
		if err := f.look(); err != nil {
			return false, err
		}
	}
	if in.atEnd {
		if err := in.skipToEnd(int64(r.cfg.MaxRecord)); err != nil {
			return false, err
		}
	} else {
		for len(in.next) > 1 && !in.next[0].gz && in.next[0].size == 0 {
			in.next[0].close()
			in.next = in.next[1:]
		}
		if len(in.next) == 0 || !in.next[0].gz && in.next[0].size == 0 {
			return false, nil
		}
		if err := r.beginNext(in); err != nil {
			return false, err
		}
	}
	in.off, in.sent = in.begin, in.begin
	in.settled.Store(in.begin)
	in.read.Store(in.begin)
	in.stored = in.encode()
	opened := in.stream()
	opened.Type = cmp.Or(in.dataType, r.env.Type)
	st, err := r.env.Streams.Open(ctx, opened)
	if err != nil {
		in.next = append(in.files()[:len(in.parts)], in.next...)
		in.parts = nil
		return false, fmt.Errorf("open a stream for %s: %w", in.source, err)
	}
	in.setID(st.ID)
	in.beginSent, in.atEnd = in.begin == 0, false
	r.opened(in)
	return true, nil
}

// skipToEnd makes parts of all files that are there, up to the last line's end.
func (in *instance) skipToEnd(limit int64) error {
	for len(in.next) > 0 {
		p := in.start()
		if len(in.next) > 0 || p.file.f == nil { // it does not grow
			p.From, p.Len = p.file.size, 0
			if p.file.f != nil {
				if _, err := p.file.growHead(p.file.f); err != nil {
					return err
				}
			}
			continue
		}
		at, err := lastLineEnd(p.file.f, p.file.size, limit)
		if err != nil {
			return err
		}
		in.begin = at
		before, err := ident.Window(p.file.f, at)
		if err != nil {
			return fmt.Errorf("read %s before %d: %w", p.file.id.Path, at, err)
		}
		in.tail = ident.Sum(before)
		if _, err := p.file.growHead(p.file.f); err != nil {
			return err
		}
	}
	return nil
}

// lastLineEnd is the offset past the last newline, so that a line that is just
// being written is read whole; size where no line ends within the last limit
// bytes.
func lastLineEnd(f io.ReaderAt, size, limit int64) (int64, error) {
	buf := make([]byte, min(size, limit))
	n, err := f.ReadAt(buf, size-int64(len(buf)))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for the last line: %w", err)
	}
	if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
		return size - int64(len(buf)) + int64(i) + 1, nil
	}
	if size <= limit {
		return 0, nil // one line, not finished yet
	}
	return size, nil
}

// beginNext makes the next file the last part, with its head known.
func (r *reader) beginNext(in *instance) error {
	f := in.next[0]
	src, err := f.reader(in.place.dir, in.same(f))
	if err != nil {
		if in.givesUp(&part{file: f}, err) {
			in.start()
			in.lose(len(in.parts)-1, in.last().Base, 0, f.size > 0)
			return nil
		}
		return err
	}
	if err := f.look(); err != nil {
		return err
	}
	if _, err := f.growHead(src); err != nil {
		return err
	}
	in.start()
	return nil
}

// advance goes on to the file after the last one, once that one is whole: pos
// is the end of it that was seen. It tells that reading may go on.
func (r *reader) advance(in *instance, pos int64, wake *time.Duration) (bool, error) {
	last := in.last()
	if len(in.next) == 0 {
		return false, nil
	}
	if last.growing() {
		wait, err := in.quiet(last.file, in.times.settle, len(in.next) > 1)
		if err != nil {
			return false, err
		}
		if wait > 0 {
			*wake = wait
			return false, nil
		}
		if last.file.f != nil && last.file.size > last.From+pos-last.Base {
			return true, nil // it has grown meanwhile
		}
		if last.file.f != nil { // the chunk that holds its end may begin in it and end in the next
			if _, err := last.file.growHead(last.file.f); err != nil {
				return false, err
			}
		}
		last.Len = pos - last.Base
	}
	if err := r.beginNext(in); err != nil {
		return false, err
	}
	return true, r.store(in)
}

// quiet gives how long to wait until nothing more is expected to be written to
// a file that has another name by now; 0: no more. over tells that even the
// one after it was rotated.
func (in *instance) quiet(f *file, still time.Duration, over bool) (time.Duration, error) {
	if f.f == nil || over {
		return 0, f.look()
	}
	wait := still
	switch f.mayGrow() {
	case no:
		wait = 0
	case yes:
		wait = in.times.linger
	}
	// Bytes that came before the lease are still to be read.
	if err := f.look(); err != nil {
		return 0, err
	}
	if age := time.Since(f.grewAt); age < wait {
		return min(wait-age, still), nil
	}
	return 0, nil
}
