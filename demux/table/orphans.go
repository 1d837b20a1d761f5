package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
)

// removeExpired removes the metadata files that this commit dropped, the
// manifest lists of the snapshots that it expired, and the manifests that only
// they named. A manifest that left the table never comes back, so one that the
// oldest snapshot kept does not name is named by none. What fails here is left
// to RemoveOrphans, as are data files that were replaced.
func (a *attempt) removeExpired(ctx context.Context) {
	a.removeOldMetadata()
	kept := a.next.meta.Snapshots()
	if len(kept) == 0 {
		return
	}
	keptIDs := map[int64]bool{}
	for _, s := range kept {
		keptIDs[s.SnapshotID] = true
	}
	var expired []ice.Snapshot
	for _, s := range a.base.meta.Snapshots() {
		if !keptIDs[s.SnapshotID] {
			expired = append(expired, s)
		}
	}
	if len(expired) == 0 {
		return
	}
	named, err := manifestSet(a.io, &kept[0])
	if err != nil {
		return
	}
	for i := range expired {
		old, err := manifestSet(a.io, &expired[i])
		if err != nil {
			continue
		}
		for p := range old {
			if named[p] == nil {
				_ = a.io.Remove(p)
			}
		}
		_ = a.io.Remove(expired[i].ManifestList)
	}
}

func (a *attempt) removeOldMetadata() {
	kept := map[string]bool{}
	for e := range a.next.meta.PreviousFiles() {
		kept[e.MetadataFile] = true
	}
	for e := range a.base.meta.PreviousFiles() {
		if !kept[e.MetadataFile] {
			_ = a.io.Remove(e.MetadataFile)
		}
	}
}

const (
	claimAge      = 3 * time.Hour // how long claims stay at least, published or not
	orphansAtOnce = 10_000        // at most, per call
)

// RemoveOrphans removes what the table does not name and is older than the
// given age: data files, manifests, metadata, coverage; and claims of hours ago.
// It returns how many it removed. It looks at every folder; Sweep does not.
//
// Where there is something to remove, it first commits, without rows: every
// commit that is still under way was planned from an older version and can
// only fail from then on, however long its process was stopped. So it never
// takes a file that a later commit names, at any age; the age is there to not
// get in the way of runs, and should be longer than they take. ErrConflict
// says that it was in the way itself: try again later.
//
// ErrDamaged says that a list or manifest can't be read, be it an old
// snapshot's. What only that may name stays then, all else is removed.
func (t *Table) RemoveOrphans(ctx context.Context, olderThan time.Duration) (int, error) {
	// What can't be read can't be compared with what is there.
	cur, err := Open(ctx, t.fs, t.baseURI, t.dataType)
	if err != nil {
		return 0, err
	}
	s := sweep{t: cur, now: time.Now(), o: SweepOptions{Age: olderThan, Grace: math.MaxInt64}, full: true}
	err = s.step(ctx)
	if err != nil {
		err = fmt.Errorf("remove orphans of table %s: %w", t.dataType, err)
	}
	return s.done.Removed(), err
}

// names are the paths of all that a version names.
type names struct {
	paths   map[string]bool
	current map[string]bool // data files that the current snapshot names
	unread  error           // the first damage for which there may be more; nil: these are all
	// uncovered says that what lists the coverage's files can't be read.
	uncovered bool
}

// named returns what this version names; of data files those in the given
// folders, nil for all. Damage, of which there may be some in old snapshots that
// nobody needs, does not make it fail.
func (t *Table) named(ctx context.Context, folders map[string]bool) (names, error) {
	io := t.io(ctx)
	out := names{paths: map[string]bool{t.MetadataPath(): true}, current: map[string]bool{}}
	// A manifest with a flipped bit may name another file than it should.
	var err error
	if io.known, err = t.history(ctx, func(string, error) error { return nil }); err != nil {
		return out, err
	}
	name := func(uri string) {
		if p, err := io.rel(uri); err == nil {
			out.paths[p] = true
		}
	}
	skip := func(uri string, err error) error {
		p, relErr := io.rel(uri)
		if relErr != nil {
			return err
		}
		d, err := damageOf(ctx, t.fs, kindOf(p), p, err)
		if err == nil && out.unread == nil {
			out.unread = &damageError{d}
		}
		return err
	}
	for prev := range t.meta.PreviousFiles() {
		name(prev.MetadataFile)
	}
	manifests := map[string]iceberg.ManifestFile{}
	current := map[string]bool{}
	snapshots := t.meta.Snapshots()
	for i := range snapshots {
		name(snapshots[i].ManifestList)
		ms, err := manifestSet(io, &snapshots[i])
		if err != nil {
			if err := skip(snapshots[i].ManifestList, err); err != nil {
				return out, err
			}
			continue
		}
		maps.Copy(manifests, ms)
		if snapshots[i].SnapshotID == t.meta.CurrentSnapshot().SnapshotID {
			for uri := range ms {
				current[uri] = true
			}
		}
	}
	for uri, m := range manifests {
		name(uri)
		err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
			p, err := io.rel(e.DataFile().FilePath())
			if err == nil && (folders == nil || folders[path.Dir(p)]) {
				out.paths[p] = true
				if current[uri] {
					out.current[p] = true
				}
			}
			return nil
		})
		if err != nil {
			if err := skip(uri, err); err != nil {
				return out, err
			}
		}
	}
	files, err := t.coverageFiles(ctx)
	switch {
	case errors.Is(err, ErrDamaged):
		out.uncovered = true
	case err != nil:
		return out, err
	}
	for _, f := range files {
		out.paths[path.Join(t.coverageDir(), f.name)] = true
	}
	return out, nil
}
