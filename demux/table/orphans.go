package table

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
)

// removeExpired removes the metadata files that this commit dropped, the
// manifest lists of the snapshots that it expired, and the manifests that only
// they named. A manifest that left the table never comes back, so one that the
// oldest snapshot kept does not name is named by none. What fails here is left
// to Sweep, as are data files that were replaced.
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

// names are the paths of all that a version names.
type names struct {
	paths   map[string]bool
	current map[string]bool // data files that the current snapshot names
	unread  error           // the first damage for which there may be more; nil: these are all
	// uncovered says that what lists the coverage's files can't be read.
	uncovered bool
}

// named returns what this version names but in these expired snapshots; of data files
// those in the given folders, nil for all. Damage, of which there may be some in old snapshots that
// nobody needs, does not make it fail.
func (t *Table) named(ctx context.Context, folders map[string]bool, expired []int64) (names, error) {
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
		if slices.Contains(expired, snapshots[i].SnapshotID) {
			continue
		}
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
