package demux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/parse"
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

// cover returns the coverage of the table.
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

// inLines returns a set with its ranges counted in lines.
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
				app.Spec = parse.MustSpec("log4j")
				c.Types = map[string]TypeConfig{"app": app}
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
