package config

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxProgram bounds the instructions that an expression is compiled to, about:
// a few hundred bytes such as [a-z]{0,1000}[a-z]{0,1000}… would make millions,
// which take seconds and hundreds of MB.
const maxProgram = 10_000

// CompileRegexp compiles an expression in Go's syntax (RE2) that is of a bounded
// size once its repetitions are written out.
func CompileRegexp(text string) (*regexp.Regexp, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), maxPattern)
	}
	return CompileExpanded(text)
}

// CompileExpanded is CompileRegexp for an expression of any length, made of others.
func CompileExpanded(text string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if program(parsed) > maxProgram {
		return nil, fmt.Errorf("its repetitions make it too large: written out it has more than %d parts", maxProgram)
	}
	return regexp.Compile(text)
}

// program is about how many instructions an expression is compiled to, up to one
// more than are allowed.
func program(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n = min(n+program(sub), maxProgram+1)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxProgram+1)
}
