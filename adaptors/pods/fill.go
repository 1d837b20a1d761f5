package pods

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// stop says why fill has read no further.
type stop int

const (
	full    stop = iota // the buffer
	limited             // off reached the limit
	dry                 // there is nothing more now
	lost                // what follows can't be read any more
)

// fill reads the stream from off on, over the borders of files, until buf is
// full or limit is reached. ends are the offsets in buf where a file ends.
func (in *instance) fill(buf []byte, off, limit int64, next func(pos int64) (bool, error)) (n int, ends []int, why stop, err error) {
	for {
		pos := off + int64(n)
		if n == len(buf) {
			return n, ends, full, nil
		}
		if pos >= limit {
			return n, ends, limited, nil
		}
		i := in.index(pos)
		if i == len(in.parts) {
			more, err := next(pos)
			if err != nil || !more {
				return n, ends, dry, err
			}
			continue
		}
		p := in.parts[i]
		if p.Gone || pos < p.Base {
			return n, ends, lost, nil
		}
		want := buf[n:min(int64(len(buf)), int64(n)+limit-pos)]
		if !p.growing() {
			want = want[:min(int64(len(want)), p.Base+p.Len-pos)]
		}
		k, err := in.readPart(p, want, pos)
		n += k
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			if in.givesUp(p, err) {
				in.lose(i, pos+int64(k), in.out.Sent(), in.at.done || in.at.quiet && in.mail.watched.Load())
				continue
			}
			return n, ends, dry, err
		case !p.growing() && k < len(want): // it is shorter than it was
			in.lose(i, pos+int64(k), 0, true)
			continue
		case p.growing() && k < len(want):
			if short, err := in.truncated(i, pos+int64(k)); err != nil || short {
				return n, ends, dry, err
			}
			more, err := next(pos + int64(k))
			if err != nil || !more {
				return n, ends, dry, err
			}
		}
		if last := in.parts[i]; !last.growing() && off+int64(n) == last.Base+last.Len {
			ends = append(ends, n)
		}
	}
}

// truncated makes a new file of one that holds less than was read of it, up
// to pos: nobody who keeps to the rules does that.
func (in *instance) truncated(i int, pos int64) (bool, error) {
	p := in.parts[i]
	f := p.file
	if f.f == nil {
		return false, nil
	}
	info, err := ident.Fstat(f.f)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", f.id.Path, err)
	}
	if pos = max(pos, in.out.Sent()); info.Size >= p.From+pos-p.Base {
		f.saw(info.Size)
		return false, nil
	}
	in.startOver(i, pos, &info)
	return true, nil
}

// startOver makes a new file of the one that is part i, which was read up to pos
// and was truncated since.
func (in *instance) startOver(i int, pos int64, info *ident.Info) {
	p := in.parts[i]
	f := p.file
	anew := &file{id: ident.Identity{Path: f.id.Path}, name: f.name}
	anew.attach(f.f, info)
	f.f = nil
	f.gone()
	in.lose(i, pos, 0, true)
	in.next = append([]*file{anew}, in.next...)
	in.mail.dirty.Store(true)
}

// readPart reads a part's bytes at pos of the stream.
func (in *instance) readPart(p *part, buf []byte, pos int64) (int, error) {
	r, err := p.file.reader(in.folder.place.dir, in.same(p.file))
	if err != nil {
		return 0, err
	}
	n, err := r.ReadAt(buf, p.From+pos-p.Base)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("read %s at %d: %w", p.file.id.Path, p.From+pos-p.Base+int64(n), err)
	}
	return n, err
}

// givesUp reports whether an error means that the rest of a part is lost.
func (in *instance) givesUp(p *part, err error) bool {
	f := p.file
	switch {
	case errors.Is(err, errUnseen):
		return !f.unseen.IsZero() && time.Since(f.unseen) >= in.patience()
	case unzip.Damaged(err): // it may be written just now
		return time.Since(f.grewAt) >= in.times.still
	}
	return false
}

// same returns what tells whether bytes are those that were sent of a file, as
// far as fingerprints tell. A size of -1 is not known.
func (in *instance) same(f *file) func(r io.ReaderAt, size int64) (bool, error) {
	return func(r io.ReaderAt, size int64) (bool, error) {
		head := make([]byte, f.id.HeadLen)
		if n, err := r.ReadAt(head, 0); n < len(head) {
			if errors.Is(err, io.EOF) {
				return false, nil
			}
			return false, err
		}
		if !f.id.SameHead(head) {
			return false, nil
		}
		for _, p := range in.parts {
			if p.file != f || p.Gone || in.out.Sent() <= p.Base || !p.growing() && in.out.Sent() > p.Base+p.Len {
				continue
			}
			at := p.From + in.out.Sent() - p.Base
			if size >= 0 && size < at {
				return false, nil
			}
			return ident.SameTail(r, at, in.out.Tail())
		}
		return true, nil
	}
}
