package find

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestScan(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a.log", "x/a.log", "x/y/a.log", "x/y/b.txt", "z/a.log", "other/deep/a.log"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"x/up": "..", "x/other": "../other"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		include, exclude, want []string
	}{
		{include: []string{"*.log"}, want: []string{"a.log"}},
		{include: []string{"**/*.log"}, want: []string{"a.log", "other/deep/a.log", "x/a.log", "x/y/a.log", "z/a.log"}},
		{include: []string{"x/**/*.log"}, want: []string{"x/a.log", "x/other/deep/a.log", "x/up/a.log", "x/up/z/a.log", "x/y/a.log"}},
		{include: []string{"x/**"}, want: []string{"x/a.log", "x/other/deep/a.log", "x/up/a.log", "x/up/z/a.log", "x/y/a.log", "x/y/b.txt"}},
		{include: []string{"*/a.log"}, want: []string{"x/a.log", "z/a.log"}},
		{include: []string{"{x/y,z}/*"}, want: []string{"x/y/a.log", "x/y/b.txt", "z/a.log"}},
		{include: []string{"x/y/b.txt", "nowhere/at/all/*.log"}, want: []string{"x/y/b.txt"}},
		{include: []string{"**/a.log"}, exclude: []string{"x", "**/deep/*"}, want: []string{"a.log", "z/a.log"}},
	}
	for _, tt := range tests {
		for _, watch := range []bool{true, false} {
			f, err := New(abs(dir, tt.include), abs(dir, tt.exclude), watch, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			f.Scan(func(path string) {
				rel, err := filepath.Rel(dir, path)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rel)
			})
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v without %v: got %v, want %v", tt.include, tt.exclude, got, tt.want)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func abs(dir string, globs []string) []string {
	var out []string
	for _, g := range globs {
		out = append(out, filepath.Join(dir, g))
	}
	return out
}

func TestExpand(t *testing.T) {
	for glob, want := range map[string][]string{
		"/a/*.{log,txt}":     {"/a/*.{log,txt}"},
		"/{a/b,c}/x":         {"/a/b/x", "/c/x"},
		"/{a/{b,c},d}/{e,f}": {"/a/{b,c}/{e,f}", "/d/{e,f}"},
		`/\{a/b\}`:           {`/\{a/b\}`},
		"/{a":                {"/{a"},
	} {
		if got := expand(glob); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", glob, got, want)
		}
	}
}
