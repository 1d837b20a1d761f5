// Package overlap finds adaptors that want the same files: by their patterns,
// and by the files that are there.
package overlap

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/akupara/akupara/config"
)

// Reader is an adaptor that finds files by patterns, as one data type.
type Reader struct {
	Name, Type       string
	Include, Exclude []string
}

// Overlap is two adaptors, as indexes of the readers, that match the same file.
type Overlap struct {
	First, Second int
	Pattern       string // of the second
	Path          string // an example, as the second finds it
	Other         string // the same file as the first finds it, where that is another path
	Present       bool   // the file is there
}

// maxFiles bounds the names that are looked at in all.
const maxFiles = 50_000

// Find looks at the readers from index first on, and returns for each of them
// one overlap with one before it, if there is any. Where a file is there that
// shows it, that is the example. With look false, no file is looked for.
//
// Of patterns with very many alternatives, and where what is excluded leaves
// only odd names, an overlap may be missed.
func Find(readers []Reader, first int, look bool) []Overlap {
	found := map[int]Overlap{} // by Second
	if look {
		seen(readers, first, found)
	}
	patterns := make([][]pattern, len(readers))
	for i := range readers {
		for _, p := range readers[i].Include {
			patterns[i] = append(patterns[i], newPattern(p))
		}
	}
	var out []Overlap
	for j := first; j < len(readers); j++ {
		o, known := found[j]
		for i := 0; i < j && !known; i++ {
			if readers[i].Type != readers[j].Type {
				continue
			}
			o = Overlap{First: i, Second: j}
			o.Pattern, o.Path, known = meet(&readers[i], patterns[i], &readers[j], patterns[j])
		}
		if known {
			out = append(out, o)
		}
	}
	return out
}

// pattern is one as it is given, and read.
type pattern struct {
	given, glob string
	fixed       string // all that it matches begins so
	steps       [][]step
}

func newPattern(given string) pattern {
	p := pattern{given: given, glob: absolute(given)}
	p.fixed = p.glob
	if i := strings.IndexAny(p.glob, `*?[{\`); i >= 0 {
		p.fixed = p.glob[:i]
	}
	p.steps = compile(p.glob)
	return p
}

// meet returns a pattern of b and a path that both readers match.
func meet(a *Reader, as []pattern, b *Reader, bs []pattern) (by, path string, ok bool) {
	for _, q := range bs {
		for _, p := range as {
			if !strings.HasPrefix(p.fixed, q.fixed) && !strings.HasPrefix(q.fixed, p.fixed) {
				continue
			}
			if path, ok := p.meets(&q, func(path string) bool { return a.matches(path) != "" && b.matches(path) != "" }); ok {
				return q.given, path, true
			}
		}
	}
	return "", "", false
}

// meets returns a path that both patterns match, and that is right.
func (p *pattern) meets(q *pattern, right func(path string) bool) (string, bool) {
	for _, a := range p.steps {
		for _, b := range q.steps {
			for _, full := range [...]bool{true, false} {
				for _, filler := range "xa1_" {
					path, ok := common(a, b, filler, full)
					if !ok {
						break // nor with another filler
					}
					if right(path) {
						return path, true
					}
				}
			}
		}
	}
	return "", false
}

func absolute(pattern string) string {
	if abs, err := filepath.Abs(pattern); err == nil {
		return abs
	}
	return pattern
}

// matches returns the pattern by which the reader finds a path, empty if it does
// not.
func (r *Reader) matches(path string) string {
	for _, p := range r.Include {
		if config.Glob(absolute(p)).Match(path) {
			if r.excludes(path) {
				return ""
			}
			return p
		}
	}
	return ""
}

// excludes reports whether a path, or a folder that it lies in, is left out.
func (r *Reader) excludes(path string) bool {
	for ; path != "/" && path != "."; path = filepath.Dir(path) {
		for _, p := range r.Exclude {
			if config.Glob(absolute(p)).Match(path) {
				return true
			}
		}
	}
	return false
}

// file is one that is there, whatever its names.
type file struct {
	dataType string
	dev, ino uint64
}

// seen looks at the files that are there.
func seen(readers []Reader, from int, found map[int]Overlap) {
	type sight struct {
		reader int
		path   string
	}
	first := map[file]sight{}
	left := maxFiles
	for j := range readers {
		r := &readers[j]
		if !slices.ContainsFunc(readers, func(o Reader) bool { return o.Type == r.Type && o.Name != r.Name }) {
			continue
		}
		r.walk(&left, func(path, pattern string, key file) {
			s, known := first[key]
			switch _, said := found[j]; {
			case !known:
				first[key] = sight{j, path}
			case s.reader != j && j >= from && !said:
				o := Overlap{First: s.reader, Second: j, Pattern: pattern, Path: path, Present: true}
				if s.path != path {
					o.Other = s.path
				}
				found[j] = o
			}
		})
	}
}

// walk calls f for each regular file that the reader finds now.
func (r *Reader) walk(left *int, f func(path, pattern string, key file)) {
	done := map[string]bool{}
	for _, p := range r.Include {
		base := fixed(absolute(p))
		_ = filepath.WalkDir(base, func(path string, entry fs.DirEntry, _ error) error {
			*left--
			switch {
			case *left < 0:
				return filepath.SkipAll
			case entry == nil || done[path]: // what can't be read is not looked at
			case entry.IsDir():
				if r.excludes(path) || !strings.Contains(p, "**") && depth(path) >= depth(absolute(p)) {
					return filepath.SkipDir
				}
			default:
				if pattern := r.matches(path); pattern != "" {
					done[path] = true
					if key, ok := fileAt(path, r.Type); ok {
						f(path, pattern, key)
					}
				}
			}
			return nil
		})
	}
}

// fileAt returns the regular file that a path leads to, if there is one.
func fileAt(path, dataType string) (file, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return file{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return file{}, false
	}
	return file{dataType, st.Dev, st.Ino}, true
}

func depth(path string) int { return strings.Count(path, "/") }

// fixed is the folder that all a pattern matches lies in.
func fixed(pattern string) string {
	i := strings.IndexAny(pattern, `*?[{\`)
	if i < 0 {
		return pattern
	}
	return filepath.Clean(pattern[:strings.LastIndexByte(pattern[:i], '/')+1])
}

// Unmatched is a pattern of a reader that no file matches.
type Unmatched struct {
	Reader  int
	Pattern string
}

// FindNone returns the patterns that match no file which this process can see. Where
// there are too many files to tell, it leaves the rest out.
func FindNone(readers []Reader) (out []Unmatched) {
	left := maxFiles
	for i, r := range readers {
		for _, p := range r.Include {
			one, found := Reader{Include: []string{p}, Exclude: r.Exclude}, false
			one.walk(&left, func(string, string, file) { found = true })
			if left < 0 {
				return out
			}
			if !found {
				out = append(out, Unmatched{i, p})
			}
		}
	}
	return out
}
