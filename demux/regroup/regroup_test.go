package regroup_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro/ocf"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/regroup"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

func TestSmallFilesOfADayBecomeOne(t *testing.T) {
	st := &counting{FS: testStore(t)}
	young := now.Add(-60 * time.Hour)
	fill(t, st, old, 0, 150)
	fill(t, st, young, 0, 3)
	want := content(t, st, old, 0, 150)
	o := options(st)
	o.Skip = &regroup.Skip{}
	o.Now = time.Now().Add(time.Hour) // the folders were changed long ago
	o.Age = o.Now.Sub(young)
	var done, total int64
	o.Progress = func(d, n int64) { done, total = d, n }
	st.calls.Store(0)
	rep := run(t, o)
	if rep.Files != 150 || rep.Into != 1 || rep.Bytes == 0 || rep.LeftTotal != 0 || done != total || total == 0 {
		t.Errorf("got %+v, and %d of %d bytes", rep, done, total)
	}
	// Each file is opened once; the lists, the new file's length and its index are few.
	if n := st.calls.Load(); n > 150+8 {
		t.Errorf("%d calls to the store, want about one a file", n)
	}
	if large, small := regrouped(t, st, old); large != 1 || small != 0 {
		t.Errorf("%d regrouped files and %d others, want 1 and 0", large, small)
	}
	if large, small := regrouped(t, st, young); large != 0 || small != 3 {
		t.Errorf("a young day has %d regrouped files and %d others, want 0 and 3", large, small)
	}
	if got := content(t, st, old, 0, 150); got != want {
		t.Errorf("the raw log is another: got\n%s\nwant\n%s", got, want)
	}
	run(t, o)
	st.calls.Store(0)
	if rep := run(t, o); rep.Into != 0 || rep.Files != 0 || st.calls.Load() != 1 {
		t.Errorf("when all is done: got %+v with %d calls, want nothing with 1", rep, st.calls.Load())
	}
}

func TestOtherReadersReadRegroupedFiles(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 5)
	run(t, options(st))
	file := storetest.Get(t, st, files(t, st, old, true)[0])
	r, err := ocf.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for {
		var record map[string]any
		if err := r.Decode(&record); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%x", record["body"]))
	}
	if len(want) != 10 {
		t.Fatalf("%d records, want 10", len(want))
	}
	python, err := filepath.Abs("../../.tools/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("SKIPPED: fastavro is not installed (deploy/hadoop/readers.sh does it): %v", err)
	}
	name := filepath.Join(t.TempDir(), "x.avro")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, fastavro
with open(sys.argv[1], "rb") as f:
    for r in fastavro.reader(f):
        print(r["body"].hex())
`, name).CombinedOutput()
	if err != nil {
		t.Fatalf("fastavro: %v\n%s", err, out)
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("fastavro reads %v, want %v", got, want)
	}
}

func TestRegroupedFilesAreBounded(t *testing.T) {
	size := int64(len(sinkBytes(t, segment(old, 0), strings.Repeat("x", 400))))
	for name, c := range map[string]struct {
		change       func(l *regroup.Limits)
		large, small int
	}{
		"by their bytes, evenly": {func(l *regroup.Limits) { l.Bytes = 7 * size }, 3, 0},
		"by their index":         {func(l *regroup.Limits) { l.Index = 2100 }, 5, 0},
		"an index that is large": {func(l *regroup.Limits) { l.Index = 500 }, 0, 20},
		"files that are large":   {func(l *regroup.Limits) { l.Small = size }, 0, 20},
		"without files at hand":  {func(l *regroup.Limits) { l.Held = size }, 1, 0},
	} {
		st := testStore(t)
		for n := range 20 {
			id := segment(old, n)
			storetest.Put(t, st, pathOf(id), sinkBytes(t, id, strings.Repeat("x", 400)))
		}
		want := content(t, st, old, 0, 20)
		o := options(st)
		o.Limits = regroup.DefaultLimits
		c.change(&o.Limits)
		run(t, o)
		if large, small := regrouped(t, st, old); large != c.large || small != c.small {
			t.Errorf("%s: %d regrouped files and %d others, want %d and %d", name, large, small, c.large, c.small)
		}
		if got := content(t, st, old, 0, 20); got != want {
			t.Errorf("%s: the raw log is another", name)
		}
	}
}

func TestOneCallCopiesNoMoreThanItsBound(t *testing.T) {
	st := testStore(t)
	for day := range 3 {
		fill(t, st, old.AddDate(0, 0, day), 0, 4)
	}
	o := options(st)
	o.MaxBytes = 1
	for day := range 3 {
		if rep := run(t, o); rep.Into != 1 {
			t.Errorf("call %d: got %+v, want one file", day, rep)
		}
	}
	if rep := run(t, o); rep.Into != 0 {
		t.Errorf("when all is done: got %+v", rep)
	}
}

func TestFilesThatComeLateAreRegroupedWhenTheyAreSome(t *testing.T) {
	st, kept := testStore(t), testStore(t)
	there := 0
	for _, step := range []struct{ files, large, small int }{
		{3, 1, 0},
		{9, 1, 6},
		{10, 1, 0}, // with the regrouped one they are eight
		{17, 1, 7}, // as long as that is larger than all of them, it is none of them
		{18, 2, 0},
		{23, 2, 5},
		{24, 1, 0}, // with the two they are eight
	} {
		for ; there < step.files; there++ {
			id := segment(old, there)
			data := sinkBytes(t, id, noise(20_000))
			storetest.Put(t, st, pathOf(id), data)
			storetest.Put(t, kept, pathOf(id), data)
		}
		run(t, options(st))
		if large, small := regrouped(t, st, old); large != step.large || small != step.small {
			t.Errorf("of %d: %d regrouped files and %d others, want %d and %d", there, large, small, step.large, step.small)
		}
	}
	if content(t, st, old, 0, there) != content(t, kept, old, 0, there) {
		t.Error("the raw log is another")
	}
}

// noise is text that can't be compressed well.
func noise(bytes int) string {
	var b strings.Builder
	for b.Len() < bytes {
		b.WriteString(rand.Text())
	}
	return b.String()
}

// However many files come late, few stay, and each byte is copied a few times.
func TestADayStaysAtFewFiles(t *testing.T) {
	const files = 400
	st := testStore(t)
	copied, size := int64(0), int64(0)
	for n := range files {
		fill(t, st, old, n, n+1)
		size += int64(len(storetest.Get(t, st, pathOf(segment(old, n)))))
		copied += run(t, options(st)).Bytes
	}
	if large, small := regrouped(t, st, old); large > 7 || small > 7 {
		t.Errorf("%d regrouped files and %d others, want 7 at most", large, small)
	}
	if most := 7 * size; copied > most {
		t.Errorf("%d bytes were copied of %d, want %d at most", copied, size, most)
	}
	for n := 0; n < files; n += 37 {
		content(t, st, old, n, n+1)
	}
}

// What is damaged stays where it is, as it is, and is told; all else is regrouped.
func TestDamagedFilesAreLeft(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 12)
	damage := map[int]func(b []byte) []byte{
		2: func(b []byte) []byte { b[40] ^= 1; return b },        // the header
		5: func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, // a block
		6: func(b []byte) []byte { return b[:len(b)-1] },
		8: func([]byte) []byte { return sinkBytes(t, segment(old, 1), "another's\n") },
		9: func([]byte) []byte { return nil },
	}
	before := map[int][]byte{}
	for n, do := range damage {
		p := pathOf(segment(old, n))
		before[n] = do(storetest.Get(t, st, p))
		replace(t, st, p, before[n])
	}
	for _, held := range []int64{0, regroup.DefaultLimits.Held} {
		o := options(st)
		o.Limits = regroup.DefaultLimits
		o.Limits.Held = held
		o.Skip = &regroup.Skip{}
		rep := run(t, o)
		if held == 0 && (rep.Files != 7 || rep.Into != 1) || rep.LeftTotal != 5 && held == 0 {
			t.Errorf("got %+v, want 7 files in 1, and 5 left", rep)
		}
		if large, small := regrouped(t, st, old); large != 1 || small != 5 {
			t.Errorf("%d regrouped files and %d others, want 1 and 5", large, small)
		}
		for n, want := range before {
			if got := storetest.Get(t, st, pathOf(segment(old, n))); !bytes.Equal(got, want) {
				t.Errorf("damaged file %d is another", n)
			}
		}
		if rep := run(t, o); rep.LeftTotal != 0 {
			t.Errorf("a second time: got %+v, want them to be told once", rep)
		}
	}
	for n := range 12 {
		if before[n] == nil && n != 9 {
			content(t, st, old, n, n+1)
		}
	}
}

// A file that is sent again has the same blocks, or is told.
func TestFilesThatARegroupedOneHasGo(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 5)
	want := content(t, st, old, 0, 5)
	run(t, options(st))
	fill(t, st, old, 1, 3)
	other := segment(old, 4)
	storetest.Put(t, st, pathOf(other), sinkBytes(t, other, "other bytes\n"))
	rep := run(t, options(st))
	if rep.Doubles != 2 || rep.LeftTotal != 1 || rep.Left[0].File != pathOf(other) {
		t.Errorf("got %+v, want 2 doubles, and %s left", rep, other)
	}
	if large, small := regrouped(t, st, old); large != 1 || small != 1 {
		t.Errorf("%d regrouped files and %d others, want 1 and 1", large, small)
	}
	if err := st.Remove(t.Context(), pathOf(other)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, st, old, 0, 5); got != want {
		t.Error("the raw log is another")
	}
}

// Also a file that is not written again, as its index is large, has its own.
// A repair takes a regrouped file out of the archive while a collector, which does not
// find what it sent, sends some of it again.
func TestWhatTwoRegroupedFilesHaveIsThereOnceWhenTheyBecomeOne(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 5)
	run(t, options(st))
	first := files(t, st, old, true)[0]
	data := storetest.Get(t, st, first)
	if err := st.Remove(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	fill(t, st, old, 3, 9)
	run(t, options(st))
	storetest.Put(t, st, first, data)
	fill(t, st, old, 9, 30)
	want := content(t, st, old, 0, 30)
	if rep := run(t, options(st)); rep.Into != 1 || len(files(t, st, old, true)) != 1 {
		t.Fatalf("got %+v, want one file; there is %v", rep, names(t, st, old))
	}
	if got := content(t, st, old, 0, 30); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	index, err := archive.Read(t.Context(), st, files(t, st, old, true)[0])
	if err != nil || len(index.Parts) != 30 {
		t.Errorf("%d parts, %v, want 30", len(index.Parts), err)
	}
}

func TestFilesThatOneOfALargeIndexHasGo(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 10)
	run(t, options(st))
	o := options(st)
	o.Limits, o.Skip = regroup.DefaultLimits, &regroup.Skip{}
	o.Limits.Index = 3000
	fill(t, st, old, 20, 28)
	run(t, o)
	fill(t, st, old, 1, 3)
	if rep := run(t, o); rep.Doubles != 2 || rep.Into != 0 {
		t.Errorf("got %+v, want 2 doubles to go", rep)
	}
}

// A file that is replaced while it is copied is not removed.
func TestAFileThatIsSentAgainMeanwhileStays(t *testing.T) {
	inner := testStore(t)
	fill(t, inner, old, 0, 5)
	again := segment(old, 3)
	st := &counting{FS: inner}
	st.before = func(p string) {
		if store.SegmentOf(p).Regrouped() { // it is read back
			replace(t, inner, pathOf(again), sinkBytes(t, again, "it comes again, otherwise\n"))
		}
	}
	if rep := run(t, options(st)); rep.Files != 4 || rep.Into != 1 {
		t.Errorf("got %+v, want 4 files to go", rep)
	}
	if large, small := regrouped(t, inner, old); large != 1 || small != 1 {
		t.Errorf("%d regrouped files and %d others, want 1 and 1", large, small)
	}
}

// Records of several schemas don't get into one file.
func TestFilesOfAnOlderSchemaAreRegroupedAmongThemselves(t *testing.T) {
	st := testStore(t)
	fill(t, st, old, 0, 8)
	text := func(s string) []byte { return append(binary.AppendVarint(nil, int64(len(s))), s...) }
	thinned := regexp.MustCompile(`,\{"type":"record","name":"Thinned".*?"drops".*?\}\}\]\}`)
	older := strings.Replace(thinned.ReplaceAllString(chunk.Schema, ""), `,"doubtful"`, "", 1)
	for _, n := range []int{1, 4, 5} {
		p := pathOf(segment(old, n))
		replace(t, st, p, bytes.Replace(storetest.Get(t, st, p), text(chunk.Schema), text(older), 1))
	}
	want := content(t, st, old, 0, 8)
	run(t, options(st))
	if large, small := regrouped(t, st, old); large != 2 || small != 0 {
		t.Errorf("%d regrouped files and %d others, want 2 and 0", large, small)
	}
	if got := content(t, st, old, 0, 8); got != want {
		t.Error("the raw log is another")
	}
}

// The job dies at the k-th change to the store, for every k: all is found by its
// segment at any time, and the next call brings it to its end. So it is where some
// were regrouped before.
func TestACrashAtAnyWriteLosesNothing(t *testing.T) {
	for _, before := range []int{0, 2} {
		for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
			for k, crashed := 0, true; crashed; k++ {
				crashed = crashAt(t, before, k, when)
			}
		}
	}
}

func crashAt(t *testing.T, before, k int, when storetest.When) (crashed bool) {
	t.Helper()
	inner := testStore(t)
	const late = 7
	fill(t, inner, old, 0, before)
	run(t, options(inner))
	fill(t, inner, old, before, before+late)
	want := content(t, inner, old, 0, before+late)
	f := storetest.NewFaulty(inner)
	f.CrashAt(k, when)
	_, err := regroup.Run(t.Context(), options(f))
	if crashed = f.Crashed(); !crashed && err != nil {
		t.Fatal(err)
	}
	if got := content(t, inner, old, 0, before+late); got != want {
		t.Fatalf("crash %s change %d: the raw log is another", when, k)
	}
	files, err := inner.List(t.Context(), path.Dir(pathOf(segment(old, 0))))
	if err != nil {
		t.Fatal(err)
	}
	doubles, err := archive.Doubles(t.Context(), inner, files, func(string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range files {
		if store.IsSink(file.Path) && doubles[file.Path] == nil {
			index, err := archive.Read(t.Context(), inner, file.Path)
			if err != nil {
				t.Fatal(err)
			}
			blocks += len(index.Blocks)
		}
	}
	if blocks != 2*(before+late) {
		t.Fatalf("crash %s change %d: %d blocks in files that count, want %d", when, k, blocks, 2*(before+late))
	}
	run(t, options(inner))
	if large, small := regrouped(t, inner, old); large != 1 || small != 0 {
		t.Fatalf("crash %s change %d: %d regrouped files and %d others, want 1 and 0; %v", when, k, large, small, f.Log())
	}
	if got := content(t, inner, old, 0, before+late); got != want {
		t.Fatalf("crash %s change %d, and once more: the raw log is another", when, k)
	}
	return crashed
}

func TestFilesAreRegroupedOnHDFS(t *testing.T) {
	st, err := open.Open(storetest.SharedCluster(t), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, st, old, 0, 12)
	want := content(t, st, old, 0, 12)
	f := storetest.NewFaulty(st)
	f.FailWith(func(op, p string) error {
		if op == "remove" && p > pathOf(segment(old, 5)) {
			return storetest.ErrCrashed
		}
		return nil
	})
	if _, err := regroup.Run(t.Context(), options(f)); !errors.Is(err, storetest.ErrCrashed) {
		t.Fatalf("got %v, want it to fail", err)
	}
	if large, small := regrouped(t, st, old); large != 1 || small == 0 || small == 12 {
		t.Errorf("after it failed: %d regrouped files and %d others", large, small)
	}
	run(t, options(st))
	if large, small := regrouped(t, st, old); large != 1 || small != 0 {
		t.Errorf("%d regrouped files and %d others, want 1 and 0", large, small)
	}
	if got := content(t, st, old, 0, 12); got != want {
		t.Error("the raw log is another")
	}
}
