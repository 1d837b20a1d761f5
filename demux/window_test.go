package demux

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// counting is a store that counts the calls of each kind.
type counting struct {
	store.FS
	mu    sync.Mutex
	calls map[string]int
}

func (c *counting) count(kind, p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	area, _, _ := strings.Cut(p, "/")
	c.calls[kind+" "+area]++
}

func (c *counting) Open(ctx context.Context, p string) (store.Reader, error) {
	c.count("open", p)
	r, err := c.FS.Open(ctx, p)
	return countingReader{r, c, p}, err
}

func (c *counting) List(ctx context.Context, p string) ([]store.Info, error) {
	c.count("list", p)
	return c.FS.List(ctx, p)
}

func (c *counting) Stat(ctx context.Context, p string) (store.Info, error) {
	c.count("stat", p)
	return c.FS.Stat(ctx, p)
}

func (c *counting) Create(ctx context.Context, p string) (store.File, error) {
	c.count("create", p)
	return c.FS.Create(ctx, p)
}

func (c *counting) Rename(ctx context.Context, from, to string) error {
	c.count("rename", from)
	return c.FS.Rename(ctx, from, to)
}

func (c *counting) Remove(ctx context.Context, p string) error {
	c.count("remove", p)
	return c.FS.Remove(ctx, p)
}

type countingReader struct {
	store.Reader
	of *counting
	p  string
}

func (r countingReader) ReadAt(b []byte, at int64) (int, error) {
	r.of.count("read", r.p)
	return r.Reader.ReadAt(b, at)
}

// Many small sink files are listed once, opened, read and moved once each, and
// their rows are one commit.
func TestManySmallSinkFilesAreOneCommit(t *testing.T) {
	st := &counting{FS: testStore(t)}
	const files, streams = 600, 6
	want := map[string]int{}
	for i := range files {
		s := string(rune('a' + i%streams))
		publish(t, st.FS, []chunk.Chunk{lines(s, int64(i/streams)*3*lineLen, 3)})
		want[s] += 3
	}
	rep := runOnce(t, testDemux(t, st, nil))
	if rep.Commits != 1 || rep.Archived != files {
		t.Errorf("got %+v, want one commit and %d files archived", rep, files)
	}
	checkLines(t, tableRows(t, st.FS), want)
	raw := 0
	for kind, n := range st.calls {
		if strings.HasSuffix(kind, " "+store.Raw) {
			raw += n
		}
	}
	if per := float64(raw) / files; per > 3.1 {
		t.Errorf("%.1f calls for each sink file: %v", per, st.calls)
	}
	if n := st.calls["list "+store.Raw]; n > 6 {
		t.Errorf("raw/ was listed %d times: %v", n, st.calls)
	}
}

// The indexes in memory are bounded; what is left over comes next, in the same call.
func TestIndexesInMemoryAreBounded(t *testing.T) {
	st := testStore(t)
	const files = 3*opensInRow + 1
	for i := range int64(files) {
		publish(t, st, []chunk.Chunk{lines("a", i*lineLen, 1)})
	}
	d := testDemux(t, st, nil)
	d.looking.bytes, d.looking.least = 1, 1
	if rep := runOnce(t, d); rep.Commits != 4 || rep.Sinks != files {
		t.Errorf("got %+v, want 4 commits of %d sink files", rep, files)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": files})
}

// A plan takes no more chunks and facts than it may remember.
func TestAPlanIsBoundedByItsChunks(t *testing.T) {
	const perBlock = 1 << 16
	f := &sinkFile{path: "raw/app/2026-01-02/x.avro", sink: &chunk.Sink{}}
	at := int64(0)
	for range 6 {
		entries := make([]chunk.Entry, perBlock)
		for i := range entries {
			entries[i] = chunk.Entry{Stream: "s", First: at, Last: at + 10, CRC: uint32(at)}
			at += 10
		}
		f.sink.Index.Blocks = append(f.sink.Index.Blocks, chunk.Block{RawLen: 1 << 20, Entries: entries})
	}
	b := newBacklog(coverage.Set{}, &isolation{})
	b.files = []*sinkFile{f}
	p := b.plan(1 << 40)
	if p.taken != maxSpots || len(p.tasks) != maxSpots/perBlock {
		t.Errorf("the plan takes %d chunks of %d blocks, want %d", p.taken, len(p.tasks), maxSpots)
	}
}

// After a crash between a commit and the moves of the sink files, the table knows
// each of them: by its name, or all its chunks by their checksums.
func TestEachSinkFileIsKnownAgainAfterACrash(t *testing.T) {
	inner := testStore(t)
	const files = coverage.MaxSums + maxNamed + 50
	at := int64(0)
	for range files {
		publish(t, inner, []chunk.Chunk{lines("a", at, 1)})
		at += lineLen
	}
	st := storetest.NewFaulty(inner)
	st.FailWith(func(op, p string) error {
		if op == "rename" && strings.HasPrefix(p, store.Archive) {
			return errors.New("no move today")
		}
		return nil
	})
	rep, err := testDemux(t, st, nil).RunType(t.Context(), "app")
	if err == nil || rep.Commits != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	tab, err := table.Open(t.Context(), inner, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	sinks, err := tab.Sinks()
	if err != nil {
		t.Fatal(err)
	}
	if known := len(sinks) + coverage.MaxSums; int64(known) != rep.Records {
		t.Errorf("%d sink files are known, the table has a row of each of %d", known, rep.Records)
	}
	if rep := runOnce(t, testDemux(t, inner, nil)); rep.Records != files-int64(len(sinks)+coverage.MaxSums) {
		t.Errorf("got %+v", rep)
	}
	checkLines(t, tableRows(t, inner), map[string]int{"a": files})
}

// unlisted is a store in which some folders can't be listed.
type unlisted struct {
	store.FS
	dirs map[string]bool
}

func (u *unlisted) List(ctx context.Context, dir string) ([]store.Info, error) {
	if u.dirs[dir] {
		return nil, errBlocks
	}
	return u.FS.List(ctx, dir)
}

// A day that can't be listed is told, and stops no other.
func TestADayThatCannotBeListedStopsNoOther(t *testing.T) {
	u := &unlisted{FS: testStore(t)}
	old := publish(t, u.FS, []chunk.Chunk{lines("a", 0, 10)})
	day := path.Join(store.Raw, "app", "2026-01-02")
	if err := u.Rename(t.Context(), old, path.Join(day, path.Base(old))); err != nil {
		t.Fatal(err)
	}
	publish(t, u.FS, []chunk.Chunk{lines("b", 0, 10)})
	u.dirs = map[string]bool{day: true}
	d := testDemux(t, u, nil)
	for range tellAfter {
		runOnce(t, d)
	}
	checkLines(t, tableRows(t, u), map[string]int{"b": 10})
	told, err := trouble.Read(t.Context(), u, "app")
	if err != nil || told == nil || len(told.Aside) != 1 || told.Aside[0].Path != day {
		t.Errorf("told is %+v, %v", told, err)
	}
	u.dirs = nil
	runOnce(t, d)
	checkLines(t, tableRows(t, u), map[string]int{"a": 10, "b": 10})
	if told, err := trouble.Read(t.Context(), u, "app"); err != nil || told != nil {
		t.Errorf("told is %+v, %v, after it is over", told, err)
	}
}

// However many old sink files make runs fail, newer ones get into the table.
func TestPoisonKeepsNoNewerSinkFileWaiting(t *testing.T) {
	st := testStore(t)
	const poison = opensInRow + 5 // more than are looked at together
	for i := range poison {
		publish(t, st, []chunk.Chunk{lines("h", int64(i)*lineLen, 1)})
	}
	publish(t, st, []chunk.Chunk{lines("b", 0, 10)})
	d := testDemux(t, st, nil)
	d.looking.bytes, d.looking.least = 1, 1
	failOn(d, "h at", func() error { return errors.New("no such column") })
	for bound := time.Now().Add(time.Minute); ; {
		_, err := d.RunType(t.Context(), "app")
		if _, openErr := table.Open(t.Context(), st, baseURI, "app"); openErr == nil {
			break
		}
		if time.Now().After(bound) {
			t.Fatal(fmt.Errorf("the newer file never gets into the table: %w", err))
		}
	}
	checkLines(t, tableRows(t, st), map[string]int{"b": 10})
}

// meeting is a store in which the commits of types wait for each other.
type meeting struct {
	store.FS
	want int

	mu    sync.Mutex
	there map[string]bool
	all   chan struct{}
}

func (m *meeting) Create(ctx context.Context, p string) (store.File, error) {
	if dir := path.Dir(p); path.Base(dir) == "metadata" {
		m.mu.Lock()
		if !m.there[dir] {
			m.there[dir] = true
			if len(m.there) == m.want {
				close(m.all)
			}
		}
		m.mu.Unlock()
		select {
		case <-m.all:
		case <-time.After(time.Minute):
			return nil, fmt.Errorf("of %d commits, too few were under way", m.want)
		}
	}
	return m.FS.Create(ctx, p)
}

// Commits run side by side, more of them than runs may have rows in memory.
func TestCommitsOfTypesRunSideBySide(t *testing.T) {
	m := &meeting{FS: testStore(t), want: 4 * maxWorking, there: map[string]bool{}, all: make(chan struct{})}
	for i := range m.want {
		c := lines("a", 0, 1)
		c.Type = fmt.Sprint("t", i)
		publish(t, m.FS, []chunk.Chunk{c})
	}
	if err := testDemux(t, m, nil).RunOnce(t.Context(), "", 0, func(Report) {}); err != nil {
		t.Fatal(err)
	}
}
