package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

const baseURI = "file:///store"

func testDemux(t testing.TB, st store.FS, change func(*Config)) *Demux {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	d := newDemux(cfg, st, baseURI)
	d.partWeight = 2000 // all but the smallest runs have several parts
	return d
}

func newDemux(cfg Config, st store.FS, uri string) *Demux {
	return New(cfg, st, uri, quiet, prometheus.NewRegistry())
}

func testStore(t testing.TB) store.FS {
	t.Helper()
	st, err := local.New(storetest.FastDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// prepared fills a store once, and returns what makes copies of it.
func prepared(t *testing.T, fill func(st store.FS)) (another func() store.FS) {
	t.Helper()
	at := func(dir string) store.FS {
		st, err := local.New(dir)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	made := storetest.FastDir(t)
	fill(at(made))
	return func() store.FS {
		dir := storetest.FastDir(t)
		if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		return at(dir)
	}
}

// runListed does what RunType does, without a lease.
func runListed(d *Demux, rep *Report) error {
	q, err := d.list(context.Background(), "app")
	for err == nil && len(q.sinks) > 0 {
		err = d.runSinks(context.Background(), "app", q, rep)
	}
	return err
}

// lines makes a data chunk of stream s that starts at first and holds n lines;
// what a line says follows from its offset.
func lines(s string, first int64, n int) chunk.Chunk {
	var body []byte
	for range n {
		body = fmt.Appendf(body, "%s at %08d\n", s, first+int64(len(body)))
	}
	return chunk.Chunk{
		Type: "app", Host: "h", Source: "/log/" + s, Stream: s, First: first, Last: first + int64(len(body)),
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(first) * time.Second), Body: body,
	}
}

// lineLen is the length of each line of a stream with a name of one letter.
const lineLen = int64(len("s at 00000000\n"))

var segments atomic.Uint64

// publish writes one sink file with a batch for each group of chunks. They are
// of one data type.
func publish(t testing.TB, st store.FS, batches ...[]chunk.Chunk) string {
	t.Helper()
	return publishAt(t, st, time.Now(), batches...)
}

// publishAt is publish of a segment that was opened at a time.
func publishAt(t testing.TB, st store.FS, opened time.Time, batches ...[]chunk.Chunk) string {
	t.Helper()
	seg := store.NewSegment(opened, "test", segments.Add(1))
	p := store.SinkPath(store.Raw, batches[0][0].Type, seg)
	storetest.Put(t, st, p, chunktest.Sink(t, string(seg), batches...))
	return p
}

type row struct {
	Stream     string  `parquet:"stream"`
	Seq        int64   `parquet:"seq"`
	Message    *string `parquet:"message,optional"`
	ParseError *string `parquet:"parse_error,optional"`
}

// tableRows reads all rows of the table by its metadata, sorted.
func tableRows(t testing.TB, st store.FS) []row {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, f := range files {
		body := storetest.Get(t, st, f.Path)
		got, err := parquet.Read[row](bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatalf("%s: %v", f.Path, err)
		}
		if int64(len(got)) != f.Records {
			t.Errorf("%s: %d rows, the table says %d", f.Path, len(got), f.Records)
		}
		rows = append(rows, got...)
	}
	filesCover(t, st, tab, files)
	slices.SortFunc(rows, func(a, b row) int {
		if c := strings.Compare(a.Stream, b.Stream); c != 0 {
			return c
		}
		return int(a.Seq - b.Seq)
	})
	return rows
}

// checkLines reports whether the rows are the n lines of each stream, once each.
func checkLines(t testing.TB, rows []row, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for _, r := range rows {
		at := int64(got[r.Stream]) * lineLen
		if text := fmt.Sprintf("%s at %08d", r.Stream, at); r.Seq != at || r.Message == nil || *r.Message != text {
			t.Fatalf("row %d of stream %s: got seq %d, want %q at %d", got[r.Stream], r.Stream, r.Seq, text, at)
		}
		got[r.Stream]++
	}
	if !maps.Equal(got, want) {
		t.Fatalf("rows by stream: got %v, want %v", got, want)
	}
}

func runOnce(t testing.TB, d *Demux) Report {
	t.Helper()
	rep, err := d.RunType(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestSinkFilesBecomeRowsOnce(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10), lines("b", 0, 5)}, []chunk.Chunk{lines("a", 10*lineLen, 10)})
	publish(t, st, []chunk.Chunk{lines("a", 5*lineLen, 20)}) // sent again, cut in another way
	rep := runOnce(t, d)
	checkLines(t, tableRows(t, st), map[string]int{"a": 25, "b": 5})
	if rep.Records != 30 || rep.Repeated != 15*lineLen || rep.Archived != 2 || rep.Commits != 1 {
		t.Errorf("got %+v, want 30 records, %d bytes repeated, 2 files archived, 1 commit", rep, 15*lineLen)
	}
	publish(t, st, []chunk.Chunk{lines("b", 2*lineLen, 3)})
	if rep := runOnce(t, d); rep.Commits != 0 || rep.Archived != 1 {
		t.Errorf("a mere repetition: got %+v, want no commit and the file archived", rep)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": 25, "b": 5})
	if left, _, err := listSinks(t.Context(), st, "app"); err != nil || len(left) != 0 {
		t.Errorf("left in raw/: %v, %v", left, err)
	}
}

func TestAHoleBlocksNobody(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 10*lineLen, 10)})
	if rep := runOnce(t, d); rep.Records != 10 {
		t.Fatalf("got %d records, want 10", rep.Records)
	}
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	checkLines(t, tableRows(t, st), map[string]int{"a": 20})
}

func TestARecordPartlyCoveredBecomesARowOfItsRest(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	part := lines("a", 0, 2)
	part.Last -= 6 // ends inside the second line
	part.Body = part.Body[:part.Last]
	publish(t, st, []chunk.Chunk{part})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{lines("a", 0, 3)})
	runOnce(t, d)
	rows := tableRows(t, st)
	if len(rows) != 4 {
		t.Fatalf("got %d rows, want 4: line 0, two parts of line 1, line 2", len(rows))
	}
	if r := rows[2]; r.Seq != 2*lineLen-6 || r.ParseError == nil {
		t.Errorf("the rest: got seq %d, parse_error %v, want %d and a reason", r.Seq, r.ParseError, 2*lineLen-6)
	}
	seen := map[int64]bool{}
	for _, r := range rows {
		if seen[r.Seq] {
			t.Errorf("seq %d stands twice", r.Seq)
		}
		seen[r.Seq] = true
	}
}

func TestADamagedBlockIsQuarantinedAndTheRestIsUsed(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"last block": func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"cut off":    func(b []byte) []byte { return b[:len(b)-30] },
	} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			d := testDemux(t, st, nil)
			p := publish(t, st, []chunk.Chunk{lines("a", 0, 10)}, []chunk.Chunk{lines("b", 0, 10)})
			body := damage(storetest.Get(t, st, p))
			if err := st.Remove(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			storetest.Put(t, st, p, body)
			if rep := runOnce(t, d); rep.Quarantined != 1 || rep.Records != 10 {
				t.Errorf("got %+v, want 10 records and the file quarantined", rep)
			}
			publish(t, st, []chunk.Chunk{lines("b", 0, 10)}) // the agent sends again
			runOnce(t, d)
			checkLines(t, tableRows(t, st), map[string]int{"a": 10, "b": 10})
		})
	}
	t.Run("no sink file at all", func(t *testing.T) {
		st := testStore(t)
		p := store.SinkPath(store.Raw, "app", store.NewSegment(time.Now(), "test", 1))
		storetest.Put(t, st, p, []byte("not Avro"))
		if rep := runOnce(t, testDemux(t, st, nil)); rep.Quarantined != 1 {
			t.Errorf("got %+v, want 1 file quarantined", rep)
		}
	})
}

func TestFactsAreCommittedWithoutRows(t *testing.T) {
	st := testStore(t)
	fact := func(k chunk.Kind, first, last int64) chunk.Chunk {
		return chunk.Chunk{Type: "app", Kind: k, Host: "h", Source: "/log/a", Stream: "a", First: first, Last: last, Time: time.Now(), Reason: "test"}
	}
	publish(t, st, []chunk.Chunk{fact(chunk.Begin, 0, 0), fact(chunk.Lost, 0, 14), fact(chunk.End, 14, 14)})
	d := testDemux(t, st, nil)
	runOnce(t, d)
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	cov, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := cov["a"]; s == nil || s.End != 14 || s.Lost.Len() != 14 || len(s.Gaps()) != 0 {
		t.Errorf("got %+v, want a stream of 14 lost bytes without a gap", s)
	}
	// The bytes come after all: from a collector that was taken for lost.
	publish(t, st, []chunk.Chunk{lines("a", 0, 1)})
	runOnce(t, d)
	checkLines(t, tableRows(t, st), map[string]int{"a": 1})
}

func TestOneRunTakesNoMoreThanItsBudget(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 2000 })
	var batches [][]chunk.Chunk
	for i := range int64(20) {
		batches = append(batches, []chunk.Chunk{lines("a", i*50*lineLen, 50)})
	}
	publish(t, st, batches...)
	if rep := runOnce(t, d); rep.Commits != 10 && rep.Commits != 20 {
		t.Errorf("got %d commits, want one for each block or two", rep.Commits)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": 1000})
}

func TestASecondProcessWaitsForTheLease(t *testing.T) {
	st := testStore(t)
	first, second := testDemux(t, st, nil), testDemux(t, st, nil)
	release, err := first.leases.Take(t.Context(), lease.Path("app"))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, st, []chunk.Chunk{lines("a", 0, 1)})
	if _, err := second.RunType(t.Context(), "app"); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	release()
	if rep := runOnce(t, second); rep.Records != 1 {
		t.Errorf("after the release: got %+v, want 1 record", rep)
	}
}

func TestADeadProcessesLeaseIsFreeWithinTenSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("watches a lease for 8 s")
	}
	t.Parallel()
	st := testStore(t)
	// A process of this machine is known to be gone at once.
	storetest.Put(t, st, lease.Path("app"), []byte(`{"holder":"it","host":"elsewhere","pid":1,"beat":7}`))
	publish(t, st, []chunk.Chunk{lines("a", 0, 1)})
	began := time.Now()
	NewScheduler(testDemux(t, st, nil), Options{}).insist(t.Context(), "app", nil)
	checkLines(t, tableRows(t, st), map[string]int{"a": 1})
	if took := time.Since(began); took < lease.Dead {
		t.Errorf("the lease was taken after %v, want %v at least: it might have been alive", took, lease.Dead)
	}
}

func TestALeaseOfAProcessThatIsGoneIsTakenAtOnce(t *testing.T) {
	st := testStore(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, st, lease.Path("app"), fmt.Appendf(nil, `{"holder":"it","host":%q,"pid":%d,"beat":7}`, host, gone.ProcessState.Pid()))
	publish(t, st, []chunk.Chunk{lines("a", 0, 1)})
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 1 {
		t.Errorf("got %+v, want 1 record", rep)
	}
}

// Two processes that ignore the lease, as a stalled one would: still once.
func TestTwoDemuxesDoNoHarm(t *testing.T) {
	st := testStore(t)
	const files = 12
	for i := range int64(files) {
		publish(t, st, []chunk.Chunk{lines("a", i*10*lineLen, 10)})
	}
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			d := testDemux(t, st, func(c *Config) { c.RunBytes = 300 })
			for {
				rep := Report{Type: "app"}
				err := runListed(d, &rep)
				if !errors.Is(err, table.ErrConflict) {
					done <- err
					return
				}
			}
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	runOnce(t, testDemux(t, st, nil))
	checkLines(t, tableRows(t, st), map[string]int{"a": files * 10})
}

// The process dies after the k-th change of the store, or in the middle of the
// k-th write, for every k; the next one brings all to an end.
func TestACrashAtAnyWriteLosesAndDoublesNothing(t *testing.T) {
	another := prepared(t, func(st store.FS) {
		publish(t, st, []chunk.Chunk{lines("a", 0, 5)})
		runOnce(t, testDemux(t, st, nil)) // the table exists, with a version to build on
		publish(t, st, []chunk.Chunk{lines("a", 5*lineLen, 5), lines("b", 0, 5)})
		publish(t, st, []chunk.Chunk{lines("b", 0, 5)}, []chunk.Chunk{lines("b", 5*lineLen, 5)})
	})
	for _, when := range []storetest.When{storetest.After, storetest.Torn} {
		t.Run(when.String(), func(t *testing.T) {
			for k := 0; ; k++ {
				if testing.Short() && k > 0 {
					k += rand.IntN(5)
				}
				if !crashAt(t, another(), k, when) {
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

// crashAt reports whether there was a k-th write.
func crashAt(t *testing.T, inner store.FS, k int, when storetest.When) bool {
	st := storetest.NewFaulty(inner)
	st.CrashAt(k, when)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
	d.patience = 0
	_, err := d.RunType(t.Context(), "app")
	crashed := st.Crashed()
	if crashed == (err == nil) && err == nil {
		t.Logf("crash at %d (%v) was in a clean-up: %v", k, when, st.Log()[len(st.Log())-1])
	}
	if !crashed && err != nil {
		t.Fatalf("without a crash: %v", err)
	}
	// A new process; the dead one's lease is not waited for here.
	_ = inner.Remove(t.Context(), lease.Path("app"))
	next := testDemux(t, inner, nil)
	runOnce(t, next)
	if _, err := next.Expire(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	checkLines(t, tableRows(t, inner), map[string]int{"a": 10, "b": 10})
	if crashed {
		checkNoOrphans(t, inner, k, when)
	}
	return crashed
}

// namedFiles are the paths of the data files that the table app names.
func namedFiles(t *testing.T, st store.FS) map[string]bool {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range files {
		named[f.Path] = true
	}
	return named
}

// checkNoOrphans: what a dead run left behind has expired.
func checkNoOrphans(t *testing.T, st store.FS, k int, when storetest.When) {
	t.Helper()
	named := namedFiles(t, st)
	for _, p := range storetest.Tree(t, st, path.Join(store.Tables, "app", "data")) {
		if strings.HasSuffix(p, ".parquet") && !named[p] {
			t.Errorf("crash at %d (%v): %s is an orphan", k, when, p)
		}
	}
}
