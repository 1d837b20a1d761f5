package duck

/*
#include <stdlib.h>

void akuparaStreamBind(void *);
void akuparaStreamInit(void *);
void akuparaStreamLocalInit(void *);
void akuparaStreamNext(void *, void *);
void akuparaStreamFree(void *);
typedef void (*akuparaPointer)(void);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// StreamFunction is the table function whose argument is what AddStream gave; its
// rows are those of the stream.
const StreamFunction = "akupara_stream"

// Stream is a table whose rows come from statements that are run one after the
// other while it is read, so that what they read need not all be there at once.
type Stream struct {
	Columns []StreamColumn
	Rows    int64 // about
	Threads int   // that may read at once
	// Open begins to read it; columns are those that are needed, as indexes. It may be
	// called more than once for one statement.
	Open func(columns []int) (Parts, error)
}

// StreamColumn is a column of a Stream.
type StreamColumn struct {
	Name string
	Type mapping.Type // TypeMap is one of VARCHAR to VARCHAR
}

// Parts gives out what a stream is made of. It is safe for concurrent use.
type Parts interface {
	// Next returns a statement that gives the needed columns, in their order, and a
	// function to be called when its rows are read or not wanted any more. An empty
	// statement says that there are no more.
	Next() (sql string, done func(), err error)
}

// streams are what the connections of a database may read.
type streams struct {
	db   *DB
	mu   sync.Mutex
	next int64
	byID map[int64]*openStream
}

// openStream is a stream of one statement.
type openStream struct {
	ctx    context.Context // of the statement
	db     *DB
	stream Stream

	mu  sync.Mutex
	err error // the first one
}

// EnableStreams registers the function.
func (d *DB) EnableStreams() error {
	c, err := d.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	d.streams = &streams{db: d, byID: map[int64]*openStream{}}
	f := mapping.CreateTableFunction()
	defer mapping.DestroyTableFunction(&f)
	mapping.TableFunctionSetName(f, StreamFunction)
	id := mapping.CreateLogicalType(mapping.TypeBigInt)
	defer mapping.DestroyLogicalType(&id)
	mapping.TableFunctionAddParameter(f, id)
	mapping.TableFunctionSupportsProjectionPushdown(f, true)
	mapping.TableFunctionSetExtraInfo(f, newHandle(d.streams), freeHandle)
	mapping.TableFunctionSetBind(f, unsafe.Pointer(C.akuparaPointer(C.akuparaStreamBind)))
	mapping.TableFunctionSetInit(f, unsafe.Pointer(C.akuparaPointer(C.akuparaStreamInit)))
	mapping.TableFunctionSetLocalInit(f, unsafe.Pointer(C.akuparaPointer(C.akuparaStreamLocalInit)))
	mapping.TableFunctionSetFunction(f, unsafe.Pointer(C.akuparaPointer(C.akuparaStreamNext)))
	if mapping.RegisterTableFunction(c.conn, f) == mapping.StateError {
		return fmt.Errorf("register the table function %s", StreamFunction)
	}
	return nil
}

// AddStream makes a stream readable as StreamFunction(id) until remove is called,
// which returns why reading it failed, where it did. ctx ends what reads it.
func (d *DB) AddStream(ctx context.Context, s Stream) (id int64, remove func() error) {
	o := &openStream{ctx: ctx, db: d, stream: s}
	t := d.streams
	t.mu.Lock()
	t.next++
	id = t.next
	t.byID[id] = o
	t.mu.Unlock()
	return id, func() error {
		t.mu.Lock()
		delete(t.byID, id)
		t.mu.Unlock()
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.err
	}
}

func (o *openStream) fail(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	return err
}

// Go's values are known to DuckDB by a handle in memory of C.
var freeHandle = unsafe.Pointer(C.akuparaPointer(C.akuparaStreamFree))

func newHandle(v any) unsafe.Pointer {
	p := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(p) = cgo.NewHandle(v)
	return p
}

func fromHandle[T any](p unsafe.Pointer) T { return (*(*cgo.Handle)(p)).Value().(T) }

//export akuparaStreamFree
func akuparaStreamFree(p unsafe.Pointer) {
	h := *(*cgo.Handle)(p)
	if r, ok := h.Value().(*streamReader); ok {
		r.close()
	}
	h.Delete()
	C.free(p)
}

//export akuparaStreamBind
func akuparaStreamBind(p unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: p}
	t := fromHandle[*streams](mapping.BindGetExtraInfo(info))
	v := mapping.BindGetParameter(info, 0)
	id := mapping.GetInt64(v)
	mapping.DestroyValue(&v)
	t.mu.Lock()
	o := t.byID[id]
	t.mu.Unlock()
	if o == nil {
		mapping.BindSetError(info, "there is no such stream")
		return
	}
	for _, c := range o.stream.Columns {
		typ := logicalType(c.Type)
		mapping.BindAddResultColumn(info, c.Name, typ)
		mapping.DestroyLogicalType(&typ)
	}
	mapping.BindSetCardinality(info, mapping.IdxT(o.stream.Rows), false)
	mapping.BindSetBindData(info, newHandle(o), freeHandle)
}

func logicalType(t mapping.Type) mapping.LogicalType {
	if t != mapping.TypeMap {
		return mapping.CreateLogicalType(t)
	}
	text := mapping.CreateLogicalType(mapping.TypeVarchar)
	defer mapping.DestroyLogicalType(&text)
	return mapping.CreateMapType(text, text)
}

// streamScan is one reading of a stream, by several threads.
type streamScan struct {
	o       *openStream
	parts   Parts
	columns int
}

//export akuparaStreamInit
func akuparaStreamInit(p unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: p}
	o := fromHandle[*openStream](mapping.InitGetBindData(info))
	var columns []int
	for i := range mapping.InitGetColumnCount(info) {
		// Where no column is needed, DuckDB asks for one that is not there.
		if n := mapping.InitGetColumnIndex(info, i); n < mapping.IdxT(len(o.stream.Columns)) {
			columns = append(columns, int(n))
		}
	}
	parts, err := o.stream.Open(columns)
	if err != nil {
		mapping.InitSetError(info, o.fail(err).Error())
		return
	}
	mapping.InitSetMaxThreads(info, mapping.IdxT(o.stream.Threads))
	mapping.InitSetInitData(info, newHandle(&streamScan{o, parts, len(columns)}), freeHandle)
}

// streamReader is one thread's part of a scan.
type streamReader struct {
	conn *Conn
	rows *Rows
	done func()
}

//export akuparaStreamLocalInit
func akuparaStreamLocalInit(p unsafe.Pointer) {
	mapping.InitSetInitData(mapping.InitInfo{Ptr: p}, newHandle(&streamReader{}), freeHandle)
}

//export akuparaStreamNext
func akuparaStreamNext(p, out unsafe.Pointer) {
	info := mapping.FunctionInfo{Ptr: p}
	scan := fromHandle[*streamScan](mapping.FunctionGetInitData(info))
	reader := fromHandle[*streamReader](mapping.FunctionGetLocalInitData(info))
	if err := reader.next(scan, mapping.DataChunk{Ptr: out}); err != nil {
		mapping.FunctionSetError(info, scan.o.fail(err).Error())
	}
}

// next puts rows into out; none at the end.
func (r *streamReader) next(scan *streamScan, out mapping.DataChunk) error {
	for {
		if err := scan.o.ctx.Err(); err != nil {
			return err
		}
		if r.rows == nil {
			sql, done, err := scan.parts.Next()
			if err != nil {
				return err
			}
			if sql == "" {
				mapping.DataChunkSetSize(out, 0)
				return nil
			}
			r.done = done
			if err := r.begin(scan, sql); err != nil {
				return err
			}
		}
		n, err := r.rows.pass(out, scan.columns)
		if n > 0 || err != nil {
			return err
		}
		r.end()
	}
}

func (r *streamReader) begin(scan *streamScan, sql string) (err error) {
	if r.conn == nil {
		if r.conn, err = scan.o.db.Connect(); err != nil {
			return err
		}
	}
	r.rows, err = r.conn.Query(scan.o.ctx, sql)
	return err
}

// end is after the rows of a part.
func (r *streamReader) end() {
	if r.rows != nil {
		_ = r.rows.Close() // pass has told
		r.rows = nil
	}
	if r.done != nil {
		r.done()
		r.done = nil
	}
}

func (r *streamReader) close() {
	r.end()
	if r.conn != nil {
		r.conn.Close()
	}
}

// pass hands the next rows to another chunk, which shares their memory.
func (r *Rows) pass(out mapping.DataChunk, columns int) (n mapping.IdxT, err error) {
	r.drop()
	r.chunk = mapping.FetchChunk(r.res)
	if r.chunk.Ptr == nil {
		if msg := mapping.ResultError(&r.res); msg != "" {
			return 0, r.failure(msg)
		}
		return 0, nil
	}
	n = mapping.DataChunkGetSize(r.chunk)
	if has := int(mapping.DataChunkGetColumnCount(r.chunk)); has < columns {
		return 0, errors.New("a part of a stream has too few columns")
	}
	for i := range columns {
		mapping.VectorReferenceVector(mapping.DataChunkGetVector(out, mapping.IdxT(i)), mapping.DataChunkGetVector(r.chunk, mapping.IdxT(i)))
	}
	mapping.DataChunkSetSize(out, n)
	return n, nil
}
