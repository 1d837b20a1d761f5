package demux

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/repair"
	"github.com/akupara/akupara/demux/retain"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// longAgo is when the segments of these tests were opened.
var longAgo = time.Date(2025, 1, 2, 10, 0, 0, 0, time.UTC)

// archiveOld makes a table of JSON lines that were parsed as raw, of sink files of a
// day long ago.
func archiveOld(t testing.TB, st store.FS) {
	t.Helper()
	for i, b := range jsonChunks(3, 4, 20) {
		publishAt(t, st, longAgo.Add(time.Duration(i)*time.Minute), b)
	}
	runOnce(t, testDemux(t, st, func(c *Config) { c.RunBytes = 4000 }))
}

func regroupOnce(t testing.TB, st store.FS) jobs.Outcome {
	t.Helper()
	out, err := testDemux(t, st, nil).regroup(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// archived lists the archive's sink files of the day.
func archivedFiles(t testing.TB, st store.FS) (paths []string) {
	t.Helper()
	files, err := st.List(t.Context(), path.Join(store.Archive, "app", longAgo.Format(time.DateOnly)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	return paths
}

// regroupSome regroups the files of the archive but for some, which are there as
// before when it returns.
func regroupSome(t testing.TB, st store.FS, but []string) {
	t.Helper()
	kept := map[string][]byte{}
	for _, p := range but {
		kept[p] = storetest.Get(t, st, p)
		if err := st.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	regroupOnce(t, st)
	for p, data := range kept {
		storetest.Put(t, st, p, data)
	}
}

// regroupHalf regroups the archive, and dies when some files were removed.
func regroupHalf(t testing.TB, st store.FS, left []string) {
	t.Helper()
	kept := map[string][]byte{}
	for _, p := range left {
		kept[p] = storetest.Get(t, st, p)
	}
	regroupOnce(t, st)
	for p, data := range kept {
		storetest.Put(t, st, p, data)
	}
}

// stages calls do with a store whose archive is as it was, is being regrouped (which
// died when some files were removed), and was regrouped; and so with files that came
// late, for which a regrouped one is written again.
func stages(t *testing.T, do func(t *testing.T, st store.FS)) {
	for _, stage := range []string{"before", "during", "after", "with late files", "during once more", "after once more"} {
		t.Run(stage, func(t *testing.T) {
			st := testStore(t)
			archiveOld(t, st)
			files := archivedFiles(t, st)
			want := fmt.Sprintf("put %d files of the archive into 1", len(files))
			if !slices.Contains([]string{"before", "during", "after"}, stage) {
				regroupSome(t, st, files[3:])
				files = archivedFiles(t, st)
				want = fmt.Sprintf("put %d files of the archive into 1", len(files))
			}
			switch stage {
			case "during":
				regroupHalf(t, st, files[3:])
			case "during once more": // the first of them is the regrouped one
				if !store.SegmentOf(files[0]).Regrouped() {
					t.Fatal(files)
				}
				regroupHalf(t, st, append(files[:1:1], files[4:]...))
			case "after", "after once more":
				if out := regroupOnce(t, st); out.Did != want {
					t.Errorf("got %q, want %q", out.Did, want)
				}
			}
			do(t, st)
		})
	}
}

func TestRowsAreParsedAgainFromARegroupedArchive(t *testing.T) {
	var first string
	stages(t, func(t *testing.T, st store.FS) {
		before := tableRows(t, st)
		rep, err := testDemux(t, st, asJSON).Redo(t.Context(), Redo{Type: "app"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if rep.RowsBefore != 243 || rep.RowsAfter != 243 || rep.LeftTotal != 0 {
			t.Errorf("got %+v", rep)
		}
		after := tableRows(t, st)
		sameRows(t, after, before)
		slices.SortFunc(after, func(a, b row) int { return strings.Compare(fmt.Sprint(a.Stream, a.Seq), fmt.Sprint(b.Stream, b.Seq)) })
		text := ""
		for _, r := range after {
			text += fmt.Sprintln(r.Stream, r.Seq, r.ParseError != nil)
		}
		if first == "" {
			first = text
		}
		if text != first {
			t.Error("other rows than from the archive as it was")
		}
		// Also after the rest of the regrouping.
		regroupOnce(t, st)
		if rep, err := testDemux(t, st, asJSON).Redo(t.Context(), Redo{Type: "app"}, 0); err != nil || rep.RowsAfter != 243 || rep.LeftTotal != 0 {
			t.Errorf("once more: got %+v, %v", rep, err)
		}
		sameRows(t, tableRows(t, st), before)
	})
}

// What an archive at its bound has twice is looked for in what has changed alone.
func TestRetentionBySizeReadsNoHeaderTwice(t *testing.T) {
	st := &opens{FS: testStore(t)}
	d := testDemux(t, st, nil)
	put := func(n int64, at time.Time) {
		publishAt(t, st, at, []chunk.Chunk{lines("a", n*10*lineLen, 10)})
		runOnce(t, d)
	}
	for n := range int64(4) {
		put(n, longAgo.Add(time.Duration(n)*time.Minute))
	}
	regroupHalf(t, st, archivedFiles(t, st)[:2])
	var known retain.Sizes
	keep := func(want bool) {
		t.Helper()
		size := int64(0)
		for _, p := range archivedFiles(t, st) {
			in, err := st.Stat(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			size += in.Size
		}
		st.archived.Store(0)
		if got, err := retain.Archive(t.Context(), st, "app", retain.Limits{Size: size - 1}, time.Now(), &known); err != nil || got != (retain.Dropped{}) {
			t.Errorf("dropped %+v, %v, want none: what is there twice counts once", got, err)
		}
		if read := st.archived.Load() > 0; read != want {
			t.Errorf("the archive was read: %v, want %v", read, want)
		}
	}
	keep(true)
	keep(false)
	put(4, longAgo.Add(5*time.Minute))
	keep(true)
}

func TestATableIsRepairedFromARegroupedArchive(t *testing.T) {
	stages(t, func(t *testing.T, st store.FS) {
		before, covered := tableRows(t, st), coverageOf(t, st)
		tab, err := table.Open(t.Context(), st, baseURI, "app")
		if err != nil {
			t.Fatal(err)
		}
		files, err := tab.Files(t.Context(), nil, nil)
		if err != nil || len(files) < 2 {
			t.Fatal(len(files), err)
		}
		if err := st.Remove(t.Context(), files[0].Path); err != nil {
			t.Fatal(err)
		}
		plan, err := repair.Survey(t.Context(), st, baseURI, "app", repair.Options{Streams: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !plan.Needed() || plan.Lost != 0 || len(plan.Redone) == 0 {
			t.Errorf("got %+v, want what is gone to be found in the archive", plan)
		}
		if err := plan.Apply(t.Context(), func(string) {}); err != nil {
			t.Fatal(err)
		}
		runOnce(t, testDemux(t, st, nil))
		sameRows(t, tableRows(t, st), before)
		if got := coverageOf(t, st); got != covered {
			t.Errorf("coverage is %s, was %s", got, covered)
		}
		if raw, bad, err := listSinks(t.Context(), st, "app"); err != nil || len(raw)+len(bad) != 0 {
			t.Errorf("left in raw/ are %v, %v, %v", raw, bad, err)
		}
		regroupOnce(t, st)
		if files := archivedFiles(t, st); len(files) != 1 {
			t.Errorf("the archive has %v, want one file", files)
		}
	})
}

// What comes again, cut otherwise, is compared with the bytes in regrouped files:
// those that are the same are dropped, others are a fork's.
func TestWhatComesAgainIsComparedWithRegroupedFiles(t *testing.T) {
	for name, near := range map[string]int{"at once": maxPast, "far back": 0} {
		t.Run(name, func(t *testing.T) {
			stages(t, func(t *testing.T, st store.FS) {
				comesAgain(t, st, near, func(store.FS) store.FS { return st })
			})
		})
		for _, again := range []string{"", " once more"} {
			// archived has files that may be regrouped once more, and returns how many.
			archived := func(st store.FS) int {
				archiveOld(t, st)
				if again != "" {
					regroupSome(t, st, archivedFiles(t, st)[3:])
				}
				return len(archivedFiles(t, st))
			}
			// The archive is regrouped when a run has listed it, and has opened a file.
			t.Run(name+", while a run looks"+again, func(t *testing.T) {
				st := testStore(t)
				archived(st)
				comesAgain(t, st, near, func(st store.FS) store.FS {
					return &looking{FS: st, then: func() { regroupOnce(t, st) }}
				})
			})
			// It is regrouped between the look at the indexes and that at the bytes.
			t.Run(name+", before a run compares"+again, func(t *testing.T) {
				st := testStore(t)
				files := archived(st)
				comesAgain(t, st, near, func(st store.FS) store.FS {
					return &looking{FS: st, after: files, then: func() { regroupOnce(t, st) }}
				})
			})
		}
		// It is regrouped while a run looks for what took the place of a file that it
		// has listed, once and once more.
		t.Run(name+", twice while a run looks", func(t *testing.T) {
			st := testStore(t)
			archiveOld(t, st)
			files := archivedFiles(t, st)
			comesAgain(t, st, near, func(st store.FS) store.FS {
				second := &looking{FS: st, after: len(files), then: func() { regroupOnce(t, st) }}
				return &looking{FS: second, then: func() { regroupSome(t, st, files[3:]) }}
			})
		})
	}
}

func comesAgain(t *testing.T, st store.FS, near int, through func(store.FS) store.FS) {
	t.Helper()
	before := tableRows(t, st)
	var stream []byte
	for _, b := range jsonChunks(3, 4, 20)[:4] {
		stream = append(stream, b[0].Body...)
	}
	c := jsonChunks(1, 1, 1)[0][0]
	again := func(first, last int64, body []byte) chunk.Chunk {
		c := c
		c.First, c.Last, c.Body = first, last, body
		return c
	}
	// Borders that no chunk had: its checksum is not known.
	cut := int64(bytes.IndexByte(stream, '\n') + 1)
	end := cut + int64(bytes.LastIndexByte(stream[cut:len(stream)-1], '\n')+1)
	other := bytes.Replace(stream[cut:end], []byte("line 30 of"), []byte("LINE 30 of"), 1)
	publish(t, st, []chunk.Chunk{again(cut, end, other)})
	d := testDemux(t, through(st), nil)
	d.near = near
	rep := runOnce(t, d)
	if rep.Forks != 1 || rep.Records != 1 {
		t.Errorf("where one line is another: got %+v, want it alone, as a fork", rep)
	}
	publish(t, st, []chunk.Chunk{again(cut, end, stream[cut:end])})
	if rep := runOnce(t, d); rep.Records != 0 {
		t.Errorf("the same again: got %+v, want nothing new", rep)
	}
	if n := len(tableRows(t, st)); n != len(before)+1 {
		t.Errorf("%d rows, want %d", n, len(before)+1)
	}
}

// looking is a store in which something happens when some archived files were opened.
type looking struct {
	store.FS
	after int
	then  func()
	mu    sync.Mutex // nothing else is opened meanwhile
	opens int
}

func (l *looking) Open(ctx context.Context, p string) (store.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(p, store.Archive+"/") {
		if l.opens++; l.opens == l.after+1 {
			l.then()
		}
	}
	return l.FS.Open(ctx, p)
}

func TestAnArchiveIsKeptWithinItsSizeWhileItIsRegrouped(t *testing.T) {
	stages(t, func(t *testing.T, st store.FS) {
		size, largest := int64(0), int64(0)
		for _, p := range archivedFiles(t, st) {
			n := int64(len(storetest.Get(t, st, p)))
			size, largest = size+n, max(largest, n)
		}
		if strings.Contains(t.Name(), "/during") { // one has all of the others
			size = largest
		}
		for _, limit := range []int64{size, size - 1} {
			d := testDemux(t, st, func(c *Config) { c.Retention.ArchiveSize = given(config.Size(limit)) })
			out := retainOnce(t, d)
			if want := limit < size; (out.Did != "") != want {
				t.Errorf("with %d bytes of %d kept: %q", limit, size, out.Did)
			}
		}
	})
}

func TestEmptyFoldersOfTheArchiveGo(t *testing.T) {
	st := testStore(t)
	archiveOld(t, st)
	for _, p := range archivedFiles(t, st) {
		if err := st.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	dirs := func() []store.Info {
		list, err := st.List(t.Context(), path.Join(store.Archive, "app"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	regroupOnce(t, st)
	if left := dirs(); len(left) != 1 || !strings.HasPrefix(path.Base(left[0].Path), emptied) {
		t.Errorf("left are %v, want one on its way out", left)
	}
	if n, err := testDemux(t, st, nil).removeEmptyArchive(t.Context(), "app", nil, time.Now().Add(2*emptiedAfter)); err != nil || n != 1 || len(dirs()) != 0 {
		t.Errorf("removed %d, %v; left are %v", n, err, dirs())
	}
}
