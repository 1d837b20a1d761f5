package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// Some programs make their log large first and then write into its zeros:
// log4j's memory-mapped appender takes 32 MiB at a time, others fallocate. The
// data of a file ends where a run of NULs begins that reaches to the file's end.
// Nothing at or past that is sent, fingerprinted or counted; NULs that data
// follows are bytes like any others.
//
// Such a file grows without a change of its size and, where it is mapped into
// memory, without an event: it is looked at again and again.

const (
	pageBytes  = 4 << 10
	probeBytes = 64 << 10
	scanBytes  = 1 << 20 // that one look reads behind the data, at most
)

// zeros is what is known of the NULs that a file ends with.
type zeros struct {
	// No data was found from start up to scanned, while the file had this size and
	// time of modification.
	start, scanned int64
	size, modified int64

	// A writer's bytes need not become visible in their order: NULs that data
	// follows may be a record that is just being copied. Those below sure were
	// among data already at an earlier look.
	sure   int64
	seen   int64 // end of the data then
	seenAt time.Time
}

// dataEnd returns where the data of an open file ends, in whole characters of
// width bytes. The bytes below from are known to be data. *z is set once the
// file was seen to end with NULs. Each call reads a bounded number of bytes: the
// end may lie further on, which a later call finds, but never before what is
// returned.
func dataEnd(f *os.File, info *ident.Info, from int64, width int, z **zeros) (int64, error) {
	size := info.Size
	if size <= from {
		return size, nil
	}
	unit := make([]byte, min(size, int64(width)+size%int64(width)))
	if _, err := f.ReadAt(unit, size-int64(len(unit))); errors.Is(err, io.EOF) {
		return from, nil // it has just become shorter
	} else if err != nil {
		return 0, err
	}
	if lastData(unit) > 0 {
		return size, nil
	}
	if *z == nil {
		*z = &zeros{}
	}
	end, err := gallop(f, from, size)
	if err != nil {
		return 0, err
	}
	// A record that is cut off before the NULs is not sent: from stays before it.
	if end == from || end <= (*z).seen {
		behind, err := (*z).dataBehind(f, info, end)
		if err != nil {
			return 0, err
		}
		if behind > end {
			if end, err = gallop(f, behind, size); err != nil {
				return 0, err
			}
		}
	}
	if rest := end % int64(width); rest > 0 {
		end += int64(width) - rest
	}
	return min(end, size), nil
}

// gallop returns where data ends that follows from without a page of NULs; from
// if there is none. It looks at few pages: those between them are taken to be
// like their neighbours.
func gallop(f io.ReaderAt, from, size int64) (int64, error) {
	end, nuls := from, size // data before end, NULs from nuls on
	page := make([]byte, pageBytes)
	for at, step := from, int64(pageBytes); at < size; at, step = at+step, 2*step {
		n, err := lastDataAt(f, at, page)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			nuls = at
			break
		}
		end = at + int64(n)
	}
	for nuls-end > pageBytes {
		middle := end + (nuls-end)/2
		n, err := lastDataAt(f, middle, page)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			nuls = middle
		} else {
			end = middle + int64(n)
		}
	}
	n, err := lastDataAt(f, end, page)
	return end + int64(n), err
}

// lastDataAt reads a page and returns the length of what its last byte that is
// not NUL ends, 0 if there is none.
func lastDataAt(f io.ReaderAt, at int64, page []byte) (int, error) {
	n, err := f.ReadAt(page, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return lastData(page[:n]), err
}

func lastData(b []byte) int { return len(bytes.TrimRight(b, "\x00")) }

// dataBehind looks for data behind a page of NULs at from and returns where the
// first is, or 0. It passes over holes, reads a bounded number of bytes, and goes
// on at the next call.
func (z *zeros) dataBehind(f *os.File, info *ident.Info, from int64) (int64, error) {
	if z.size != info.Size || z.modified != info.Modified || from < z.start {
		z.start, z.scanned, z.size, z.modified = from, 0, info.Size, info.Modified
	}
	buf := make([]byte, 0, probeBytes)
	pos := max(z.scanned, from)
	for left := scanBytes; pos < info.Size && left > 0; {
		data, err := unix.Seek(int(f.Fd()), pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing but a hole
			pos = info.Size
			break
		}
		if err == nil { // else this file system knows no holes
			pos = data
		}
		n, err := f.ReadAt(buf[:cap(buf)], pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if n == 0 {
			break
		}
		if rest := bytes.TrimLeft(buf[:n], "\x00"); len(rest) > 0 {
			z.scanned = pos
			return pos + int64(n-len(rest)), nil
		}
		pos, left = pos+int64(n), left-n
	}
	z.scanned = pos
	return 0, nil
}

// note takes a look's result.
func (z *zeros) note(end int64, now time.Time, wait time.Duration) {
	if now.Sub(z.seenAt) >= wait {
		z.sure, z.seen, z.seenAt = z.seen, end, now
	}
}

// certain returns how much of b, which was read at an offset, is certain to stay
// as it is: all before the first NUL character that is not sure yet.
func (z *zeros) certain(b []byte, off int64, width int) int {
	from := min(max(0, z.sure-off), int64(len(b)))
	from += (int64(width) - (off+from)%int64(width)) % int64(width)
	for i := int(from); i+width <= len(b); i += width {
		if width == 1 {
			if n := bytes.IndexByte(b[i:], 0); n >= 0 {
				return i + n
			}
			break
		}
		if b[i] == 0 && b[i+1] == 0 {
			return i
		}
	}
	return len(b)
}

// dataEnd returns where the data of the stream's file ends.
func (s *tracked) dataEnd(info *ident.Info) (int64, error) {
	end, err := dataEnd(s.f, info, max(s.out.Off(), s.out.Sent()), s.width(), &s.zeros)
	if err != nil {
		return 0, fmt.Errorf("look for the end of the data of %s: %w", s.path, err)
	}
	return end, nil
}

// holdsMore reports whether the file has data behind what was read, or behind
// where the stream starts.
func (s *tracked) holdsMore(info *ident.Info) bool {
	end, err := s.dataEnd(info)
	return err == nil && end > max(s.out.Off(), s.begin)
}

// width is the number of bytes of the smallest character.
func (s *tracked) width() int {
	width, _ := chunk.Unit(s.encoding)
	return width
}

// inPlace reports whether something may be written to the file without a change
// of its size, or NULs in it are not certain to stay.
func (s *tracked) inPlace() bool {
	return s.zeros != nil && s.f != nil && !s.gone && (s.end < s.info.Size || s.out.Off() < s.end)
}

// blank is a file that holds nothing but NULs so far. It waits as an empty one
// does, but no event need tell of what is written to it.
type blank struct {
	key   ident.Key
	zeros *zeros
	next  time.Time // when it is looked at again
}

// trim cuts NULs off the head of a candidate that reach to the file's end, and
// notes where its data ends.
func (k *catalog) trim(c *candidate) (err error) {
	if b := k.blank[c.path]; b != nil && b.key == c.info.Key() {
		c.zeros = b.zeros
	}
	delete(k.blank, c.path)
	encoding, _ := k.cfg.Encoding.Of(c.head)
	width, _ := chunk.Unit(encoding)
	if c.end, err = dataEnd(c.f, &c.info, 0, width, &c.zeros); err != nil {
		return fmt.Errorf("look for the end of the data of %s: %w", c.path, err)
	}
	if c.end == 0 && c.path != "" {
		k.blank[c.path] = &blank{c.info.Key(), c.zeros, time.Now().Add(k.times.poll)}
	}
	c.head = c.head[:min(int64(len(c.head)), c.end)]
	return nil
}
