package parse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/layout"
)

var regexParser = example(define("regex", "lines by regular expressions (RE2): named groups become columns", func() regexOptions { return regexOptions{} }, newRegex),
	`{parser: regex, pattern: '^(?P<ts>\S+) (?P<level>[A-Z]+) \[(?P<thread>[^\]]+)\] (?P<message>.*)'}`)

// regexOptions are the options of regex.
type regexOptions struct {
	// Pattern is an expression, or several to try.
	Pattern config.Node `config:"pattern,required"`
}

func newRegex(o *regexOptions) (format, error) {
	f := &expressionFormat{keyed: newKeyed(), name: "the regex"}
	texts, err := givenPatterns(o.Pattern)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		re, err := config.CompileRegexp(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		e := expression{auto: automaton.New(re)}
		named := false
		for _, name := range re.SubexpNames()[1:] {
			var c capture
			if name != "" {
				c, _ = f.capture(name, "")
				named = true
				e.timed = e.timed || c.node.role() == roleTime
			}
			e.captures = append(e.captures, c)
		}
		if !named {
			return nil, fmt.Errorf("pattern %q has no named group; want some, such as (?P<message>.*)", text)
		}
		f.exprs = append(f.exprs, e)
	}
	return f, nil
}

// givenPatterns reads an option that is a pattern or a list of them, and must be there.
func givenPatterns(n config.Node) ([]string, error) {
	texts := layout.Texts(n)
	if len(texts) == 0 {
		return nil, errors.New("the key pattern is missing; want a pattern, or a list of them")
	}
	if len(texts) > layout.MaxPatterns {
		return nil, fmt.Errorf("pattern: %d patterns; at most %d are allowed", len(texts), layout.MaxPatterns)
	}
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, errors.New("pattern: want text, or a list of texts")
		}
	}
	return texts, nil
}
