package table

import (
	"fmt"
	"maps"
	"path"
	"slices"

	iceberg "github.com/apache/iceberg-go"
)

// takeOut returns the manifests without the files to be removed. Those that had
// some are written anew, and say which these were; those that have no others become
// few.
func (p *producer) takeOut(manifests []iceberg.ManifestFile) ([]iceberg.ManifestFile, error) {
	left := make(map[string]bool, len(p.change.remove))
	for _, f := range p.change.remove {
		left[p.a.io.uri(f)] = true
	}
	out := make([]iceberg.ManifestFile, 0, len(manifests))
	gone := map[int32]*takenOut{} // by spec
	for _, m := range manifests { // the newest first, where most of it is
		if len(left) == 0 {
			out = append(out, m)
			continue
		}
		entries, found, err := p.without(m, left)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read manifest: %w", err)
		case found == 0:
			out = append(out, m)
			continue
		case found == len(entries):
			spec := m.PartitionSpecID()
			if gone[spec] == nil {
				gone[spec] = &takenOut{}
			}
			gone[spec].add(m, entries)
			continue
		}
		written, err := p.writeManifests(m.PartitionSpecID(), entries, perManifest([]iceberg.ManifestFile{m}))
		if err != nil {
			return nil, err
		}
		out = append(out, written...)
	}
	for uri := range left {
		return nil, fmt.Errorf("%w: %s", ErrNotInTable, path.Base(uri))
	}
	for _, spec := range slices.Sorted(maps.Keys(gone)) {
		written, err := p.writeManifests(spec, gone[spec].entries, perManifest(gone[spec].manifests))
		if err != nil {
			return nil, err
		}
		out = append(out, written...)
	}
	return out, nil
}

// takenOut are manifests all of whose files are taken out, and their entries.
type takenOut struct {
	manifests []iceberg.ManifestFile
	entries   []iceberg.ManifestEntry
}

func (e *takenOut) add(m iceberg.ManifestFile, entries []iceberg.ManifestEntry) {
	e.manifests = append(e.manifests, m)
	e.entries = append(e.entries, entries...)
}

// without returns the manifest's entries; those of files in left, which it takes
// out of left, as deleted ones: so many were found.
func (p *producer) without(m iceberg.ManifestFile, left map[string]bool) (entries []iceberg.ManifestEntry, found int, err error) {
	err = eachEntry(p.a.io, m, func(e iceberg.ManifestEntry) error {
		d := e.DataFile()
		if !left[d.FilePath()] {
			entries = append(entries, existing(e))
			return nil
		}
		delete(left, d.FilePath())
		found++
		p.removed.add(d.Count(), d.FileSizeBytes())
		sequence := e.SequenceNum()
		entries = append(entries, iceberg.NewManifestEntry(iceberg.EntryStatusDELETED, &p.id, &sequence, e.FileSequenceNum(), d))
		return nil
	})
	return entries, found, err
}
