package cut

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
)

// matcher reports whether a pattern matches somewhere in a line. Most patterns
// say so within a line's first bytes: as long as these are ASCII, a table for
// each byte decides, and what it can't tell the pattern itself does. It is safe
// for concurrent use.
type matcher struct {
	re    *regexp.Regexp
	table []uint16    // the state after a state and a byte; nil: there is no table
	atEnd []bool      // whether a line that ends in the state matches
	last  *[0x80]bool // ASCII characters that a line which matches may end with; nil: that tells nothing
}

// States with a meaning; lines start in the first of the others.
const (
	never   = iota // nothing that follows can match any more
	matched        // whatever follows
	initial
	maxStates = 192 // of 256 bytes each
)

func newMatcher(re *regexp.Regexp) *matcher {
	m := &matcher{re: re}
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil { // a pattern of another syntax
		return m
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return m
	}
	b := &builder{prog: prog, ids: map[string]uint16{}, atEnd: make([]bool, initial)}
	if b.build() {
		m.table, m.atEnd, m.last = b.table, b.atEnd, b.lasts()
	}
	return m
}

// match matches a line of UTF-8.
func (m *matcher) match(line []byte) bool {
	if !m.endsWell(line) {
		return false
	}
	if yes, sure := m.ascii(line); sure {
		return yes
	}
	return m.re.Match(line)
}

// ascii matches as far as the line is ASCII. It is not sure where a byte that
// is not has to be looked at.
func (m *matcher) ascii(line []byte) (yes, sure bool) {
	if m.table == nil || len(line) == 0 {
		return false, false
	}
	state := uint(initial)
	for _, char := range line {
		if char >= 0x80 {
			return false, false
		}
		if state = uint(m.table[state<<7|uint(char)]); state <= matched {
			return state == matched, true
		}
	}
	return m.atEnd[state], true
}

// endsWell tells, by its last character alone, whether a line of UTF-8 may match.
func (m *matcher) endsWell(line []byte) bool {
	if m.last == nil || len(line) == 0 {
		return true
	}
	char := line[len(line)-1]
	return char >= 0x80 || m.last[char]
}

// builder makes the table: each state is a set of instructions of the pattern's
// program that may be next.
type builder struct {
	prog  *syntax.Prog
	ids   map[string]uint16 // by the set
	sets  [][]uint32        // by state, from initial on
	table []uint16
	atEnd []bool
	odd   bool // the pattern looks at something that the table can't
}

func (b *builder) build() bool {
	start := uint32(b.prog.Start)
	b.table = make([]uint16, initial<<7)
	if b.state(b.close([]uint32{start}, syntax.EmptyBeginText|syntax.EmptyBeginLine)) != initial {
		return false // it matches everything or nothing
	}
	for s := initial; s-initial < len(b.sets); s++ {
		set := b.sets[s-initial]
		for char := range rune(0x80) {
			next := []uint32{start} // a match may begin anywhere
			for _, pc := range set {
				if in := &b.prog.Inst[pc]; consumes(in) && in.MatchRune(char) {
					next = append(next, in.Out)
				}
			}
			b.table[s<<7|int(char)] = b.state(b.close(next, 0))
		}
		if b.odd || len(b.sets) > maxStates {
			return false
		}
	}
	return true
}

// lasts returns the characters that can be a matching line's last, where the
// pattern matches at a line's end only.
func (b *builder) lasts() *[0x80]bool {
	var out [0x80]bool
	if _, empty := b.close([]uint32{uint32(b.prog.Start)}, syntax.EmptyEndText|syntax.EmptyEndLine); empty {
		return nil
	}
	for i := range b.prog.Inst {
		in := &b.prog.Inst[i]
		if !consumes(in) {
			continue
		}
		if _, early := b.close([]uint32{in.Out}, 0); early {
			return nil
		}
		if _, end := b.close([]uint32{in.Out}, syntax.EmptyEndText|syntax.EmptyEndLine); end {
			for char := range rune(0x80) {
				out[char] = out[char] || in.MatchRune(char)
			}
		}
	}
	return &out
}

func consumes(in *syntax.Inst) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// close follows all that consumes nothing, where holds what is known of the
// place. It gives the instructions that wait for a character or for the line's
// end, sorted; ok says that the pattern has matched.
func (b *builder) close(from []uint32, where syntax.EmptyOp) (set []uint32, ok bool) {
	seen := map[uint32]bool{}
	for len(from) > 0 {
		pc := from[len(from)-1]
		from = from[:len(from)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		in := &b.prog.Inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			ok = true
		case syntax.InstAlt, syntax.InstAltMatch:
			from = append(from, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			from = append(from, in.Out)
		case syntax.InstEmptyWidth:
			need := syntax.EmptyOp(in.Arg)
			switch {
			case need&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0:
				b.odd = true
			case need&^where == 0:
				from = append(from, in.Out)
			case need&(syntax.EmptyEndText|syntax.EmptyEndLine) != 0:
				set = append(set, pc)
			}
		case syntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	slices.Sort(set)
	return set, ok
}

// state returns the number of a set, which may be new.
func (b *builder) state(set []uint32, ok bool) uint16 {
	if ok {
		return matched
	}
	if len(set) == 0 {
		return never
	}
	key := make([]byte, 0, 8*len(set))
	for _, pc := range set {
		key = append(strconv.AppendUint(key, uint64(pc), 36), ' ')
	}
	id, known := b.ids[string(key)]
	if !known {
		id = uint16(initial + len(b.sets))
		b.ids[string(key)] = id
		b.sets = append(b.sets, set)
		b.table = append(b.table, make([]uint16, 1<<7)...)
		_, end := b.close(slices.Clone(set), syntax.EmptyEndText|syntax.EmptyEndLine)
		b.atEnd = append(b.atEnd, end)
	}
	return id
}
