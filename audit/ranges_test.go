package audit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
)

func runIn(t *testing.T, s *querytest.Store, opts audit.Options) audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), s.FS, s.URI, s.Engine(t, query.Options{}), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rebuilt replaces the table's content: files and coverage need not agree.
func rebuilt(t *testing.T, s *querytest.Store, change func(c *table.Content)) {
	t.Helper()
	base, err := table.Open(t.Context(), s.FS, s.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := base.ReadableFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := base.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := table.Content{Files: files, Columns: base.Columns(), Coverage: set, Note: "by a test"}
	change(&c)
	if _, err := table.Rebuild(t.Context(), s.FS, s.URI, "app", base, c); err != nil {
		t.Fatal(err)
	}
}

func TestDataFilesAndCoverageAreComparedWithEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		change                 func(c *table.Content)
		hidden, uncovered, gap string
	}{
		"they agree": {func(*table.Content) {}, "", "", ""},
		"a data file that the table does not name any more": {
			func(c *table.Content) {
				c.Files = slices.DeleteFunc(c.Files, func(f table.DataFile) bool { return strings.Contains(f.Path, "run-2-") })
			}, "s[30,50)", "", "",
		},
		"coverage that lost a range":  {func(c *table.Content) { c.Coverage["s"].Ranges = chunk.Ranges{{First: 0, Last: 40}} }, "", "s[40,50)", ""},
		"coverage that lost a stream": {func(c *table.Content) { delete(c.Coverage, "t") }, "", "t[0,20)", ""},
		"coverage with a stream too many": {
			func(c *table.Content) { c.Coverage.Stream("u", "h", "o").Ranges = chunk.Ranges{{First: 0, Last: 7}} }, "u[0,7)", "", "",
		},
		"bytes that are no record": {
			func(c *table.Content) {
				st := c.Coverage.Stream("u", "h", "o")
				st.Ranges, st.Dropped = chunk.Ranges{{First: 0, Last: 7}}, chunk.Ranges{{First: 0, Last: 7}}
			}, "", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			s.Commit(t, "raw", data("s", 0, 3), data("t", 0, 2))
			s.Commit(t, "raw", data("s", 30, 2))
			rebuilt(t, s, c.change)
			opts := audit.Options{CacheDir: t.TempDir()}
			for range 2 { // what is remembered says the same
				r := runIn(t, s, opts)
				if h, u := ranges(r.Hidden), ranges(r.Uncovered); h != c.hidden || u != c.uncovered {
					t.Errorf("hidden: got %q, want %q; uncovered: got %q, want %q", h, c.hidden, u, c.uncovered)
				}
				if fine := c.hidden+c.uncovered == ""; r.OK() != fine || int(r.HiddenTotal+r.UncoveredTotal) != len(r.Hidden)+len(r.Uncovered) {
					t.Errorf("OK: got %v, want %v", r.OK(), fine)
				}
				if _, text := forms(t, r); strings.Contains(text, "counted as held") != (c.hidden+c.uncovered != "") {
					t.Errorf("the text says:\n%s", text)
				}
			}
		})
	}
}

func TestDataFilesAreAskedOnce(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 0, 3))
	opts := audit.Options{CacheDir: t.TempDir()}
	if r := runIn(t, s, opts); !r.OK() {
		t.Fatalf("got %+v", r)
	}
	// A footer that can't be read any more is not seen: the file was looked at.
	p := dataFile(t, s)
	whole, err := os.ReadFile(onDisk(s, p))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(onDisk(s, p), make([]byte, len(whole)), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := runIn(t, s, opts); !r.OK() {
		t.Errorf("it was asked again: %+v", r)
	}
	if r := runIn(t, s, audit.Options{}); r.OK() || len(r.Damaged) != 1 || r.Damaged[0].Path != p {
		t.Errorf("without a memory: got %+v, want %s damaged", r.Damaged, p)
	}
	found, err := filepath.Glob(filepath.Join(opts.CacheDir, "audit", "*", "app.ranges"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got %v, %v", found, err)
	}
	for name, harm := range map[string]func(b []byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":           func(b []byte) []byte { return b[:len(b)-3] },
		"empty":         func([]byte) []byte { return nil },
	} {
		kept, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(found[0], harm(append([]byte{}, kept...)), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := runIn(t, s, opts); len(r.Damaged) != 1 {
			t.Errorf("a memory with %s was trusted: %+v", name, r)
		}
		if err := os.WriteFile(found[0], kept, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A table that has other files is asked anew.
	if err := os.WriteFile(onDisk(s, p), whole, 0o644); err != nil {
		t.Fatal(err)
	}
	s.Commit(t, "raw", data("s", 30, 1))
	s.Commit(t, "raw", data("s", 20, 2))
	if r := runIn(t, s, opts); ranges(r.Overlaps) != "s[20,30) s[30,31)" {
		t.Errorf("got %s, want what comes twice in files that were and were not asked", ranges(r.Overlaps))
	}
	if r := runIn(t, s, opts); ranges(r.Overlaps) != "s[20,30) s[30,31)" {
		t.Errorf("the second time: got %s", ranges(r.Overlaps))
	}
}

// Rows begin where their lines do: ranges that overlap within a line have no row
// in common.
func TestRangesThatOverlapWithinARowAreTold(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 0, 3))
	s.Commit(t, "raw", data("s", 25, 1))
	r := run(t, s)
	if got, want := ranges(r.Overlaps), "s[25,30)"; got != want || r.OverlapsTotal != 1 || r.OK() {
		t.Errorf("got %s (%d), want %s", got, r.OverlapsTotal, want)
	}
}

// silent makes data files of an older version: they don't say what they cover.
func silent(t *testing.T, s *querytest.Store, chunks ...chunk.Chunk) {
	t.Helper()
	s.Silent = true
	defer func() { s.Silent = false }()
	s.Commit(t, "raw", chunks...)
}

func TestFilesThatDontSayWhatTheyCoverAreLookedInto(t *testing.T) {
	for name, c := range map[string]struct {
		old, also, new []chunk.Chunk
		want           string
	}{
		"all is once":             {old: []chunk.Chunk{data("s", 0, 3)}, also: []chunk.Chunk{data("s", 30, 1)}, new: []chunk.Chunk{data("s", 40, 1)}},
		"twice in old files":      {old: []chunk.Chunk{data("s", 0, 3)}, also: []chunk.Chunk{data("s", 20, 1)}, new: []chunk.Chunk{data("s", 30, 1)}, want: "s[20,30)"},
		"in an old and a new one": {old: []chunk.Chunk{data("s", 0, 3)}, also: []chunk.Chunk{data("t", 0, 1)}, new: []chunk.Chunk{data("s", 20, 2)}, want: "s[20,30)"},
		"between old ones":        {old: []chunk.Chunk{data("s", 0, 1)}, also: []chunk.Chunk{data("s", 30, 1)}, new: []chunk.Chunk{data("s", 10, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			silent(t, s, c.old...)
			silent(t, s, c.also...)
			s.Commit(t, "raw", c.new...)
			opts := audit.Options{CacheDir: t.TempDir()}
			for range 2 {
				r := runIn(t, s, opts)
				if got := ranges(r.Overlaps); got != c.want || r.OK() != (c.want == "") {
					t.Errorf("got %q, want %q; OK: %v", got, c.want, r.OK())
				}
			}
		})
	}
}
