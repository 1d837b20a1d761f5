package table

import (
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
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
