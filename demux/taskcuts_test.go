package demux

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// anHourApart is a chunk of JSON lines of stream a, an hour apart, with so much beside.
func anHourApart(first int64, from, n, pad int, more string) chunk.Chunk {
	var body []byte
	for i := range n {
		ts := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(from+i) * time.Hour)
		body = fmt.Appendf(body, `{"ts":%q,"n":%d,"pad":%q%s}`+"\n", ts.Format(time.RFC3339), from+i, strings.Repeat("x", pad), more)
	}
	return chunk.Chunk{
		Type: "app", Host: "h", Source: "/log/a", Stream: "a", First: first, Last: first + int64(len(body)), Time: time.Now(), Body: body,
	}
}

// counted is an engine that counts its tasks.
type counted struct {
	engine.Local
	tasks int
}

func (c *counted) Run(ctx context.Context, w engine.Work, tell func(engine.Progress)) ([]json.RawMessage, error) {
	c.tasks += len(w.Tasks)
	return c.Local.Run(ctx, w, tell)
}

// A chunk that holds too many hours is cut. More chunks of its stream come behind it
// than the stream keeps checksums of, in the same round or in the next one.
func TestACutOfATaskIsNotForgotten(t *testing.T) {
	const n, after = 4200, coverage.MaxSums + 44
	for _, test := range []struct {
		name string
		pad  int
		more string // of the last chunk
		by   int    // tasks
	}{
		{"one round", 1000, "", 1},
		{"rounds, of which the second wants a column", 1, `,"late":1`, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			st := testStore(t)
			head := anHourApart(0, 0, 1, 1, "")
			publish(t, st, []chunk.Chunk{head}) // the table has its columns
			if _, err := testDemux(t, st, jsonLines).RunType(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			chunks := []chunk.Chunk{anHourApart(head.Last, 1, n, test.pad, "")}
			for i := range after {
				more := ""
				if i == after-1 {
					more = test.more
				}
				chunks = append(chunks, anHourApart(chunks[i].Last, 1, 1, 1, more))
			}
			publish(t, st, chunks)
			e := &counted{Local: localEngine(st)}
			rep, err := tasked(t, st, 1<<30, e).RunType(t.Context(), "app")
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := records(t, st, "app"); got != 1+n+after || rep.Records != n+after {
				t.Errorf("%d rows, %d of them by this call; want %d and one", got, rep.Records, n+after)
			}
			last := chunks[len(chunks)-1].Last
			if a := cover(t, st)["a"]; !slices.Equal(a.Ranges, chunk.Ranges{{First: 0, Last: last}}) {
				t.Errorf("covered is %v of %d", a.Ranges, last)
			}
			if rep.Forks > 0 || e.tasks != test.by {
				t.Errorf("%d forks, %d tasks; want no fork and %d", rep.Forks, e.tasks, test.by)
			}
			onlyTheTablesFiles(t, st)
		})
	}
}

// A block that turns out to be damaged when it is read again has rows all the same.
func TestWhatWasReadBeforeOfADamagedBlockIsCovered(t *testing.T) {
	st := testStore(t)
	a, b, c := lines("a", 0, 20), lines("b", 0, 20), lines("c", 0, 20)
	p := publish(t, st, []chunk.Chunk{a, b, c})
	d := testDemux(t, st, jsonLines)
	f, err := openSink(t.Context(), d.fs, p)
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int32) spot { return spot{p, 0, n} }
	half := chunk.Range{First: 0, Last: 10 * lineLen}
	m := &mapping{
		Demux: d, task: &runTask{Sinks: []taskSink{{Path: p, CRC: f.crc(), Blocks: []int{0, 1}}}}, sinks: []*sinkFile{f},
		cuts: map[spot]coverage.Sum{at(1): {First: 0, Last: half.Last, CRC: b.Sum(half)}},
	}
	m.backlog = newBacklog(coverage.Set{}, &isolation{})
	m.backlog.families.covered.Stream("a", "h", "").Cover(a.Range(), f.entry(0, 0).CRC)
	m.backlog.families.covered.Stream("b", "h", "").Cover(half, b.Sum(half))
	f.blame(0, "its checksum is wrong")
	m.tellRest()

	planned, err := openSink(t.Context(), d.fs, p)
	if err != nil {
		t.Fatal(err)
	}
	block := task{file: planned, want: wanting{true, true, true}}
	s := &spreading{
		run:    &run{Demux: d, backlog: newBacklog(coverage.Set{}, &isolation{}), rep: &Report{Type: "app"}},
		by:     tabling[runTask, runResult]{results: []*runResult{&m.result}},
		blocks: [][]task{{block}},
	}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	s.take()
	delta := s.families.delta
	if x := delta["a"]; x == nil || !slices.Equal(x.Ranges, chunk.Ranges{a.Range()}) || !x.Vouches(a.Range(), planned.entry(0, 0).CRC) {
		t.Errorf("of a is covered %+v", x)
	}
	if x := delta["b"]; x == nil || !slices.Equal(x.Ranges, chunk.Ranges{half}) || !x.Vouches(half, b.Sum(half)) {
		t.Errorf("of b is covered %+v", x)
	}
	if delta["c"] != nil || !planned.faulty(0) || planned.isDone(0) {
		t.Errorf("of c is covered %+v; faults are %v", delta["c"], planned.faults)
	}

	m.result.Cut[0].Last = 0 // a cut nobody knows the place of
	if err := s.check(); err == nil {
		t.Error("a cut without its end is taken")
	}
}

// Tasks want more columns than a table may have, in several rounds.
func TestColumnsThatTasksWantFitIntoTheTable(t *testing.T) {
	st := testStore(t)
	tab, err := table.New(st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	s := newTabling[runTask](testDemux(t, st, jsonLines), kindRun, "app", "1", tab, func(x *runResult) *madeRows { return &x.madeRows })
	s.tasks = make([]runTask, 2)
	wants := func(name string, from, n int) (out []schema.Column) {
		for i := range n {
			out = append(out, schema.Column{Name: fmt.Sprint(name, from+i), Type: schema.Long})
		}
		return out
	}
	round := func(a, b []schema.Column) []int {
		s.results = []*runResult{{madeRows: madeRows{Wants: a}}, {madeRows: madeRows{Wants: b}}}
		return s.again(t.Context(), []int{0, 1})
	}
	has := func(name string) bool { return schema.Find(s.shared.Columns, name) >= 0 }

	round(wants("a", 0, 400), nil)
	if n := len(s.shared.Columns); n != 410 {
		t.Fatalf("%d columns after the first round", n)
	}
	round(wants("b", 0, 90), append(wants("c", 0, 90), schema.OfMessages()...))
	if n := len(s.shared.Columns); n != schema.MaxColumns || !has(schema.Template) || !has(schema.TemplateID) || !has("b87") || has("b88") || has("c0") {
		t.Errorf("%d columns, want %d, those made of messages among them", n, schema.MaxColumns)
	}
	// A builder that knows them takes no more of its own accord.
	b := rows.NewBuilder(s.shared.options(s.Demux))
	if b.Column("c0") != nil || b.Column("b87") == nil {
		t.Error("there is room for more")
	}
	// What is wanted all the same can't be an attribute.
	if todo := round(nil, wants("c", 0, 1)); !slices.Equal(todo, []int{1}) || !has("c0") {
		t.Errorf("tasks %v are done again, with %d columns", todo, len(s.shared.Columns))
	}
	if todo := round(nil, nil); len(todo) > 0 {
		t.Errorf("tasks %v are done again", todo)
	}
}

// The files of a task that is done again are removed.
func TestFilesOfATaskThatIsDoneAgainAreRemoved(t *testing.T) {
	st := testStore(t)
	manyDays(t, st, baseURI, 2, 1)
	files := dataFiles(t, st)
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	s := newTabling[runTask](testDemux(t, st, jsonLines), kindRun, "app", "1", tab, func(x *runResult) *madeRows { return &x.madeRows })
	s.tasks = make([]runTask, 1)
	s.results = []*runResult{{madeRows: madeRows{
		Wants: []schema.Column{{Name: "more", Type: schema.Long}}, Files: []table.DataFile{{Path: files[0]}},
	}}}
	if todo := s.again(t.Context(), []int{0}); !slices.Equal(todo, []int{0}) {
		t.Errorf("done again are %v", todo)
	}
	if left := dataFiles(t, st); !slices.Equal(left, files[1:]) {
		t.Errorf("left are %v of %v", left, files)
	}
}
