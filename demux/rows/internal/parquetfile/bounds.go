package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/format"
)

// bounds are the least and the greatest value, of the type that the leaf has.
type bounds struct {
	any          bool
	minNum       int64
	maxNum       int64
	minF, maxF   float64
	minStr       []byte
	maxStr       []byte
	minHead      uint64 // the first bytes of minStr and maxStr, see head
	maxHead      uint64
	unknown      bool // strings whose bounds nobody needs
	nulls, nans  int64
	values, size int64
}

func (b *bounds) num(v int64) {
	if !b.any {
		b.any, b.minNum, b.maxNum = true, v, v
	}
	b.minNum, b.maxNum = min(b.minNum, v), max(b.maxNum, v)
}

func (b *bounds) double(v float64) {
	if v != v {
		b.nans++
		return
	}
	if !b.any {
		b.any, b.minF, b.maxF = true, v, v
	}
	b.minF, b.maxF = min(b.minF, v), max(b.maxF, v)
}

// str copies what it keeps of v. Most values are told from the bounds by their
// first bytes.
func (b *bounds) str(v []byte) {
	h := head(v)
	if h > b.minHead && h < b.maxHead && b.any {
		return
	}
	b.strSlow(v, h)
}

func (b *bounds) strSlow(v []byte, h uint64) {
	switch {
	case !b.any:
		b.any, b.minStr, b.maxStr, b.minHead, b.maxHead = true, bytes.Clone(v), bytes.Clone(v), h, h
	case bytes.Compare(v, b.minStr) < 0:
		b.minStr, b.minHead = append(b.minStr[:0], v...), h
	case bytes.Compare(v, b.maxStr) > 0:
		b.maxStr, b.maxHead = append(b.maxStr[:0], v...), h
	}
}

// head returns a string's first eight bytes as a number: of two strings, the one
// with the lower head is the lesser. Equal heads tell nothing.
func head(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var h [8]byte
	copy(h[:], v)
	return binary.BigEndian.Uint64(h[:])
}

// merge adds the bounds of another group.
func (b *bounds) merge(o *bounds) {
	b.nulls += o.nulls
	b.nans += o.nans
	b.values += o.values
	b.size += o.size
	b.unknown = b.unknown || o.unknown
	if !o.any {
		return
	}
	if !b.any {
		b.any, b.minNum, b.maxNum, b.minF, b.maxF = true, o.minNum, o.maxNum, o.minF, o.maxF
		b.minStr, b.maxStr, b.minHead, b.maxHead = o.minStr, o.maxStr, o.minHead, o.maxHead
		return
	}
	b.minNum, b.maxNum = min(b.minNum, o.minNum), max(b.maxNum, o.maxNum)
	b.minF, b.maxF = min(b.minF, o.minF), max(b.maxF, o.maxF)
	b.strSlow(o.minStr, o.minHead)
	b.strSlow(o.maxStr, o.maxHead)
}

// maxFooterString is the longest string that a row group's statistics keep:
// the footer must not grow with the records.
const maxFooterString = 64

// clone returns bounds with memory of their own.
func (b *bounds) clone() bounds {
	c := *b
	c.minStr, c.maxStr = bytes.Clone(b.minStr), bytes.Clone(b.maxStr)
	return c
}

// told takes in the bounds of values as statistics say them, and reports whether
// they do. Those of doubles are said only where no value is NaN.
func (b *bounds) told(t format.Type, low, top []byte) bool {
	switch {
	case t == format.Int64 && len(low) == 8 && len(top) == 8:
		b.num(int64(binary.LittleEndian.Uint64(low)))
		b.num(int64(binary.LittleEndian.Uint64(top)))
	case t == format.Int32 && len(low) == 4 && len(top) == 4:
		b.num(int64(int32(binary.LittleEndian.Uint32(low))))
		b.num(int64(int32(binary.LittleEndian.Uint32(top))))
	case t == format.Double && len(low) == 8 && len(top) == 8:
		b.double(math.Float64frombits(binary.LittleEndian.Uint64(low)))
		b.double(math.Float64frombits(binary.LittleEndian.Uint64(top)))
	case t == format.Boolean && len(low) == 1 && len(top) == 1:
		b.num(int64(low[0]))
		b.num(int64(top[0]))
	case t == format.ByteArray && len(low) > 0 && len(top) > 0:
		b.str(low)
		b.str(top)
	default:
		return false
	}
	return true
}

// footer returns the statistics of a row group's leaf.
func (b *bounds) footer(t format.Type) format.Statistics {
	s := format.Statistics{NullCount: b.nulls}
	if !b.any || b.unknown {
		return s
	}
	switch t {
	case format.Int64:
		s.MinValue, s.MaxValue = plainLong(uint64(b.minNum)), plainLong(uint64(b.maxNum))
	case format.Int32:
		s.MinValue, s.MaxValue = schema.DateBound(b.minNum), schema.DateBound(b.maxNum)
	case format.Double:
		if b.nans == 0 {
			lo, hi := b.signed()
			s.MinValue, s.MaxValue = plainLong(math.Float64bits(lo)), plainLong(math.Float64bits(hi))
		}
	case format.Boolean:
		s.MinValue, s.MaxValue = schema.BoolBound(b.minNum != 0), schema.BoolBound(b.maxNum != 0)
	default:
		// An empty value would be left out by the encoder: as no bound.
		if len(b.minStr) > 0 && len(b.minStr) <= maxFooterString && len(b.maxStr) <= maxFooterString {
			s.MinValue, s.MaxValue = append([]byte{}, b.minStr...), append([]byte{}, b.maxStr...)
		}
	}
	return s
}

// signed returns the bounds of doubles with the sign that a zero may have.
func (b *bounds) signed() (lo, hi float64) {
	lo, hi = b.minF, b.maxF
	if lo == 0 {
		lo = math.Copysign(0, -1)
	}
	if hi == 0 {
		hi = 0
	}
	return lo, hi
}

// encode gives the file's statistics of the leaf to its ColumnStats.
func (b *bounds) encode(l *leaf) {
	s := l.stats
	s.Size, s.Values, s.Nulls, s.NaNs = b.size, b.values, b.nulls, b.nans
	if !b.any || b.unknown || l.maxRep > 0 {
		return
	}
	switch l.col.Type {
	case schema.Double:
		lo, hi := b.signed()
		s.Lower, s.Upper = schema.DoubleBound(lo), schema.DoubleBound(hi)
	case schema.Boolean:
		s.Lower, s.Upper = schema.BoolBound(b.minNum != 0), schema.BoolBound(b.maxNum != 0)
	case schema.Date:
		s.Lower, s.Upper = schema.DateBound(b.minNum), schema.DateBound(b.maxNum)
	case schema.String:
		s.Lower, s.Upper = schema.StringLower(string(b.minStr)), schema.StringUpper(string(b.maxStr))
	default:
		s.Lower, s.Upper = schema.LongBound(b.minNum), schema.LongBound(b.maxNum)
	}
}

func plainLong(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
