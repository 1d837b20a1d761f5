package rows

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// TestValuesThatRepeatFarApartHaveADictionary writes columns whose values repeat
// seldom among near rows, and often in a row group, beside some that don't.
func TestValuesThatRepeatFarApartHaveADictionary(t *testing.T) {
	const n = 60_000
	rnd := rand.New(rand.NewPCG(1, 2))
	scatter := func(k int) uint64 { return uint64(k) * 0x9E3779B97F4A7C15 >> 1 }
	id := func(k int) string { return fmt.Sprintf("%016x", scatter(k)) }
	some := func(int) int { return rnd.IntN(9000) }
	all := func(i int) int { return i }
	want := map[string]bool{
		"strings": true, "late_strings": true, "longs": true, "doubles": true,
		"own_strings": false, "own_longs": false, "own_doubles": false,
	}
	b := NewBuilder(Options{})
	texts := make([]map[string]string, n)
	for i := range n {
		b.Origin("h", "/s", "st", nil)
		b.Row(1_000_000+int64(i), int64(i))
		texts[i] = map[string]string{}
		putText := func(name, v string) {
			b.Column(name).String([]byte(v))
			texts[i][name] = v
		}
		putNumber := func(name string, k int) {
			b.Column(name).Long(int64(scatter(k)))
			texts[i][name] = strconv.FormatInt(int64(scatter(k)), 10)
		}
		putDouble := func(name string, k int) {
			v := math.Sqrt(float64(k) + 0.5)
			b.Column(name).Double(v, nil)
			texts[i][name] = string(AppendDouble(nil, v))
		}
		late := some(i)
		if i < 5000 {
			late = 1e6 + i // does not repeat
		}
		putText("strings", id(some(i)))
		putText("late_strings", id(late))
		putText("own_strings", id(all(i)))
		putNumber("longs", some(i))
		putNumber("own_longs", all(i))
		putDouble("doubles", some(i))
		putDouble("own_doubles", all(i))
	}
	_, mem := writeAll(t, b, plan(b), Layout{})
	f, err := parquet.OpenFile(bytes.NewReader(mem[0].Bytes()), int64(mem[0].Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range f.Schema().Columns() {
		dict, checked := want[c[0]]
		if !checked {
			continue
		}
		got := false
		for _, e := range f.Metadata().RowGroups[0].Columns[i].MetaData.Encoding {
			got = got || e == format.RLEDictionary
		}
		if got != dict {
			t.Errorf("column %s has a dictionary: got %v, want %v", c[0], got, dict)
		}
	}
	for i, row := range read(t, mem[0]) {
		for name, v := range texts[i] {
			if row[name] != v {
				t.Fatalf("row %d, column %s: got %s, want %s", i, name, row[name], v)
			}
		}
	}
}
