package table

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
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

	maxDataFiles = 100_000 // of one commit
)

var runRE = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// DataFile is a Parquet file to be added, written and closed, its rows sorted
// by ts. It must carry the field ids of PlanColumns.
type DataFile struct {
	Path      string // relative to the store's root; as DataPath gives it
	Partition Partition
	Stats     schema.FileStats
}

// Commit is one atomic change of a table: all of it, or nothing.
type Commit struct {
	RunID   string            // letters, digits, '-', '_' and '.'; at most 100
	Columns []schema.Column   // wanted; PlanColumns tells what is made of them
	Files   []DataFile        // none is fine: facts alone can be committed
	Delta   coverage.Set      // what the files and facts add; Seen is set where it is zero
	Known   *coverage.Known   // of Delta's streams, as CoverageOf told of t, or with what was committed since; may be nil
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
	if len(c.Files) == 0 && len(c.Delta) == 0 && slices.Equal(planned, t.columns) {
		return t, nil
	}
	if err := t.check(ctx, c.RunID, c.Files, planned); err != nil {
		return nil, fmt.Errorf("commit run %s to table %s: %w", c.RunID, t.dataType, err)
	}
	next, err := t.commit(ctx, planned, func(a *attempt) error { return a.stage(ctx, &c) })
	if err != nil {
		return nil, fmt.Errorf("commit run %s to table %s: %w", c.RunID, t.dataType, err)
	}
	return next, nil
}

// stage makes the commit's parts the attempt's.
func (a *attempt) stage(ctx context.Context, c *Commit) error {
	a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{propRun: c.RunID, propSinks: formatSinks(c.Sinks)}))
	if len(c.Files) == 0 {
		return a.cover(ctx, c.RunID, c.Delta, c.Known)
	}
	summary := maps.Clone(c.Summary)
	if summary == nil {
		summary = map[string]string{}
	}
	summary[propRun] = c.RunID
	covered := make(chan error, 1) // beside the manifests, which need nothing of it
	var prop string
	go func() {
		var err error
		prop, err = a.coverage(ctx, c.RunID, c.Delta, c.Known)
		covered <- err
	}()
	err := a.change(change{op: ice.OpAppend, add: c.Files, summary: summary})
	if coverErr := <-covered; coverErr != nil {
		return coverErr
	}
	a.setCoverage(prop)
	return err
}

// cover adds to the coverage; known is of these streams, as in Commit.
func (a *attempt) cover(ctx context.Context, run string, delta coverage.Set, known *coverage.Known) error {
	prop, err := a.coverage(ctx, run, delta, known)
	if err == nil {
		a.setCoverage(prop)
	}
	return err
}

// coverage writes what is added, and returns the property that names all; "" where
// nothing is.
func (a *attempt) coverage(ctx context.Context, run string, delta coverage.Set, known *coverage.Known) (prop string, err error) {
	if len(delta) == 0 {
		return "", nil
	}
	return a.writeCoverage(ctx, run, delta, known)
}

func (a *attempt) setCoverage(prop string) {
	if prop != "" {
		a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{propCoverage: prop}))
	}
}
