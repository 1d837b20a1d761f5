package demux

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// faulty is a parser that fails on chunks that hold a word.
type faulty struct {
	parse.Parser
	word string
	how  func() error
}

func (p faulty) Parse(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) error {
	if bytes.Contains(c.Body, []byte(p.word)) {
		return p.how()
	}
	return p.Parser.Parse(ctx, c, keep, b)
}

func failOn(d *Demux, word string, how func() error) {
	d.parser = func(dataType string, now time.Time) (parse.Parser, error) {
		p, err := d.cfg.parser(dataType, now)
		return faulty{p, word, how}, err
	}
}

// succeed runs a type again and again until it succeeds.
func succeed(t *testing.T, d *Demux, dataType string) (total Report) {
	t.Helper()
	for range 50 {
		rep, err := d.RunType(t.Context(), dataType)
		total.Isolated += rep.Isolated
		total.Records += rep.Records
		if err == nil {
			return total
		}
	}
	t.Fatal("it never succeeds")
	return total
}

// One chunk that makes runs fail, whatever way it does, is left out, and the rest
// goes through; sent through again when its cause is mended, it is in the table.
func TestAChunkThatMakesRunsFailIsLeftOutAlone(t *testing.T) {
	for name, how := range map[string]func() error{
		"panics": func() error { panic("out of range") },
		"fails":  func() error { return errors.New("no such column") },
	} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			all := 0
			for i := range 4 {
				var chunks []chunk.Chunk
				for s := range 5 {
					c := lines(string(rune('a'+5*i+s)), 0, 10)
					chunks = append(chunks, c)
					all += 10
				}
				publish(t, st, chunks[:2], chunks[2:])
			}
			d := testDemux(t, st, nil)
			failOn(d, "h at", how) // one of stream h's, in the second file
			rep := succeed(t, d, "app")
			if rows := tableRows(t, st); len(rows) != all-10 || rep.Isolated != 1 {
				t.Fatalf("%d rows, %d chunks left out; want %d and 1", len(rows), rep.Isolated, all-10)
			}
			list, err := quarantine.List(t.Context(), st)
			if err != nil || len(list) != 1 || len(list[0].Faults) != 1 {
				t.Fatalf("in quarantine: %+v, %v", list, err)
			}
			if f := list[0].Faults[0]; f.Stream != "h" || f.Range == nil || f.Range.First != 0 || f.Reason == "" {
				t.Errorf("the fault is %+v", f)
			}
			if _, err := quarantine.Release(t.Context(), st, list[0].Path); err != nil {
				t.Fatal(err)
			}
			runOnce(t, testDemux(t, st, nil)) // it is mended
			if rows := tableRows(t, st); len(rows) != all {
				t.Errorf("%d rows in the end, want %d", len(rows), all)
			}
		})
	}
}

// When everything fails, the fault is not in what is taken: it stays where it is.
func TestWhenAllFailsNothingIsQuarantined(t *testing.T) {
	st := testStore(t)
	for i := range 6 {
		publish(t, st, []chunk.Chunk{lines(string(rune('a'+i)), 0, 10)})
	}
	d := testDemux(t, st, nil)
	failOn(d, " at ", func() error { return errors.New("the program is broken") })
	failed := 0
	for range 20 {
		if _, err := d.RunType(t.Context(), "app"); err != nil {
			failed++
		}
	}
	list, err := quarantine.List(t.Context(), st)
	if err != nil || len(list) > maxCredit || failed == 0 {
		t.Fatalf("%d files in quarantine, want %d at most; %d runs failed; %v", len(list), maxCredit, failed, err)
	}
	told, err := trouble.Read(t.Context(), st, "app")
	if err != nil || told == nil || told.Failing == nil || !strings.Contains(told.Failing.Error, "the program is broken") {
		t.Errorf("told is %+v, %v", told, err)
	}
	d.parser = d.cfg.parser
	succeed(t, d, "app")
	if told, err = trouble.Read(t.Context(), st, "app"); err != nil || told != nil {
		t.Errorf("told is %+v, %v, after it is over", told, err)
	}
}

// away is a store in which one file can't be opened, or read.
type away struct {
	store.FS
	path         string
	open, blocks atomic.Bool
}

var errBlocks = errors.New("no DataNode has its blocks")

func (a *away) Open(ctx context.Context, p string) (store.Reader, error) {
	if p == a.path && a.open.Load() {
		return nil, errBlocks
	}
	r, err := a.FS.Open(ctx, p)
	if err != nil || p != a.path {
		return r, err
	}
	return awayReader{r, a}, nil
}

type awayReader struct {
	store.Reader
	of *away
}

func (r awayReader) ReadAt(b []byte, at int64) (int, error) {
	if r.of.blocks.Load() && at > r.Size()/2 {
		return 0, errBlocks
	}
	return r.Reader.ReadAt(b, at)
}

// incompressible is a line of random letters.
func incompressible(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, n+1)
	for i := range n {
		b[i] = byte('!' + rnd.IntN(90))
	}
	b[n] = '\n'
	return b
}

// A sink file whose blocks are lost is set aside, told with its range, and taken
// in when it can be read again. The rest goes on.
func TestASinkFileThatCannotBeReadStopsNothing(t *testing.T) {
	for name, set := range map[string]func(a *away, v bool){
		"at all":     func(a *away, v bool) { a.open.Store(v) },
		"its blocks": func(a *away, v bool) { a.blocks.Store(v) },
	} {
		t.Run(name, func(t *testing.T) {
			a := &away{FS: testStore(t)}
			// More than is read at once: random bytes, which don't get smaller.
			large := lines("a", 0, 100)
			large.Body = append(large.Body, incompressible(2*smallSink)...)
			large.Last = int64(len(large.Body))
			a.path = publish(t, a.FS, []chunk.Chunk{large}, []chunk.Chunk{lines("a", large.Last, 100)})
			publish(t, a.FS, []chunk.Chunk{lines("b", 0, 10)})
			set(a, true)
			d := testDemux(t, a, nil)
			succeed(t, d, "app")
			bound := time.Now().Add(time.Minute)
			for {
				told, err := trouble.Read(t.Context(), a, "app")
				if err != nil {
					t.Fatal(err)
				}
				if told != nil && len(told.Aside) == 1 && told.Aside[0].Path == a.path && strings.Contains(told.Aside[0].Error, errBlocks.Error()) {
					if name == "its blocks" && (len(told.Aside[0].Streams) != 1 || told.Aside[0].Streams[0].Stream != "a") {
						t.Errorf("of its streams is told %+v", told.Aside[0].Streams)
					}
					break
				}
				if time.Now().After(bound) {
					t.Fatalf("told is %+v", told)
				}
				if _, err := d.RunType(t.Context(), "app"); err != nil {
					t.Fatal(err)
				}
			}
			publish(t, a.FS, []chunk.Chunk{lines("c", 0, 10)})
			runOnce(t, d)
			checked := 0
			for _, r := range tableRows(t, a.FS) {
				if r.Stream != "a" {
					checked++
				}
			}
			if checked != 20 {
				t.Errorf("%d rows of other files, want 20", checked)
			}
			set(a, false)
			for len(tableRows(t, a.FS)) != 221 {
				if time.Now().After(bound) {
					t.Fatalf("%d rows in the end, want 221", len(tableRows(t, a.FS)))
				}
				runOnce(t, d)
			}
			if told, err := trouble.Read(t.Context(), a, "app"); err != nil || told != nil {
				t.Errorf("told is %+v, %v, after it is over", told, err)
			}
		})
	}
}

// What came again in other pieces is in the table: beside a chunk that is left out,
// it is looked at once.
func TestARepetitionBesideAChunkThatIsLeftOutEnds(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 10)})
	runOnce(t, testDemux(t, st, nil))
	publish(t, st, []chunk.Chunk{lines2("a", 2, 5), lines2("h", 0, 10)}, []chunk.Chunk{lines2("b", 0, 10)})
	d := testDemux(t, st, nil)
	failOn(d, "h at", func() error { return errors.New("no such column") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 10 {
		if _, err := d.RunType(ctx, "app"); err == nil || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Fatal("a run never ends")
	}
	if rows := tableRows(t, st); len(rows) != 20 {
		t.Errorf("%d rows, want 20", len(rows))
	}
}

// unparted is a parser that fails on where the records of some chunks are.
type unparted struct{ parse.Parser }

func (p unparted) Records(c *chunk.Chunk) []chunk.Range {
	if bytes.Contains(c.Body, []byte("h no")) {
		panic("index out of range")
	}
	return p.Parser.Records(c)
}

// A chunk that makes the comparison with what the table has panic is left out, too.
func TestAPanicInAComparisonIsOfOneChunk(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines2("h", 0, 10)})
	runOnce(t, testDemux(t, st, nil))
	publish(t, st, []chunk.Chunk{other(" no ", lines2("h", 0, 10)), lines2("b", 0, 10)})
	d := testDemux(t, st, nil)
	d.parser = func(dataType string, now time.Time) (parse.Parser, error) {
		p, err := d.cfg.parser(dataType, now)
		return unparted{p}, err
	}
	if rep := succeed(t, d, "app"); rep.Isolated != 1 || len(tableRows(t, st)) != 20 {
		t.Errorf("%d chunks left out, %d rows; want 1 and 20", rep.Isolated, len(tableRows(t, st)))
	}
}

// What panics elsewhere fails the run, and no more.
func TestAPanicFailsARunAndNoMore(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines2("h", 0, 10)})
	d := testDemux(t, st, nil)
	d.parser = func(string, time.Time) (parse.Parser, error) { panic("no parser") }
	if rep, err := d.RunType(t.Context(), "app"); err == nil || rep.Error == "" {
		t.Errorf("got %+v, %v", rep, err)
	}
	d.parser = d.cfg.parser
	if runOnce(t, d); len(tableRows(t, st)) != 10 {
		t.Errorf("%d rows, want 10", len(tableRows(t, st)))
	}
}

// A chunk that can't be parsed is left out, also while some file of the store can't
// be read.
func TestAFileThatCannotBeReadKeepsNoChunkFromBeingLeftOut(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines2("h", 0, 10), lines2("b", 0, 10)})
	d := testDemux(t, st, nil)
	failOn(d, "h at", func() error {
		_ = d.fs.note("archive/app/2026-01-01/a.avro", errBlocks)
		return errors.New("no such column")
	})
	if rep := succeed(t, d, "app"); rep.Isolated != 1 || len(tableRows(t, st)) != 10 {
		t.Errorf("%d chunks left out, %d rows; want 1 and 10", rep.Isolated, len(tableRows(t, st)))
	}
}
