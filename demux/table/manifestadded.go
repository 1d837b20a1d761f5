package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	iceberg "github.com/apache/iceberg-go"
	"github.com/klauspost/compress/flate"
	"github.com/twmb/avro/ocf"

	"github.com/akupara/akupara/demux/schema"
)

// writeAdded writes a manifest of files that are added, in the order of their times.
// iceberg-go writes one of the first and the last of them, and says by that how it is
// headed and what the list has of it; all of them are written here, which takes a
// tenth of the time.
func (p *producer) writeAdded(uri string, id int32, files []*DataFile) (iceberg.ManifestFile, error) {
	spec, err := p.spec(id)
	if err != nil {
		return nil, err
	}
	ends := files
	if len(files) > 2 {
		ends = []*DataFile{files[0], files[len(files)-1]}
	}
	entries := make([]iceberg.ManifestEntry, len(ends))
	for i, f := range ends {
		d, err := p.a.dataFile(spec, f, p.leaves)
		if err != nil {
			return nil, err
		}
		entries[i] = iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &p.id, nil, nil, d)
	}
	if len(ends) == len(files) {
		return p.writeManifest(uri, spec, entries)
	}
	var head bytes.Buffer
	like, err := iceberg.WriteManifest(uri, &head, 2, spec, p.schema, p.id, entries)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	out, err := p.a.io.Create(uri)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	err = p.writeEntries(out, &head, spec.Field(0).Name, files)
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	rel, err := p.a.io.rel(uri)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	written, ok := p.a.io.sum(rel)
	if !ok {
		return nil, fmt.Errorf("write manifest: nobody knows the size of %s", rel)
	}
	records := int64(0)
	for _, f := range files {
		records += f.Stats.Records
	}
	return iceberg.NewManifestFile(2, uri, written.size, id, p.id).
		AddedFiles(int32(len(files))).AddedRows(records).Partitions(like.Partitions()).Build(), nil
}

// writeEntries writes a manifest of the files that is headed like another one.
func (p *producer) writeEntries(out io.Writer, like io.Reader, partition string, files []*DataFile) (err error) {
	r, err := ocf.NewReader(like)
	if err != nil {
		return err
	}
	defer r.Close()
	head := maps.Clone(r.Metadata())
	maps.DeleteFunc(head, func(key string, _ []byte) bool { return strings.HasPrefix(key, "avro.") })
	w, err := ocf.NewWriter(out, r.Schema(), ocf.WithSchema(r.Schema().String()), ocf.WithMetadata(head), ocf.WithCodec(deflate{}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	d := describer{leaves: p.leaves}
	e := addedEntry{Status: int32(iceberg.EntryStatusADDED), Snapshot: &p.id}
	for _, f := range files {
		e.File = d.describe(f)
		e.File.Path, e.File.Partition = p.a.io.uri(f.Path), map[string]any{partition: int32(f.Partition.N)}
		if err := w.Encode(&e); err != nil {
			return err
		}
	}
	return nil
}

// addedEntry is an entry of a manifest as the Iceberg table spec has it for version 2
// ("Manifests"), of a data file that is added: its sequence numbers are the snapshot's.
type addedEntry struct {
	Status       int32     `avro:"status"`
	Snapshot     *int64    `avro:"snapshot_id"`
	Sequence     *int64    `avro:"sequence_number"`
	FileSequence *int64    `avro:"file_sequence_number"`
	File         addedFile `avro:"data_file"`
}

type addedFile struct {
	Content   int32           `avro:"content"`
	Path      string          `avro:"file_path"`
	Format    string          `avro:"file_format"`
	Partition map[string]any  `avro:"partition"`
	Records   int64           `avro:"record_count"`
	Size      int64           `avro:"file_size_in_bytes"`
	Sizes     *[]countOfField `avro:"column_sizes"`
	Values    *[]countOfField `avro:"value_counts"`
	Nulls     *[]countOfField `avro:"null_value_counts"`
	NaNs      *[]countOfField `avro:"nan_value_counts"`
	Lower     *[]boundOfField `avro:"lower_bounds"`
	Upper     *[]boundOfField `avro:"upper_bounds"`
	Key       *[]byte         `avro:"key_metadata"`
	Splits    *[]int64        `avro:"split_offsets"`
	Equality  *[]int32        `avro:"equality_ids"`
	SortOrder *int32          `avro:"sort_order_id"`
}

type countOfField struct {
	ID int32 `avro:"key"`
	N  int64 `avro:"value"`
}

type boundOfField struct {
	ID int32  `avro:"key"`
	V  []byte `avro:"value"`
}

// describer describes data files, one at a time, with what they tell of leaves.
type describer struct {
	leaves                     map[int]bool
	sizes, values, nulls, nans []countOfField
	lower, upper               []boundOfField
}

// describe says of a file what attempt.dataFile does, but where it is. It holds until
// the next call.
func (d *describer) describe(f *DataFile) addedFile {
	d.sizes, d.values, d.nulls, d.nans = d.sizes[:0], d.values[:0], d.nulls[:0], d.nans[:0]
	d.lower, d.upper = d.lower[:0], d.upper[:0]
	for i := range f.Stats.Columns {
		if c := &f.Stats.Columns[i]; d.leaves[c.ID] {
			d.add(c)
		}
	}
	order := int32(sortByTS)
	return addedFile{
		Format: string(iceberg.ParquetFile), Records: f.Stats.Records, Size: f.Stats.Size,
		Sizes: some(&d.sizes), Values: some(&d.values), Nulls: some(&d.nulls), NaNs: some(&d.nans),
		Lower: some(&d.lower), Upper: some(&d.upper), Splits: some(&f.Stats.SplitOffsets), SortOrder: &order,
	}
}

func (d *describer) add(c *schema.ColumnStats) {
	id := int32(c.ID)
	d.sizes = append(d.sizes, countOfField{id, c.Size})
	d.values = append(d.values, countOfField{id, c.Values})
	d.nulls = append(d.nulls, countOfField{id, c.Nulls})
	if c.NaNs > 0 {
		d.nans = append(d.nans, countOfField{id, c.NaNs})
	}
	if c.Lower != nil {
		d.lower = append(d.lower, boundOfField{id, c.Lower})
	}
	if c.Upper != nil {
		d.upper = append(d.upper, boundOfField{id, c.Upper})
	}
}

// some returns s, or nil where it is empty.
func some[T any](s *[]T) *[]T {
	if len(*s) == 0 {
		return nil
	}
	return s
}

// deflate is Avro's codec of that name, at a level that costs little.
type deflate struct{}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, 2)
	if err != nil {
		panic(err) // the level is ours
	}
	return w
}}

// Name implements ocf.Codec.
func (deflate) Name() string { return "deflate" }

// Compress implements ocf.Codec.
func (deflate) Compress(src []byte) ([]byte, error) {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, err := w.Write(src)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// Decompress implements ocf.Codec.
func (deflate) Decompress(src []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(bytes.NewReader(src)))
}

// Close implements ocf.Codec.
func (deflate) Close() error { return nil }
