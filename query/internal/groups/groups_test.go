package groups

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

type row struct {
	TS   time.Time         `parquet:"ts,timestamp(microsecond),id(1)"`
	Tags map[string]string `parquet:"tags,id(2)" parquet-key:",id(3)" parquet-value:",id(4)"`
	ID   string            `parquet:"id,id(5)"`
	Host *string           `parquet:"host,optional,id(6)"`
}

// written is a file of three row groups of 100 rows, written by parquet-go.
func written(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.BloomFilters(parquet.SplitBlockFilter(20, "id")))
	for g := range 3 {
		host := fmt.Sprintf("h%d", g)
		for i := range 100 {
			r := row{TS: time.UnixMicro(int64(1000*g + i)), ID: fmt.Sprintf("%d-%d", (i*7+g)%100, g), Tags: map[string]string{"a": "b"}}
			if g < 2 {
				r.Host = &host
			}
			if _, err := w.Write([]row{r}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRowGroupsWithoutATextAreKnown(t *testing.T) {
	file := written(t)
	for _, c := range []struct {
		texts []Texts
		want  string // of each row group: has it, bounded, bloomed
	}{
		{nil, "+++"},
		{[]Texts{{5, []string{"50-1"}}}, "f+f"},
		{[]Texts{{5, []string{"50-1", "7-2"}}}, "f++"},
		{[]Texts{{5, []string{"50-7"}}}, "fff"},
		{[]Texts{{5, []string{"z"}}}, "bbb"},
		{[]Texts{{5, []string{"z", "50-0"}}}, "+ff"},
		{[]Texts{{6, []string{"h1"}}}, "b++"}, // nothing is known of nulls alone
		{[]Texts{{6, []string{"h1"}}, {5, []string{"50-1"}}}, "b+f"},
		{[]Texts{{3, []string{"z"}}, {99, []string{"z"}}}, "+++"}, // parts of a column, or none
	} {
		list, err := Read(bytes.NewReader(file), int64(len(file)), 1, c.texts)
		if err != nil || len(list) != 3 {
			t.Fatalf("%v: got %v, %v", c.texts, list, err)
		}
		got := ""
		for i, g := range list {
			if g.Rows != 100 || g.MinTS != int64(1000*i) || g.MaxTS != int64(1000*i+99) {
				t.Errorf("row group %d: got %+v", i, g)
			}
			switch {
			case g.Bounded:
				got += "b"
			case g.Bloomed:
				got += "f"
			default:
				got += "+"
			}
		}
		if got != c.want {
			t.Errorf("%v: got %s, want %s", c.texts, got, c.want)
		}
	}
	if _, err := Read(bytes.NewReader(file), int64(len(file)), 7, nil); err == nil {
		t.Error("a file without ts has row groups with bounds of it")
	}
}

func TestDamagedFootersAreErrors(t *testing.T) {
	file := written(t)
	texts := []Texts{{5, []string{"50-1"}}}
	for n := range len(file) {
		if n < 100 || n > len(file)-100 {
			if _, err := Read(bytes.NewReader(file[:n]), int64(n), 1, texts); err == nil {
				t.Fatalf("the first %d bytes of %d are taken for a file", n, len(file))
			}
		}
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 2000 { // and no panic
		b := bytes.Clone(file)
		for range 1 + rnd.IntN(3) {
			b[len(b)-1-rnd.IntN(min(len(b), 2000))] ^= 1 << rnd.IntN(8)
		}
		_, _ = Read(bytes.NewReader(b), int64(len(b)), 1, texts)
	}
}
