package compact

import (
	"fmt"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/table"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// life is a table's list of files over the time, without the files.
type life struct {
	r       *runner
	now     time.Time
	files   []table.File
	n       int
	written int64          // bytes by merges
	merges  map[string]int // how often a file's oldest row was merged
}

func newLife() *life {
	l := &life{now: begin, merges: map[string]int{}}
	l.r = &runner{Options: Options{FileBytes: defaultFileBytes, Skip: &Skip{}, Now: func() time.Time { return l.now }}}
	return l
}

// commit adds a file with rows from at on.
func (l *life) commit(at time.Time, long time.Duration, size int64) {
	end := at.Add(long)
	for at.Before(end) { // a file an hour
		part := table.HourPartition(at.UnixMicro())
		last := end
		if part.End().Before(end) {
			last = part.End()
		}
		l.n++
		path := table.DataPath("x", part, fmt.Sprintf("%08d-%06x", l.n, l.n), 0)
		share := int64(float64(size) * float64(last.Sub(at)) / float64(long))
		l.files = append(l.files, table.File{Path: path, Size: max(1, share), Records: 1 + share/40, Partition: part, MinTS: at, MaxTS: last.Add(-time.Microsecond)})
		at = last
	}
}

// compact does what is due, until nothing is.
func (l *life) compact(t *testing.T) {
	t.Helper()
	for round := 0; ; round++ {
		due := l.r.plan(l.files)
		if len(due) == 0 {
			return
		}
		if round > maxRounds {
			t.Fatalf("at %v more is due after %d rounds", l.now, round)
		}
		for _, b := range due {
			l.n++
			out := table.File{
				Path: table.DataPath("x", b.part, fmt.Sprintf("%08d-%06x-%s", l.n, l.n, levelNames[b.level]), 0),
				Size: b.bytes, Partition: b.part, MinTS: b.files[0].MinTS,
			}
			gone := map[string]bool{}
			for _, f := range b.files {
				out.Records += f.Records
				if !b.part.Holds(f.MinTS.UnixMicro()) || !b.part.Holds(f.MaxTS.UnixMicro()) {
					t.Fatalf("file %s does not belong to %s", f.Path, b.part)
				}
				gone[f.Path] = true
				if f.MaxTS.After(out.MaxTS) {
					out.MaxTS = f.MaxTS
				}
				l.merges[out.Path] = max(l.merges[out.Path], l.merges[f.Path]+1)
			}
			l.written += b.bytes
			var kept []table.File
			for _, f := range l.files {
				if !gone[f.Path] {
					kept = append(kept, f)
				}
			}
			l.files = append(kept, out)
		}
	}
}

func (l *life) mostMerged() (n int) {
	for _, f := range l.files {
		n = max(n, l.merges[f.Path])
	}
	return n
}

func TestAWeekOfCommitsAMinuteHasFewFiles(t *testing.T) {
	for name, size := range map[string]int64{"small": 3_000, "middle": 400_000, "large": 20_000_000} {
		t.Run(name, func(t *testing.T) {
			l := newLife()
			total, most := int64(0), 0
			minutes := 10_000
			if size > 1_000_000 {
				minutes = 3000 // most files are large: nothing is due of them
			}
			for range minutes {
				// What comes now is up to some seconds old.
				l.commit(l.now.Add(-65*time.Second), 65*time.Second, size)
				total += size
				l.now = l.now.Add(time.Minute)
				l.compact(t)
				small := 0
				for _, f := range l.files {
					if f.Size < defaultFileBytes {
						small++
					}
				}
				most = max(most, small)
			}
			t.Logf("%d files, at most %d small ones, each byte written %.1f times, a row merged %d times at most",
				len(l.files), most, float64(l.written)/float64(total), l.mostMerged())
			if most > 60 || l.mostMerged() > 7 || float64(l.written)/float64(total) > 5.5 {
				t.Errorf("at most %d small files, a row merged %d times, each byte written %.1f times", most, l.mostMerged(), float64(l.written)/float64(total))
			}
			if full := total / defaultFileBytes; int64(len(l.files)) > 60+full {
				t.Errorf("%d files of %d bytes", len(l.files), total)
			}
			before := len(l.files)
			l.now = l.now.Add(48 * time.Hour)
			l.compact(t)
			if days := 8; int64(len(l.files)) > int64(days)+total/defaultFileBytes {
				t.Errorf("%d files after two quiet days, %d before", len(l.files), before)
			}
			if due := l.r.plan(l.files); len(due) > 0 {
				t.Errorf("something is due of a quiet table: %+v", due)
			}
		})
	}
}

// What comes late again and again does not make all that is there be merged again
// and again.
func TestLateRowsAreMergedInWhenTheyAreWorthIt(t *testing.T) {
	l := newLife()
	l.commit(begin, time.Hour, 100_000_000)
	l.commit(begin.Add(time.Hour), time.Hour, 20_000_000)
	l.now = begin.Add(48 * time.Hour)
	l.compact(t)
	l.written = 0
	late := int64(0)
	for i := range 1000 {
		l.now = l.now.Add(time.Minute)
		l.commit(begin.Add(time.Duration(i%60)*time.Minute), time.Second, 50_000)
		late += 50_000
		l.compact(t)
		if len(l.files) > 25 {
			t.Fatalf("%d files after %d late commits", len(l.files), i)
		}
	}
	if ratio := float64(l.written) / float64(late); ratio > 13 {
		t.Errorf("each late byte made %.1f bytes be written", ratio)
	}
}

// Few rows do not make a large file be written again, all of them among its own.
func TestLateRowsStayBesideALargeFile(t *testing.T) {
	for _, c := range []struct {
		name             string
		merged, late     int64
		files, filesLeft int
	}{
		{"a small file", chainedBytes / 2, chainedBytes / 100, 8, 1},
		{"a large file", chainedBytes, chainedBytes / 50, 8, 2},
		{"as much as it has", 2 * chainedBytes, chainedBytes / 4, 8, 2},
		{"large ones, as many as may be", 2 * chainedBytes, chainedBytes, mostLarge - 1, mostLarge},
		{"one more", 2 * chainedBytes, chainedBytes, mostLarge, mostLarge},
		{"a few", chainedBytes, chainedBytes / 4, 3, 4},
	} {
		l := newLife()
		l.commit(begin, 30*time.Minute, c.merged/2)
		l.commit(begin.Add(30*time.Minute), 30*time.Minute, c.merged/2)
		l.now = begin.Add(48 * time.Hour)
		l.compact(t)
		for range c.files {
			l.commit(begin, time.Hour, c.late)
		}
		l.compact(t)
		if len(l.files) != c.filesLeft {
			t.Errorf("%s: %d files, want %d", c.name, len(l.files), c.filesLeft)
		}
	}
}

// A clock may be behind the one that merged a day.
func TestFilesOfADayAndOfItsFirstHourAreNotMixed(t *testing.T) {
	l := newLife()
	l.commit(begin, 24*time.Hour, 24_000)
	l.now = begin.Add(48 * time.Hour)
	l.compact(t)
	l.now = begin.Add(30 * time.Minute)
	for i := range 25 {
		l.commit(begin.Add(time.Duration(i)*time.Minute), time.Minute, 100+int64(i)*1000)
	}
	l.compact(t)
	if len(l.files) > 8 {
		t.Errorf("%d files", len(l.files))
	}
}

func TestManyOldFilesAreMergedInFewSteps(t *testing.T) {
	l := newLife()
	for i := range 6000 {
		l.commit(begin.Add(time.Duration(i)*time.Minute), time.Minute, 3_000)
	}
	l.now = begin.Add(6003 * time.Minute).Add(30 * time.Hour)
	l.compact(t)
	if len(l.files) > 6 || l.mostMerged() > 2 {
		t.Errorf("%d files, merged up to %d times", len(l.files), l.mostMerged())
	}
}

// Files that overlap their neighbours are not mixed row by row, and there are few of
// them all the same.
func TestFilesThatOverlapBecomeAFewThatFollowEachOther(t *testing.T) {
	for _, span := range []time.Duration{90 * time.Second, 150 * time.Second, 400 * time.Second} {
		l := newLife()
		most := 0
		for range 3000 {
			l.commit(l.now.Add(-span), span, 500_000)
			l.now = l.now.Add(time.Minute)
			l.compact(t)
			most = max(most, len(l.files))
		}
		t.Logf("spans of %v: %d files, %d at most, a row merged %d times at most", span, len(l.files), most, l.mostMerged())
		if most > 60 || l.mostMerged() > 7 {
			t.Errorf("spans of %v: %d files at most, a row merged %d times", span, most, l.mostMerged())
		}
		l.now = l.now.Add(48 * time.Hour)
		l.compact(t)
		if due := l.r.plan(l.files); len(due) > 0 {
			t.Errorf("spans of %v: something is due of a quiet table: %+v", span, due)
		}
	}
}

func TestChainsHoldEachFileOnce(t *testing.T) {
	at := func(from, until time.Duration) table.File {
		return table.File{Path: fmt.Sprint(from, until), MinTS: begin.Add(from), MaxTS: begin.Add(until), Size: 1 << 20, Records: partedRows}
	}
	var apart, touching, staggered, same, unparted []table.File
	for i := range 12 {
		m := time.Duration(i) * time.Minute
		apart = append(apart, at(m-900*time.Millisecond, m+time.Minute))
		touching = append(touching, at(m-2*time.Second, m+time.Minute))
		staggered = append(staggered, at(m-30*time.Second, m+time.Minute))
		same = append(same, at(0, time.Hour+m))
		few := apart[i]
		few.Records = partedRows - 1
		unparted = append(unparted, few)
	}
	for _, c := range []struct {
		files []table.File
		want  int
	}{{apart, 1}, {unparted, 2}, {touching, 2}, {staggered, 2}, {same, maxChains}, {same[:3], 1}, {staggered[:4], 2}, {nil, 1}} {
		got, seen := chains(hourly, c.files), map[string]int{}
		for _, files := range got {
			for _, f := range files {
				seen[f.Path]++
			}
		}
		if len(got) != c.want || len(seen) != len(c.files) {
			t.Errorf("%d files: got %d chains of %d files together, want %d", len(c.files), len(got), len(seen), c.want)
		}
	}
}
