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

// Find gives one overlap for each two readers of a type that have any. Where a
// file is there that shows it, that is the example. With look false, no file is
// looked for.
//
// Of patterns with very many alternatives, and where what is excluded leaves
// only odd names, an overlap may be missed.
func Find(readers []Reader, look bool) []Overlap {
	found := map[[2]int]Overlap{}
	if look {
		seen(readers, found)
	}
	for j := range readers {
		for i := range j {
			key := [2]int{i, j}
			if _, known := found[key]; known || readers[i].Type != readers[j].Type {
				continue
			}
			if pattern, path, ok := readers[i].meets(&readers[j]); ok {
				found[key] = Overlap{First: i, Second: j, Pattern: pattern, Path: path}
			}
		}
	}
	out := make([]Overlap, 0, len(found))
	for _, o := range found {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Overlap) int {
		if a.Second != b.Second {
			return a.Second - b.Second
		}
		return a.First - b.First
	})
	return out
}

// meets gives a pattern of other and a path that both readers match.
func (r *Reader) meets(other *Reader) (pattern, path string, ok bool) {
	mine := make([][][]step, len(r.Include))
	for i, p := range r.Include {
		mine[i] = compile(absolute(p))
	}
	for _, pattern := range other.Include {
		for _, b := range compile(absolute(pattern)) {
			for _, as := range mine {
				for _, a := range as {
					for _, full := range [...]bool{true, false} {
						for _, filler := range "xa1_" {
							path, ok := common(a, b, filler, full)
							// What was found is held against what does match in the end.
							if ok && r.matches(path) != "" && other.matches(path) != "" {
								return pattern, path, true
							}
						}
					}
				}
			}
		}
	}
	return "", "", false
}

func absolute(pattern string) string {
	if abs, err := filepath.Abs(pattern); err == nil {
		return abs
	}
	return pattern
}

// matches gives the pattern by which the reader finds a path, empty if it does
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
func seen(readers []Reader, found map[[2]int]Overlap) {
	type sight struct {
		reader int
		path   string
	}
	first := map[file][]sight{}
	left := maxFiles
	for j := range readers {
		r := &readers[j]
		if !slices.ContainsFunc(readers, func(o Reader) bool { return o.Type == r.Type && o.Name != r.Name }) {
			continue
		}
		r.walk(&left, func(path, pattern string, key file) {
			for _, s := range first[key] {
				o := Overlap{First: s.reader, Second: j, Pattern: pattern, Path: path, Present: true}
				if s.path != path {
					o.Other = s.path
				}
				if _, known := found[[2]int{s.reader, j}]; !known && s.reader != j {
					found[[2]int{s.reader, j}] = o
				}
			}
			first[key] = append(first[key], sight{j, path})
		})
	}
}

// walk calls f for each regular file that the reader finds now.
func (r *Reader) walk(left *int, f func(path, pattern string, key file)) {
	done := map[string]bool{}
	for _, p := range r.Include {
		base := fixed(absolute(p))
		_ = filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
			if *left--; *left < 0 {
				return filepath.SkipAll
			}
			if err != nil || done[path] {
				return nil
			}
			if entry.IsDir() {
				if r.excludes(path) || !strings.Contains(p, "**") && depth(path) >= depth(absolute(p)) {
					return filepath.SkipDir
				}
				return nil
			}
			pattern := r.matches(path)
			if pattern == "" {
				return nil
			}
			done[path] = true
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				return nil
			}
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				f(path, pattern, file{r.Type, uint64(st.Dev), st.Ino})
			}
			return nil
		})
	}
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
