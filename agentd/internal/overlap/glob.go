package overlap

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A pattern is read as a small machine: a list of steps, each of which takes
// runes of a path. Two patterns overlap if there is a path that leads both
// through to their ends.
type step struct {
	sort sort
	set  set // of one
}

type sort uint8

const (
	one  sort = iota // one rune of a set
	star             // any number of runes within a folder: *
	dirs             // any number of whole folders: ** between slashes
	rest             // anything: ** at the end
)

// set is the runes that one step takes: those within ranges, or all others but
// the slash.
type set struct {
	ranges [][2]rune
	not    bool
}

func (s set) has(r rune) bool {
	in := slices.ContainsFunc(s.ranges, func(x [2]rune) bool { return x[0] <= r && r <= x[1] })
	return in != s.not && (!s.not || r != '/')
}

// maxExpanded bounds the patterns that braces make of one.
const maxExpanded = 256

// compile reads an absolute pattern. Braces make several of one; nil says that
// they are too many, or that it is not understood.
func compile(pattern string) [][]step {
	var out [][]step
	for _, p := range expand(pattern, maxExpanded) {
		steps, ok := parse(p)
		if !ok {
			return nil
		}
		out = append(out, steps)
	}
	return out
}

// expand replaces braces by their alternatives; nil if there are more than most.
func expand(p string, most int) []string {
	open := -1
	for i := 0; i < len(p) && open < 0; i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			open = i
		}
	}
	if open < 0 {
		return []string{p}
	}
	var out []string
	depth, from := 0, open+1
	for i := open; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}', ',':
			if p[i] == '}' {
				depth--
			}
			if depth > 1 || depth == 1 && p[i] == '}' {
				continue
			}
			alternatives := p[from:i]
			from = i + 1
			out = append(out, alternatives)
			if depth == 0 {
				return join(p[:open], out, p[i+1:], most)
			}
		}
	}
	return nil // not closed
}

func join(before string, alternatives []string, after string, most int) []string {
	var out []string
	for _, a := range alternatives {
		more := expand(before+a+after, most-len(out))
		if more == nil || len(out)+len(more) > most {
			return nil
		}
		out = append(out, more...)
	}
	return out
}

func parse(p string) (steps []step, ok bool) {
	folders := strings.Split(p, "/")
	for i, name := range folders {
		last := i == len(folders)-1
		if i > 0 && folders[i-1] != "**" || i == 1 {
			steps = append(steps, literal('/'))
		}
		switch {
		case name == "**" && last:
			steps = append(steps, step{sort: rest})
		case name == "**":
			steps = append(steps, step{sort: dirs})
		default:
			if steps, ok = parseName(steps, name); !ok {
				return nil, false
			}
		}
	}
	return steps, true
}

func literal(r rune) step { return step{set: set{ranges: [][2]rune{{r, r}}}} }

func parseName(steps []step, name string) ([]step, bool) {
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		name = name[n:]
		switch r {
		case '*':
			if k := len(steps); k == 0 || steps[k-1].sort != star {
				steps = append(steps, step{sort: star})
			}
		case '?':
			steps = append(steps, step{set: set{not: true}})
		case '[':
			s, after, ok := parseClass(name)
			if !ok {
				return nil, false
			}
			steps, name = append(steps, step{set: s}), after
		case '\\':
			r, n = utf8.DecodeRuneInString(name)
			name = name[n:]
			fallthrough
		default:
			steps = append(steps, literal(r))
		}
	}
	return steps, true
}

// parseClass reads what stands behind a [.
func parseClass(p string) (s set, after string, ok bool) {
	if len(p) > 0 && (p[0] == '^' || p[0] == '!') {
		s.not, p = true, p[1:]
	}
	next := func() rune {
		p = strings.TrimPrefix(p, `\`)
		r, n := utf8.DecodeRuneInString(p)
		p = p[n:]
		return r
	}
	for first := true; len(p) > 0; first = false {
		if p[0] == ']' && !first {
			return s, p[1:], true
		}
		low := next()
		high := low
		if len(p) > 1 && p[0] == '-' && p[1] != ']' {
			p = p[1:]
			high = next()
		}
		s.ranges = append(s.ranges, [2]rune{low, high})
	}
	return s, "", false
}

// place is where a machine is: before a step, or inside of one folder of dirs,
// or behind the first rune of a star.
type place struct {
	at     int
	inside bool
}

// open lists where a machine may be without taking a rune. With full, stars and
// folders take something before they end: such paths are what people expect.
func open(m []step, p place, full bool) []place {
	out := []place{p}
	for {
		p = out[len(out)-1]
		if p.at == len(m) {
			return out
		}
		switch m[p.at].sort {
		case star, rest:
			if full && !p.inside {
				return out
			}
		case dirs:
			if p.inside {
				return out
			}
		default:
			return out
		}
		out = append(out, place{at: p.at + 1})
	}
}

// take returns where a rune leads from a place; ok is false where it leads nowhere.
func take(m []step, p place, r rune) (to place, ok bool) {
	if p.at == len(m) {
		return p, false
	}
	switch s := m[p.at]; s.sort {
	case star:
		return place{p.at, true}, r != '/'
	case rest:
		return place{p.at, true}, true
	case dirs:
		return place{p.at, r != '/'}, p.inside || r != '/'
	default:
		return place{at: p.at + 1}, s.set.has(r)
	}
}

// common returns a path that both patterns match, of runes that they name, or
// else filler; ok is false where there is none.
func common(a, b []step, filler rune, full bool) (path string, ok bool) {
	type pair struct{ a, b place }
	type way struct {
		from pair
		by   rune
	}
	ways := map[pair]way{}
	var queue []pair
	reach := func(to pair, w way) {
		for _, x := range open(a, to.a, full) {
			for _, y := range open(b, to.b, full) {
				p := pair{x, y}
				if _, seen := ways[p]; seen {
					continue
				}
				ways[p] = w
				queue = append(queue, p)
			}
		}
	}
	start := pair{}
	reach(start, way{by: -1})
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if p.a.at == len(a) && p.b.at == len(b) {
			var runes []rune
			for w := ways[p]; w.by >= 0; w = ways[w.from] {
				runes = append(runes, w.by)
			}
			slices.Reverse(runes)
			return string(runes), true
		}
		for _, r := range candidates(a, p.a, b, p.b, filler) {
			x, okA := take(a, p.a, r)
			y, okB := take(b, p.b, r)
			if okA && okB {
				reach(pair{x, y}, way{p, r})
			}
		}
	}
	return "", false
}

// candidates are runes that stand for all that the two places tell apart.
func candidates(a []step, p place, b []step, q place, filler rune) []rune {
	out := []rune{filler}
	for _, s := range [][]step{at(a, p), at(b, q)} {
		for _, s := range s {
			for _, x := range s.set.ranges {
				out = append(out, x[0], x[1], x[0]-1, x[1]+1)
			}
		}
	}
	out = append(out, '/')
	return slices.DeleteFunc(out, func(r rune) bool { return r <= 0 || !utf8.ValidRune(r) })
}

func at(m []step, p place) []step {
	if p.at < len(m) {
		return m[p.at : p.at+1]
	}
	return nil
}
