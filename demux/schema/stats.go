package schema

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// FileStats is what the writer of a data file tells of it, so that a commit
// and a query need not open it.
type FileStats struct {
	Records      int64
	Size         int64   // bytes
	SplitOffsets []int64 // where each row group starts, ascending; bytes
	MinTS, MaxTS int64   // microseconds; of no meaning when Records is 0
	Columns      []ColumnStats
}

// ColumnStats tells of one leaf: a column, or a map's keys or values.
type ColumnStats struct {
	ID     int   // field id of the leaf
	Size   int64 // compressed bytes of all its pages
	Values int64 // including nulls
	Nulls  int64
	NaNs   int64 // of a Double
	// Lower and Upper bound the values that are neither null nor NaN, as the
	// functions below encode them; nil means unknown. Give none for the leaves
	// of a map.
	Lower, Upper []byte
}

// MaxStringBound is the most bytes of a string that a bound keeps.
const MaxStringBound = 16

// Bounds are encoded as Iceberg's "binary single-value serialization" (table
// spec, appendix D).

// LongBound encodes a bound of a Long or Timestamp (microseconds).
func LongBound(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

// DateBound encodes a bound of a Date.
func DateBound(days int64) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(int32(days))) }

// DoubleBound encodes a bound of a Double; nil for NaN.
func DoubleBound(v float64) []byte {
	if math.IsNaN(v) {
		return nil
	}
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
}

// BoolBound encodes a bound of a Boolean.
func BoolBound(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// StringLower encodes a lower bound of a String: its first characters.
func StringLower(s string) []byte { return append([]byte{}, prefix(s)...) }

// StringUpper encodes an upper bound of a String: s, or, when that is too
// long, a short string that sorts after all that start as s does. It is nil
// when there is none.
func StringUpper(s string) []byte {
	p := prefix(s)
	if len(p) == len(s) {
		return append([]byte{}, s...)
	}
	for len(p) > 0 {
		r, size := utf8.DecodeLastRuneInString(p)
		if r == utf8.RuneError && size <= 1 {
			return nil // not UTF-8: nothing is said
		}
		p = p[:len(p)-size]
		r++
		if r == 0xD800 { // the surrogates are no characters
			r = 0xE000
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune([]byte(p), r)
		}
	}
	return nil
}

// prefix is the longest start of s that ends with a whole character and has at
// most MaxStringBound bytes.
func prefix(s string) string {
	if len(s) <= MaxStringBound {
		return s
	}
	n := MaxStringBound
	for n > MaxStringBound-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
