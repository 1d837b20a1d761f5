package duck

/*
void akuparaFloor(void *, void *, void *);
typedef void (*akuparaFunction)(void);
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// FloorFunction is a function of a TIMESTAMP WITH TIME ZONE, a width and a shift, both
// in microseconds: of all times that are the shift before a multiple of the width since
// 1970, the latest that is not after the time. An infinite time is its own, and so is
// any where the width is not above 0.
//
// DuckDB's own division and make_timestamptz give the same, row by row. Rows of a log
// come sorted by time: here a chunk of them that is within one width is one
// constant, which DuckDB then counts or groups at once.
const FloorFunction = "akupara_floor"

// EnableFloor registers the function.
func (d *DB) EnableFloor() error {
	c, err := d.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	f := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&f)
	ts, width := mapping.CreateLogicalType(mapping.TypeTimestampTZ), mapping.CreateLogicalType(mapping.TypeBigInt)
	defer mapping.DestroyLogicalType(&ts)
	defer mapping.DestroyLogicalType(&width)
	mapping.ScalarFunctionSetName(f, FloorFunction)
	mapping.ScalarFunctionAddParameter(f, ts)
	mapping.ScalarFunctionAddParameter(f, width)
	mapping.ScalarFunctionAddParameter(f, width)
	mapping.ScalarFunctionSetReturnType(f, ts)
	mapping.ScalarFunctionSetFunction(f, unsafe.Pointer(C.akuparaFunction(C.akuparaFloor)))
	if mapping.RegisterScalarFunction(c.conn, f) == mapping.StateError {
		return fmt.Errorf("register the function %s", FloorFunction)
	}
	return nil
}

// akuparaFloor is the function over a chunk.
//
//export akuparaFloor
func akuparaFloor(_, input, output unsafe.Pointer) {
	in, out := mapping.DataChunk{Ptr: input}, mapping.Vector{Ptr: output}
	n := int(mapping.DataChunkGetSize(in))
	if n == 0 {
		return
	}
	var args [3][]int64
	nulls := false
	for i := range args {
		v := mapping.DataChunkGetVector(in, mapping.IdxT(i))
		args[i] = unsafe.Slice((*int64)(mapping.VectorGetData(v)), n)
		valid := mapping.VectorGetValidity(v)
		for row := 0; valid != nil && row < n; row++ {
			if !mapping.ValidityMaskValueIsValid(valid, mapping.IdxT(row)) {
				if !nulls {
					mapping.VectorEnsureValidityWritable(out)
					nulls = true
				}
				mapping.ValiditySetRowInvalid(mapping.VectorGetValidity(out), mapping.IdxT(row))
			}
		}
	}
	if at, ok := oneFloor(args[0], args[1], args[2]); ok && !nulls {
		v := mapping.CreateTimestampTZ(mapping.NewTimestamp(at))
		mapping.VectorReferenceValue(out, v)
		mapping.DestroyValue(&v)
		return
	}
	floors(unsafe.Slice((*int64)(mapping.VectorGetData(out)), n), args[0], args[1], args[2])
}

// own reports whether a time is its own floor.
func own(t, width int64) bool { return width <= 0 || t == math.MaxInt64 || t == -math.MaxInt64 }

// oneFloor returns what all of the times have as their floor, if it is one.
func oneFloor(ts, widths, shifts []int64) (at int64, ok bool) {
	width, shift := widths[0], shifts[0]
	if own(ts[0], width) {
		return 0, false
	}
	at = floor(ts[0], width, shift)
	for i, t := range ts {
		// As one comparison: times before it wrap around.
		if uint64(t-at) >= uint64(width) || widths[i] != width || shifts[i] != shift {
			return 0, false
		}
	}
	return at, true
}

// floors sets out to the floors of the times.
func floors(out, ts, widths, shifts []int64) {
	var at, width, shift int64 // of the row before
	for i, t := range ts {
		switch {
		case widths[i] == width && shifts[i] == shift && uint64(t-at) < uint64(width):
		case own(t, widths[i]):
			out[i] = t
			continue
		default:
			width, shift = widths[i], shifts[i]
			at = floor(t, width, shift)
		}
		out[i] = at
	}
}

func floor(t, width, shift int64) int64 {
	r := (t + shift) % width
	if r < 0 {
		r += width
	}
	return t - r
}
