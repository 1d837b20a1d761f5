package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table/internal/versions"
)

const (
	// maxAge is how long after Open a table may be committed on. Claims that
	// were published are kept for much longer, so a committer that was stopped
	// in between always meets the claim it lost to.
	maxAge = time.Hour
	// keepSnapshots is how many are kept, and as many old metadata files;
	// expireBatch is how many more snapshots there may be before some are
	// expired: each time costs reading their lists.
	keepSnapshots = 100
	expireBatch   = 20

	maxDataFiles = 100_000 // of one commit
)

var runRE = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// DataFile is a Parquet file to be added, written and closed, its rows sorted
// by ts. It must carry the field ids of PlanColumns.
type DataFile struct {
	Path  string // relative to the store's root; as DataPath gives it
	Hour  int    // HourOf every row's ts
	Stats schema.FileStats
}

// HourOf returns the partition of a ts in microseconds: whole hours since 1970.
func HourOf(ts int64) int {
	const hour = int64(time.Hour / time.Microsecond)
	h := ts / hour
	if ts%hour < 0 {
		h--
	}
	return int(h)
}

// DataPath is where a run writes its n-th data file. The run's id must be used
// by one attempt only, or name must tell attempts apart: files are never
// written twice.
func DataPath(dataType string, hour int, run string, n int) string {
	at := time.Unix(int64(hour)*3600, 0).UTC()
	return path.Join(dir(dataType), "data", "ts_hour="+at.Format("2006-01-02-15"), fmt.Sprintf("%s-%05d.parquet", run, n))
}

// Commit is one atomic change of a table: all of it, or nothing.
type Commit struct {
	RunID   string            // letters, digits, '-', '_' and '.'; at most 100
	Columns []schema.Column   // wanted; PlanColumns tells what is made of them
	Files   []DataFile        // none is fine: facts alone can be committed
	Delta   coverage.Set      // what the files and facts add; Seen is set where it is zero
	Sinks   []Sink            // all that Table.Sinks tells of afterwards; those of before are forgotten
	Summary map[string]string // goes into the snapshot's summary, with the run's id
}

// Commit commits on top of exactly t, and gives the new version; t itself where
// there is nothing to commit. It fails with
//   - ErrConflict when the table is not t any more, or t was opened over an
//     hour ago;
//   - ErrUnknown when it can't tell what became of it;
//   - any other error when nothing was committed, for another reason.
//
// What it made itself it has removed then (not after ErrUnknown). The data
// files stay the caller's to remove, and must stay after ErrUnknown.
func (t *Table) Commit(ctx context.Context, c Commit) (*Table, error) {
	planned := t.PlanColumns(c.Columns)
	if len(c.Files) == 0 && len(c.Delta) == 0 && len(planned) == len(t.columns) {
		return t, nil
	}
	if err := t.check(ctx, &c, planned); err != nil {
		return nil, fmt.Errorf("commit run %s to table %s: %w", c.RunID, t.dataType, err)
	}
	next, err := t.commit(ctx, planned, func(a *attempt, txn *ice.Transaction) error {
		return a.stage(ctx, txn, &c)
	})
	if err != nil {
		return nil, fmt.Errorf("commit run %s to table %s: %w", c.RunID, t.dataType, err)
	}
	return next, nil
}

// commit runs one attempt on top of t.
func (t *Table) commit(ctx context.Context, planned []schema.Column, stage func(*attempt, *ice.Transaction) error) (*Table, error) {
	base := *t
	if t.version == 0 {
		meta, err := t.create(planned)
		if err != nil {
			return nil, err
		}
		base.meta = meta
	}
	io := &tableIO{ctx: ctx, fs: t.fs, location: base.Location(), dir: dir(t.dataType)}
	a := &attempt{base: &base, io: io, planned: planned}
	txn, err := base.iceberg(io, a).NewTransactionOnBranchWithError(ice.MainBranch)
	if err == nil {
		err = stage(a, txn)
	}
	if err == nil {
		_, err = txn.Commit(ctx)
	}
	if a.next != nil { // published, whatever went wrong afterwards
		a.removeExpired(ctx)
		return a.next, nil
	}
	if err == nil {
		err = errors.New("the transaction was empty")
	}
	if !errors.Is(err, ErrUnknown) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		io.removeCreated(ctx)
	}
	return nil, err
}

// attempt is one try to publish the version after base. To iceberg-go it is
// the catalog.
type attempt struct {
	base    *Table
	io      *tableIO
	planned []schema.Column
	next    *Table // once it is published
}

var _ ice.CatalogIO = (*attempt)(nil)

// LoadTable is asked for by retries only, and there are none.
func (a *attempt) LoadTable(context.Context, ice.Identifier) (*ice.Table, error) {
	return nil, ErrConflict
}

// CommitTable publishes the next version if base is still the newest.
func (a *attempt) CommitTable(ctx context.Context, _ ice.Identifier, reqs []ice.Requirement, updates []ice.Update) (ice.Metadata, string, error) {
	if err := a.io.writeErr(); err != nil {
		return nil, "", err
	}
	base := a.base
	newest, err := base.log.Settle(ctx)
	if err != nil {
		return nil, "", err
	}
	if newest != base.version {
		return nil, "", fmt.Errorf("%w: it was version %d and is %d", ErrConflict, base.version, newest)
	}
	loc := ""
	if newest > 0 {
		loc = base.Location() + "/" + versions.Name(newest)
		b, err := base.log.Read(ctx, newest)
		if err != nil {
			return nil, "", err
		}
		if chunk.CRC(b) != base.crc {
			return nil, "", fmt.Errorf("%w: version %d was replaced", ErrConflict, newest)
		}
	}
	for _, r := range reqs {
		if err := r.Validate(base.meta); err != nil {
			return nil, "", fmt.Errorf("%w: %w", ErrConflict, err)
		}
	}
	meta, err := ice.UpdateTableMetadata(base.meta, updates, loc)
	if err != nil {
		return nil, "", fmt.Errorf("make metadata: %w", err)
	}
	if err := checkPlanned(meta.CurrentSchema(), a.planned); err != nil {
		return nil, "", err
	}
	b, err := encode(meta)
	if err != nil {
		return nil, "", err
	}
	next := *base
	next.opened = time.Now()
	if err := next.set(newest+1, b); err != nil {
		return nil, "", err
	}
	if time.Since(base.opened) > maxAge {
		return nil, "", fmt.Errorf("%w: it was opened %v ago", ErrConflict, time.Since(base.opened).Round(time.Second))
	}
	switch err := base.log.Publish(ctx, newest+1, b); {
	case errors.Is(err, versions.ErrLost):
		return nil, "", fmt.Errorf("%w: %w", ErrConflict, err)
	case errors.Is(err, versions.ErrUnknown):
		return nil, "", fmt.Errorf("%w: %w", ErrUnknown, err)
	case err != nil:
		return nil, "", err
	}
	a.next = &next
	return next.meta, next.Location() + "/" + versions.Name(next.version), nil
}

// stage puts the commit's parts into the transaction.
func (a *attempt) stage(ctx context.Context, txn *ice.Transaction, c *Commit) error {
	if added := a.planned[len(a.base.columns):]; a.base.version > 0 && len(added) > 0 {
		update := txn.UpdateSchema(true, false)
		for i := range added {
			update.AddColumn([]string{added[i].Name}, icebergType(&added[i]), added[i].Doc, false, nil)
		}
		if err := update.Commit(); err != nil {
			return fmt.Errorf("add columns: %w", err)
		}
	}
	props := iceberg.Properties{propRun: c.RunID, propSinks: formatSinks(c.Sinks)}
	if len(c.Delta) > 0 {
		files, err := a.writeCoverage(ctx, c.RunID, c.Delta)
		if err != nil {
			return err
		}
		props[propCoverage] = files.String()
	}
	if err := txn.SetProperties(props); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	if len(c.Files) == 0 {
		return nil
	}
	files, err := a.dataFiles(c.Files)
	if err != nil {
		return err
	}
	summary := iceberg.Properties{}
	maps.Copy(summary, c.Summary)
	summary[propRun] = c.RunID
	if err := txn.AddDataFiles(ctx, files, summary, ice.WithoutDuplicateCheck(), ice.WithoutAutoNameMapping()); err != nil {
		return fmt.Errorf("add data files: %w", err)
	}
	if len(a.base.meta.Snapshots()) >= a.base.keep+expireBatch {
		err := txn.ExpireSnapshots(ice.WithRetainLast(a.base.keep), ice.WithOlderThan(0), ice.WithPostCommit(false))
		if err != nil {
			return fmt.Errorf("expire snapshots: %w", err)
		}
	}
	return nil
}

func (a *attempt) dataFiles(files []DataFile) ([]iceberg.DataFile, error) {
	spec := a.base.meta.PartitionSpec()
	out := make([]iceberg.DataFile, len(files))
	for i := range files {
		f := &files[i]
		b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, a.io.uri(f.Path), iceberg.ParquetFile,
			map[int]any{hourField: int32(f.Hour)}, nil, nil, f.Stats.Records, f.Stats.Size)
		if err != nil {
			return nil, fmt.Errorf("describe data file: %w", err)
		}
		sizes, values, nulls, nans := map[int]int64{}, map[int]int64{}, map[int]int64{}, map[int]int64{}
		lower, upper := map[int][]byte{}, map[int][]byte{}
		for _, c := range f.Stats.Columns {
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
		out[i] = b.Build()
	}
	return out, nil
}

// check refuses what would make the table wrong or unreadable: what it names
// can't be taken back once it is committed.
func (t *Table) check(ctx context.Context, c *Commit, planned []schema.Column) error {
	if !runRE.MatchString(c.RunID) {
		return fmt.Errorf("run id %q: must match %s", c.RunID, runRE)
	}
	if len(c.Files) > maxDataFiles {
		return fmt.Errorf("%d data files, at most %d are allowed", len(c.Files), maxDataFiles)
	}
	leaves := map[int]bool{}
	for i := range planned {
		p := &planned[i]
		if p.Type == schema.Map {
			leaves[p.KeyID], leaves[p.ValueID] = true, true
		} else {
			leaves[p.ID] = true
		}
	}
	paths := make([]string, len(c.Files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range c.Files {
		f := &c.Files[i]
		paths[i] = f.Path
		if err := t.checkFile(f, leaves); err != nil {
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
	if n := len(slices.Compact(paths)); n != len(c.Files) {
		return errors.New("a data file is named twice")
	}
	return nil
}

func (t *Table) checkFile(f *DataFile, leaves map[int]bool) error {
	if !strings.HasPrefix(f.Path, dir(t.dataType)+"/data/") || path.Clean(f.Path) != f.Path {
		return fmt.Errorf("must lie under %s/data", dir(t.dataType))
	}
	s := &f.Stats
	if s.Records <= 0 || s.Size <= 0 {
		return fmt.Errorf("%d records and %d bytes", s.Records, s.Size)
	}
	if HourOf(s.MinTS) != f.Hour || HourOf(s.MaxTS) != f.Hour || s.MinTS > s.MaxTS {
		return fmt.Errorf("ts from %d to %d µs are not of the hour %d", s.MinTS, s.MaxTS, f.Hour)
	}
	for _, c := range s.Columns {
		if !leaves[c.ID] {
			return fmt.Errorf("field id %d is not planned", c.ID)
		}
	}
	return nil
}
