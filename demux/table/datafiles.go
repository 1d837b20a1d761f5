package table

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/schema"
	iceberg "github.com/apache/iceberg-go"
	"golang.org/x/sync/errgroup"
)

// dataFile describes a data file as Iceberg does, with what it tells of leaves.
func (a *attempt) dataFile(spec iceberg.PartitionSpec, f *DataFile, leaves map[int]bool) (iceberg.DataFile, error) {
	b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, a.io.uri(f.Path), iceberg.ParquetFile,
		f.Partition.value(spec), nil, nil, f.Stats.Records, f.Stats.Size)
	if err != nil {
		return nil, fmt.Errorf("describe data file: %w", err)
	}
	sizes, values, nulls, nans := map[int]int64{}, map[int]int64{}, map[int]int64{}, map[int]int64{}
	lower, upper := map[int][]byte{}, map[int][]byte{}
	for _, c := range f.Stats.Columns {
		if !leaves[c.ID] {
			continue
		}
		sizes[c.ID], values[c.ID], nulls[c.ID] = c.Size, c.Values, c.Nulls
		if c.NaNs > 0 {
			nans[c.ID] = c.NaNs
		}
		if c.Lower != nil {
			lower[c.ID] = c.Lower
		}
		if c.Upper != nil {
			upper[c.ID] = c.Upper
		}
	}
	b.ColumnSizes(sizes).ValueCounts(values).NullValueCounts(nulls).NaNValueCounts(nans)
	b.LowerBoundValues(lower).UpperBoundValues(upper).SortOrderID(sortByTS)
	if len(f.Stats.SplitOffsets) > 0 {
		b.SplitOffsets(f.Stats.SplitOffsets)
	}
	return b.Build(), nil
}

// check refuses what would make the table wrong or unreadable: what it names
// can't be taken back once it is committed.
func (t *Table) check(ctx context.Context, runID string, files []DataFile, planned []schema.Column) error {
	if !runRE.MatchString(runID) {
		return fmt.Errorf("run id %q: must match %s", runID, runRE)
	}
	if len(files) > maxDataFiles {
		return fmt.Errorf("%d data files, at most %d are allowed", len(files), maxDataFiles)
	}
	// Its files are being removed, as are those of all runs of its time.
	if n, ok := runNumber(runID); ok && n <= t.Swept() {
		return fmt.Errorf("%w: what runs up to number %d left has been removed", ErrConflict, t.Swept())
	}
	return t.checkFiles(ctx, files, planned)
}

func (t *Table) checkFiles(ctx context.Context, files []DataFile, planned []schema.Column) error {
	known, own, last := leavesOf(planned), leavesOf(t.columns), t.LastColumnID()
	// What the table once had was dropped since; what it has must be planned.
	allowed := func(id int) bool { return known[id] || id > 0 && id <= last && !own[id] }
	paths := make([]string, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range files {
		f := &files[i]
		paths[i] = f.Path
		if err := t.checkFile(f, allowed); err != nil {
			return fmt.Errorf("data file %s: %w", f.Path, err)
		}
		g.Go(func() error {
			in, err := t.fs.Stat(gctx, f.Path)
			if err != nil {
				return fmt.Errorf("look for data file: %w", err)
			}
			if in.Size != f.Stats.Size {
				return fmt.Errorf("data file %s has %d bytes, want %d", f.Path, in.Size, f.Stats.Size)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	slices.Sort(paths)
	if n := len(slices.Compact(paths)); n != len(files) {
		return errors.New("a data file is named twice")
	}
	return nil
}

func (t *Table) checkFile(f *DataFile, allowed func(id int) bool) error {
	if !strings.HasPrefix(f.Path, dir(t.dataType)+"/data/") || path.Clean(f.Path) != f.Path {
		return fmt.Errorf("must lie under %s/data", dir(t.dataType))
	}
	s := &f.Stats
	if s.Records <= 0 || s.Size <= 0 {
		return fmt.Errorf("%d records and %d bytes", s.Records, s.Size)
	}
	if !f.Partition.Holds(s.MinTS) || !f.Partition.Holds(s.MaxTS) || s.MinTS > s.MaxTS {
		return fmt.Errorf("ts from %d to %d µs are not of %s", s.MinTS, s.MaxTS, f.Partition)
	}
	for _, c := range s.Columns {
		if !allowed(c.ID) {
			return fmt.Errorf("field id %d is not planned", c.ID)
		}
	}
	return nil
}
