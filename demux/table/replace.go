package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
)

// ErrNotInTable says that a data file to be taken out is not in the table.
var ErrNotInTable = errors.New("a data file to be replaced is not in the table")

// ReplaceKind says why data files are replaced.
type ReplaceKind string

// The kinds of a Replacement.
const (
	Compacted ReplaceKind = "compacted" // the same rows in other files
	Redone    ReplaceKind = "redone"    // the same records, parsed anew
	Expired   ReplaceKind = "expired"   // rows that are no longer kept
)

var operations = map[ReplaceKind]ice.Operation{
	Compacted: ice.OpReplace, Redone: ice.OpOverwrite, Expired: ice.OpDelete,
}

// propReplaced is in a snapshot's summary that a Replace made: its kind.
const propReplaced = "akupara.replaced"

// Replacement takes data files out of a table and puts others in their place, in
// one version. What is covered stays so, and all that the table remembers of sink
// files.
type Replacement struct {
	// RunID starts with the number of the version after the one that it was
	// planned from, as in "%08d-…": a sweep removes what runs before it left.
	RunID   string
	Remove  []string   // paths of data files that the table has, all of them
	Files   []DataFile // may be none
	Columns []schema.Column
	Kind    ReplaceKind
	Delta   coverage.Set      // facts of what is no longer there; none where the rows stay the same
	Summary map[string]string // goes into the snapshot's summary, with the run's id
}

// Replace commits a replacement on top of exactly t, and gives the new version;
// t itself where there is nothing to do. It fails as Commit does, with
// ErrConflict also where a sweep may have removed the files of a run that is
// that old, and with ErrNotInTable where t does not have all that is to be
// taken out.
//
// Files that were taken out stay in the store for those who read older versions,
// until Sweep removes them.
func (t *Table) Replace(ctx context.Context, r Replacement) (*Table, error) {
	if len(r.Remove) == 0 && len(r.Files) == 0 {
		return t, nil
	}
	next, err := t.replace(ctx, &r)
	if err != nil {
		return nil, fmt.Errorf("replace files of table %s in run %s: %w", t.dataType, r.RunID, err)
	}
	return next, nil
}

func (t *Table) replace(ctx context.Context, r *Replacement) (*Table, error) {
	planned := t.PlanColumns(r.Columns)
	if err := t.checkReplacement(ctx, r, planned); err != nil {
		return nil, err
	}
	summary := map[string]string{propRun: r.RunID, propReplaced: string(r.Kind)}
	maps.Copy(summary, r.Summary)
	c := change{op: operations[r.Kind], add: r.Files, remove: r.Remove, same: r.Kind == Compacted, summary: summary}
	return t.commit(ctx, planned, func(a *attempt) error {
		if err := a.cover(ctx, r.RunID, r.Delta, nil); err != nil {
			return err
		}
		return a.change(c)
	})
}

func (t *Table) checkReplacement(ctx context.Context, r *Replacement, planned []schema.Column) error {
	op := operations[r.Kind]
	if op == "" {
		return fmt.Errorf("kind %q: must be %s, %s or %s", r.Kind, Compacted, Redone, Expired)
	}
	if op == ice.OpDelete && len(r.Files) > 0 {
		return fmt.Errorf("%d files are to be added, although rows expire", len(r.Files))
	}
	if r.Kind == Compacted && len(r.Delta) > 0 {
		return errors.New("there is coverage to be added, although the rows stay the same")
	}
	if _, ok := runNumber(r.RunID); !ok {
		return fmt.Errorf("run id %q: must start with a number of 8 digits and -", r.RunID)
	}
	if len(r.Remove) > maxDataFiles {
		return fmt.Errorf("%d data files are to be taken out, at most %d are allowed", len(r.Remove), maxDataFiles)
	}
	remove := slices.Sorted(slices.Values(r.Remove))
	if len(slices.Compact(slices.Clone(remove))) != len(remove) {
		return errors.New("a data file is to be taken out twice")
	}
	for i := range r.Files {
		if _, ok := slices.BinarySearch(remove, r.Files[i].Path); ok {
			return fmt.Errorf("data file %s is to be taken out and added", r.Files[i].Path)
		}
	}
	if t.meta == nil {
		return fmt.Errorf("%w: there is no table", ErrNotInTable)
	}
	return t.check(ctx, r.RunID, r.Files, planned)
}

var numberRE = regexp.MustCompile(`^([0-9]{8,18})-`)

// runNumber returns the number that a run's id, and so the name of each of its
// data files, starts with: that of the version after the one it was planned from.
func runNumber(id string) (int, bool) {
	m := numberRE.FindStringSubmatch(id)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// Swept returns up to which number the files of runs that the table does not
// name have been removed, or are about to be: Replace refuses them.
func (t *Table) Swept() int {
	if t.meta == nil {
		return 0
	}
	n, err := strconv.Atoi(t.meta.Properties()[propSwept])
	if err != nil {
		return 0 // older versions kept a time there
	}
	return n
}
