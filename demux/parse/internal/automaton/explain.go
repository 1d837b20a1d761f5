package automaton

import (
	"regexp/syntax"
	"strconv"
)

// required returns the longest text that each match of an expression holds.
func required(re *syntax.Regexp) []byte {
	var best []byte
	better := func(b []byte) {
		if len(b) > len(best) {
			best = b
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []byte(string(re.Rune))
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var run []byte
		for _, sub := range re.Sub {
			if sub.Op == syntax.OpLiteral && sub.Flags&syntax.FoldCase == 0 {
				run = append(run, string(sub.Rune)...)
				better(run)
				continue
			}
			run = nil
			better(required(sub))
		}
	}
	return best
}

// End is what Stopped wants where an expression ends before the text does.
const End = "the end"

// wanted describes what a state's preferred thread waits for; that is the end where
// it waits for no character.
func (a *Automaton) wanted(st uint32) string {
	s := a.states[st/uint32(a.classes.n)]
	if s == nil {
		return ""
	}
	a.builder.closure(s, a.classes.end)
	for _, t := range a.builder.reached {
		if w := a.instruction(t.pc); w != "" {
			return w
		}
	}
	return End
}

// instruction describes what an instruction matches. Of a text it tells all that
// follows, too.
func (a *Automaton) instruction(pc uint32) string {
	in := &a.prog.Inst[pc]
	switch in.Op {
	case syntax.InstRune1:
		var text []rune
		for in.Op == syntax.InstRune1 && len(text) < 40 {
			text = append(text, in.Rune[0])
			in = &a.prog.Inst[in.Out]
		}
		return strconv.Quote(string(text))
	case syntax.InstRune:
		re := syntax.Regexp{Op: syntax.OpCharClass, Rune: in.Rune}
		if len(in.Rune) == 1 {
			return strconv.Quote(string(in.Rune))
		}
		if text := re.String(); len(text) <= 60 {
			return text
		}
		return "one of many characters"
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return "any character"
	}
	return ""
}
