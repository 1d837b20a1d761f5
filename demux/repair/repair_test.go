package repair_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/repair"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// damaged is a table with two commits of two streams, whose sink files were
// archived: s in [0,60) and t in [0,20), in lines of 10 bytes.
type damaged struct {
	*querytest.Store
	sinks []string // archived, one for each commit
}

func newDamaged(t *testing.T, silent bool) *damaged {
	t.Helper()
	d := &damaged{Store: querytest.New(t)}
	d.Silent = silent
	d.take(t, lines("s", 0, 3), lines("t", 0, 2))
	d.take(t, lines("s", 30, 3))
	return d
}

// take commits chunks, and archives their sink file.
func (d *damaged) take(t *testing.T, chunks ...chunk.Chunk) {
	t.Helper()
	p := d.Publish(t, chunks...)
	d.Commit(t, "raw", chunks...)
	to := strings.Replace(p, store.Raw, store.Archive, 1)
	d.rename(t, p, to)
	d.sinks = append(d.sinks, to)
}

func (d *damaged) rename(t *testing.T, from, to string) {
	t.Helper()
	if err := d.FS.Rename(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
}

func (d *damaged) remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := d.FS.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
}

// files returns the paths in a folder of the table whose name has the part.
func (d *damaged) files(t *testing.T, dir, part string) []string {
	t.Helper()
	var out []string
	list, err := d.FS.List(t.Context(), path.Join("tables/app", dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, f := range list {
		switch {
		case f.IsDir:
			out = append(out, d.files(t, path.Join(dir, path.Base(f.Path)), part)...)
		case strings.Contains(path.Base(f.Path), part):
			out = append(out, f.Path)
		}
	}
	return out
}

// change replaces the table's content: its parts need not agree.
func (d *damaged) change(t *testing.T, change func(c *table.Content)) {
	t.Helper()
	base, err := table.Open(t.Context(), d.FS, d.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	c := table.Content{Columns: base.Columns()}
	if c.Files, _, err = base.ReadableFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.Coverage, err = base.Coverage(t.Context()); err != nil {
		t.Fatal(err)
	}
	change(&c)
	if _, err := table.Rebuild(t.Context(), d.FS, d.URI, "app", base, c); err != nil {
		t.Fatal(err)
	}
}

// survey looks at the table one family after the other, which finds what a look at all
// of them finds.
func (d *damaged) survey(t *testing.T) *repair.Plan {
	t.Helper()
	var plans []*repair.Plan
	var texts []string
	for _, streams := range []int{0, 1} {
		p, err := repair.Survey(t.Context(), d.FS, d.URI, "app", repair.Options{Streams: streams})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		plans, texts = append(plans, p), append(texts, string(text))
	}
	if texts[0] != texts[1] {
		t.Errorf("at once the plan is\n%s, stream by stream\n%s", texts[0], texts[1])
	}
	return plans[1]
}

// outcome says what a repair made of the table: how often each row is in it, and
// what it covers.
func (d *damaged) outcome(t *testing.T) (rows map[string]int, covered string) {
	t.Helper()
	tab, err := table.Open(t.Context(), d.FS, d.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, bad, err := tab.ReadableFiles(t.Context())
	if err != nil || len(bad) > 0 {
		t.Fatalf("files: %v, %v", err, bad)
	}
	rows = map[string]int{}
	for _, f := range files {
		err := datafile.Offsets(t.Context(), d.FS, f.Path, func(stream string, seq int64) { rows[fmt.Sprint(stream, seq)]++ })
		if err != nil {
			t.Fatal(err)
		}
	}
	set, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows, ranges(set)
}

func ranges(set coverage.Set) string {
	out := ""
	for _, id := range set.IDs() {
		for _, r := range set[id].Ranges {
			out += fmt.Sprintf("%s%v ", id, r)
		}
	}
	return strings.TrimSpace(out)
}

func lines(stream string, first int64, n int) chunk.Chunk {
	return querytest.Data("app", stream, first, strings.Repeat("a line 89\n", n))
}

const allCovered = "s[0,60) t[0,20)"

func TestWhatIsLeftOfATableIsPutTogether(t *testing.T) {
	for name, c := range map[string]struct {
		damage  func(t *testing.T, d *damaged)
		rows    int
		covered string // right after the repair
		redone  []int  // of the archived files
		missing string
		adopted int
		setBy   int
	}{
		"the coverage of a commit": {
			damage: func(t *testing.T, d *damaged) { d.remove(t, d.files(t, "metadata", "run-4.cov")...) },
			rows:   8, covered: allCovered,
		},
		"all metadata": {
			damage: func(t *testing.T, d *damaged) { d.remove(t, d.files(t, "metadata", ".metadata.json")...) },
			rows:   8, covered: allCovered, adopted: 2,
		},
		"all metadata and the archive": {
			damage: func(t *testing.T, d *damaged) {
				d.remove(t, d.files(t, "metadata", ".metadata.json")...)
				d.remove(t, d.sinks...)
			},
			rows: 8, covered: allCovered, adopted: 2,
		},
		"all metadata and a data file": {
			damage: func(t *testing.T, d *damaged) {
				d.remove(t, d.files(t, "metadata", ".metadata.json")...)
				d.remove(t, d.files(t, "data", "run-4-")...)
			},
			rows: 5, covered: "s[0,30) t[0,20)", adopted: 1, redone: []int{1},
		},
		"all metadata, and a file that can't be read": {
			damage: func(t *testing.T, d *damaged) {
				d.remove(t, d.files(t, "metadata", ".metadata.json")...)
				d.remove(t, d.files(t, "data", "run-4-")...)
				storetest.Put(t, d.FS, d.files(t, "data", "run-2-")[0]+".x.parquet", []byte("none"))
			},
			rows: 5, covered: "s[0,30) t[0,20)", adopted: 1, redone: []int{1}, setBy: 1,
		},
		"all manifest lists and manifests": {
			damage: func(t *testing.T, d *damaged) {
				d.remove(t, d.files(t, "metadata", "snap-")...)
				d.remove(t, d.files(t, "metadata", "-m0.avro")...)
			},
			rows: 8, covered: allCovered, adopted: 2,
		},
		"all metadata, and a try that held the same": {
			damage: func(t *testing.T, d *damaged) {
				d.Commit(t, "raw", lines("s", 30, 3))
				d.remove(t, d.files(t, "metadata", ".metadata.json")...)
			},
			rows: 8, covered: allCovered, adopted: 2,
		},
		"a data file": {
			damage: func(t *testing.T, d *damaged) { d.remove(t, d.files(t, "data", "run-4-")...) },
			rows:   5, covered: "s[0,30) t[0,20)", redone: []int{1},
		},
	} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/older=%v", name, silent), func(t *testing.T) {
				d := newDamaged(t, silent)
				c.damage(t, d)
				p := d.survey(t)
				var redone []string
				for _, i := range c.redone {
					redone = append(redone, d.sinks[i])
				}
				if !slices.Equal(p.Redone, redone) || len(p.Adopted) != c.adopted || len(p.SetAside) != c.setBy || p.Lost != 0 {
					t.Errorf("redone %v, want %v; adopted %v, want %d; set by %v, want %d; lost %d bytes, want none",
						p.Redone, redone, p.Adopted, c.adopted, p.SetAside, c.setBy, p.Lost)
				}
				if err := p.Apply(t.Context(), func(string) {}); err != nil {
					t.Fatal(err)
				}
				rows, covered := d.outcome(t)
				for row, n := range rows {
					if n != 1 {
						t.Errorf("row %s is there %d times", row, n)
					}
				}
				// How far the last row of an older file reaches, only a sink file tells.
				if silent && strings.Contains(name, "the archive") {
					c.covered = "s[0,51) t[0,11)"
				}
				if len(rows) != c.rows || covered != c.covered {
					t.Errorf("got %d rows, want %d; covered: got %s, want %s", len(rows), c.rows, covered, c.covered)
				}
				if p := d.survey(t); p.Needed() {
					t.Errorf("after the repair: %v", p.Damaged)
				}
			})
		}
	}
}

func TestWhatIsGoneForGoodIsTold(t *testing.T) {
	d := newDamaged(t, false)
	d.remove(t, d.sinks...)
	d.remove(t, d.files(t, "data", "run-4-")...)
	p := d.survey(t)
	want := []repair.Missing{{Host: "h1", Source: "/var/log/s", Stream: "s", First: 30, Last: 60}}
	if p.Lost != 30 || !slices.Equal(p.Missing, want) {
		t.Errorf("lost %d bytes, %v; want 30, %v", p.Lost, p.Missing, want)
	}
}

// A repair that was stopped after it had moved what it takes in again.
func TestWhatWaitsInRawIsNotMissing(t *testing.T) {
	d := newDamaged(t, false)
	d.remove(t, d.files(t, "data", "run-4-")...)
	d.rename(t, d.sinks[1], strings.Replace(d.sinks[1], store.Archive, store.Raw, 1))
	p := d.survey(t)
	if p.Lost != 0 || len(p.Redone) != 0 {
		t.Errorf("lost %d bytes, redone %v; want none", p.Lost, p.Redone)
	}
	if err := p.Apply(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, covered := d.outcome(t); covered != "s[0,30) t[0,20)" {
		t.Errorf("covered: %s", covered)
	}
}

func TestBytesWithoutARecordAreNotMissing(t *testing.T) {
	d := newDamaged(t, false)
	d.change(t, func(c *table.Content) {
		st := c.Coverage["t"]
		st.Ranges, st.Dropped = st.Ranges.Add(chunk.Range{First: 20, Last: 25}), st.Dropped.Add(chunk.Range{First: 20, Last: 25})
	})
	if p := d.survey(t); p.Needed() {
		t.Fatalf("before any damage: %v", p.Damaged)
	}
	d.remove(t, d.files(t, "data", "run-4-")...)
	p := d.survey(t)
	if p.Lost != 0 {
		t.Errorf("missing: %v, want none", p.Missing)
	}
	if err := p.Apply(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, covered := d.outcome(t); covered != "s[0,30) t[0,25)" {
		t.Errorf("covered: %s", covered)
	}
}

// A data file that retention took out of the table lies there still, for a while.
func TestWhatRetentionDroppedDoesNotComeBack(t *testing.T) {
	for name, part := range map[string]string{"the manifests": "-m0.avro", "the manifest lists": "snap-"} {
		t.Run(name, func(t *testing.T) {
			d := newDamaged(t, false)
			tbl, err := table.Open(t.Context(), d.FS, d.URI, "app")
			if err != nil {
				t.Fatal(err)
			}
			facts := coverage.Set{}
			facts.Stream("s", "h1", "/var/log/s").Tell(chunk.Dropped, chunk.Range{First: 30, Last: 60})
			_, err = tbl.Replace(t.Context(), table.Replacement{
				RunID: fmt.Sprintf("%08d-retain", tbl.Version()+1), Kind: table.Expired, Remove: d.files(t, "data", "run-4-"), Delta: facts,
			})
			if err != nil {
				t.Fatal(err)
			}
			d.remove(t, d.files(t, "metadata", part)...)
			p := d.survey(t)
			if !p.Needed() || len(p.Redone) > 0 || len(p.SetAside) > 0 || p.Lost != 0 {
				t.Errorf("needed %v, redone %v, set by %v, lost %d bytes", p.Needed(), p.Redone, p.SetAside, p.Lost)
			}
			if err := p.Apply(t.Context(), func(string) {}); err != nil {
				t.Fatal(err)
			}
			if rows, covered := d.outcome(t); len(rows) != 5 || covered != allCovered {
				t.Errorf("got %d rows, want 5; covered: got %s, want %s", len(rows), covered, allCovered)
			}
		})
	}
}

func TestCoverageAndDataFilesThatDisagreeAreMadeToAgree(t *testing.T) {
	for name, change := range map[string]func(c *table.Content){
		"a file that is not named": func(c *table.Content) {
			c.Files = slices.DeleteFunc(c.Files, func(f table.DataFile) bool { return strings.Contains(f.Path, "run-4-") })
		},
		"a range that is not counted":  func(c *table.Content) { c.Coverage["s"].Ranges = chunk.Ranges{{First: 0, Last: 40}} },
		"a stream that is not counted": func(c *table.Content) { delete(c.Coverage, "t") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDamaged(t, false)
			d.change(t, change)
			p := d.survey(t)
			if !p.Needed() || len(p.Redone) > 0 || len(p.SetAside) > 0 {
				t.Errorf("needed %v, redone %v, set by %v", p.Needed(), p.Redone, p.SetAside)
			}
			if err := p.Apply(t.Context(), func(string) {}); err != nil {
				t.Fatal(err)
			}
			if rows, covered := d.outcome(t); len(rows) != 8 || covered != allCovered {
				t.Errorf("got %d rows, want 8; covered: got %s, want %s", len(rows), covered, allCovered)
			}
		})
	}
}

// A table of more streams than are in memory at a time is repaired as any other.
func TestATableOfManyStreamsIsRepaired(t *testing.T) {
	const commits, each = 4, 500
	d := &damaged{Store: querytest.New(t)}
	for n := range commits {
		var chunks []chunk.Chunk
		for i := range each {
			chunks = append(chunks, lines(fmt.Sprintf("s%04d", i*commits+n), 0, 1))
		}
		d.take(t, chunks...)
	}
	before, err := opened(t, d).Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := opened(t, d).Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.remove(t, files[1].Path)
	p, err := repair.Survey(t.Context(), d.FS, d.URI, "app", repair.Options{Streams: 100})
	if err != nil || len(p.Redone) != 1 || p.Records != (commits-1)*each || p.Lost != 0 {
		t.Fatalf("survey: %+v, %v", p, err)
	}
	if err := p.Apply(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	after, err := opened(t, d).Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for id, st := range before {
		switch {
		case after[id] == nil || len(after[id].Ranges) == 0:
		case !slices.Equal(after[id].Ranges, st.Ranges) || !slices.Equal(after[id].Sums, st.Sums):
			t.Errorf("of %s is held %v, want %v", id, after[id].Ranges, st.Ranges)
		default:
			held++
		}
	}
	if held != (commits-1)*each {
		t.Errorf("%d streams are held, want those of %d files", held, commits-1)
	}
}

func opened(t *testing.T, d *damaged) *table.Table {
	t.Helper()
	tbl, err := table.Open(t.Context(), d.FS, d.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}
