// Package rowstest reads data files back, for tests, by means that share no
// code with what wrote them.
package rowstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Null is how Read gives null.
const Null = "<null>"

// Read returns the rows of a Parquet file as parquet-go reads them: the values'
// texts by column; a map as "key=value" pairs with a space after each, null
// and the empty map alike as "".
func Read(file []byte) ([]map[string]string, error) {
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("open Parquet file: %w", err)
	}
	paths := f.Schema().Columns()
	r := parquet.NewReader(f)
	defer r.Close()
	buf := make([]parquet.Row, 1)
	var out []map[string]string
	for {
		n, err := r.ReadRows(buf)
		if n == 0 {
			if !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read row %d: %w", len(out), err)
			}
			break
		}
		row, keys := map[string]string{}, []string{}
		for _, v := range buf[0] {
			switch p := paths[v.Column()]; {
			case len(p) == 1 && v.IsNull():
				row[p[0]] = Null
			case len(p) == 1:
				row[p[0]] = v.String()
			case v.IsNull():
				keys = keys[:0]
			case p[2] == "key":
				keys = append(keys, v.String())
			default:
				row[p[0]] += keys[0] + "=" + v.String() + " "
				keys = keys[1:]
			}
		}
		out = append(out, row)
	}
	if int64(len(out)) != f.NumRows() {
		return nil, fmt.Errorf("got %d rows, the footer says %d", len(out), f.NumRows())
	}
	return out, nil
}
