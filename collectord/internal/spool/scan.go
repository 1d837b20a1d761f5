package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/akupara/akupara/chunk"
)

// extent is how much of a segment's file holds whole frames.
type extent struct {
	bytes  int64
	blocks int
	// damage is why the rest is not readable, nil when there is no rest.
	damage error
}

// verify reads all of a segment and checks every frame of it, of which each
// must be of dataType. The error is the reader's; damage is not an error.
func verify(r io.Reader, dataType string) (extent, error) {
	var e extent
	in := bufio.NewReaderSize(r, 1<<20)
	var buf []byte
	for {
		frame, err := chunk.ReadFrame(in, buf)
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err == nil {
			buf = frame
			var b chunk.Batch
			if b, err = chunk.ParseFrame(frame); err == nil && b.Type != dataType {
				err = fmt.Errorf("%w: a batch of type %s in a segment of type %s", chunk.ErrInvalid, b.Type, dataType)
			}
		}
		switch {
		case errors.Is(err, chunk.ErrInvalid), errors.Is(err, io.ErrUnexpectedEOF):
			e.damage = fmt.Errorf("at byte %d, after %d batches: %w", e.bytes, e.blocks, err)
			return e, nil
		case err != nil:
			return e, err
		}
		e.bytes += int64(len(frame))
		e.blocks++
	}
}

// walk visits the header of each frame in the first size bytes of a segment,
// without reading the blocks. off is where the frame starts. Damage ends it.
func walk(r io.ReaderAt, size int64, dataType string, visit func(off int64, h *chunk.FrameHeader)) (extent, error) {
	var e extent
	buf := make([]byte, 4<<10) // most headers fit
	for e.bytes < size {
		h, err := headerAt(r, e.bytes, size, &buf)
		if err == nil && h.Type != dataType {
			err = fmt.Errorf("%w: a batch of type %s in a segment of type %s", chunk.ErrInvalid, h.Type, dataType)
		}
		if err == nil && e.bytes+int64(h.FrameLen()) > size {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case errors.Is(err, chunk.ErrInvalid), errors.Is(err, io.ErrUnexpectedEOF):
			e.damage = fmt.Errorf("at byte %d, after %d batches: %w", e.bytes, e.blocks, err)
			return e, nil
		case err != nil:
			return e, err
		}
		visit(e.bytes, &h)
		e.bytes += int64(h.FrameLen())
		e.blocks++
	}
	return e, nil
}

// headerAt reads the frame header at off, growing buf where it is too small.
func headerAt(r io.ReaderAt, off, size int64, buf *[]byte) (chunk.FrameHeader, error) {
	start, err := readAt(r, *buf, off, size)
	if err != nil {
		return chunk.FrameHeader{}, err
	}
	if len(start) < chunk.FramePrefix {
		return chunk.FrameHeader{}, io.ErrUnexpectedEOF
	}
	n, err := chunk.FrameHeaderLen(start)
	if err != nil {
		return chunk.FrameHeader{}, err
	}
	if n > len(start) {
		if off+int64(n) > size {
			return chunk.FrameHeader{}, io.ErrUnexpectedEOF
		}
		if n > len(*buf) {
			*buf = make([]byte, n)
		}
		if start, err = readAt(r, (*buf)[:n], off, size); err != nil {
			return chunk.FrameHeader{}, err
		}
		if len(start) < n {
			return chunk.FrameHeader{}, io.ErrUnexpectedEOF
		}
	}
	return chunk.ParseFrameHeader(start)
}

// readAt fills buf from off as far as size and the file reach.
func readAt(r io.ReaderAt, buf []byte, off, size int64) ([]byte, error) {
	buf = buf[:min(int64(len(buf)), size-off)]
	n, err := r.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}
