package overlap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/config"
)

func TestPatternsThatOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b    string // patterns with spaces; "!" excludes
		example string // empty: they don't overlap
	}{
		{"/var/log/*.log", "/var/log/app.log", "/var/log/app.log"},
		{"/var/log/*.log", "/var/log/*.log", "/var/log/x.log"},
		{"/var/log/*.log", "/var/log/*.txt", ""},
		{"/var/log/*.log", "/var/log/*/*.log", ""},
		{"/var/log/**/*.log", "/var/log/app/app.log", "/var/log/app/app.log"},
		{"/var/log/**/*.log", "/var/log/app.log", "/var/log/app.log"},
		{"/var/log/**/*.log", "/srv/**/*.log", ""},
		{"/**/*.log", "/srv/**/app*", "/srv/app.log"},
		{"/srv/**", "/srv/a/b/c", "/srv/a/b/c"},
		{"/srv/**", "/srv2/a", ""},
		{"/a/**/b/**/c", "/a/x/**/c", "/a/x/b/c"},
		{"/log/app-?.log", "/log/app-[0-9].log", "/log/app-0.log"},
		{"/log/app-[a-f].log", "/log/app-[g-z].log", ""},
		{"/log/app-[^a-f].log", "/log/app-[a-f].log", ""},
		{"/log/app-[!a-f].log", "/log/app-[a-g].log", "/log/app-g.log"},
		{"/log/{a,b}.log", "/log/{b,c}.log", "/log/b.log"},
		{"/log/{a,b}.log", "/log/{c,d}.log", ""},
		{"/log/{a/x,b/*}.log", "/log/b/y.log", "/log/b/y.log"},
		{"/log/{a,{b,c}d}.log", "/log/cd.log", "/log/cd.log"},
		{`/log/a\*.log`, "/log/a*.log", "/log/a*.log"},
		{`/log/a\*.log`, "/log/ab.log", ""},
		{"/log/*.log !/log/app*", "/log/app.log", ""},
		{"/log/** !/log/app/**", "/log/app/*.log", ""},
		{"/log/* !/log/x*", "/log/*.log", "/log/a.log"},
		{"/log/ä*.log", "/log/*ö.log", "/log/äö.log"},
		{"/log/*", "/log/?", "/log/x"},
		{"/log/a*b*c", "/log/a*c*b", ""},
		{"/log/a*b*c*", "/log/*c*b*c", "/log/acbbcc"},
		{"/log/app.log", "/log/app.log.1", ""},
	} {
		readers := []Reader{reader("a", test.a), reader("b", test.b)}
		for range 2 {
			got := Find(readers, 0, false)
			switch {
			case test.example == "" && len(got) > 0:
				t.Errorf("%s and %s: got %+v, want none", test.a, test.b, got)
			case test.example != "" && len(got) == 0:
				t.Errorf("%s and %s: got none, want %s", test.a, test.b, test.example)
			case test.example != "":
				if p := got[0].Path; readers[0].matches(p) == "" || readers[1].matches(p) == "" {
					t.Errorf("%s and %s: the example %s is none", test.a, test.b, p)
				}
				if got[0].Path != test.example {
					t.Errorf("%s and %s: got %s, want %s", test.a, test.b, got[0].Path, test.example)
				}
			}
			readers[0], readers[1] = readers[1], readers[0]
		}
	}
}

func reader(name, patterns string) Reader {
	r := Reader{Name: name, Type: "x"}
	for p := range strings.FieldsSeq(patterns) {
		if not, is := strings.CutPrefix(p, "!"); is {
			r.Exclude = append(r.Exclude, not)
		} else {
			r.Include = append(r.Include, p)
		}
	}
	return r
}

func TestOnlyReadersOfOneTypeOverlap(t *testing.T) {
	a, b, c := reader("a", "/log/*"), reader("b", "/log/*"), reader("c", "/log/*")
	b.Type = "y"
	got := Find([]Reader{a, b, c}, 0, false)
	if len(got) != 1 || got[0].First != 0 || got[0].Second != 2 || got[0].Pattern != "/log/*" {
		t.Errorf("got %+v, want the first and the last", got)
	}
}

func TestFilesThatAreThereShowWhatPatternsDoNot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/app.log", "a/link.log", "b/app.log", "b/hard.log", "c/other.log"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "link") || strings.Contains(name, "hard") {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../c/other.log", filepath.Join(dir, "a/link.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "a/app.log"), filepath.Join(dir, "b/hard.log")); err != nil {
		t.Fatal(err)
	}
	a, b, c := reader("a", dir+"/a/*.log"), reader("b", dir+"/b/*.log"), reader("c", dir+"/c/*.log")
	if got := Find([]Reader{a, b, c}, 0, false); len(got) != 0 {
		t.Errorf("by patterns: got %+v, want none", got)
	}
	got := Find([]Reader{a, b, c}, 0, true)
	if len(got) != 2 {
		t.Fatalf("got %+v, want two", got)
	}
	if o := got[0]; !o.Present || o.First != 0 || o.Second != 1 || o.Path != dir+"/b/hard.log" || o.Other != dir+"/a/app.log" {
		t.Errorf("a hard link: got %+v", o)
	}
	if o := got[1]; !o.Present || o.First != 0 || o.Second != 2 || o.Path != dir+"/c/other.log" || o.Other != dir+"/a/link.log" {
		t.Errorf("a symlink: got %+v", o)
	}
	both := Find([]Reader{a, reader("d", dir+"/*/app.log")}, 0, true)
	if len(both) != 1 || both[0].Path != dir+"/a/app.log" || !both[0].Present || both[0].Other != "" {
		t.Errorf("a file that both match: got %+v, want that one", both)
	}
}

// A path that is said to be common matches both patterns.
func FuzzCommon(f *testing.F) {
	for _, p := range []string{"/a/*.log", "/**/b", "/a/{x,y/z}/?", "/[a-c]/**", "/a/[!b]*c"} {
		f.Add(p, "/a/*b*")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var g config.Glob
		if len(a) > 40 || len(b) > 40 || !strings.HasPrefix(a, "/") || !strings.HasPrefix(b, "/") ||
			g.UnmarshalText([]byte(a)) != nil || g.UnmarshalText([]byte(b)) != nil {
			return
		}
		x, y := Reader{Name: "a", Include: []string{a}}, Reader{Name: "b", Include: []string{b}}
		for _, o := range Find([]Reader{x, y}, 0, false) {
			if x.matches(o.Path) == "" || y.matches(o.Path) == "" {
				t.Errorf("%q and %q: %q is matched by one alone", a, b, o.Path)
			}
		}
		if a == b && x.matches(a) != "" && compile(a) != nil && len(Find([]Reader{x, y}, 0, false)) == 0 {
			t.Errorf("%q matches itself, and is not said to overlap with itself", a)
		}
	})
}

func TestManyReadersAreComparedFast(t *testing.T) {
	var readers []Reader
	for i := range 1000 {
		readers = append(readers, reader(fmt.Sprint(i), fmt.Sprintf("/srv/app-%d/**/{a,b,c}-*.log /var/log/%d.log", i, i)))
	}
	if got := Find(readers, 0, false); len(got) != 0 {
		t.Errorf("got %+v, want none", got)
	}
	for i := range readers {
		readers[i].Include[1] = "/var/log/x.log"
	}
	if got := Find(readers, 0, false); len(got) != 999 {
		t.Errorf("got %d overlaps, want one of each but the first", len(got))
	}
	if got := Find(readers, 998, false); len(got) != 2 || got[0].Second != 998 {
		t.Errorf("got %+v, want those of the last two", got)
	}
}
