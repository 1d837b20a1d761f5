package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// What bounds the work of one commit, whatever the table has behind it: the
// files of a commit go into a manifest of their own; mergeCount manifests of one
// size become one of the next, up to maxManifest bytes or the largest size.
// Those are not written again unless files are taken out of them.
const (
	mergeCount  = 24
	sizes       = 2 // that are merged: of less than 24, and of less than 576 files
	maxManifest = 512 << 10
	// expectedRatio is how well entries are expected to compress.
	expectedRatio = 4
	// maxDescribed is of how many columns a manifest tells statistics, and the
	// schema: of the first, which Iceberg does by default, too.
	maxDescribed = 100
)

// change is what a snapshot does to the data files of the one before it.
type change struct {
	op      ice.Operation
	add     []DataFile
	remove  []string // paths; all of them must be there
	same    bool     // as many records are added as are removed
	fresh   bool     // the files before it do not count: only those added are there
	summary map[string]string
}

// producer writes the manifests and the list of one snapshot.
type producer struct {
	a        *attempt
	change   change
	schema   *iceberg.Schema // the columns of which manifests tell
	leaves   map[int]bool    // ids of these
	specs    specs
	parent   *ice.Snapshot // nil: none
	id       int64
	sequence int64
	commit   string // in the names of all files that it writes
	written  int    // manifests

	added, removed tally
}

// tally counts data files.
type tally struct{ files, records, bytes int64 }

func (t *tally) add(records, bytes int64) {
	t.files++
	t.records += records
	t.bytes += bytes
}

// newProducer returns a producer of the snapshot that follows meta's current
// one. It works with the current schema and the specs of meta.
func (a *attempt) newProducer(meta ice.Metadata, c change) *producer {
	sc := meta.CurrentSchema()
	described := a.planned[:min(len(a.planned), maxDescribed)]
	return &producer{
		a: a, change: c, schema: icebergSchema(sc.ID, described), leaves: leavesOf(described), specs: specsOf(meta), parent: meta.CurrentSnapshot(),
		id: newSnapshotID(), sequence: meta.LastSequenceNumber() + 1, commit: uuid.NewString(),
	}
}

// snapshot writes the manifests and the list, which begins with the newest.
func (p *producer) snapshot() (*ice.Snapshot, error) {
	var manifests []iceberg.ManifestFile
	if p.parent != nil && !p.change.fresh {
		var err error
		if manifests, err = manifestsOf(p.a.io, p.parent); err != nil {
			return nil, fmt.Errorf("read manifest list: %w", err)
		}
	}
	// One without files was kept for the snapshot that took the last one out.
	manifests = slices.DeleteFunc(manifests, func(m iceberg.ManifestFile) bool { return entriesOf(m) == 0 })
	manifests, err := p.takeOut(manifests)
	if err != nil {
		return nil, err
	}
	if manifests, err = p.merge(manifests); err != nil {
		return nil, err
	}
	added, err := p.addFiles()
	if err != nil {
		return nil, err
	}
	if p.change.same && p.added.records != p.removed.records {
		return nil, fmt.Errorf("%d records are to be added in the place of %d", p.added.records, p.removed.records)
	}
	return p.describe(slices.Concat(added, manifests))
}

// entriesOf returns how many files a manifest names that are there.
func entriesOf(m iceberg.ManifestFile) int {
	return int(m.AddedDataFiles()) + int(m.ExistingDataFiles())
}

// existing returns the entry as one in a manifest of a later snapshot.
func existing(e iceberg.ManifestEntry) iceberg.ManifestEntry {
	snapshot, sequence := e.SnapshotID(), e.SequenceNum()
	return iceberg.NewManifestEntry(iceberg.EntryStatusEXISTING, &snapshot, &sequence, e.FileSequenceNum(), e.DataFile())
}

// perManifest returns how many entries like those of the manifests fit one.
func perManifest(ms []iceberg.ManifestFile) int {
	files, bytes := int64(1), int64(1)
	for _, m := range ms {
		files += int64(entriesOf(m))
		bytes += m.Length()
	}
	return int(max(1, maxManifest*files/bytes))
}

// merge merges small manifests: mergeCount of one size become one of the next.
func (p *producer) merge(manifests []iceberg.ManifestFile) ([]iceberg.ManifestFile, error) {
	var groups [][]iceberg.ManifestFile
	for _, spec := range p.specs.ids() {
		var carried []iceberg.ManifestFile // those that become one of the size looked at
		for size := range sizes {
			same := p.ofSize(manifests, spec, size)
			if len(same)+min(len(carried), 1) < mergeCount {
				break
			}
			carried = append(carried, same...)
		}
		if len(carried) > 0 {
			groups = append(groups, carried)
		}
	}
	var out []iceberg.ManifestFile
	merged := map[string]bool{}
	for _, group := range groups {
		var entries []iceberg.ManifestEntry
		for _, m := range group {
			merged[m.FilePath()] = true
			err := eachEntry(p.a.io, m, func(e iceberg.ManifestEntry) error {
				entries = append(entries, existing(e))
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("read manifest: %w", err)
			}
		}
		written, err := p.writeManifests(group[0].PartitionSpecID(), entries, perManifest(group))
		if err != nil {
			return nil, err
		}
		out = append(out, written...)
	}
	for _, m := range manifests {
		if !merged[m.FilePath()] {
			out = append(out, m)
		}
	}
	return out, nil
}

// ofSize returns the manifests of a spec that are of a size to be merged. What
// this snapshot wrote is not among them: it says what the snapshot did.
func (p *producer) ofSize(manifests []iceberg.ManifestFile, spec int32, size int) []iceberg.ManifestFile {
	var out []iceberg.ManifestFile
	for _, m := range manifests {
		if m.PartitionSpecID() == spec && m.SnapshotID() != p.id && sizeOf(m) == size {
			out = append(out, m)
		}
	}
	return out
}

func sizeOf(m iceberg.ManifestFile) int {
	if m.Length() >= maxManifest/2 {
		return sizes
	}
	size := 0
	for n := entriesOf(m); n >= mergeCount; n /= mergeCount {
		size++
	}
	return size
}

// describe writes the list and returns the snapshot.
func (p *producer) describe(manifests []iceberg.ManifestFile) (*ice.Snapshot, error) {
	var parent *int64
	if p.parent != nil {
		parent = &p.parent.SnapshotID
	}
	list := p.a.metadataURI(fmt.Sprintf("snap-%d-0-%s.avro", p.id, p.commit))
	out, err := p.a.io.Create(list)
	if err != nil {
		return nil, err
	}
	err = iceberg.WriteManifestList(2, out, p.id, parent, &p.sequence, 0, manifests)
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("write manifest list: %w", err)
	}
	return &ice.Snapshot{
		SnapshotID: p.id, ParentSnapshotID: parent, SequenceNumber: p.sequence, ManifestList: list,
		TimestampMs: p.a.now(), SchemaID: &p.schema.ID,
		Summary: &ice.Summary{Operation: p.change.op, Properties: p.summary()},
	}, nil
}

// summary returns the change's summary with Iceberg's fields.
func (p *producer) summary() iceberg.Properties {
	before := iceberg.Properties{}
	if p.parent != nil && p.parent.Summary != nil && !p.change.fresh {
		before = p.parent.Summary.Properties
	}
	out := iceberg.Properties{}
	maps.Copy(out, p.change.summary)
	set := func(key string, n int64, zero bool) {
		if n != 0 || zero {
			out[key] = strconv.FormatInt(n, 10)
		}
	}
	for _, c := range []struct {
		added, deleted, total string
		in, out               int64
	}{
		{"added-data-files", "deleted-data-files", "total-data-files", p.added.files, p.removed.files},
		{"added-records", "deleted-records", "total-records", p.added.records, p.removed.records},
		{"added-files-size", "removed-files-size", "total-files-size", p.added.bytes, p.removed.bytes},
	} {
		set(c.added, c.in, false)
		set(c.deleted, c.out, false)
		set(c.total, before.GetInt64(c.total, 0)+c.in-c.out, true)
	}
	for _, none := range []string{"total-delete-files", "total-position-deletes", "total-equality-deletes"} {
		out[none] = "0"
	}
	return out
}
