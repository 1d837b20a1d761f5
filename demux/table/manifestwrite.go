package table

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	iceberg "github.com/apache/iceberg-go"
	"golang.org/x/sync/errgroup"
)

// addFiles writes the manifests of the files to be added, those of each spec in
// the order of their times. All processors write some: no more entries are in memory
// than are being written.
func (p *producer) addFiles() ([]iceberg.ManifestFile, error) {
	files := make([]*DataFile, len(p.change.add))
	for i := range files {
		files[i] = &p.change.add[i]
	}
	slices.SortFunc(files, func(x, y *DataFile) int {
		return cmp.Or(cmp.Compare(x.Stats.MinTS, y.Stats.MinTS), cmp.Compare(x.Path, y.Path))
	})
	ofSpec := map[int][]*DataFile{}
	size := 1
	for _, f := range files {
		spec, err := p.specs.of(f.Partition)
		if err != nil {
			return nil, err
		}
		p.added.add(f.Stats.Records, f.Stats.Size)
		size = max(size, p.entrySize(f))
		ofSpec[spec.ID()] = append(ofSpec[spec.ID()], f)
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	var out []*iceberg.ManifestFile
	for _, id := range slices.Sorted(maps.Keys(ofSpec)) {
		for part := range slices.Chunk(ofSpec[id], max(1, expectedRatio*maxManifest/size)) {
			m := new(iceberg.ManifestFile)
			out = append(out, m)
			uri := p.nextManifest()
			g.Go(func() (err error) {
				*m, err = p.writeAdded(uri, int32(id), part)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	written := make([]iceberg.ManifestFile, len(out))
	for i, m := range out {
		written[i] = *m
	}
	return written, nil
}

// entrySize returns about how many bytes a manifest has for a file, before
// compression.
func (p *producer) entrySize(f *DataFile) int {
	n := 64 + 2*len(f.Path)
	for i := range f.Stats.Columns[:min(len(f.Stats.Columns), len(p.leaves))] {
		n += 24 + len(f.Stats.Columns[i].Lower) + len(f.Stats.Columns[i].Upper)
	}
	return n
}

// writeManifests writes entries of one spec into manifests of at most n entries.
func (p *producer) writeManifests(id int32, entries []iceberg.ManifestEntry, n int) ([]iceberg.ManifestFile, error) {
	spec, err := p.spec(id)
	if err != nil {
		return nil, err
	}
	var out []iceberg.ManifestFile
	for part := range slices.Chunk(entries, n) {
		m, err := p.writeManifest(p.nextManifest(), spec, part)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (p *producer) spec(id int32) (iceberg.PartitionSpec, error) {
	spec, ok := p.specs.byID(id)
	if !ok {
		return spec, fmt.Errorf("write manifest: the table has no partition spec %d of ours", id)
	}
	return spec, nil
}

// nextManifest returns the URI of a manifest.
func (p *producer) nextManifest() string {
	p.written++
	return p.a.metadataURI(fmt.Sprintf("%s-m%d.avro", p.commit, p.written-1))
}

func (p *producer) writeManifest(uri string, spec iceberg.PartitionSpec, entries []iceberg.ManifestEntry) (m iceberg.ManifestFile, err error) {
	out, err := p.a.io.Create(uri)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	m, err = iceberg.WriteManifest(uri, out, 2, spec, p.schema, p.id, entries)
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return m, nil
}
