package schema

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// fileStats is FileStats as JSON: its columns are bytes, which results of very many
// tasks take a third of, and a tenth of the time to read.
type fileStats struct {
	Records      int64   `json:"records"`
	Size         int64   `json:"size"`
	SplitOffsets []int64 `json:"splits,omitempty"`
	MinTS        int64   `json:"min_ts"`
	MaxTS        int64   `json:"max_ts"`
	Columns      []byte  `json:"columns,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (s FileStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(fileStats{s.Records, s.Size, s.SplitOffsets, s.MinTS, s.MaxTS, appendColumns(nil, s.Columns)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *FileStats) UnmarshalJSON(b []byte) error {
	var x fileStats
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	columns, err := parseColumns(x.Columns)
	if err != nil {
		return fmt.Errorf("statistics of columns: %w", err)
	}
	*s = FileStats{x.Records, x.Size, x.SplitOffsets, x.MinTS, x.MaxTS, columns}
	return nil
}

// appendColumns writes how many columns there are; of each its numbers as varints,
// then its bounds: their length plus one, 0 for none, and these.
func appendColumns(b []byte, columns []ColumnStats) []byte {
	if len(columns) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(columns)))
	for i := range columns {
		c := &columns[i]
		for _, n := range [...]int64{int64(c.ID), c.Size, c.Values, c.Nulls, c.NaNs} {
			b = binary.AppendVarint(b, n)
		}
		for _, bound := range [...][]byte{c.Lower, c.Upper} {
			if bound == nil {
				b = append(b, 0)
				continue
			}
			b = binary.AppendUvarint(b, uint64(len(bound))+1)
			b = append(b, bound...)
		}
	}
	return b
}

var errColumns = errors.New("they are cut off, or too many")

// parseColumns reads what appendColumns wrote. Bounds are parts of b.
func parseColumns(b []byte) ([]ColumnStats, error) {
	if len(b) == 0 {
		return nil, nil
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return nil, errColumns
	}
	b = b[size:]
	out := make([]ColumnStats, n)
	for i := range out {
		c := &out[i]
		var id int64
		for _, to := range [...]*int64{&id, &c.Size, &c.Values, &c.Nulls, &c.NaNs} {
			if *to, size = binary.Varint(b); size <= 0 {
				return nil, errColumns
			}
			b = b[size:]
		}
		c.ID = int(id)
		for _, to := range [...]*[]byte{&c.Lower, &c.Upper} {
			n, size := binary.Uvarint(b)
			if size <= 0 || n > uint64(len(b)-size)+1 {
				return nil, errColumns
			}
			b = b[size:]
			if n > 0 {
				*to, b = b[:n-1:n-1], b[n-1:]
			}
		}
	}
	if len(b) > 0 {
		return nil, errColumns
	}
	return out, nil
}
