package spooldir

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

// readBytes of one read, and thereby of most chunks.
const readBytes = 512 << 10

// begin opens a stream for a file, durably, before its first byte is sent.
func (r *run) begin(ctx context.Context, e *entry, f *os.File) error {
	id, err := newIdentity(e.path, f, &e.info)
	if err != nil {
		return err
	}
	for _, s := range r.byInode[id.Ino] {
		id.Anew = id.Anew || s.ident.SameInode(&e.info)
	}
	st := adaptors.Stream{Source: e.path, Identity: id.encode(), Tail: ident.Sum(nil)}
	if !id.Anew && !r.nameless {
		if st.Origin, err = origin(f, &e.info, r.gone[id.Ino]); err != nil {
			return err
		}
	}
	if st.Origin == "" && e.early && r.env.Streams.Fresh() {
		if st.Doubt = id.Size; id.Packed {
			st.Doubt = int64(r.cfg.MaxUnpacked)
		}
	}
	s := &stream{out: cmp.Or(e.out, replay.New(&r.env)), ident: id}
	if err := s.out.Open(ctx, st); err != nil {
		return err
	}
	e.out = nil
	s.measure()
	r.add(s)
	r.give(e, s)
	return nil
}

// read sends the file from where it was read to, to its end, and tells the end.
func (r *run) read(ctx context.Context, s *stream, f *os.File) error {
	to := s.ident.Size
	if s.ident.Packed {
		to = int64(r.cfg.MaxUnpacked)
	}
	trouble, err := r.produce(ctx, s, f, s.out.Off(), to)
	if err != nil {
		return err
	}
	if trouble != "" {
		s.ident.Trouble = trouble
		r.env.Log.Error("a file was not read whole", "file", s.out.Source(), "stream", s.out.ID(), "why", trouble)
		r.note(s.path, trouble)
	}
	return r.end(ctx, s)
}

// end ends the stream where it is.
func (r *run) end(ctx context.Context, s *stream) error {
	reason := cmp.Or(s.ident.Trouble, "the file was read")
	if s.gone {
		reason = s.reason
	}
	return s.out.End(ctx, reason)
}

// content is the bytes of a file that a stream is made of.
type content struct {
	io.Reader
	cutter *cut.Cutter
	packed bool
}

// open prepares to read the stream from an offset on.
func (r *run) open(s *stream, f *os.File, from int64) (content, error) {
	head := make([]byte, 4) // tells the encoding
	if !s.ident.Packed {
		n, err := f.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return content{}, fmt.Errorf("read %s: %w", s.path, err)
		}
		encoding, _ := r.cfg.Encoding.Of(head[:n])
		return content{Reader: io.NewSectionReader(f, from, s.ident.Size-from), cutter: r.cutter.For(encoding)}, nil
	}
	plain := bufio.NewReaderSize(&unpacker{packed: bufio.NewReaderSize(io.NewSectionReader(f, 0, s.ident.Size), 64<<10)}, 4<<10)
	head, _ = plain.Peek(len(head)) // what is wrong shows again when it is read
	encoding, _ := r.cfg.Encoding.Of(head)
	c := content{Reader: plain, cutter: r.cutter.For(encoding), packed: true}
	if _, err := io.CopyN(io.Discard, plain, from); err != nil {
		return c, fmt.Errorf("read %s up to %d: %w", s.path, from, err)
	}
	return c, nil
}

// unpacker tells also of what is wrong with a file's head when it is read.
type unpacker struct {
	packed io.Reader
	z      *gzip.Reader
	err    error // of the head; it stays
}

func (u *unpacker) Read(b []byte) (n int, err error) {
	if u.z == nil && u.err == nil {
		if u.z, u.err = gzip.NewReader(u.packed); errors.Is(u.err, io.EOF) {
			u.err = io.ErrUnexpectedEOF
		}
	}
	if u.err != nil {
		return 0, u.err
	}
	return u.z.Read(b)
}

// produce sends the stream's bytes [from, to), or up to where they end. With
// errNotNow the file has changed meanwhile, and the last record may not be
// whole. trouble says why a compressed file could not be read further.
func (r *run) produce(ctx context.Context, s *stream, f *os.File, from, to int64) (trouble string, err error) {
	enough := r.cutter.Enough()
	start := max(s.out.Begin(), from-int64(enough)) // what comes before tells what stands at from
	c, err := r.open(s, f, start)
	if err != nil {
		return "", err
	}
	if r.buf == nil {
		r.buf = make([]byte, 2*enough+readBytes)
	}
	buf := r.buf
	n, err := io.ReadFull(c, buf[:from-start])
	if err != nil {
		return "", fmt.Errorf("read %s up to %d: %w", s.path, from, err)
	}
	at := n // the byte at from
	var borders []int64
	for ended := false; ; {
		if !ended {
			if len(buf)-n < readBytes {
				drop := max(0, at-enough)
				n = copy(buf, buf[drop:n])
				at -= drop
			}
			got, err := c.Read(buf[n:min(int64(len(buf)), int64(n)+to-from-int64(n-at))])
			n += got
			switch {
			case err == nil:
			case errors.Is(err, io.EOF):
				ended = true
			case c.packed:
				ended, trouble = true, fmt.Sprintf("can't be unpacked from byte %d of its content on: %v", from+int64(n-at), err)
			default:
				return "", fmt.Errorf("read %s: %w", s.path, err)
			}
			if from+int64(n-at) >= to && !ended {
				ended = true
				if c.packed && to == int64(r.cfg.MaxUnpacked) && !atEOF(c) {
					trouble = fmt.Sprintf("has more than %v of content (max_unpacked); the rest is not read", r.cfg.MaxUnpacked)
				}
			}
		}
		flush := cut.None
		if ended {
			info, err := ident.Fstat(f)
			if err != nil {
				return "", fmt.Errorf("look at %s: %w", s.path, err)
			}
			if !s.ident.sameAtASight(&info) {
				return "", errNotNow
			}
			flush = cut.Always
		}
		for at < n {
			where, _ := c.cutter.From(from-s.out.Begin(), buf[:at])
			k := c.cutter.Next(buf[at:n], where, flush, borders)
			if k.N == 0 {
				break
			}
			borders = k.Borders[:0]
			if err := r.send(ctx, s, buf[:at+k.N], from, k, c.cutter.Encoding()); err != nil {
				return "", err
			}
			at += k.N
			from += int64(k.N)
			r.mail()
		}
		if ended {
			return trouble, nil
		}
	}
}

func atEOF(r io.Reader) bool {
	n, err := r.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

// send journals and hands over one chunk: the last k.N bytes of buf, which
// stand at from; before them is what comes before in the stream.
func (r *run) send(ctx context.Context, s *stream, buf []byte, from int64, k cut.Cut, encoding string) error {
	c := chunk.Chunk{First: from, Last: from + int64(k.N), Tags: k.Part.Tags(), Borders: k.Borders, Body: buf[len(buf)-k.N:], Encoding: encoding}
	err := s.out.Data(ctx, c, ident.Sum(buf[len(buf)-min(len(buf), ident.MaxTail):]))
	if s.ident.Packed {
		s.measure()
	}
	return err
}
