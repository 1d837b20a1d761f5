package automaton

import (
	"regexp/syntax"
	"slices"
	"unicode"
)

// classes parts all characters into those that an expression treats alike.
type classes struct {
	n     int // with the end of text
	end   int // the class of the end of text
	ascii [128]uint8
	first []rune  // of each interval of characters, ascending
	class []uint8 // of each interval
	reps  []rune  // a character of each class
	// contexts says that the expression looks at what stands before and behind.
	contexts bool
	beyond   int // the class of all characters beyond ASCII; -1: they have several
}

// fill parts the characters by a program. It fails where there are too many classes.
func (c *classes) fill(prog *syntax.Prog) bool {
	cuts, sets := c.cuts(prog)
	if len(cuts)*len(sets) > maxCuts {
		return false
	}
	byKey := map[string]uint8{}
	key := make([]byte, 0, len(sets)+2)
	c.beyond = -2
	for _, r := range cuts[:len(cuts)-1] {
		key = append(key[:0], boolByte(r == '\n'), boolByte(c.contexts && syntax.IsWordChar(r)))
		for _, in := range sets {
			key = append(key, boolByte(in.MatchRune(r)))
		}
		k, known := byKey[string(key)]
		if !known {
			if len(c.reps) == 250 {
				return false
			}
			k = uint8(len(c.reps))
			byKey[string(key)] = k
			c.reps = append(c.reps, r)
		}
		c.first, c.class = append(c.first, r), append(c.class, k)
		switch {
		case r < 128:
		case c.beyond == -2:
			c.beyond = int(k)
		case c.beyond != int(k):
			c.beyond = -1
		}
	}
	c.end = len(c.reps)
	c.n = c.end + 1
	for r := range c.ascii {
		c.ascii[r] = c.class[c.interval(rune(r))]
	}
	return true
}

// maxCuts bounds the work of parting the characters: intervals times sets.
const maxCuts = 4_000_000

// cuts returns where intervals of characters begin that a program may treat alike,
// and the instructions that tell them apart.
func (c *classes) cuts(prog *syntax.Prog) (cuts []rune, sets []*syntax.Inst) {
	cuts = []rune{0, 128, unicode.MaxRune + 1}
	cut := func(lo, hi rune) { cuts = append(cuts, lo, hi+1) }
	for i := range prog.Inst {
		in := &prog.Inst[i]
		switch in.Op {
		case syntax.InstEmptyWidth:
			c.contexts = true
		case syntax.InstRune1, syntax.InstRune:
			if len(in.Rune) == 1 {
				cut(in.Rune[0], in.Rune[0])
				for r := unicode.SimpleFold(in.Rune[0]); syntax.Flags(in.Arg)&syntax.FoldCase != 0 && r != in.Rune[0]; r = unicode.SimpleFold(r) {
					cut(r, r)
				}
			}
			for k := 0; k+1 < len(in.Rune); k += 2 {
				cut(in.Rune[k], in.Rune[k+1])
			}
			sets = append(sets, in)
		case syntax.InstRuneAnyNotNL:
			cut('\n', '\n')
		}
	}
	if c.contexts {
		for _, w := range []string{"\n\n", "09", "AZ", "__", "az"} {
			cut(rune(w[0]), rune(w[1]))
		}
	}
	slices.Sort(cuts)
	sets = slices.CompactFunc(sets, func(a, b *syntax.Inst) bool { return slices.Equal(a.Rune, b.Rune) && a.Arg == b.Arg })
	return slices.Compact(cuts), sets
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (c *classes) interval(r rune) int {
	i, found := slices.BinarySearch(c.first, r)
	if !found {
		i--
	}
	return i
}

// of returns the class of a character.
func (c *classes) of(r rune) int {
	if r < 128 {
		return int(c.ascii[r])
	}
	if c.beyond >= 0 {
		return c.beyond
	}
	return int(c.class[c.interval(r)])
}

// context is what matters of a character for those beside it.
func (c *classes) context(class int) rune {
	switch {
	case !c.contexts || class == c.end:
		return -1
	case c.reps[class] == '\n':
		return '\n'
	case syntax.IsWordChar(c.reps[class]):
		return 'a'
	}
	return ' '
}
