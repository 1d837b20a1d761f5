package filter

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/akupara/akupara/config"
)

// pattern is a regular expression with what a text must hold for it to match:
// looking for that is tens of times faster than the expression, and most texts
// do not match.
type pattern struct {
	re    *regexp.Regexp
	any   []literal // one of these is in every text that matches; none: not known
	whole bool      // and a text that has one of them matches
}

type literal struct {
	text []byte
	fold bool // in upper or lower case; text is in lower case and ASCII
	rare int  // the index of the byte that is looked for
}

func newLiteral(text string, fold bool) literal {
	l := literal{text: []byte(text), fold: fold}
	for i := range l.text {
		if rank(l.text[i]) < rank(l.text[l.rare]) {
			l.rare = i
		}
	}
	return l
}

// maxLiterals bounds how many literals are looked for instead of running the
// expression.
const maxLiterals = 16

func newPattern(expr string) (*pattern, error) {
	re, err := config.CompileRegexp(expr)
	if err != nil {
		return nil, err
	}
	p := &pattern{re: re}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err // it was compiled: this can't be
	}
	found := required(tree.Simplify())
	if len(found.any) > 0 && len(found.any) <= maxLiterals && found.shortest() >= 2 {
		p.any, p.whole = found.any, found.whole
	}
	return p, nil
}

func (p *pattern) match(b []byte) bool {
	if len(p.any) == 0 {
		return p.re.Match(b)
	}
	for i := range p.any {
		if p.any[i].in(b) {
			return p.whole || p.re.Match(b)
		}
	}
	return false
}

func (l *literal) in(b []byte) bool {
	c := l.text[l.rare]
	return l.at(b, c) || l.fold && isLetter(c) && l.at(b, c-('a'-'A'))
}

// at looks for the literal where its rare byte is c.
func (l *literal) at(b []byte, c byte) bool {
	for from := l.rare; from < len(b); {
		i := bytes.IndexByte(b[from:], c)
		if i < 0 {
			return false
		}
		start := from + i - l.rare
		if start+len(l.text) > len(b) {
			return false
		}
		if there := b[start : start+len(l.text)]; !l.fold && bytes.Equal(there, l.text) || l.fold && foldEqual(there, l.text) {
			return true
		}
		from += i + 1
	}
	return false
}

func foldEqual(b, lower []byte) bool {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// need is what must be in a text for an expression to match.
type need struct {
	any   []literal
	whole bool
}

func (n need) shortest() int {
	least := 1 << 30
	for _, l := range n.any {
		least = min(least, len(l.text))
	}
	return least
}

// better reports whether looking for n spares more than looking for o.
func (n need) better(o need) bool {
	switch {
	case len(n.any) == 0 || len(n.any) > maxLiterals:
		return false
	case len(o.any) == 0 || len(o.any) > maxLiterals:
		return true
	}
	return n.shortest() > o.shortest()
}

func required(re *syntax.Regexp) need {
	switch re.Op {
	case syntax.OpLiteral:
		return literalOf(re)
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		n := required(re.Sub[0])
		return n // once is enough for it to be in the text
	case syntax.OpRepeat:
		if re.Min > 0 {
			n := required(re.Sub[0])
			n.whole = n.whole && re.Min == 1
			return n
		}
	case syntax.OpConcat:
		var best need
		for _, sub := range re.Sub {
			if n := required(sub); n.better(best) {
				best = n
			}
		}
		best.whole = best.whole && len(re.Sub) == 1
		return best
	case syntax.OpAlternate:
		out := need{whole: true}
		for _, sub := range re.Sub {
			n := required(sub)
			if len(n.any) == 0 || len(out.any)+len(n.any) > maxLiterals {
				return need{}
			}
			out.any = append(out.any, n.any...)
			out.whole = out.whole && n.whole
		}
		return out
	}
	return need{}
}

func literalOf(re *syntax.Regexp) need {
	text := string(re.Rune)
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return need{} // that rune stands for any invalid byte as well
	}
	if re.Flags&syntax.FoldCase == 0 {
		return need{any: []literal{newLiteral(text, false)}, whole: true}
	}
	// k and s have a third form beyond ASCII each, as letters beyond ASCII may:
	// only what is between them is looked for.
	longest := ""
	for _, run := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r >= utf8.RuneSelf || r == 'k' || r == 's' }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	if longest == "" {
		return need{}
	}
	return need{any: []literal{newLiteral(longest, true)}, whole: len(longest) == len(text)}
}

// rank is larger for a byte that is seen more often in logs.
func rank(c byte) int {
	return 1 + strings.IndexByte("zqjxvwybgpfmhudclnorsita;=_[]()|e98765432-/.,10: \"", c)
}
