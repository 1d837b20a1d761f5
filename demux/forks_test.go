package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// from makes c the chunk of another host.
func from(host string, c chunk.Chunk) chunk.Chunk {
	c.Host = host
	return c
}

// other makes other bytes of c, of the same length, and says so.
func other(word string, c chunk.Chunk) chunk.Chunk {
	c.Body = bytes.ReplaceAll(c.Body, []byte(" at "), []byte(word)[:4])
	return c
}

// cover gives the coverage of the table.
func cover(t testing.TB, st store.FS) coverage.Set {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if errors.Is(err, fs.ErrNotExist) {
		return coverage.Set{}
	}
	if err != nil {
		t.Fatal(err)
	}
	set, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// summary says of each stream which ranges it has, sorted.
func summary(set coverage.Set) string {
	var out []string
	for _, id := range set.IDs() {
		ranges := fmt.Sprint(set[id].Ranges)
		out = append(out, id+" "+strings.TrimSuffix(strings.TrimPrefix(ranges, "["), "]"))
	}
	return strings.Join(out, ", ")
}

// rowsOnce checks that (stream, seq) is unique and gives the rows by their text.
func rowsOnce(t testing.TB, rows []row) map[string]int {
	t.Helper()
	seen, texts := map[string]bool{}, map[string]int{}
	for _, r := range rows {
		at := fmt.Sprint(r.Stream, " ", r.Seq)
		if seen[at] {
			t.Errorf("stream %s has two rows at %d", r.Stream, r.Seq)
		}
		seen[at] = true
		if r.Message != nil {
			texts[fmt.Sprint(coverage.Root(r.Stream), " ", r.Seq, " ", *r.Message)]++
		}
	}
	return texts
}

func span(first, last int64) chunk.Range {
	return chunk.Range{First: first * lineLen, Last: last * lineLen}
}

func TestOtherBytesUnderTheSameOffsetsBecomeAFork(t *testing.T) {
	type sent = []chunk.Chunk
	at := func(first, lines int) chunk.Chunk { return lines2("a", first, lines) }
	for name, c := range map[string]struct {
		before, again sent
		want          string // coverage, in lines
		records       int64
		cause         string
	}{
		"all of a chunk": {
			sent{at(0, 10)}, sent{other(" no ", at(0, 10))},
			"a [0,10), a~1 [0,10)", 10, causeSetBack,
		},
		"inside an old chunk": {
			sent{at(0, 10), at(10, 10)}, sent{other(" no ", at(2, 3))},
			"a [0,20), a~1 [2,5)", 3, causeSetBack,
		},
		"over its end, and on": {
			sent{at(0, 10)}, sent{other(" no ", at(8, 6)), other(" no ", at(14, 2))},
			"a [0,10), a~1 [8,16)", 8, causeSetBack,
		},
		"the same, and on": {sent{at(0, 10)}, sent{at(8, 6)}, "a [0,14)", 4, ""},
		"the same, inside": {sent{at(0, 10)}, sent{at(2, 3)}, "a [0,10)", 0, ""},
		"in part the same": {
			sent{at(0, 10)}, sent{mix(at(4, 10), 3, 5)},
			"a [0,10), a~1 [7,14)", 7, causeSetBack,
		},
		"of a clone": {
			sent{at(0, 10)}, sent{from("clone", mix(at(4, 10), 3, 10)), from("clone", at(20, 1)), at(14, 1)},
			"a [0,10) [14,15), a~1 [7,14) [20,21)", 9, causeClone("clone", "h"),
		},
		"of two clones, and again": {
			sent{at(0, 10), from("c1", other(" c1 ", at(5, 5))), from("c2", other(" c2 ", at(6, 4)))},
			sent{from("c1", other(" c1 ", at(4, 9))), from("c2", other(" c2 ", at(6, 4))), at(0, 9), from("c2", other(" c2 ", at(9, 2)))},
			"a [0,10), a~1 [4,13), a~2 [6,11)", 5, "",
		},
		"before the table knows the first": {
			nil, sent{at(0, 10), other(" no ", at(5, 10)), at(10, 2)},
			"a [0,12), a~1 [5,15)", 22, causeSetBack,
		},
		"of a file that was cut back": {
			sent{at(0, 10)}, sent{cutBack(other(" no ", at(6, 8))), cutBack(at(4, 2))},
			"a [0,10), a~x-1 [6,14)", 8, coverage.CutBack,
		},
		"a fork that is forked": {
			sent{at(0, 10), cutBack(other(" no ", at(6, 8)))}, sent{cutBack(other(" yes", at(7, 3))), cutBack(other(" no ", at(6, 8)))},
			"a [0,10), a~x-1 [6,14), a~x-1~1 [7,10)", 3, causeSetBack,
		},
		"what a fork has comes for its base": {
			sent{at(0, 10), cutBack(other(" no ", at(6, 8)))}, sent{other(" no ", at(6, 10))},
			"a [0,10) [14,16), a~x-1 [6,14)", 2, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			d := testDemux(t, st, nil)
			if c.before != nil {
				publish(t, st, c.before)
				runOnce(t, d)
			}
			before := len(tableRows(t, st))
			known := cover(t, st)
			p := publish(t, st, c.again)
			rep := runOnce(t, d)
			if rep.Quarantined != 0 || rep.Records != c.records {
				t.Errorf("got %+v, want %d records and nothing quarantined", rep, c.records)
			}
			set := cover(t, st)
			if got := summary(inLines(set)); got != c.want {
				t.Errorf("coverage in lines: got %s, want %s", got, c.want)
			}
			forks := 0
			for id, s := range set {
				if known[id] == nil && coverage.Base(id) != "" {
					forks++
					if s.Cause != c.cause {
						t.Errorf("%s: cause %q, want %q", id, s.Cause, c.cause)
					}
				}
			}
			if rep.Forks != forks {
				t.Errorf("the report tells of %d forks, want %d", rep.Forks, forks)
			}
			rows := tableRows(t, st)
			rowsOnce(t, rows)
			if len(rows) != before+int(c.records) {
				t.Errorf("%d rows after %d, want %d more", len(rows), before, c.records)
			}
			for _, r := range rows {
				if r.ParseError != nil {
					t.Errorf("a torn row: %s at %d: %s", r.Stream, r.Seq, *r.ParseError)
				}
			}
			// All of it again, cut in another way and by a process that knows
			// nothing but the store.
			var again []chunk.Chunk
			for _, c := range slices.Concat(c.again, c.before) {
				again = append(again, halves(c)...)
			}
			publish(t, st, again)
			storetest.Get(t, st, store.SinkPath(store.Archive, "app", store.SegmentOf(p)))
			if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 || rep.Archived != 1 || rep.Commits != 0 {
				t.Errorf("all of it again: got %+v, want nothing new", rep)
			}
		})
	}
}

// lines2 is lines, counted in lines.
func lines2(s string, first, n int) chunk.Chunk { return lines(s, int64(first)*lineLen, n) }

// mix changes the lines [first, last) of c.
func mix(c chunk.Chunk, first, last int64) chunk.Chunk {
	c.Body = bytes.Clone(c.Body)
	to := min(last*lineLen, int64(len(c.Body)))
	copy(c.Body[first*lineLen:to], other(" xx ", chunk.Chunk{Body: c.Body[first*lineLen : to]}).Body)
	if last*lineLen < int64(len(c.Body)) { // and those behind its old end are new
		copy(c.Body[last*lineLen:], other(" xx ", chunk.Chunk{Body: c.Body[last*lineLen:]}).Body)
	}
	return c
}

// cutBack makes c a chunk of the fork that an agent opened.
func cutBack(c chunk.Chunk) chunk.Chunk {
	c.Stream += "~x-1"
	return c
}

// halves cuts c in two, at a line.
func halves(c chunk.Chunk) []chunk.Chunk {
	n := (int64(len(c.Body)) / lineLen / 2) * lineLen
	if n == 0 {
		return []chunk.Chunk{c}
	}
	a, b := c, c
	a.Body, a.Last = c.Body[:n], c.First+n
	b.Body, b.First = c.Body[n:], c.First+n
	return []chunk.Chunk{b, a}
}

// inLines gives a set with its ranges counted in lines.
func inLines(set coverage.Set) coverage.Set {
	out := set.Clone()
	for _, s := range out {
		for i, r := range s.Ranges {
			s.Ranges[i] = chunk.Range{First: r.First / lineLen, Last: r.Last / lineLen}
		}
	}
	return out
}

// A record of which a part differs is a row, whole; one that goes on from what
// was sent of it is the row of its rest.
func TestARecordThatDiffersInPartIsNotTorn(t *testing.T) {
	body := func(s string) chunk.Chunk {
		c := lines("a", 0, 0)
		c.Body, c.Last = []byte(s), int64(len(s))
		return c
	}
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{body("one\ntwo\nthr")})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{from("clone", body("one\nTwo, longer\n"))})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{body("one\ntwo\nthree\nfour\n")})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{body("one\ntwo\nthRee\nfour\n")})
	runOnce(t, d)
	got := map[string]bool{}
	for _, r := range tableRows(t, st) {
		got[fmt.Sprint(r.Stream, " ", r.Seq, " ", *r.Message, " ", r.ParseError != nil)] = true
	}
	for _, want := range []string{
		"a 0 one false", "a 4 two false", "a 8 thr false",
		"a~1 4 Two, longer false",
		"a~2 8 three false", // of which the first fork has the rest with other bytes
		"a~2 14 four false",
		"a~3 8 thRee false",
	} {
		if !got[want] {
			t.Errorf("no row %q", want)
		}
		delete(got, want)
	}
	for r := range got {
		t.Errorf("a row %q", r)
	}
}

// Multi-line records are judged whole, by borders or as the parser cuts them.
func TestRecordsOfSeveralLinesAreForkedWhole(t *testing.T) {
	event := func(what string) string {
		return "2026-01-02 03:04:05,000 ERROR [main] x.Y: " + what + "\n\tat x.Y.z(Y.java:1)\n"
	}
	for name, bordered := range map[string]bool{"by borders": true, "by the parser": false} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			d := testDemux(t, st, func(c *Config) {
				var app TypeConfig
				app.Parser.V = "log4j"
				c.Types = map[string]config.Value[TypeConfig]{"app": {V: app}}
			})
			chunkOf := func(events ...string) chunk.Chunk {
				c := lines("a", 0, 0)
				for _, e := range events {
					c.Body = append(c.Body, e...)
					if bordered {
						c.Borders = append(c.Borders, int64(len(c.Body)))
					}
				}
				c.Last = int64(len(c.Body))
				return c
			}
			publish(t, st, []chunk.Chunk{chunkOf(event("one"), event("two"))})
			runOnce(t, d)
			publish(t, st, []chunk.Chunk{chunkOf(event("one"), event("TWO"), event("six"))})
			runOnce(t, d)
			set := cover(t, st)
			n := int64(len(event("one")))
			if got, want := summary(set), fmt.Sprintf("a [0,%d), a~1 [%d,%d)", 2*n, n, 3*n); got != want {
				t.Errorf("coverage: got %s, want %s", got, want)
			}
			for _, r := range tableRows(t, st) {
				if r.ParseError != nil {
					t.Errorf("row %s at %d: %s", r.Stream, r.Seq, *r.ParseError)
				}
			}
		})
	}
}

// Once the archive has expired, what comes again can't be compared.
func TestWhatCannotBeComparedIsARepetitionUnlessTheStreamHasForks(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	forget := func() {
		t.Helper()
		if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, st, []chunk.Chunk{lines2("a", 0, 20), lines2("b", 0, 20)})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{other(" no ", lines2("b", 10, 2))})
	runOnce(t, d)
	forget()
	publish(t, st, []chunk.Chunk{lines2("a", 5, 10), lines2("b", 5, 3), lines2("b", 8, 10)})
	rep := runOnce(t, d)
	set := cover(t, st)
	// Of b, what lies before its first fork was never in dispute.
	if got, want := summary(inLines(set)), "a [0,20), b [0,20), b~1 [10,12), b~2 [10,18)"; got != want {
		t.Errorf("coverage in lines: got %s, want %s", got, want)
	}
	if got, want := set["b~2"].Doubtful, (chunk.Ranges{span(10, 11)}); !slices.Equal(got, want) {
		t.Errorf("doubtful: got %v, want %v: what follows goes on from it", got, want)
	}
	if rep.Records != 8 || len(set["a"].Doubtful) != 0 {
		t.Errorf("got %+v, want 8 records", rep)
	}
	// And what it brought can be compared again.
	publish(t, st, []chunk.Chunk{lines2("b", 12, 3)})
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 {
		t.Errorf("sent again: got %+v, want nothing new", rep)
	}
}

// Where a checksum alone is left that says that bytes differ, they are rows.
func TestAChecksumAloneMakesAFork(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 3)})
	runOnce(t, d)
	if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
		t.Fatal(err)
	}
	publish(t, st, []chunk.Chunk{other(" no ", lines2("a", 0, 3))})
	if rep := runOnce(t, d); rep.Records != 3 || rep.Forks != 1 {
		t.Errorf("got %+v, want 3 records of a fork", rep)
	}
}

func TestForksHaveNoEnd(t *testing.T) {
	f := newFamilies(coverage.Set{})
	add := func(id, host string, r chunk.Range) {
		st, _ := f.stream(id, host, "/log", "")
		st.Cover(r, 0)
	}
	add("s", "h", span(0, 10))
	seen := map[string]bool{"s": true}
	const forks = 2*maxForks + 5
	for n := range forks {
		host := fmt.Sprint("clone-", n)
		at, fresh := f.place("s", f.candidates("s", host), "", span(5, 10))
		if !fresh || seen[at] {
			t.Fatalf("fork %d: got %s, new: %v", n, at, fresh)
		}
		seen[at] = true
		add(at, host, span(5, 10))
	}
	if want := "s~1000~1000~5"; !seen[want] {
		t.Errorf("there is no fork %s", want)
	}
	// Each host's own is found again, also by a process that reads the table.
	f.commit()
	f = newFamilies(f.covered)
	for _, n := range []int{0, 999, 1000, forks - 1} {
		host := fmt.Sprint("clone-", n)
		c := f.candidates("s", host)
		if at, _ := f.place("s", c, "", span(10, 11)); len(c) != 2 || at != c[0] {
			t.Errorf("host %s goes on in %s of %v", host, at, c)
		}
	}
	if host := f.host("s~1000~1"); host != "clone-1000" {
		t.Errorf("s~1000~1 is of host %q, want clone-1000", host)
	}
}

func TestForksAreToldOfInAFewLines(t *testing.T) {
	st := testStore(t)
	var log bytes.Buffer
	d := New(DefaultConfig(), st, baseURI, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	publish(t, st, []chunk.Chunk{lines2("a", 0, 2)})
	runOnce(t, d)
	var clones []chunk.Chunk
	for n := range 30 {
		clones = append(clones, from(fmt.Sprint("c", n), other(fmt.Sprintf(" %02d ", n), lines2("a", 0, 2))))
	}
	publish(t, st, clones)
	rep := runOnce(t, d)
	if rep.Forks != 30 || rep.Records != 60 || rep.ForkedBytes != 60*lineLen {
		t.Errorf("got %+v, want 30 forks of 2 records", rep)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != maxForksTold+1 {
		t.Errorf("%d lines, want %d and one that counts the others:\n%s", n, maxForksTold, log.String())
	}
}

type forkRow struct {
	Stream string `parquet:"stream"`
	Host   string `parquet:"host"`
}

func TestRowsOfAForkSayWhoSentThem(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 2), from("clone", other(" no ", lines2("a", 0, 2)))})
	runOnce(t, d)
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[forkRow]int{}
	for _, f := range files {
		body := storetest.Get(t, st, f.Path)
		rows, err := parquet.Read[forkRow](bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got[r]++
		}
	}
	if len(got) != 2 || got[forkRow{"a", "h"}] != 2 || got[forkRow{"a~1", "clone"}] != 2 {
		t.Errorf("got %v", got)
	}
}

// sender has a log, the beginning of which it may share with others.
type sender struct {
	host string
	log  []byte
}

func (s *sender) grow(rnd *rand.Rand, lines int) {
	for range lines {
		// Short texts, so that the same comes about at the same place. None is the
		// end of another: where a chunk begins with one, it might be its rest.
		text := string(rune('A'+rnd.IntN(2))) + strings.Repeat("b", rnd.IntN(3))
		s.log = append(append(s.log, text...), '\n')
	}
}

// cut gives a chunk of whole lines of the log.
func (s *sender) cut(rnd *rand.Rand, stream string) chunk.Chunk {
	starts := []int{0}
	for i, b := range s.log {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	i := rnd.IntN(len(starts) - 1)
	j := i + 1 + rnd.IntN(min(12, len(starts)-1-i))
	return s.chunk(stream, starts[i], starts[j])
}

func (s *sender) chunk(stream string, first, last int) chunk.Chunk {
	c := lines(stream, 0, 0)
	c.Host, c.First, c.Last = s.host, int64(first), int64(last)
	c.Body = bytes.Clone(s.log[first:last])
	return c
}

// Senders of the same stream have logs that part at some place. They send pieces,
// again and again, cut anew, in any order; demuxes come and go. In the end each
// line is a row for every text that it has at its place, once.
func TestEveryRecordOfEveryHistoryIsARowOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	for range rounds {
		historiesOnce(t, rnd)
		if t.Failed() {
			return
		}
	}
}

func historiesOnce(t *testing.T, rnd *rand.Rand) {
	st := testStore(t)
	senders := []*sender{{host: "h0"}}
	senders[0].grow(rnd, 20+rnd.IntN(20))
	for n := range rnd.IntN(4) {
		of := senders[rnd.IntN(len(senders))]
		s := &sender{host: fmt.Sprint("h", rnd.IntN(n+2))}
		s.log = bytes.Clone(of.log[:rnd.IntN(len(of.log))]) // in the middle of a line, too
		s.grow(rnd, 5+rnd.IntN(20))
		senders = append(senders, s)
	}
	want := map[string]int{}
	stream := "a"
	var sends []chunk.Chunk
	for _, s := range senders {
		for range 10 + rnd.IntN(20) {
			sends = append(sends, s.cut(rnd, stream))
		}
		sends = append(sends, s.chunk(stream, 0, len(s.log)))
		if rnd.IntN(2) == 0 {
			c := s.cut(rnd, stream)
			c.Stream += "~x-1"
			sends = append(sends, c)
		}
	}
	rnd.Shuffle(len(sends), func(i, j int) { sends[i], sends[j] = sends[j], sends[i] })
	for _, c := range sends {
		for first, last := range c.Records() {
			want[fmt.Sprint(stream, " ", c.First+int64(first), " ", strings.TrimSuffix(string(c.Body[first:last]), "\n"))] = 1
		}
	}
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
	for len(sends) > 0 {
		var batches [][]chunk.Chunk
		for range 1 + rnd.IntN(4) {
			n := min(len(sends), 1+rnd.IntN(5))
			if n > 0 {
				batches = append(batches, sends[:n])
			}
			sends = sends[n:]
		}
		publish(t, st, batches...)
		if rnd.IntN(3) == 0 {
			runOnce(t, d)
		}
		if rnd.IntN(4) == 0 {
			d = testDemux(t, st, func(c *Config) { c.RunBytes = 1 << 20 })
		}
	}
	rep := runOnce(t, d)
	got := rowsOnce(t, tableRows(t, st))
	for text := range want {
		if got[text] != 1 {
			t.Errorf("%d rows %q, want 1", got[text], text)
		}
	}
	for text, n := range got {
		if want[text] == 0 {
			t.Errorf("%d rows %q, want none", n, text)
		}
	}
	if t.Failed() {
		for _, s := range senders {
			t.Logf("%s: %q", s.host, s.log)
		}
		t.Logf("%s; %+v", summary(cover(t, st)), rep)
	}
}

// Logs end in the middle of a line, too, which is sent when their file was renamed,
// and went on afterwards. Each line is a row then, or the rows of its pieces.
func TestLinesSentInPiecesAreRowsOfOneStream(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	rounds := 12
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		piecesOnce(t, rnd)
		if t.Failed() {
			return
		}
	}
}

func piecesOnce(t *testing.T, rnd *rand.Rand) {
	st := testStore(t)
	first := &sender{host: "h0"}
	first.grow(rnd, 30)
	senders := []*sender{first}
	for n := range 1 + rnd.IntN(3) {
		s := &sender{host: fmt.Sprint("h", rnd.IntN(2)), log: bytes.Clone(first.log[:rnd.IntN(len(first.log))])}
		s.grow(rnd, 10+n)
		senders = append(senders, s)
	}
	var sends []chunk.Chunk
	for _, s := range senders {
		for range 20 {
			c := s.cut(rnd, "a")
			if rnd.IntN(3) == 0 {
				n := 1 + rnd.Int64N(c.Last-c.First)
				c.Last, c.Body = c.First+n, c.Body[:n]
			}
			sends = append(sends, c)
		}
	}
	rnd.Shuffle(len(sends), func(i, j int) { sends[i], sends[j] = sends[j], sends[i] })
	for _, s := range senders {
		sends = append(sends, s.chunk("a", 0, len(s.log)))
	}
	for len(sends) > 0 {
		n := 1 + rnd.IntN(min(6, len(sends)))
		publish(t, st, sends[:n])
		sends = sends[n:]
		if rnd.IntN(3) == 0 {
			runOnce(t, testDemux(t, st, nil))
		}
	}
	runOnce(t, testDemux(t, st, nil))
	rows := tableRows(t, st)
	rowsOnce(t, rows)
	byStream := map[string]map[int64]string{}
	for _, r := range rows {
		if byStream[r.Stream] == nil {
			byStream[r.Stream] = map[int64]string{}
		}
		byStream[r.Stream][r.Seq] = *r.Message
	}
	for _, s := range senders {
		c := s.chunk("a", 0, len(s.log))
		for from, to := range c.Records() {
			if line := string(s.log[from : to-1]); !hasPieces(byStream, int64(from), line) {
				t.Errorf("%s: no stream has %q at %d", s.host, line, from)
			}
		}
	}
	if t.Failed() {
		for _, s := range senders {
			t.Logf("%s: %q", s.host, s.log)
		}
		for _, r := range rows {
			t.Logf("%s %d %s", r.Stream, r.Seq, *r.Message)
		}
	}
}

// hasPieces reports whether a stream has the line as a row, or in pieces.
func hasPieces(byStream map[string]map[int64]string, at int64, line string) bool {
	for _, rows := range byStream {
		for pos, rest := at, line; ; {
			piece, ok := rows[pos]
			if !ok || piece == "" || !strings.HasPrefix(rest, piece) {
				break
			}
			pos, rest = pos+int64(len(piece)), rest[len(piece):]
			if rest == "" {
				return true
			}
		}
	}
	return false
}

// Two processes that ignore the lease, and streams that are forked.
func TestTwoDemuxesForkOnce(t *testing.T) {
	st := testStore(t)
	want := map[string]int{}
	for i := range 12 {
		chunks := []chunk.Chunk{lines2("a", i*10, 10), from("clone", other(" no ", lines2("a", i*10+5, 10))), lines2("a", i*8, 10)}
		for _, c := range chunks {
			for first, last := range c.Records() {
				want[fmt.Sprint("a ", c.First+int64(first), " ", string(c.Body[first:last-1]))] = 1
			}
		}
		publish(t, st, chunks[:1], chunks[1:])
	}
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			d := testDemux(t, st, func(c *Config) { c.RunBytes = 300 })
			for {
				rep := Report{Type: "app"}
				_, err := d.runSinks(context.Background(), "app", &rep)
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
	if got := rowsOnce(t, tableRows(t, st)); !maps.Equal(got, want) {
		t.Errorf("got %d rows, want %d: %s", len(got), len(want), summary(cover(t, st)))
	}
}

// UTF-16 has newlines of two bytes.
func TestRecordsOfWideCharactersAreForkedWhole(t *testing.T) {
	wide := func(s string) chunk.Chunk {
		c := lines("a", 0, 0)
		c.Encoding = "UTF-16LE"
		for _, r := range s {
			c.Body = append(c.Body, byte(r), byte(r>>8))
		}
		c.Last = int64(len(c.Body))
		return c
	}
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{wide("\u010aone\ntwo\nsix\n")})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{wide("\u010aone\nTwo\nsix\nten\n")})
	runOnce(t, d)
	if got, want := summary(cover(t, st)), "a [0,34), a~1 [10,18)"; got != want {
		t.Errorf("coverage: got %s, want %s", got, want)
	}
	texts := rowsOnce(t, tableRows(t, st))
	for _, want := range []string{"a 0 \u010aone", "a 10 two", "a 10 Two", "a 18 six", "a 26 ten"} {
		if texts[want] != 1 {
			t.Errorf("%d rows %q, want 1: %v", texts[want], want, texts)
		}
	}
}

// The process dies at any write while streams are forked, also where nothing
// can be compared any more: in the end each record is a row once.
func TestACrashAtAnyWriteDoublesNoFork(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		t.Run(when.String(), func(t *testing.T) {
			for k := 0; ; k++ {
				if testing.Short() && k > 0 {
					k += rand.IntN(5)
				}
				if !forkCrashAt(t, k, when) {
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

func forkCrashAt(t *testing.T, k int, when storetest.When) bool {
	inner := testStore(t)
	publish(t, inner, []chunk.Chunk{lines2("a", 0, 10), from("clone", other(" no ", lines2("a", 2, 8)))})
	runOnce(t, testDemux(t, inner, nil))
	if err := inner.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
		t.Fatal(err)
	}
	third := other(" 3rd", lines2("a", 4, 6))
	publish(t, inner, halves(third)) // can't be compared
	publish(t, inner, []chunk.Chunk{third}, []chunk.Chunk{from("clone", other(" no ", lines2("a", 10, 3)))})
	publish(t, inner, []chunk.Chunk{lines2("a", 10, 2)}, halves(other(" no ", lines2("a", 10, 2))))

	st := storetest.NewFaulty(inner)
	st.CrashAt(k, when)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
	d.patience = 0
	_, err := d.RunType(t.Context(), "app")
	crashed := st.Crashed()
	if !crashed && err != nil {
		t.Fatalf("without a crash: %v", err)
	}
	_ = inner.Remove(t.Context(), leasePath("app"))
	runOnce(t, testDemux(t, inner, nil))
	publish(t, inner, []chunk.Chunk{third, from("clone", other(" no ", lines2("a", 10, 3))), lines2("a", 10, 2)})
	runOnce(t, testDemux(t, inner, nil))
	want := map[string]int{}
	for _, c := range []chunk.Chunk{lines2("a", 0, 12), other(" no ", lines2("a", 2, 11)), third} {
		for first, last := range c.Records() {
			want[fmt.Sprint("a ", c.First+int64(first), " ", string(c.Body[first:last-1]))] = 1
		}
	}
	got := rowsOnce(t, tableRows(t, inner))
	for text := range want {
		if got[text] != 1 {
			t.Errorf("crash at %d (%v): %d rows %q, want 1", k, when, got[text], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("crash at %d (%v): %d rows, want %d: %s", k, when, len(got), len(want), summary(cover(t, inner)))
	}
	return crashed
}

// stuck is a store that lets nothing into the archive.
type stuck struct{ store.FS }

func (s stuck) Rename(ctx context.Context, from, to string) error {
	if strings.HasPrefix(to, store.Archive) {
		return errors.New("the process dies")
	}
	return s.FS.Rename(ctx, from, to)
}

// After a commit, and before its sink file is archived, the blocks that it took
// are known by their numbers: there may be more chunks than checksums, and no
// bytes to compare with but the file's own.
func TestABlockIsTakenOnceHoweverManyChunksItHas(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	const chunks = coverage.MaxSums + 44
	publish(t, st, []chunk.Chunk{lines2("a", 0, chunks), other(" no ", lines2("a", 0, 1))})
	runOnce(t, d)
	if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
		t.Fatal(err)
	}
	var list []chunk.Chunk
	for i := range chunks - 1 {
		list = append(list, other(" 3rd", lines2("a", i+1, 1)))
	}
	p := publish(t, st, list[:100], list[100:])
	if _, err := testDemux(t, stuck{st}, nil).RunType(t.Context(), "app"); err == nil {
		t.Fatal("the file was archived")
	}
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 || rep.Archived != 1 {
		t.Errorf("the next process: got %+v, want nothing but the file archived", rep)
	}
	// Another file of the name is another.
	body := storetest.Get(t, st, publish(t, st, []chunk.Chunk{lines2("b", 0, 2)}, []chunk.Chunk{lines2("b", 2, 2)}))
	storetest.Put(t, st, p, body)
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 4 {
		t.Errorf("another file of the same name: got %+v, want its 4 records", rep)
	}
	got := rowsOnce(t, tableRows(t, st))
	if want := chunks + 1 + chunks - 1 + 4; len(got) != want {
		t.Errorf("%d rows, want %d", len(got), want)
	}
}
