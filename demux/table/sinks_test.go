package table

import (
	"reflect"
	"testing"

	"github.com/akupara/akupara/chunk"
)

func TestSinksAreReadAsTheyAreWritten(t *testing.T) {
	want := []Sink{
		{"20260101T000000.000000Z-c0.1-000001", 7, chunk.Ranges{{First: 0, Last: 1}}},
		{"20260101T000000.000000Z-c0.1-000002", 0xfedcba98, chunk.Ranges{{First: 2, Last: 5}, {First: 7, Last: 8}}},
	}
	prop := formatSinks(append(want, Sink{Segment: "20260101T000000.000000Z-c0.1-000003"}))
	got, err := parseSinks(prop)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, %v, want %v", prop, got, err, want)
	}
	if got, err := parseSinks(""); err != nil || got != nil {
		t.Errorf("none: got %v, %v", got, err)
	}
	for _, bad := range []string{"x", "x:00000000", "x:00000000:", "x:00000000:3-1", "x:0000000g:0-1", "x:00000000:0-1,", "../x:00000000:0-1"} {
		if got, err := parseSinks(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestACommitTellsOfSinksAnew(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w.FS)
	for i, sinks := range [][]Sink{{{"a", 1, chunk.Ranges{{First: 0, Last: 3}}}}, nil} {
		next, err := tbl.Commit(t.Context(), Commit{RunID: []string{"r1", "r2"}[i], Delta: delta("s", int64(i), int64(i)+1), Sinks: sinks})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := next.Sinks(); err != nil || !reflect.DeepEqual(got, sinks) {
			t.Errorf("commit %d: got %v, %v, want %v", i, got, err, sinks)
		}
		tbl = next
	}
}
