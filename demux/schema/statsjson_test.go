package schema

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestStatisticsComeBackFromJSON(t *testing.T) {
	for _, want := range []FileStats{
		{},
		{Records: 1, Size: 2, SplitOffsets: []int64{4, 64 << 20}, MinTS: -3, MaxTS: 1 << 60, Columns: []ColumnStats{
			{ID: 1, Size: 1 << 40, Values: 7, Nulls: 6, NaNs: 5, Lower: LongBound(-1), Upper: []byte{}},
			{ID: 1 << 30},
			{ID: 2, Upper: []byte("zz")},
		}},
	} {
		b, err := json.Marshal(&want)
		if err != nil {
			t.Fatal(err)
		}
		var got FileStats
		if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func FuzzColumns(f *testing.F) {
	f.Add(appendColumns(nil, []ColumnStats{{ID: 1, Lower: []byte("a")}, {ID: 2, Size: 1 << 50}}))
	f.Add([]byte{0xff, 0xff, 0x03, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		columns, err := parseColumns(b)
		if err != nil || len(columns) == 0 {
			return
		}
		again, err := parseColumns(appendColumns(nil, columns))
		if err != nil || !reflect.DeepEqual(again, columns) {
			t.Fatalf("%+v came back as %+v, %v", columns, again, err)
		}
	})
}
