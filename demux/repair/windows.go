package repair

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
)

// Coverage, data files and sink files may tell of more streams than fit into memory. So
// families are looked at in windows, by their roots: of each, what is told is read anew,
// and what is decided is written to a file.

// maxStreams is how many streams are in memory at a time, about.
const maxStreams = 64 << 10

// window are the families from a root on up to another one, "" for the end.
type window struct{ from, to string }

func (w window) has(id string) bool {
	root := coverage.Root(id)
	return root >= w.from && (w.to == "" || root < w.to)
}

// roots are some of the roots that were seen, by which windows are cut.
type roots struct {
	mu   sync.Mutex
	seen map[string]bool
	rate uint32 // of how many one is kept
	most int    // streams of a window
}

func newRoots(most int) *roots {
	return &roots{seen: map[string]bool{}, rate: uint32(max(1, most/4096)), most: most}
}

func (r *roots) add(set coverage.Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range set {
		h := fnv.New32a()
		root := coverage.Root(id)
		_, _ = io.WriteString(h, root) // never fails
		if h.Sum32()%r.rate == 0 {
			r.seen[root] = true
		}
	}
}

// windows returns windows of about as many streams as there may be.
func (r *roots) windows() []window {
	list := slices.Sorted(maps.Keys(r.seen))
	out := []window{{}}
	step := max(1, r.most/int(r.rate))
	for i := step; i < len(list); i += step {
		out[len(out)-1].to = list[i]
		out = append(out, window{from: list[i]})
	}
	return out
}

// readKnown reads the coverage, and keeps it where it is not too much.
func (s *survey) readKnown(ctx context.Context) error {
	s.all = coverage.Set{}
	bad, err := s.plan.base.EachReadable(ctx, "", func(_ string, family coverage.Set) bool {
		s.roots.add(family)
		if s.all != nil {
			maps.Copy(s.all, family)
		}
		if len(s.all) > s.roots.most {
			s.all = nil
		}
		return true
	})
	s.damage(bad...)
	s.partial = s.partial || len(bad) > 0
	return err
}

// cut cuts the windows: one, where all that was read was kept.
func (s *survey) cut() {
	s.windows = s.roots.windows()
	told := 0
	for i := range s.good {
		if s.good[i].told && s.good[i].info.Ranges == nil {
			return
		}
		told += len(s.good[i].info.Ranges)
	}
	if s.all != nil && told <= s.roots.most {
		s.windows = []window{{}}
	}
}

// load reads what coverage and data files tell of some streams of a window.
func (s *survey) load(ctx context.Context, w window, wanted func(id string) bool) error {
	s.known = coverage.Set{}
	for id, st := range s.all {
		if wanted(id) {
			s.known[id] = st
		}
	}
	if s.all == nil {
		_, err := s.plan.base.EachReadable(ctx, w.from, func(root string, family coverage.Set) bool {
			if w.to != "" && root >= w.to {
				return false
			}
			if wanted(root) {
				maps.Copy(s.known, family)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	s.held = coverage.Set{}
	var paths []string
	for _, f := range s.good {
		if f.told && f.info.Ranges == nil {
			paths = append(paths, f.Path)
		}
		addWanted(s.held, f.info.Ranges, wanted)
	}
	var mu sync.Mutex
	err := s.each(ctx, paths, func(ctx context.Context, i int) error {
		info, err := datafile.Read(ctx, s.fs, paths[i])
		if err != nil {
			return fmt.Errorf("read %s once more: %w", paths[i], err)
		}
		mu.Lock()
		defer mu.Unlock()
		addWanted(s.held, info.Ranges, wanted)
		return nil
	})
	if err != nil {
		return err
	}
	return s.readSilent(ctx, wanted)
}

// spill is a coverage that is written to a file without a name, window by window, and
// then a source.
type spill struct {
	file  *os.File
	size  int64
	parts []part
	src   coverage.Source // of the part that is being read
	close func()
}

type part struct {
	at, size int64
	crc      uint32
}

func newSpill() (*spill, error) {
	f, err := os.CreateTemp("", "akupara-repair-*")
	if err != nil {
		return nil, fmt.Errorf("make a file for the coverage: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spill{file: f}, nil
}

func (s *spill) add(set coverage.Set) error {
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.size), 1<<20)
	size, crc, err := coverage.WriteSet(w, set)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the coverage: %w", err)
	}
	s.parts = append(s.parts, part{s.size, size, crc})
	s.size += size
	return nil
}

// Next implements coverage.Source.
func (s *spill) Next() (*coverage.Piece, error) {
	for {
		if s.src != nil {
			p, err := s.src.Next()
			if !errors.Is(err, io.EOF) {
				return p, err
			}
			s.close()
			s.src = nil
		}
		if len(s.parts) == 0 {
			return nil, io.EOF
		}
		p := s.parts[0]
		s.parts = s.parts[1:]
		f, err := coverage.OpenFile(io.NewSectionReader(s.file, p.at, p.size), p.size, p.crc)
		if err != nil {
			return nil, err
		}
		s.close = f.Close
		if s.src, err = f.Source(""); err != nil {
			return nil, err
		}
	}
}
