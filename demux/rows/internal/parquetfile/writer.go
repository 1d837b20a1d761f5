// Package parquetfile writes Parquet files column by column, from values that
// are in columns already: https://github.com/apache/parquet-format. It knows
// the few types that a table's columns have, encodes with parquet-go's
// encodings and writes parquet-go's metadata structures.
//
// Pages are data pages of version 1, encoded as PLAIN or RLE_DICTIONARY only:
// the delta encodings are smaller for some columns, but Iceberg's vectorized
// reader in Spark refused them for years.
//
// It does not go through parquet-go's column writers because those take each
// value as a 24-byte struct, find dictionary entries anew by hashing, and keep
// a page buffer for every column at once: rows come here with their dictionary
// known, and one page is in memory at a time.
package parquetfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Writer writes one file after the other, reusing its memory. Begin, then for
// each row group BeginGroup, the leaves in the order of the columns (a Map has
// two: its keys, then its values), EndGroup; then End. After an error nothing
// but Begin helps. It is not safe for concurrent use.
type Writer struct {
	out    *bufio.Writer
	to     io.Writer // out, or aside
	offset int64
	crc    uint32 // CRC-32C of what was written to out
	err    error

	cols   []schema.Column
	leaves []leaf
	next   int // leaf that is to be written
	stats  schema.FileStats

	group  format.RowGroup
	groups []format.RowGroup
	rows   int64

	// Indexes says whether files get column and offset indexes.
	Indexes bool
	indexes [][]chunkIndex // by row group and leaf
	filters []filter       // of the row group
	seen    []uint64
	sample  []uint64
	splice  Splice
	copying Chunk
	// Decoder decodes what CopyLeaf must look at.
	Decoder  *Decoder
	copyVals Values

	aside  *bytes.Buffer // what is encoded for another Writer
	header thrift.Encoder
	page   []byte // a page as encoded
	vals   []byte // its values, before its levels are known
	batch  [batchLen][]byte
	packed []byte // and as compressed
	small  numbers
	parts  []part
	codec  codec
	idx    []int32
}

const magic = "PAR1"

// leaf is a column of values: a column, or a map's keys or values.
type leaf struct {
	col            *schema.Column
	id             int
	path           []string
	typ            format.Type
	maxRep, maxDef byte
	bounds         bounds
	stats          *schema.ColumnStats
}

// New makes a Writer.
func New() (*Writer, error) {
	return &Writer{out: bufio.NewWriterSize(nil, 256<<10)}, nil
}

// Begin starts a file. The columns' ids must be set.
func (w *Writer) Begin(out io.Writer, cols []schema.Column) {
	w.out.Reset(out)
	w.to, w.aside = w.out, nil
	w.begins(cols)
}

// begins starts a file, or a part of one aside.
func (w *Writer) begins(cols []schema.Column) {
	w.header.Reset(new(thrift.CompactProtocol).NewWriter(counter{w}))
	w.offset, w.crc, w.err, w.rows = 0, 0, nil, 0
	w.cols, w.leaves, w.groups = cols, w.leaves[:0], nil
	w.indexes, w.filters = nil, w.filters[:0]
	w.stats = schema.FileStats{}
	for i := range cols {
		w.addLeaves(&cols[i])
	}
	w.stats.Columns = make([]schema.ColumnStats, len(w.leaves))
	for i := range w.leaves {
		w.leaves[i].stats = &w.stats.Columns[i]
		w.stats.Columns[i].ID = w.leaves[i].id
	}
	w.write([]byte(magic))
}

func (w *Writer) addLeaves(c *schema.Column) {
	if c.Type == schema.Map {
		w.leaves = append(w.leaves,
			leaf{col: c, id: c.KeyID, path: []string{c.Name, "key_value", "key"}, typ: format.ByteArray, maxRep: 1, maxDef: 2},
			leaf{col: c, id: c.ValueID, path: []string{c.Name, "key_value", "value"}, typ: format.ByteArray, maxRep: 1, maxDef: 3})
		return
	}
	l := leaf{col: c, id: c.ID, path: []string{c.Name}, maxDef: 1}
	if c.Required {
		l.maxDef = 0
	}
	switch c.Type {
	case schema.String:
		l.typ = format.ByteArray
	case schema.Double:
		l.typ = format.Double
	case schema.Boolean:
		l.typ = format.Boolean
	case schema.Date:
		l.typ = format.Int32
	default:
		l.typ = format.Int64
	}
	w.leaves = append(w.leaves, l)
}

// Offset is how many bytes the file has so far.
func (w *Writer) Offset() int64 { return w.offset }

// BeginGroup starts a row group.
func (w *Writer) BeginGroup() {
	w.next = 0
	w.group = format.RowGroup{
		Columns: make([]format.ColumnChunk, 0, len(w.leaves)), FileOffset: w.offset, Ordinal: int16(len(w.groups)),
	}
	w.stats.SplitOffsets = append(w.stats.SplitOffsets, w.offset)
	if w.Indexes {
		w.indexes = append(w.indexes, make([]chunkIndex, 0, len(w.leaves)))
	}
}

// EndGroup ends a row group of n rows.
func (w *Writer) EndGroup(n int) error {
	if w.err == nil && w.next != len(w.leaves) {
		w.err = fmt.Errorf("end row group: %d of %d leaves are written", w.next, len(w.leaves))
	}
	w.group.NumRows = int64(n)
	w.writeFilters()
	for i := range w.group.Columns {
		w.group.TotalByteSize += w.group.Columns[i].MetaData.TotalUncompressedSize
		w.group.TotalCompressedSize += w.group.Columns[i].MetaData.TotalCompressedSize
	}
	w.groups = append(w.groups, w.group)
	w.rows += int64(n)
	return w.err
}

// End writes the file's footer, with these pairs and the checksums of all of the
// file in its metadata, and gives what is known of the file. MinTS and MaxTS are
// left to the caller.
func (w *Writer) End(pairs []Pair) (schema.FileStats, error) {
	w.writeIndexes()
	var kv []format.KeyValue
	for _, p := range pairs {
		kv = append(kv, format.KeyValue(p))
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{
		Version: 1, Schema: w.schemaElements(), NumRows: w.rows, RowGroups: w.groups,
		KeyValueMetadata: append(kv, format.KeyValue{Key: datafile.KeyCRC, Value: datafile.NoCRC}),
		CreatedBy:        datafile.CreatedBy, ColumnOrders: w.orders(),
	})
	if err == nil {
		err = datafile.Seal(footer, w.crc)
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode footer: %w", err)
	}
	w.write(footer)
	w.write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), magic...))
	if w.err == nil {
		w.err = w.out.Flush()
	}
	for i := range w.leaves {
		l := &w.leaves[i]
		l.bounds.encode(l)
	}
	w.stats.Records, w.stats.Size = w.rows, w.offset
	return w.stats, w.err
}

// Pair is a key and a value of a file's metadata.
type Pair struct{ Key, Value string }

func (w *Writer) orders() []format.ColumnOrder {
	o := make([]format.ColumnOrder, len(w.leaves))
	for i := range o {
		o[i].Value = new(format.TypeDefinedOrder)
	}
	return o
}

func (w *Writer) schemaElements() []format.SchemaElement {
	out := []format.SchemaElement{{Name: "table", NumChildren: thrift.New(int32(len(w.cols)))}}
	str := func(name string, id int, rep format.FieldRepetitionType) format.SchemaElement {
		return format.SchemaElement{
			Name: name, FieldID: int32(id), Type: thrift.New(format.ByteArray), RepetitionType: thrift.New(rep),
			ConvertedType: thrift.New(deprecated.UTF8), LogicalType: format.LogicalType{Value: new(format.StringType)},
		}
	}
	for _, c := range w.cols {
		rep := format.Optional
		if c.Required {
			rep = format.Required
		}
		e := format.SchemaElement{Name: c.Name, FieldID: int32(c.ID), RepetitionType: thrift.New(rep)}
		switch c.Type {
		case schema.String:
			e = str(c.Name, c.ID, rep)
		case schema.Long:
			e.Type = thrift.New(format.Int64)
		case schema.Double:
			e.Type = thrift.New(format.Double)
		case schema.Boolean:
			e.Type = thrift.New(format.Boolean)
		case schema.Date:
			e.Type, e.ConvertedType = thrift.New(format.Int32), thrift.New(deprecated.Date)
			e.LogicalType.Value = new(format.DateType)
		case schema.Timestamp:
			e.Type, e.ConvertedType = thrift.New(format.Int64), thrift.New(deprecated.TimestampMicros)
			e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MicroSeconds)}}
		case schema.Map:
			e.NumChildren, e.ConvertedType = thrift.New(int32(1)), thrift.New(deprecated.Map)
			e.LogicalType.Value = new(format.MapType)
			kv := format.SchemaElement{Name: "key_value", NumChildren: thrift.New(int32(2)), RepetitionType: thrift.New(format.Repeated)}
			out = append(out, e, kv, str("key", c.KeyID, format.Required), str("value", c.ValueID, format.Optional))
			continue
		}
		out = append(out, e)
	}
	return out
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.to.Write(b)
	w.offset += int64(n)
	if w.aside == nil {
		w.crc = chunk.AddCRC(w.crc, b)
	}
	w.err = err
}

func (w *Writer) encode(v any) {
	if err := w.header.Encode(v); err != nil && w.err == nil {
		w.err = fmt.Errorf("encode metadata: %w", err)
	}
}

// counter is the Writer as its header encoder sees it.
type counter struct{ w *Writer }

func (c counter) Write(b []byte) (int, error) {
	c.w.write(b)
	return len(b), c.w.err
}
