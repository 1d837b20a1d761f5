package find

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// pattern is one path pattern, absolute, without braces that hold a slash.
type pattern struct {
	glob     string
	base     string // the longest part without wildcards
	segments []string
}

// maxPatterns bounds what braces make of a finder's patterns.
const maxPatterns = 10_000

// compile makes patterns absolute and expands braces that hold a slash, so
// that each can be compared folder by folder.
func compile(globs []string) ([]pattern, error) {
	var out []pattern
	for _, g := range globs {
		for _, g := range expand(g) {
			abs, err := filepath.Abs(g)
			if err != nil {
				return nil, err
			}
			base, _ := doublestar.SplitPattern(abs)
			if len(out) == maxPatterns {
				return nil, fmt.Errorf("the braces of the patterns stand for more than %d patterns", maxPatterns)
			}
			out = append(out, pattern{glob: abs, base: base, segments: strings.Split(abs, "/")})
		}
	}
	return out, nil
}

// expand replaces the first brace that holds a slash by its alternatives, and
// goes on with each of them.
func expand(g string) []string {
	for open := 0; open < len(g); open++ {
		if g[open] == '\\' {
			open++
			continue
		}
		if g[open] != '{' {
			continue
		}
		alternatives, end := braces(g[open:])
		if end == 0 {
			return []string{g}
		}
		if !strings.Contains(g[open:open+end], "/") {
			open += end - 1
			continue
		}
		var out []string
		for _, alt := range alternatives {
			out = append(out, expand(g[:open]+alt+g[open+end:])...)
		}
		return out
	}
	return []string{g}
}

// braces splits {a,b} at its own commas; end is the length with both braces,
// 0 when they are not closed.
func braces(s string) (alternatives []string, end int) {
	depth, from := 0, 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case ',':
			if depth == 1 {
				alternatives = append(alternatives, s[from:i])
				from = i + 1
			}
		case '}':
			if depth--; depth == 0 {
				return append(alternatives, s[from:i]), i + 1
			}
		}
	}
	return nil, 0
}

func (p *pattern) match(path string) bool { return doublestar.MatchUnvalidated(p.glob, path) }

// below reports whether something in dir, or deeper, can match.
func (p *pattern) below(dir string) bool {
	if dir == "/" {
		return true
	}
	for i, name := range strings.Split(dir, "/") {
		if i < len(p.segments) && strings.Contains(p.segments[i], "**") {
			return true // also as the last segment
		}
		if i >= len(p.segments)-1 {
			return false
		}
		if !doublestar.MatchUnvalidated(p.segments[i], name) {
			return false
		}
	}
	return true
}
