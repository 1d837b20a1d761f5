package parquetfile

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/rle"
)

// TestLevelsAreGivenBack holds what is said of levels that are all alike against those
// that differ in one.
func TestLevelsAreGivenBack(t *testing.T) {
	const highest = 3
	for _, n := range []int{1, 7, 8, 9, 64, 1001} {
		for level := range byte(highest + 1) {
			for _, other := range []int{-1, 0, n / 2, n - 1} {
				want := bytes.Repeat([]byte{level}, n)
				rep := make([]byte, n)
				if other >= 0 {
					want[other] = (level + 1) % (highest + 1)
					rep[other] = min(1, byte(other))
				}
				enc := rle.Encoding{BitWidth: 2}
				runs, err := enc.EncodeLevels(nil, want)
				if err != nil {
					t.Fatal(err)
				}
				parted := append([]byte{byte(len(runs)), byte(len(runs) >> 8), 0, 0}, runs...)
				for i, def := range [][]byte{appendLevels(nil, want, 0, n, highest), parted} {
					name := fmt.Sprintf("%d levels of %d, all but the %d-th, encoded in way %d", n, level, other, i)
					var v Values
					body := append(append(appendLevels(nil, rep, 0, n, 1), def...), "values"...)
					if err := v.Decode(&Page{Values: n, Plain: true}, body, 1, highest, 0); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if v.Present != count(want, highest) || string(v.Data) != "values" {
						t.Fatalf("%s: %d have a value, should be %d; %q is left", name, v.Present, count(want, highest), v.Data)
					}
					if got := appendOrFill(nil, v.Def, highest, n); !bytes.Equal(got, want) {
						t.Fatalf("%s: decoded as %v", name, got)
					}
					if got := appendOrFill(nil, v.Rep, 0, n); !bytes.Equal(got, rep) {
						t.Fatalf("%s: rows begin as %v, should be %v", name, got, rep)
					}
				}
			}
		}
	}
}
