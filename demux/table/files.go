package table

import (
	"cmp"
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
	return t.Select(ctx, Wanted{From: from, To: to})
}

// Wanted says which rows are looked for; the zero value wants all.
type Wanted struct {
	From, To *time.Time // From <= ts < To; nil is no bound
	// Texts are what a row has one of, by the field ids of columns of strings.
	Texts map[int][]string
	// Top, where it is above 0, says that the newest rows within the bounds are
	// enough, that many; the oldest, where Oldest is set.
	Top    int64
	Oldest bool
}

// manifestsAtOnce is how many manifests are read at a time.
const manifestsAtOnce = 8

// Select returns the data files that may hold wanted rows, as Files does. It reads no
// more manifests than it needs for them.
func (t *Table) Select(ctx context.Context, w Wanted) ([]File, error) {
	p := pruner{from: math.MinInt64, to: math.MaxInt64, texts: w.Texts}
	if w.From != nil {
		p.from = w.From.UnixMicro()
	}
	if w.To != nil {
		p.to = ceilMicro(*w.To)
	}
	if t.meta == nil || t.meta.CurrentSnapshot() == nil || p.from >= p.to {
		return nil, nil
	}
	io := t.io(ctx)
	manifests, err := manifestsOf(io, t.meta.CurrentSnapshot())
	if err != nil {
		return nil, fmt.Errorf("table %s: read manifest list: %w", t.dataType, t.judge(ctx, err))
	}
	manifests = slices.DeleteFunc(manifests, func(m iceberg.ManifestFile) bool { return !p.manifest(t.specs, m) })
	o := topOrder{t.specs, w.Oldest}
	if w.Top > 0 {
		slices.SortStableFunc(manifests, func(a, b iceberg.ManifestFile) int { return cmp.Compare(o.end(a), o.end(b)) })
	}
	ts := t.tsID()
	var out []File
	for wave := range slices.Chunk(manifests, manifestsAtOnce) {
		if w.Top > 0 && o.end(wave[0]) > o.enough(out, p, w.Top) {
			break
		}
		found := make([][]File, len(wave))
		g, _ := errgroup.WithContext(ctx)
		for i, m := range wave {
			g.Go(func() error {
				err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
					f, err := t.file(io, m, e.DataFile(), ts)
					if err == nil && p.file(f, e.DataFile()) {
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
		out = append(out, slices.Concat(found...)...)
	}
	slices.SortFunc(out, func(a, b File) int {
		if c := a.MinTS.Compare(b.MinTS); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return out, nil
}

// topOrder says how far things are from the end of the table at which the top rows are,
// in microseconds: the larger, the farther.
type topOrder struct {
	specs  specs
	oldest bool
}

// end is how far the first row of a manifest's files may be.
func (o topOrder) end(m iceberg.ManifestFile) int64 {
	lo, hi, ok := partitionsOf(o.specs, m)
	switch {
	case !ok:
		return math.MinInt64
	case o.oldest:
		return lo.Start().UnixMicro()
	}
	return -(hi.End().UnixMicro() - 1)
}

// enough returns how far the rows are at most that are among the top n, as files tell
// that have that many; without end, where they have fewer.
func (o topOrder) enough(files []File, p pruner, n int64) int64 {
	last := func(f *File) int64 { // of its rows
		if o.oldest {
			return f.MaxTS.UnixMicro()
		}
		return -f.MinTS.UnixMicro()
	}
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b File) int { return cmp.Compare(last(&a), last(&b)) })
	for i := range sorted {
		f := &sorted[i]
		if f.MinTS.UnixMicro() < p.from || f.MaxTS.UnixMicro() >= p.to {
			continue // nobody knows how many of its rows are within
		}
		if n -= f.Records; n <= 0 {
			return last(f)
		}
	}
	return math.MaxInt64
}

// pruner selects by ts in [from, to), in microseconds, and by texts.
type pruner struct {
	from, to int64
	texts    map[int][]string
}

// file reports whether a data file may hold a row that is wanted.
func (p pruner) file(f File, d iceberg.DataFile) bool {
	if f.MinTS.UnixMicro() >= p.to || f.MaxTS.UnixMicro() < p.from {
		return false
	}
	for id, texts := range p.texts {
		lower, upper := d.LowerBoundValues()[id], d.UpperBoundValues()[id]
		if !slices.ContainsFunc(texts, func(v string) bool {
			return (lower == nil || v >= string(lower)) && (upper == nil || v <= string(upper))
		}) {
			return false
		}
	}
	return true
}

// manifest reports whether the manifest may name a file that is wanted, by
// the partitions in its summary.
func (p pruner) manifest(specs specs, m iceberg.ManifestFile) bool {
	if m.ManifestContent() != iceberg.ManifestContentData || m.AddedDataFiles() == 0 && m.ExistingDataFiles() == 0 {
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
