package table

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestFilesAreSelectedByTime(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	for i := range 34 { // beyond what makes Iceberg merge manifests
		tbl = mustCommit(t, w, tbl, fmt.Sprintf("run-%d", i), i)
	}
	wantRuns(t, tbl, 34)
	at := func(minute, sec int) *time.Time {
		x := start.Add(time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second)
		return &x
	}
	for _, c := range []struct {
		from, to *time.Time
		want     int
	}{
		{nil, nil, 34},
		{at(0, 0), at(5, 0), 1},
		{at(10, 9), at(20, 0), 1}, // the last row of the second file
		{at(10, 10), at(20, 0), 0},
		{at(10, 10), at(20, 1), 1},
		{at(-60, 0), at(0, 0), 0},
		{at(60, 0), nil, 28},
		{nil, at(60, 0), 6},
		{nil, at(60, 1), 7},
		{at(9000, 0), nil, 0},
		{at(5, 0), at(5, 0), 0},
	} {
		got, err := tbl.Files(t.Context(), c.from, c.to)
		if err != nil || len(got) != c.want {
			t.Errorf("files in [%v, %v): got %d, %v, want %d", c.from, c.to, len(got), err, c.want)
		}
		if !slices.IsSortedFunc(got, func(a, b File) int { return a.MinTS.Compare(b.MinTS) }) {
			t.Errorf("files in [%v, %v) are not in order", c.from, c.to)
		}
	}
	if got, err := tbl.Files(t.Context(), at(0, 0), at(5, 0)); err != nil || !got[0].MinTS.Equal(start) ||
		!got[0].MaxTS.Equal(start.Add(9*time.Second)) || got[0].Records != 10 || got[0].Partition != HourPartition(start.UnixMicro()) {
		t.Errorf("first file: got %+v, %v", got, err)
	}
}

func TestPartitions(t *testing.T) {
	for ts, want := range map[int64][2]int{
		0: {0, 0}, 3600e6 - 1: {0, 0}, 3600e6: {1, 0}, -1: {-1, -1}, -3600e6: {-1, -1}, -3600e6 - 1: {-2, -1},
		24*3600e6 - 1: {23, 0}, 24 * 3600e6: {24, 1}, -24*3600e6 - 1: {-25, -2},
	} {
		hour, day := HourPartition(ts), DayPartition(ts)
		if hour != (Partition{N: want[0]}) || day != (Partition{Day: true, N: want[1]}) {
			t.Errorf("partitions of %d µs: got %+v, %+v, want %v", ts, hour, day, want)
		}
		for _, p := range []Partition{hour, day} {
			if !p.Holds(ts) || p.Holds(p.Start().UnixMicro()-1) || p.Holds(p.End().UnixMicro()) {
				t.Errorf("%s, from %v to %v, and %d µs do not fit", p, p.Start(), p.End(), ts)
			}
			if got, ok := folderPartition(p.String()); !ok || got != p {
				t.Errorf("folder %s: got %v, %v", p, got, ok)
			}
		}
	}
	for _, name := range []string{"", "ts_hour=", "ts_day=2026-03-01-10", "ts_hour=2026-03-01", "x=2026-03-01"} {
		if got, ok := folderPartition(name); ok {
			t.Errorf("folder %q: got %v, want none", name, got)
		}
	}
}
