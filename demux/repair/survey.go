package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// filesAtOnce is how many files are read at a time.
const filesAtOnce = 8

// found is a whole data file.
type found struct {
	table.DataFile
	info *datafile.Info
}

// survey is one Survey.
type survey struct {
	fs       store.FS
	opts     Options
	dataType string
	plan     *Plan

	known   coverage.Set // what can be read of the coverage
	held    coverage.Set // what the good files tell that they hold
	good    []found
	archive []archived
	// rowsLost reports whether data files are damaged or unknown: what no file
	// holds may have had rows.
	rowsLost bool
}

// archived is an archived sink file and what its index tells.
type archived struct {
	path string
	set  coverage.Set // Ranges of all data, facts, checksums
}

func (s *survey) run(ctx context.Context, baseURI string) error {
	base, passed, err := table.Newest(ctx, s.fs, baseURI, s.dataType)
	if err != nil {
		return err
	}
	s.damage(passed...)
	s.plan.base = base
	var named []table.DataFile
	if base != nil {
		var bad []table.Damage
		if named, bad, err = base.ReadableFiles(ctx); err != nil {
			return err
		}
		s.damage(bad...)
		if s.known, bad, err = base.ReadableCoverage(ctx); err != nil {
			return err
		}
		s.damage(bad...)
	}
	unnamed := s.plan.Needed() // some files' names may be lost
	if err := s.read(ctx, named); err != nil {
		return err
	}
	if !s.plan.Needed() {
		return nil
	}
	s.held = coverage.Set{}
	for _, f := range s.good {
		addRanges(s.held, f.info.Ranges)
	}
	if s.archive, err = s.readArchive(ctx); err != nil {
		return err
	}
	if unnamed {
		if err := s.adopt(ctx, named); err != nil {
			return err
		}
	}
	s.decide()
	return nil
}

func (s *survey) damage(list ...table.Damage) {
	s.plan.Damaged = append(s.plan.Damaged, list...)
	for _, d := range list {
		if d.Needed && d.Why != missingFile {
			s.plan.SetBy = append(s.plan.SetBy, d.Path)
		}
	}
}

const missingFile = "is missing"

// each calls fn for each path, some at a time, with progress.
func (s *survey) each(ctx context.Context, paths []string, fn func(ctx context.Context, i int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	var mu sync.Mutex
	done := 0
	for i := range paths {
		g.Go(func() error {
			if err := fn(gctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; s.opts.Progress != nil {
				s.opts.Progress(done, len(paths))
			}
			return gctx.Err()
		})
	}
	return g.Wait()
}

// read reads the data files that the table names.
func (s *survey) read(ctx context.Context, named []table.DataFile) error {
	look := datafile.Read
	if s.opts.Deep {
		look = datafile.Verify
	}
	paths := make([]string, len(named))
	for i := range named {
		paths[i] = named[i].Path
	}
	infos := make([]*datafile.Info, len(named))
	faults := make([]string, len(named))
	err := s.each(ctx, paths, func(ctx context.Context, i int) error {
		info, err := look(ctx, s.fs, paths[i])
		switch {
		case err == nil && info.Stats.Size != named[i].Stats.Size:
			faults[i] = fmt.Sprintf("has %d bytes, should have %d", info.Stats.Size, named[i].Stats.Size)
		case err == nil:
			infos[i] = info
		case errors.Is(err, fs.ErrNotExist):
			faults[i] = missingFile
		case errors.Is(err, datafile.ErrDamaged):
			faults[i] = err.Error()
		default:
			info, statErr := s.fs.Stat(ctx, paths[i])
			switch {
			case statErr == nil && info.IsDir:
				faults[i] = "is a folder"
			case statErr == nil || errors.Is(statErr, fs.ErrPermission):
				faults[i] = fmt.Sprintf("can't be read: %v", err)
			default:
				return err // the store fails
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, info := range infos {
		if faults[i] != "" {
			s.rowsLost = true
			s.damage(table.Damage{Path: paths[i], Kind: table.KindDataFile, Why: faults[i], Needed: true})
			continue
		}
		if info.Ranges == nil {
			s.plan.Unsure++
			info.Ranges = coverage.Set{}
		}
		s.good = append(s.good, found{named[i], info})
	}
	return nil
}

// adopt takes back whole data files that no readable metadata names, where they
// hold what no other does. Of tries of one run that held the same, one is taken:
// each is as good.
func (s *survey) adopt(ctx context.Context, named []table.DataFile) error {
	have := map[string]bool{}
	for _, f := range named {
		have[f.Path] = true
	}
	var paths []string
	folders, err := s.fs.List(ctx, path.Join(tableDir(s.dataType), "data"))
	if err != nil {
		return fmt.Errorf("list data files: %w", err)
	}
	for _, d := range folders {
		list, err := s.fs.List(ctx, d.Path)
		if err != nil {
			return fmt.Errorf("list data files: %w", err)
		}
		for _, f := range list {
			if !f.IsDir && strings.HasSuffix(f.Path, ".parquet") && !have[f.Path] {
				paths = append(paths, f.Path)
			}
		}
	}
	infos := make([]*datafile.Info, len(paths))
	err = s.each(ctx, paths, func(ctx context.Context, i int) error {
		info, err := datafile.Verify(ctx, s.fs, paths[i])
		if err == nil && info.Ranges != nil && info.Stats.Records > 0 {
			infos[i] = info
		}
		return ctx.Err() // what can't be read can't be taken back
	})
	if err != nil {
		return err
	}
	// What was once settled: by the coverage, or by an archived file.
	settled := coverage.Set{}
	addRanges(settled, s.known)
	for _, a := range s.archive {
		addRanges(settled, a.set)
	}
	slices.SortFunc(paths, strings.Compare)
	for i, info := range infos {
		if info == nil || overlaps(s.held, info.Ranges) || !contains(settled, rooted(settled, info.Ranges)) {
			continue
		}
		hour := table.HourOf(info.Stats.MinTS)
		if hour != table.HourOf(info.Stats.MaxTS) {
			continue
		}
		s.good = append(s.good, found{table.DataFile{Path: paths[i], Hour: hour, Stats: info.Stats}, info})
		s.plan.Adopted = append(s.plan.Adopted, paths[i])
		addRanges(s.held, info.Ranges)
	}
	return nil
}

// rooted returns the ranges of a file under the streams by which the settled ones
// know them: a fork that the demux made is known to the archive by its root.
func rooted(settled, ranges coverage.Set) coverage.Set {
	out := coverage.Set{}
	for id, st := range ranges {
		if settled[id] == nil {
			id = coverage.Root(id)
		}
		to := out.Stream(id, st.Host, st.Source)
		to.Ranges = to.Ranges.AddAll(st.Ranges)
	}
	return out
}

// readArchive reads the indexes of the type's archived sink files. One that can't
// be read holds nothing that could be taken from it.
func (s *survey) readArchive(ctx context.Context) ([]archived, error) {
	days, err := s.fs.List(ctx, path.Join(store.Archive, s.dataType))
	if err != nil {
		return nil, fmt.Errorf("list archive: %w", err)
	}
	var paths []string
	for _, d := range days {
		list, err := s.fs.List(ctx, d.Path)
		if err != nil {
			return nil, fmt.Errorf("list archive: %w", err)
		}
		for _, f := range list {
			if !f.IsDir && store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
	}
	sets := make([]coverage.Set, len(paths))
	err = s.each(ctx, paths, func(ctx context.Context, i int) error {
		r, err := s.fs.Open(ctx, paths[i])
		if err != nil {
			return ctx.Err()
		}
		defer r.Close()
		sink, err := chunk.ReadSink(r, r.Size())
		if err != nil || sink.Damage != nil || sink.Index.Type != s.dataType {
			return ctx.Err()
		}
		sets[i] = setOf(&sink.Index)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []archived
	for i, set := range sets {
		if set != nil {
			out = append(out, archived{paths[i], set})
		}
	}
	return out, nil
}

// setOf returns what an index tells, as coverage.
func setOf(index *chunk.Index) coverage.Set {
	set := coverage.Set{}
	for i := range index.Blocks {
		for _, e := range index.Blocks[i].Entries {
			st := set.Stream(e.Stream, e.Host, e.Source)
			if e.Kind == chunk.Data {
				st.Cover(e.Range(), e.CRC)
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
	return set
}

// decide makes the table's new content, and says what is to be taken in again.
func (s *survey) decide() {
	p := s.plan
	for _, d := range p.Damaged {
		if d.Kind == table.KindManifest || d.Kind == table.KindManifestList {
			s.rowsLost = true
		}
	}
	set := coverage.Set{}
	addRanges(set, s.held)
	lost := coverage.Set{} // what the table had, and its files have not
	if s.rowsLost && p.Unsure == 0 {
		lost = missing(s.known, s.held)
	} else {
		// All files are there, or some do not tell what they hold: what no file
		// tells of had no rows, or is in these.
		addRanges(set, s.known)
	}
	s.facts(set)
	s.redo(set, lost)
	for id, st := range lost {
		for _, r := range st.Ranges {
			p.Lost += r.Len()
			if len(p.Missing) < MaxMissing {
				p.Missing = append(p.Missing, Missing{st.Host, st.Source, id, r.First, r.Last})
			}
		}
	}
	for _, f := range s.good {
		p.content.Files = append(p.content.Files, f.DataFile)
		p.Records += f.Stats.Records
	}
	p.Kept = len(s.good) - len(p.Adopted)
	p.content.Coverage = set
	if p.base != nil {
		p.content.Columns = p.base.Columns()
	}
	p.content.Columns = columnsOf(p.content.Columns, s.good)
	p.content.Note = fmt.Sprintf("%d damaged files", len(p.SetBy))
}

// facts adds what is known of the streams beside their ranges.
func (s *survey) facts(set coverage.Set) {
	told := func(from coverage.Set) {
		for id, st := range from {
			ranges := set.Stream(id, st.Host, st.Source).Ranges
			facts := st.Clone()
			facts.Ranges = nil
			// Bytes are vouched for where they are in the table.
			facts.Sums = slices.DeleteFunc(facts.Sums, func(x coverage.Sum) bool {
				return !ranges.Contains(chunk.Range{First: x.First, Last: x.Last})
			})
			set.Merge(coverage.Set{id: facts})
		}
	}
	for _, a := range s.archive {
		told(a.set)
	}
	told(s.known) // the newest checksums last
}

// redo selects the archived files that hold what the table has not, and takes what
// they hold out of lost.
func (s *survey) redo(set, lost coverage.Set) {
	families := map[string]chunk.Ranges{} // what the family's streams hold, by root
	for id, st := range set {
		root := coverage.Root(id)
		families[root] = families[root].AddAll(st.Ranges)
	}
	for _, a := range s.archive {
		wanted := false
		for id, st := range a.set {
			root := coverage.Root(id)
			for _, r := range st.Ranges {
				if !families[root].Contains(r) {
					wanted = true
				}
				for of, l := range lost {
					if coverage.Root(of) != root || !l.Ranges.Overlaps(r) {
						continue
					}
					wanted = true
					l.Ranges = l.Ranges.Remove(r)
				}
			}
		}
		if wanted {
			s.plan.Redone = append(s.plan.Redone, a.path)
		}
	}
}
