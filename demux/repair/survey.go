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
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// filesAtOnce is how many files are read at a time, and of large tables, of which each
// may tell of very many streams.
const (
	filesAtOnce      = 8
	largeFilesAtOnce = 2
)

// found is a whole data file.
type found struct {
	table.DataFile
	info *datafile.Info // its Ranges are nil where they are too much to be kept
	told bool           // whether it tells what it holds
}

// survey is one Survey.
type survey struct {
	fs       store.FS
	opts     Options
	dataType string
	plan     *Plan

	roots   *roots
	windows []window
	all     coverage.Set // what can be read of the coverage; nil: that is too much

	partial bool // not all of the coverage can be read
	good    []found
	// rowsLost reports whether data files are damaged or unknown: what no file
	// holds may have had rows.
	rowsLost bool
	// rowsHidden reports whether the coverage counts what no data file has.
	rowsHidden bool
	wanted     map[string]bool // archived files that have what the table lacks

	// What there is of the window that is looked at.
	known   coverage.Set // what can be read of the coverage
	held    coverage.Set // what the good files hold, as far as they tell
	silent  offsets      // rows of the good files that do not tell
	archive []sink
	raw     []sink       // these may be in the table, too: wholly, partly, not at all
	set     coverage.Set // what the coverage is to be
}

func (s *survey) run(ctx context.Context, baseURI string) error {
	base, passed, err := table.Newest(ctx, s.fs, baseURI, s.dataType)
	if err != nil {
		return err
	}
	s.damage(passed...)
	s.plan.base = base
	s.partial = s.plan.Needed() // a newer version's coverage is lost
	var named []table.DataFile
	if base == nil {
		s.all = coverage.Set{}
	} else {
		var bad []table.Damage
		if named, bad, err = base.ReadableFiles(ctx); err != nil {
			return err
		}
		s.damage(bad...)
		if err := s.readKnown(ctx); err != nil {
			return err
		}
	}
	unnamed := s.plan.Needed() // some files' names may be lost
	if err := s.read(ctx, named); err != nil {
		return err
	}
	s.cut()
	if err := s.compare(ctx); err != nil || !s.plan.Needed() {
		return err
	}
	if unnamed || s.rowsHidden {
		if err := s.adopt(ctx, named); err != nil {
			return err
		}
	}
	cover, err := newSpill()
	if err != nil {
		return err
	}
	s.beginDeciding()
	for _, w := range s.windows {
		if err := s.decideOf(ctx, w); err != nil {
			return err
		}
		s.set.Trim()
		if err := cover.add(s.set); err != nil {
			return err
		}
	}
	s.plan.content.Source = cover
	s.conclude()
	return nil
}

// decideOf decides what a window's coverage is to be, and what of it is to be taken in
// again.
func (s *survey) decideOf(ctx context.Context, w window) (err error) {
	if err := s.load(ctx, w, w.has); err != nil {
		return err
	}
	if s.archive, err = s.readSinks(ctx, store.Archive, w); err != nil {
		return err
	}
	if s.raw, err = s.readSinks(ctx, store.Raw, w); err != nil {
		return err
	}
	s.decide()
	return s.refilter(ctx)
}

// compare looks for what a whole coverage and whole data files tell differently:
// each of them has its checksums, and still one is wrong.
func (s *survey) compare(ctx context.Context) error {
	if s.plan.Needed() || s.plan.Unsure > 0 {
		return nil
	}
	type differing struct {
		bytes   int64
		streams int
	}
	var hidden, uncovered differing
	count := func(d *differing, of coverage.Set) {
		d.bytes += lenOf(of)
		d.streams += len(of)
	}
	for _, w := range s.windows {
		if err := s.load(ctx, w, w.has); err != nil {
			return err
		}
		count(&hidden, missing(withRows(s.known), s.held))
		count(&uncovered, missing(s.held, s.known))
	}
	note := func(format string, d differing) {
		if d.streams > 0 {
			s.plan.Damaged = append(s.plan.Damaged, table.Damage{
				Path: s.plan.base.MetadataPath(), Kind: table.KindCoverage, Why: fmt.Sprintf(format, d.bytes, d.streams), Needed: true,
			})
		}
	}
	note("counts %d bytes of %d streams as held that no data file holds", hidden)
	note("does not count %d bytes of %d streams that data files hold", uncovered)
	s.rowsHidden = hidden.streams > 0
	s.rowsLost = s.rowsHidden
	return nil
}

// damage notes damage; a file that the table needs goes to _damaged/.
func (s *survey) damage(list ...table.Damage) {
	s.plan.Damaged = append(s.plan.Damaged, list...)
	for _, d := range list {
		if d.Needed && !strings.HasPrefix(d.Why, missingFile) {
			s.setAside(d.Path)
		}
	}
}

func (s *survey) setAside(p string) { s.plan.SetAside = append(s.plan.SetAside, p) }

const missingFile = "is missing"

// each calls fn for each path, some at a time, with progress.
func (s *survey) each(ctx context.Context, paths []string, fn func(ctx context.Context, i int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	if g.SetLimit(filesAtOnce); s.all == nil || len(s.windows) > 1 {
		g.SetLimit(largeFilesAtOnce)
	}
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
	infos, told := make([]*datafile.Info, len(named)), make([]bool, len(named))
	var n atomic.Int64 // streams that they tell of
	faults := make([]string, len(named))
	err := s.each(ctx, paths, func(ctx context.Context, i int) error {
		info, err := look(ctx, s.fs, paths[i])
		switch {
		case err == nil && info.Stats.Size != named[i].Stats.Size:
			faults[i] = fmt.Sprintf("has %d bytes, should have %d", info.Stats.Size, named[i].Stats.Size)
		case err == nil:
			infos[i], told[i] = info, info.Ranges != nil
			s.roots.add(info.Ranges)
			if n.Add(int64(len(info.Ranges))) > int64(s.roots.most) {
				info.Ranges = nil
			}
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
		if !told[i] {
			s.plan.Unsure++
		}
		s.good = append(s.good, found{named[i], info, told[i]})
	}
	return nil
}

// adopt takes back whole data files that no readable metadata names, where they
// hold what no other does: their rows are true, whether they were committed or
// not, and the demux takes no more of the same bytes. Of tries of one run that held
// the same, one is taken. What the coverage counts as dropped stays out. What else
// can't be taken goes to _damaged/, unless the table has all of it: a sweep would
// remove it.
func (s *survey) adopt(ctx context.Context, named []table.DataFile) error {
	have := map[string]bool{}
	for _, f := range named {
		have[f.Path] = true
	}
	paths, err := s.filesBelow(ctx, path.Join(tableDir(s.dataType), "data"), func(p string) bool {
		return strings.HasSuffix(p, ".parquet") && !have[p]
	})
	if err != nil {
		return fmt.Errorf("list data files: %w", err)
	}
	infos := make([]*datafile.Info, len(paths))
	rows := make([]offsets, len(paths))
	err = s.each(ctx, paths, func(ctx context.Context, i int) error {
		info, err := datafile.Verify(ctx, s.fs, paths[i])
		if err == nil && info.Ranges == nil {
			rows[i], err = offsetsOf(ctx, s.fs, paths[i])
		}
		if err == nil {
			infos[i] = info
		}
		return ctx.Err() // what can't be read can't be taken back
	})
	if err != nil {
		return err
	}
	theirs := map[string]bool{} // roots
	for i, info := range infos {
		if info != nil {
			for id := range info.Ranges {
				theirs[coverage.Root(id)] = true
			}
			for id := range rows[i] {
				theirs[coverage.Root(id)] = true
			}
		}
	}
	if err := s.load(ctx, window{}, func(id string) bool { return theirs[coverage.Root(id)] }); err != nil {
		return err
	}
	agreed := s.agreed()
	for i, info := range infos {
		// A failed try may have numbered its columns as others were numbered later.
		if info == nil || !agreed.with(info.Columns) {
			s.setAside(paths[i])
			continue
		}
		if info.Ranges == nil {
			s.adoptSilent(paths[i], info, rows[i])
			continue
		}
		if !s.partial && !contains(s.known, info.Ranges) {
			continue // a try that failed
		}
		if dropped(s.known, info.Ranges) {
			continue // retention took it out of the table
		}
		part, ok := partitionOf(info)
		switch {
		case contains(s.held, info.Ranges):
		case !ok || overlaps(s.held, info.Ranges) || s.silent.within(info.Ranges):
			s.setAside(paths[i])
		default:
			s.take(paths[i], part, info)
			addRanges(s.held, info.Ranges)
		}
	}
	return nil
}

// adoptSilent is adopt for one file that does not say what its rows cover.
func (s *survey) adoptSilent(p string, info *datafile.Info, rows offsets) {
	part, ok := partitionOf(info)
	if ok && !rows.within(s.held) && !rows.overlap(s.silent) {
		s.take(p, part, info)
		s.plan.Unsure++
		s.silent.add(rows)
	} else if !s.silent.contains(rows) {
		s.setAside(p)
	}
}

// agreed returns the columns of the table, and of the files that it names.
func (s *survey) agreed() agreement {
	a := agreement{byID: map[int]schema.Column{}, ids: map[string]int{}}
	if s.plan.base != nil {
		a.with(s.plan.base.Columns())
		a.keys = s.plan.base.Keys()
	}
	for _, f := range s.good {
		a.with(f.info.Columns)
	}
	return a
}

// agreement is which column has which id.
type agreement struct {
	byID map[int]schema.Column
	ids  map[string]int // by folded name
	keys schema.Keys    // names of before, of columns that were renamed or dropped
}

// before reports whether a column was called so before it was renamed, or dropped.
func (a agreement) before(c *schema.Column) bool {
	id, ok := a.keys[c.Name]
	_, there := a.byID[c.ID]
	return ok && (id == c.ID || id == 0 && !there)
}

// with takes in a file's columns, if they are the same as those so far: it reports
// whether they are.
func (a agreement) with(cols []schema.Column) bool {
	cols = slices.DeleteFunc(slices.Clone(cols), func(c schema.Column) bool {
		return a.before(&c) && (a.keys[c.Name] == 0 || a.byID[c.ID].Type == c.Type)
	})
	for _, c := range cols {
		has, known := a.byID[c.ID]
		id, named := a.ids[schema.Fold(c.Name)]
		if known && (has.Type != c.Type || schema.Fold(has.Name) != schema.Fold(c.Name)) || named && id != c.ID {
			return false
		}
	}
	for _, c := range cols {
		a.byID[c.ID], a.ids[schema.Fold(c.Name)] = c, c.ID
	}
	return true
}

func (s *survey) take(p string, part table.Partition, info *datafile.Info) {
	s.roots.add(info.Ranges)
	s.good = append(s.good, found{table.DataFile{Path: p, Partition: part, Stats: info.Stats}, info, info.Ranges != nil})
	s.plan.Adopted = append(s.plan.Adopted, p)
}

// partitionOf returns the partition that a file's rows belong to, if it has rows
// of one: an hour, else a day.
func partitionOf(info *datafile.Info) (part table.Partition, ok bool) {
	part = table.HourPartition(info.Stats.MinTS)
	if !part.Holds(info.Stats.MaxTS) {
		part = table.DayPartition(info.Stats.MinTS)
	}
	return part, info.Stats.Records > 0 && part.Holds(info.Stats.MaxTS)
}

// filesBelow lists the files in the folders of dir, sorted. No dir is an empty one.
func (s *survey) filesBelow(ctx context.Context, dir string, wanted func(p string) bool) ([]string, error) {
	folders, err := s.fs.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range folders {
		if !d.IsDir {
			continue
		}
		list, err := s.fs.List(ctx, d.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, f := range list {
			if !f.IsDir && wanted(f.Path) {
				out = append(out, f.Path)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}
