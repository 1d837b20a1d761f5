// Package automaton matches regular expressions, with their groups, in one pass
// over the text: by a tagged deterministic automaton (Laurikari, 2000; with a
// lookahead of one, Trofimovich, 2017) that is made of Go's regexp program while it
// runs. What it finds is what package regexp finds, leftmost first.
package automaton

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// Automaton is a regular expression. It is not safe for concurrent use.
type Automaton struct {
	re      *regexp.Regexp
	prog    *syntax.Prog
	classes classes
	tags    int    // ends of groups
	anchor  bool   // a match starts at the text's begin
	literal []byte // what each match holds; empty: nothing is known of it

	states  []*state
	byKey   map[string]uint32
	trans   []transition      // for each state and class
	ops     []op              // of all transitions
	opsAt   map[string]uint32 // the places of equal ones
	starts  [2]uint32         // states at the begin of a text: for matches anywhere, for those at the begin
	regs    []int             // positions
	out     []int
	work    int  // done to make states, since the last time that all were forgotten
	scanned int  // bytes since then
	strikes int  // how often that was too soon
	tooHard bool // package regexp goes on alone
	builder builder
}

// transition leads to the next state.
type transition struct {
	to  uint32 // the state, times the number of classes, and flags; 0: it is not known yet
	ops uint32 // where its ops start, and in the last opBits how many they are
}

const (
	flagStop = 1 << 31 // whatever follows changes nothing
	flagLoop = 1 << 30 // it leads to where it came from, and writes the position alone: once is as good as often
	mask     = flagLoop - 1
	opBits   = 12
)

// Bounds on what an automaton becomes before all its states are forgotten. Where that
// happens often, package regexp does its work.
const (
	maxStates  = 3000
	maxWork    = 5_000_000
	minScanned = 64 << 10 // bytes that states should be good for
	maxStrikes = 3
	maxTable   = 1 << 20
	maxRegs    = 1000
	maxOps     = 1 << 20 // so that they fit a transition
)

// New makes the automaton of a compiled expression.
func New(re *regexp.Regexp) *Automaton {
	a := &Automaton{re: re, tags: 2 * (re.NumSubexp() + 1), byKey: map[string]uint32{}, opsAt: map[string]uint32{}}
	a.out = make([]int, a.tags)
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil { // it is no expression in the syntax of regexp.Compile
		a.tooHard = true
		return a
	}
	parsed = parsed.Simplify()
	a.literal = required(parsed)
	if a.prog, err = syntax.Compile(parsed); err != nil {
		a.tooHard = true
		return a
	}
	a.anchor = a.prog.StartCond()&syntax.EmptyBeginText != 0
	if !a.classes.fill(a.prog) {
		a.tooHard = true
		return a
	}
	a.builder.init(a)
	a.begin()
	return a
}

// begin makes the first two states.
func (a *Automaton) begin() {
	a.trans = make([]transition, a.classes.n) // no state has the number 0
	a.states = []*state{nil}
	start := state{prev: -1, searching: !a.anchor, threads: []thread{{pc: uint32(a.prog.Start), regs: a.unset()}}}
	start.threads[0].regs[0] = fromHere
	a.starts[1] = a.add(&state{prev: -1, threads: start.threads})
	a.starts[0] = a.starts[1]
	if start.searching {
		a.starts[0] = a.add(&state{prev: -1, searching: true})
	}
}

// Find finds the leftmost match, and returns the begin and the end of each group
// as regexp.FindSubmatchIndex does; nil means that there is none. The result is
// valid until the next call.
func (a *Automaton) Find(s []byte) []int {
	if a.tooHard {
		return a.re.FindSubmatchIndex(s)
	}
	if !a.anchor && len(a.literal) > 0 && !bytes.Contains(s, a.literal) {
		return nil
	}
	a.scanned += len(s)
	at, ok := a.run(a.starts[0], s)
	if !ok {
		if a.forget(); !a.tooHard {
			at, ok = a.run(a.starts[0], s)
		}
		if !ok {
			return a.re.FindSubmatchIndex(s)
		}
	}
	final := a.states[at/uint32(a.classes.n)]
	if final.accepted == nil {
		return nil
	}
	for i, r := range final.accepted {
		if a.out[i] = -1; r >= 0 {
			a.out[i] = a.regs[r]
		}
	}
	return a.out
}

// forget makes room for new states. It gives the automaton up where its states were
// not good for much.
func (a *Automaton) forget() {
	if a.scanned < minScanned {
		a.strikes++
	}
	a.work, a.scanned = 0, 0
	clear(a.byKey)
	clear(a.opsAt)
	a.ops = nil
	a.begin()
	a.tooHard = a.strikes > maxStrikes
}

// run follows the text from a state, and returns the last one. It fails where there
// is no room for another.
func (a *Automaton) run(st uint32, s []byte) (uint32, bool) {
	table, trans := &a.classes.ascii, a.trans
	for i := 0; i < len(s); {
		c, width := s[i], 1
		var class uint32
		if c < utf8.RuneSelf {
			class = uint32(table[c])
		} else {
			var r rune
			r, width = utf8.DecodeRune(s[i:])
			class = uint32(a.classes.of(r))
		}
		next := trans[st+class]
		if next.to == 0 {
			if next = a.step(st, int(class)); next.to == 0 {
				return 0, false
			}
			trans = a.trans
		}
		if next.to&flagLoop != 0 {
			for k := i + width; k < len(s) && s[k] < utf8.RuneSelf && trans[st+uint32(table[s[k]])] == next; k++ {
				i, width = k, 1
			}
		}
		if next.ops != 0 {
			a.write(next.ops, i)
		}
		if st = next.to & mask; next.to&flagStop != 0 {
			return st, true
		}
		i += width
	}
	next := trans[st+uint32(a.classes.end)]
	if next.to == 0 {
		if next = a.step(st, a.classes.end); next.to == 0 {
			return 0, false
		}
	}
	a.write(next.ops, len(s))
	return next.to & mask, true
}

// write writes the registers of a transition at a position.
func (a *Automaton) write(ops uint32, at int) {
	first, n := ops>>opBits, ops&(1<<opBits-1)
	for _, o := range a.ops[first : first+n] {
		if o.from == fromHere {
			a.regs[o.to] = at
		} else {
			a.regs[o.to] = a.regs[o.from]
		}
	}
}

// Stopped tells of a text that has no match how far one came that starts at its
// begin, and what it wanted there, in the syntax of expressions.
func (a *Automaton) Stopped(s []byte) (at int, want string) {
	if a.tooHard {
		return 0, ""
	}
	if at, want, ok := a.stopped(s); ok {
		return at, want
	}
	a.forget()
	at, want, _ = a.stopped(s)
	return at, want
}

func (a *Automaton) stopped(s []byte) (at int, want string, ok bool) {
	a.scanned += len(s)
	st := a.starts[1]
	for at < len(s) {
		r, width := utf8.DecodeRune(s[at:])
		class := a.classes.of(r)
		next := a.trans[st+uint32(class)]
		if next.to == 0 {
			if next = a.step(st, class); next.to == 0 {
				return 0, "", false
			}
		}
		if len(a.states[next.to&mask/uint32(a.classes.n)].threads) == 0 {
			break
		}
		st = next.to & mask
		at += width
	}
	return at, a.wanted(st), true
}
