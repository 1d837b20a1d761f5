package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// A source of a register's value: another register, or one of these.
const (
	fromNone = -1 // it has none
	fromHere = -2 // the position in the text
)

// thread is a place in the program with the registers of its tags.
type thread struct {
	pc   uint32
	regs []int
}

// state is what is known between two characters: the threads that live, the
// preferred ones first, whose closure is taken once the next character is known.
type state struct {
	threads   []thread
	accepted  []int // registers of the match that counts unless a thread finds another; nil: there is none
	searching bool  // matches may start here
	prev      rune  // what matters of the character before; -1: it is the begin
}

// op writes a register.
type op struct{ to, from int }

// builder makes transitions.
type builder struct {
	a       *Automaton
	seen    []uint32 // by pc: the round in which it was reached
	round   uint32
	reached []thread // the closure
	flags   syntax.EmptyOp
	tags    []int // of the thread that the closure follows
}

func (b *builder) init(a *Automaton) {
	b.a = a
	b.seen = make([]uint32, len(a.prog.Inst))
	b.tags = make([]int, a.tags)
}

func (a *Automaton) unset() []int {
	regs := make([]int, a.tags)
	for i := range regs {
		regs[i] = fromNone
	}
	return regs
}

// closure collects what a state's threads may do, given the class of the next
// character.
func (b *builder) closure(s *state, class int) {
	a := b.a
	b.round++
	b.reached = b.reached[:0]
	next := rune(-1)
	if class != a.classes.end {
		next = a.classes.reps[class]
	}
	b.flags = syntax.EmptyOpContext(s.prev, next)
	for _, t := range s.threads {
		copy(b.tags, t.regs)
		b.follow(t.pc)
	}
	if s.searching {
		copy(b.tags, a.unset())
		b.tags[0] = fromHere
		b.follow(uint32(a.prog.Start))
	}
}

// follow adds to the closure what is reached from pc, the preferred first.
func (b *builder) follow(pc uint32) {
	for {
		if b.seen[pc] == b.round {
			return
		}
		b.seen[pc] = b.round
		b.a.work++
		switch in := &b.a.prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			b.follow(in.Out)
			pc = in.Arg
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^b.flags != 0 {
				return
			}
			pc = in.Out
		case syntax.InstNop:
			pc = in.Out
		case syntax.InstCapture:
			if int(in.Arg) >= len(b.tags) {
				pc = in.Out
				continue
			}
			before := b.tags[in.Arg]
			b.tags[in.Arg] = fromHere
			b.follow(in.Out)
			b.tags[in.Arg] = before
			return
		case syntax.InstFail:
			return
		default:
			b.reached = append(b.reached, thread{pc, slices.Clone(b.tags)})
			b.a.work += len(b.tags)
			return
		}
	}
}

// step makes a state's transition by a class. It makes none where there is no room
// for another.
func (a *Automaton) step(st uint32, class int) transition {
	if a.work > maxWork || len(a.states) >= maxStates || len(a.trans) > maxTable || len(a.ops) >= maxOps-2*maxRegs {
		return transition{}
	}
	s := a.states[st/uint32(a.classes.n)]
	a.builder.closure(s, class)
	next := &state{searching: s.searching, prev: a.classes.context(class), accepted: s.accepted}
	has := map[uint32]bool{}
	for _, t := range a.builder.reached {
		in := &a.prog.Inst[t.pc]
		if in.Op == syntax.InstMatch {
			t.regs[1] = fromHere
			next.accepted, next.searching = t.regs, false
			break
		}
		if class != a.classes.end && in.MatchRune(a.classes.reps[class]) && !has[in.Out] {
			has[in.Out] = true
			next.threads = append(next.threads, thread{in.Out, t.regs})
		}
	}
	if a.anchor || class == a.classes.end {
		next.searching = false
	}
	moves := next.number(a.tags)
	if len(moves) > maxRegs {
		return transition{}
	}
	t := transition{to: a.add(next)}
	if len(next.threads) == 0 && !next.searching {
		t.to |= flagStop
	}
	ops := sequence(moves, len(moves))
	t.ops = a.addOps(ops)
	if t.to == st && !slices.ContainsFunc(ops, func(o op) bool { return o.from != fromHere }) {
		t.to |= flagLoop
	}
	if n := len(moves) + 1; n > len(a.regs) {
		a.regs = append(a.regs, make([]int, n-len(a.regs))...)
	}
	a.trans[st+uint32(class)] = t
	return t
}

// number gives the values of a new state's tags registers, in the order of their
// first use, and returns where each register gets its value from. Tags of one
// value share a register.
func (s *state) number(tags int) (from []int) {
	byValue := map[int]int{}
	number := func(regs []int) []int {
		out := make([]int, tags)
		for i, v := range regs {
			if v == fromNone {
				out[i] = fromNone
				continue
			}
			r, known := byValue[v]
			if !known {
				r = len(from)
				byValue[v] = r
				from = append(from, v)
			}
			out[i] = r
		}
		return out
	}
	for i := range s.threads {
		s.threads[i].regs = number(s.threads[i].regs)
	}
	if s.accepted != nil {
		s.accepted = number(s.accepted)
	}
	return from
}

// sequence orders moves that all happen at once, so that none overwrites what
// another still reads; spare is a register for those that go in circles.
func sequence(from []int, spare int) (ops []op) {
	left := map[int]int{} // to, from
	readers := map[int]int{}
	for to, f := range from {
		if f != to {
			left[to] = f
			readers[f]++
		}
	}
	for len(left) > 0 {
		moved := false
		for to := range from {
			f, is := left[to]
			if !is || readers[to] > 0 {
				continue
			}
			ops = append(ops, op{to, f})
			delete(left, to)
			readers[f]--
			moved = true
		}
		if moved {
			continue
		}
		for to := range from { // only circles are left: the spare register opens one
			if _, is := left[to]; is {
				ops = append(ops, op{spare, to})
				for t, f := range left {
					if f == to {
						left[t] = spare
						readers[to]--
						readers[spare]++
					}
				}
				break
			}
		}
	}
	return ops
}

// addOps returns where a transition's ops are.
func (a *Automaton) addOps(ops []op) uint32 {
	if len(ops) == 0 {
		return 0
	}
	var key []byte
	for _, o := range ops {
		key = binary.AppendVarint(binary.AppendVarint(key, int64(o.to)), int64(o.from))
	}
	at, known := a.opsAt[string(key)]
	if !known {
		at = uint32(len(a.ops)<<opBits | len(ops))
		a.opsAt[string(key)] = at
		a.ops = append(a.ops, ops...)
	}
	return at
}

// add returns the number of a state, times the number of classes.
func (a *Automaton) add(s *state) uint32 {
	var key []byte
	list := func(regs []int) {
		for _, r := range regs {
			key = binary.AppendVarint(key, int64(r))
		}
	}
	for _, t := range s.threads {
		key = binary.AppendUvarint(key, uint64(t.pc)+1)
		list(t.regs)
	}
	key = append(key, 0, boolByte(s.searching), boolByte(s.accepted != nil), byte(s.prev))
	list(s.accepted)
	if at, known := a.byKey[string(key)]; known {
		return at
	}
	at := uint32(len(a.states) * a.classes.n)
	a.byKey[string(key)] = at
	a.states = append(a.states, s)
	a.trans = append(a.trans, make([]transition, a.classes.n)...)
	return at
}
