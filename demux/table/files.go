package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	iceberg "github.com/apache/iceberg-go"
	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/schema"
)

// File is a data file of the table.
type File struct {
	Path         string // relative to the store's root
	Size         int64  // bytes
	Records      int64
	Partition    Partition
	MinTS, MaxTS time.Time // both inclusive
}

// Files returns the data files that may hold rows with from <= ts < to, ordered
// by time; a nil bound is none. It reads manifests, never data files. When it
// fails with fs.ErrNotExist, the table's version is long gone: open it again.
// ErrDamaged says that a file of it is.
func (t *Table) Files(ctx context.Context, from, to *time.Time) ([]File, error) {
	p := pruner{from: math.MinInt64, to: math.MaxInt64}
	if from != nil {
		p.from = from.UnixMicro()
	}
	if to != nil {
		p.to = ceilMicro(*to)
	}
	if t.meta == nil || t.meta.CurrentSnapshot() == nil || p.from >= p.to {
		return nil, nil
	}
	io := t.io(ctx)
	manifests, err := manifestsOf(io, t.meta.CurrentSnapshot())
	if err != nil {
		return nil, fmt.Errorf("table %s: read manifest list: %w", t.dataType, t.judge(ctx, err))
	}
	ts := t.tsID()
	found := make([][]File, len(manifests))
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, m := range manifests {
		if !p.manifest(t.specs, m) {
			continue
		}
		g.Go(func() error {
			err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
				f, err := t.file(io, m, e.DataFile(), ts)
				if err == nil && f.MinTS.UnixMicro() < p.to && f.MaxTS.UnixMicro() >= p.from {
					found[i] = append(found[i], f)
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("table %s: read manifest: %w", t.dataType, t.judge(ctx, err))
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := slices.Concat(found...)
	slices.SortFunc(out, func(a, b File) int {
		if c := a.MinTS.Compare(b.MinTS); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return out, nil
}

// pruner selects by ts in [from, to), in microseconds.
type pruner struct{ from, to int64 }

// manifest reports whether the manifest may name a file that is wanted, by
// the partitions in its summary.
func (p pruner) manifest(specs specs, m iceberg.ManifestFile) bool {
	if m.ManifestContent() != iceberg.ManifestContentData {
		return false
	}
	lo, hi, ok := partitionsOf(specs, m)
	return !ok || p.from < hi.End().UnixMicro() && p.to > lo.Start().UnixMicro()
}

// partitionsOf returns the first and the last partition that a manifest's
// summary names, if it does.
func partitionsOf(specs specs, m iceberg.ManifestFile) (lo, hi Partition, ok bool) {
	spec, known := specs.byID(m.PartitionSpecID())
	parts := m.Partitions()
	if !known || len(parts) != 1 || parts[0].LowerBound == nil || parts[0].UpperBound == nil ||
		len(*parts[0].LowerBound) != 4 || len(*parts[0].UpperBound) != 4 {
		return lo, hi, false
	}
	number := func(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }
	lo = Partition{Day: isDay(spec), N: number(*parts[0].LowerBound)}
	hi = Partition{Day: isDay(spec), N: number(*parts[0].UpperBound)}
	return lo, hi, true
}

// tsID is the field id of ts, 0 for none.
func (t *Table) tsID() int {
	if i := schema.Find(t.columns, schema.TS); i >= 0 {
		return t.columns[i].ID
	}
	return 0
}

// file describes a data file that m names; where it has no bounds of ts, its
// partition tells.
func (t *Table) file(io *tableIO, m iceberg.ManifestFile, d iceberg.DataFile, ts int) (File, error) {
	bad := func(why string, args ...any) (File, error) {
		p, err := io.rel(m.FilePath())
		if err != nil {
			return File{}, err
		}
		return File{}, damaged(KindManifest, p, why, args...)
	}
	rel, err := io.rel(d.FilePath())
	if err != nil {
		return bad("names a data file outside of the table: %s", d.FilePath())
	}
	spec, ok := t.specs.byID(m.PartitionSpecID())
	if !ok {
		return bad("has a partition spec %d that is none of ours", m.PartitionSpecID())
	}
	part, ok := partitionOf(spec, d.Partition())
	if !ok {
		return bad("has no partition for %s", path.Base(rel))
	}
	lo, hi := part.Start().UnixMicro(), part.End().UnixMicro()-1
	if b := d.LowerBoundValues()[ts]; len(b) == 8 {
		lo = int64(binary.LittleEndian.Uint64(b))
	}
	if b := d.UpperBoundValues()[ts]; len(b) == 8 {
		hi = int64(binary.LittleEndian.Uint64(b))
	}
	return File{
		Path: rel, Size: d.FileSizeBytes(), Records: d.Count(), Partition: part,
		MinTS: time.UnixMicro(lo).UTC(), MaxTS: time.UnixMicro(hi).UTC(),
	}, nil
}

// ceilMicro rounds an exclusive bound up, so that no row is lost by rounding.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}
