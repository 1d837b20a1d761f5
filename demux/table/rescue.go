package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// What follows reads what is left of a damaged table, for a Rebuild.

// Newest returns the newest version whose metadata file can be read, and the
// damage for which newer ones were passed over. Where there is no such version
// the table is nil. What the version names may be damaged: see ReadableFiles
// and EachReadable. fs.ErrNotExist says that there never was a table.
func Newest(ctx context.Context, fsys store.FS, baseURI, dataType string) (*Table, []Damage, error) {
	t, err := New(fsys, baseURI, dataType)
	if err != nil {
		return nil, nil, err
	}
	t, passed, err := t.newest(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("look for whole metadata of table %s: %w", dataType, err)
	}
	return t, passed, nil
}

func (t *Table) newest(ctx context.Context) (*Table, []Damage, error) {
	// A version that is claimed is decided: publish it, if we may.
	_, _ = t.log.Settle(ctx)
	var passed []Damage
	missing, err := t.log.Missing(ctx)
	if err != nil {
		return nil, nil, err
	}
	if missing > 0 {
		passed = append(passed, Damage{t.log.Path(missing), KindMetadata, "is missing, although it was published", true})
	}
	numbers, err := t.log.Present(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range slices.Backward(numbers) {
		err := t.load(ctx, n)
		if err == nil {
			return t, passed, nil
		}
		d, err := damageOf(ctx, t.fs, KindMetadata, t.log.Path(n), err)
		if err != nil {
			return nil, nil, err
		}
		passed = append(passed, d)
	}
	if len(passed) == 0 {
		return nil, nil, fs.ErrNotExist
	}
	return nil, passed, nil
}

// EachReadable calls do with what can be read of the coverage, a family at a time from
// a root on, until do returns false. It returns the damage of the files that can't be
// read. Memory does not grow with the number of streams.
func (t *Table) EachReadable(ctx context.Context, root string, do func(root string, family coverage.Set) bool) ([]Damage, error) {
	src, bad, err := t.readableCoverage(ctx, root)
	if src == nil || err != nil {
		return *bad, err
	}
	defer src.close()
	err = coverage.EachFamily(src, func(root string, family coverage.Set) error {
		if !do(root, family) {
			return io.EOF
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("table %s: read coverage: %w", t.dataType, err)
	}
	return *bad, nil
}

// readableCoverage returns what can be read of the coverage from a root on, nil where
// that is nothing, and the damage of the files that can't: all of it when the source
// has come to its end.
func (t *Table) readableCoverage(ctx context.Context, root string) (src *readableSource, bad *[]Damage, err error) {
	bad = &[]Damage{}
	tree, list, err := t.coverageTree(ctx)
	if err != nil {
		kind, at := KindMetadata, t.MetadataPath()
		if list != nil {
			kind, at = KindCoverage, t.coveragePath(*list)
		}
		d, err := damageOf(ctx, t.fs, kind, at, err)
		*bad = append(*bad, d)
		return nil, bad, err
	}
	src = &readableSource{}
	sources := make([]coverage.Source, len(tree))
	for i := range tree {
		g := &readableGroup{groupSource: groupSource{t: t, ctx: ctx, group: &tree[i], root: max(root, tree[i].from)}, bad: bad}
		src.groups, sources[i] = append(src.groups, g), g
	}
	src.Source = coverage.NewMerger(sources...)
	return src, bad, nil
}

// readableSource is a source of what can be read of a coverage.
type readableSource struct {
	coverage.Source
	groups []*readableGroup
}

func (s *readableSource) close() {
	for _, g := range s.groups {
		g.close()
	}
}

// readableGroup is a groupSource that goes on behind what is damaged.
type readableGroup struct {
	groupSource
	bad *[]Damage
	id  string // of the piece that came last
}

// Next implements coverage.Source.
func (g *readableGroup) Next() (*coverage.Piece, error) {
	for {
		p, err := g.groupSource.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, err
		case err == nil && p.From > 0 && p.ID != g.id:
			continue // of a stream whose beginning can't be read
		case err == nil:
			g.id = p.ID
			return p, nil
		}
		if g.open == nil {
			g.next++ // it can't be opened
		}
		d, err := damageOf(g.ctx, g.t.fs, KindCoverage, g.t.coveragePath(g.group.files[g.next-1]), err)
		if err != nil {
			return nil, err
		}
		*g.bad = append(*g.bad, d)
		g.close()
	}
}

// propRepaired is in the summary of a snapshot that a Rebuild made. What
// snapshots before it name need not be in the table.
const propRepaired = "akupara.repaired"

// ReadableFiles returns the data files that whole manifests of the current
// snapshot name, and the damage that other manifests have. Where there is damage,
// older snapshots are asked, too, back to the last that did more than add rows:
// what those before it name may have been replaced.
func (t *Table) ReadableFiles(ctx context.Context) ([]DataFile, []Damage, error) {
	if t.meta == nil || t.meta.CurrentSnapshot() == nil {
		return nil, nil, nil
	}
	r := &reading{t: t, io: t.io(ctx), seen: map[string]bool{}, paths: map[string]bool{}}
	snapshots := slices.Clone(t.meta.Snapshots())
	slices.SortFunc(snapshots, func(a, b ice.Snapshot) int { return cmp.Compare(b.SequenceNumber, a.SequenceNumber) })
	for i := range snapshots {
		s := &snapshots[i]
		if err := r.snapshot(ctx, s); err != nil {
			return nil, nil, fmt.Errorf("table %s: read manifests: %w", t.dataType, err)
		}
		if i == 0 && len(r.bad) > 0 { // more than the current snapshot is needed
			var err error
			if r.io.known, err = t.history(ctx, func(string, error) error { return nil }); err != nil {
				return nil, nil, err
			}
		}
		if len(r.bad) == 0 || isReplacement(s) || s.Summary != nil && s.Summary.Properties[propRepaired] != "" {
			break
		}
	}
	return r.files, r.bad, nil
}

// reading collects data files of manifests.
type reading struct {
	t     *Table
	io    *tableIO
	seen  map[string]bool // manifests
	paths map[string]bool // of files
	files []DataFile
	bad   []Damage
}

func (r *reading) snapshot(ctx context.Context, s *ice.Snapshot) error {
	needed := s.SnapshotID == r.t.meta.CurrentSnapshot().SnapshotID
	ms, err := manifestsOf(r.io, s)
	if err != nil {
		return r.note(ctx, s.ManifestList, needed, err)
	}
	for _, m := range ms {
		if r.seen[m.FilePath()] {
			continue
		}
		r.seen[m.FilePath()] = true
		var files []DataFile
		err := eachEntry(r.io, m, func(e iceberg.ManifestEntry) error {
			f, err := r.t.dataFile(r.io, m, e.DataFile())
			files = append(files, f)
			return err
		})
		if err != nil {
			if err := r.note(ctx, m.FilePath(), needed, err); err != nil {
				return err
			}
			continue
		}
		for _, f := range files {
			if !r.paths[f.Path] {
				r.paths[f.Path] = true
				r.files = append(r.files, f)
			}
		}
	}
	return nil
}

func (r *reading) note(ctx context.Context, uri string, needed bool, err error) error {
	p, relErr := r.io.rel(uri)
	if relErr != nil {
		p = r.t.MetadataPath()
	}
	d, err := damageOf(ctx, r.t.fs, kindOf(p), p, err)
	d.Needed = needed
	r.bad = append(r.bad, d)
	return err
}

// dataFile describes a data file as a commit would.
func (t *Table) dataFile(io *tableIO, m iceberg.ManifestFile, d iceberg.DataFile) (DataFile, error) {
	f, err := t.file(io, m, d, t.tsID())
	if err != nil {
		return DataFile{}, err
	}
	out := DataFile{Path: f.Path, Partition: f.Partition, Stats: schema.FileStats{
		Records: f.Records, Size: f.Size, SplitOffsets: d.SplitOffsets(),
		MinTS: f.MinTS.UnixMicro(), MaxTS: f.MaxTS.UnixMicro(),
	}}
	sizes, nulls, nans := d.ColumnSizes(), d.NullValueCounts(), d.NaNValueCounts()
	lower, upper := d.LowerBoundValues(), d.UpperBoundValues()
	values := d.ValueCounts()
	ids := make([]int, 0, len(values))
	for id := range values {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		out.Stats.Columns = append(out.Stats.Columns, schema.ColumnStats{
			ID: id, Size: sizes[id], Values: values[id], Nulls: nulls[id], NaNs: nans[id], Lower: lower[id], Upper: upper[id],
		})
	}
	return out, nil
}
