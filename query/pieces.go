package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/groups"
)

// piece is a data file, or one of its row groups.
type piece struct {
	file        *table.File
	of          int // row groups of the file; 0: this is all of it
	rows, bytes int64
	min, max    time.Time // of ts, both inclusive
}

func wholeFiles(files []table.File) []piece {
	out := make([]piece, len(files))
	for i := range files {
		f := &files[i]
		out[i] = piece{file: f, rows: f.Records, bytes: f.Size, min: f.MinTS, max: f.MaxTS}
	}
	return out
}

// filesOf returns the files that pieces are of, each once, and of those of which row
// groups are left out the span of time that the others are within.
func filesOf(pieces []piece) (files []table.File, cut map[string]span) {
	type seen struct {
		span
		groups, of int
	}
	byPath := map[string]*seen{}
	for _, p := range pieces {
		s := byPath[p.file.Path]
		if s == nil {
			s = &seen{span: span{&p.min, &p.max}, of: p.of}
			byPath[p.file.Path] = s
			files = append(files, *p.file)
		}
		s.groups++
		if p.min.Before(*s.from) {
			s.from = &p.min
		}
		if p.max.After(*s.to) {
			s.to = &p.max
		}
	}
	cut = map[string]span{}
	for path, s := range byPath {
		if s.groups < s.of {
			cut[path] = s.span
		}
	}
	return files, cut
}

// ends returns the pieces that hold the newest or oldest rows, at least that many of
// those within the bound, and the time from which on, or up to which, all such rows
// are in them. All pieces are returned where those within the bound have fewer rows.
func ends(pieces []piece, within span, newest bool, rows int64) (out []piece, at *time.Time) {
	sorted := slices.Clone(pieces)
	slices.SortStableFunc(sorted, func(a, b piece) int {
		if newest {
			return b.min.Compare(a.min)
		}
		return a.max.Compare(b.max)
	})
	var n int64
	for i := 0; i < len(sorted) && n < rows; i++ {
		p := &sorted[i]
		if within.from != nil && p.min.Before(*within.from) || within.to != nil && !p.max.Before(*within.to) {
			continue // nobody knows how many of its rows are within
		}
		n += p.rows
		end := p.max
		if newest {
			end = p.min
		}
		at = &end
	}
	if n < rows {
		return sorted, nil
	}
	return slices.DeleteFunc(sorted, func(p piece) bool {
		return newest && p.max.Before(*at) || !newest && p.min.After(*at)
	}), at
}

// maxLooked bounds the files into which is looked for a statement's texts.
const maxLooked = 256

// look parts files into their row groups and leaves out those without rows that the
// statement needs. Files that can't be read for that stay whole: what is wrong with
// them is DuckDB's to say.
func (q *session) look(ctx context.Context, s *scan, pieces []piece) (out []piece, err error) {
	open, done, err := q.opener(ctx, s, pieces)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := done(); err == nil {
			err = cerr
		}
	}()
	for _, p := range pieces {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list, known := s.groups[p.file.Path]
		if !known && p.of == 0 {
			r, err := open(p.file)
			if err == nil {
				list, err = groups.Read(r, p.file.Size, s.ts(), s.texts)
				_ = r.Close() // it was only read
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("look into a file of table %s: %w", s.name, err)
			}
			if err == nil {
				s.groups[p.file.Path] = list
			}
		}
		if len(list) == 0 || p.of > 0 {
			out = append(out, p)
			continue
		}
		for _, g := range list {
			part := piece{file: p.file, of: len(list), rows: g.Rows, bytes: g.Bytes, min: time.UnixMicro(g.MinTS).UTC(), max: time.UnixMicro(g.MaxTS).UTC()}
			if !g.Bounded && !g.Bloomed && s.bound.meets(part.min, part.max) {
				out = append(out, part)
			}
		}
	}
	return out, nil
}

// opener returns what opens the files of pieces for a look at their footers and
// filters; of another store, in copies of these. done is called after the last one.
func (q *session) opener(ctx context.Context, s *scan, pieces []piece) (open func(*table.File) (interface {
	io.ReaderAt
	io.Closer
}, error), done func() error, err error) {
	type file = interface {
		io.ReaderAt
		io.Closer
	}
	if q.e.local != "" {
		return func(f *table.File) (file, error) {
			return os.Open(filepath.Join(q.e.local, filepath.FromSlash(f.Path)))
		}, func() error { return nil }, nil
	}
	files, _ := filesOf(pieces)
	ids, part := map[int32]bool{}, strings.Builder{}
	part.WriteString("filters")
	for _, t := range s.texts {
		ids[int32(t.Column)] = true
		fmt.Fprintf(&part, " %d", t.Column)
	}
	ranges := func(r io.ReaderAt, size int64) ([]cache.Range, error) { return filterRanges(r, size, ids) }
	wanted := make([]cache.File, len(files))
	for i, f := range files {
		wanted[i] = cache.File{Path: f.Path, Size: f.Size, Part: part.String(), Ranges: ranges}
	}
	use, err := q.e.cache.Use()
	if err != nil {
		return nil, nil, err
	}
	copies, _, err := use.Get(ctx, wanted)
	if errors.Is(err, cache.ErrFull) {
		copies, err = nil, nil
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("fetch footers of table %s: %w", s.name, err), use.Close())
	}
	byPath := map[string]string{}
	for i, c := range copies {
		byPath[files[i].Path] = c
	}
	return func(f *table.File) (file, error) {
		path, ok := byPath[f.Path]
		if !ok {
			return nil, cache.ErrFull
		}
		return os.Open(path)
	}, use.Close, nil
}

// ts is the field id of the column ts.
func (s *scan) ts() int {
	if i := schema.Find(s.all, schema.TS); i >= 0 {
		return s.all[i].ID
	}
	return 0
}
