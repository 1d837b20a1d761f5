package pods

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// open stores the stream, durably, before its first byte is sent. It is false
// while there is no byte.
func (r *reader) open(ctx context.Context, in *instance) (bool, error) {
	for _, f := range in.next {
		if _, err := f.reader(in.folder.place.dir, in.same(f)); err != nil && !in.givesUp(&part{file: f}, err) {
			return false, err
		}
		if err := f.look(); err != nil {
			return false, err
		}
	}
	if in.at.fork != "" {
		return true, r.openFork(ctx, in)
	}
	var begin, doubt int64
	var tail uint64
	var origin string
	if in.at.atEnd {
		var err error
		if begin, tail, err = in.skipToEnd(int64(r.cfg.MaxRecord)); err != nil {
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
		line, err := in.firstLine()
		if err != nil || line == nil && len(in.next) == 1 && !in.folder.absent {
			return false, err // by its first line it is known again
		}
		if line != nil {
			origin = fmt.Sprintf("%s %x", in.key(), ident.Sum(line))
		}
		// Files were rotated, and what was the first of them may be gone: where
		// all that was known is gone, too, this one may be another's middle.
		if in.at.atStart && (len(in.next) > 1 || origin == "") {
			for _, f := range in.next {
				doubt += f.size
			}
		}
		if err := r.beginNext(in); err != nil {
			return false, err
		}
	}
	err := r.openAs(ctx, in, adaptors.Stream{Begin: begin, Tail: tail, Origin: origin, Doubt: doubt})
	if err != nil {
		in.next = append(in.files()[:len(in.parts)], in.next...)
		in.parts = nil
		return false, err
	}
	in.at.atEnd = false
	return true, nil
}

// openAs opens the stream of an instance.
func (r *reader) openAs(ctx context.Context, in *instance, st adaptors.Stream) error {
	in.changed = false
	st.Source, st.Identity, st.Type = in.source, in.encode(), in.choice.dataType
	if err := in.out.Open(ctx, st); err != nil {
		return err
	}
	in.choice.typed = true
	r.opened()
	return nil
}

// firstLine returns the first line, or the first KiB of it, of the file that is
// next; nil where it is not whole yet.
func (in *instance) firstLine() ([]byte, error) {
	f := in.next[0]
	src, err := f.reader(in.folder.place.dir, in.same(f))
	if err != nil {
		if in.givesUp(&part{file: f}, err) {
			err = nil
		}
		return nil, err
	}
	head, err := ident.ReadHead(src)
	if err != nil && !unzip.Damaged(err) {
		return nil, fmt.Errorf("read the head of %s: %w", f.id.Path, err)
	}
	if end := bytes.IndexByte(head, '\n'); end >= 0 {
		return head[:end+1], nil
	}
	if len(head) < ident.MaxHead {
		return nil, nil
	}
	return head, nil
}

// skipToEnd makes parts of all files that are there, and returns where the last
// line ends, and the fingerprint of the bytes before.
func (in *instance) skipToEnd(limit int64) (begin int64, tail uint64, err error) {
	for len(in.next) > 0 {
		p := in.start()
		f := p.file
		if f.f != nil {
			if _, err := f.growHead(f.f); err != nil {
				return 0, 0, err
			}
		}
		if len(in.next) > 0 || f.f == nil { // it does not grow
			p.From, p.Len = f.size, 0
			continue
		}
		if begin, err = lastLineEnd(f.f, f.size, limit); err != nil {
			return 0, 0, err
		}
		before, err := ident.Window(f.f, begin)
		if err != nil {
			return 0, 0, fmt.Errorf("read %s before %d: %w", f.id.Path, begin, err)
		}
		tail = ident.Sum(before)
	}
	return begin, tail, nil
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

// openFork stores the stream of a fork.
func (r *reader) openFork(ctx context.Context, in *instance) error {
	tail, err := in.tailAt(in.at.begin)
	if err != nil {
		return err
	}
	return r.openAs(ctx, in, adaptors.Stream{Begin: in.at.begin, Tail: tail, Fork: in.at.fork})
}

// tailAt is the fingerprint of a file's bytes before an offset of the stream.
func (in *instance) tailAt(pos int64) (uint64, error) {
	i := in.index(pos - 1)
	if pos == 0 || i == len(in.parts) || pos <= in.parts[i].Base || in.parts[i].Gone {
		return 0, nil
	}
	p := in.parts[i]
	src, err := p.file.reader(in.folder.place.dir, func(io.ReaderAt, int64) (bool, error) { return true, nil })
	if err != nil {
		return 0, err
	}
	b, err := ident.Window(src, p.From+pos-p.Base)
	if err != nil {
		return 0, fmt.Errorf("read %s before %d: %w", p.file.id.Path, p.From+pos-p.Base, err)
	}
	return ident.Sum(b), nil
}
