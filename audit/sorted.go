package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// sortedFile is a file of ranges of streams that an audit wrote: a file of a tree.
type sortedFile struct {
	f    *os.File
	tree *coverage.File
	size int64
	crc  uint32
	kept bool // it is remembered
}

// writeSorted writes a file of what a source tells. It is removed when it is closed.
func writeSorted(dir string, src coverage.Source) (s *sortedFile, err error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(dir, "_*.tmp")
	if err != nil {
		return nil, err
	}
	s = &sortedFile{f: f}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	out := bufio.NewWriterSize(f, 1<<20)
	w, err := coverage.NewWriter(out)
	if err != nil {
		return nil, err
	}
	for {
		p, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := w.Add(p); err != nil {
			return nil, err
		}
	}
	if s.size, s.crc, err = w.Finish(); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	s.tree, err = coverage.OpenFile(f, s.size, s.crc)
	return s, err
}

// openSorted opens a file that is remembered, and checks it.
func openSorted(name string, size int64, crc uint32) (*sortedFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s := &sortedFile{f: f, size: size, crc: crc, kept: true}
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%s has %d bytes, should have %d", name, info.Size(), size)
	}
	if err == nil {
		s.tree, err = coverage.OpenFile(f, size, crc)
	}
	if err == nil {
		err = s.tree.Verify()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sortedFile) close() {
	if s.tree != nil {
		s.tree.Close()
	}
	_ = s.f.Close()
	if !s.kept {
		_ = os.Remove(s.f.Name()) // it may be left, and does no harm
	}
}

func (h *held) close() {
	for _, f := range h.files {
		f.close()
	}
	h.files = nil
}

// spill moves what is in memory to a file, if it can.
func (h *held) spill() {
	if f, err := writeSorted(h.dir, coverage.SetSource(h.ranges, nil)); err == nil {
		h.files = append(h.files, f)
		h.ranges, h.size = coverage.Set{}, 0
	}
}

func (h *held) sources() ([]coverage.Source, error) {
	var out []coverage.Source
	for _, f := range h.files {
		src, err := f.tree.Source("")
		if err != nil {
			return nil, err
		}
		out = append(out, src)
	}
	if len(h.ranges) > 0 || len(out) == 0 {
		out = append(out, coverage.SetSource(h.ranges, nil))
	}
	return out, nil
}

// join makes one of the files and what is in memory, and notes what is there twice.
func (h *held) join() error {
	if len(h.files) == 0 || len(h.files) == 1 && len(h.ranges) == 0 {
		return nil
	}
	from, err := h.sources()
	if err != nil {
		return err
	}
	err = coverage.Join(func(id string, parts []*coverage.Stream) error {
		var all chunk.Ranges
		for _, st := range parts {
			if st == nil {
				continue
			}
			for _, r := range st.Ranges {
				h.doubled(id, all.Covered(r))
			}
			all = all.AddAll(st.Ranges)
		}
		return nil
	}, from...)
	if err != nil {
		return err
	}
	if from, err = h.sources(); err != nil {
		return err
	}
	f, err := writeSorted(h.dir, coverage.NewMerger(from...))
	if err != nil {
		return fmt.Errorf("put together what data files say: %w", err)
	}
	h.close()
	h.files, h.ranges, h.size = []*sortedFile{f}, coverage.Set{}, 0
	return nil
}

// source returns all that the data files say, when it was joined.
func (h *held) source() (coverage.Source, error) {
	from, err := h.sources()
	if err != nil {
		return nil, err
	}
	return from[0], nil
}

// each calls do with what the data files say of each stream, when it was joined.
func (h *held) each(do func(id string, st *coverage.Stream)) error {
	src, err := h.source()
	if err != nil {
		return err
	}
	return coverage.Join(func(id string, parts []*coverage.Stream) error {
		do(id, parts[0])
		return nil
	}, src)
}
