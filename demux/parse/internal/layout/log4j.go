package layout

import (
	"fmt"
	"strings"
)

// log4jCompiler compiles a layout of log4j, log4j2 or logback.
type log4jCompiler struct {
	builder
	text string
	i    int
	// head is the expression of what stands before the message, on the first line.
	head      string
	headKnown bool
	messageAt int // in the expression; -1: there is no message
	depth     int
	err       error
}

const maxNested = 8 // conversions within conversions

// CompileLog4j compiles a layout, and the expression by which lines are told that
// start a record.
func CompileLog4j(text string) (p *Pattern, head string, err error) {
	c := &log4jCompiler{text: text, messageAt: -1}
	c.pieces("")
	if c.err == nil && c.i < len(text) {
		c.err = fmt.Errorf("a %q without its beginning at byte %d", text[c.i], c.i)
	}
	if c.err != nil {
		return nil, "", fmt.Errorf("%q: %w", text, c.err)
	}
	c.finish()
	if p, err = c.build(text); err != nil {
		return nil, "", err
	}
	return p, "^" + c.head, nil
}

// finish puts the message in its place: to the record's end, or, where anything
// follows it, to the last such place of its line; then further lines belong to it,
// too.
func (c *log4jCompiler) finish() {
	all := c.expr.String()
	if !c.headKnown {
		c.head = all
	}
	c.expr.Reset()
	if c.messageAt < 0 {
		c.expr.WriteString(strings.TrimRight(all, " "))
		c.more()
		return
	}
	before, after := all[:c.messageAt], all[c.messageAt:]
	c.expr.WriteString(before)
	if strings.TrimSpace(after) == "" {
		c.expr.WriteString("(?s:(.*))")
		return
	}
	c.expr.WriteString(`([^\n]*|(?s:.*?))` + strings.TrimRight(after, " "))
	c.more()
}

// more takes lines behind the layout.
func (c *log4jCompiler) more() {
	c.expr.WriteString(" *")
	c.parts = append(c.parts, Part{Name: "\n", Kind: More})
	c.expr.WriteString(`(?:\r?\n(?s:(.*)))?`)
}

// headEnds notes that the head of a record ends here.
func (c *log4jCompiler) headEnds() {
	if !c.headKnown && c.depth == 0 {
		c.head, c.headKnown = c.expr.String(), true
	}
}

// pieces compiles up to one of the bytes of stop.
func (c *log4jCompiler) pieces(stop string) {
	for c.i < len(c.text) && c.err == nil {
		switch ch := c.text[c.i]; {
		case strings.IndexByte(stop, ch) >= 0:
			return
		case ch == '\\' && c.i+1 < len(c.text):
			c.i += 2
			c.escape(c.text[c.i-1])
		case ch == '%':
			c.i++
			c.conversion()
		case strings.HasPrefix(c.text[c.i:], "${"):
			c.property()
		case ch == '\n':
			c.i++
			c.newline()
		default:
			c.literal(c.text[c.i : c.i+1])
			c.i++
		}
	}
}

func (c *log4jCompiler) escape(ch byte) {
	switch ch {
	case 't':
		c.literal("\t")
	case 'n':
		c.newline()
	case 'r', '_':
	default:
		c.literal(string(ch))
	}
}

// newline compiles a line's end: the last one is not in the record.
func (c *log4jCompiler) newline() {
	rest := c.text[min(c.i, len(c.text)):]
	if strings.TrimLeft(rest, "\r\n") == "" || onlyThrowable(rest) {
		return
	}
	c.headEnds()
	c.expr.WriteString(`\r?\n`)
}

// onlyThrowable reports whether nothing but an exception is left of a layout.
func onlyThrowable(rest string) bool {
	if i := strings.IndexByte(rest, '}'); strings.HasPrefix(rest, "${") && i > 0 {
		_, fallback, _ := strings.Cut(rest[2:i], ":-")
		rest = fallback
	}
	if !strings.HasPrefix(rest, "%") {
		return false
	}
	word, _ := longestWord(strings.TrimLeft(rest[1:], "-.0123456789"))
	return log4jWords[word].kind == wordThrowable
}

// property compiles ${NAME:-default}: what a layout has from elsewhere counts as its
// default.
func (c *log4jCompiler) property() {
	text, ok := c.braces(c.i + 1)
	if !ok {
		c.err = fmt.Errorf("the ${ at byte %d is not closed", c.i)
		return
	}
	name, fallback, given := strings.Cut(text, ":-")
	switch {
	case strings.HasSuffix(name, "PID"):
		c.word("pid", "", nil, "")
	case given:
		c.within(fallback, "")
	default:
		c.err = fmt.Errorf("${%s}: put what it stands for in its place", name)
	}
}

// braces returns the text between the brace at i and its other one, and goes on
// behind that.
func (c *log4jCompiler) braces(i int) (string, bool) {
	depth := 0
	for k := i; k < len(c.text); k++ {
		switch c.text[k] {
		case '\\':
			k++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				c.i = k + 1
				return c.text[i+1 : k], true
			}
		}
	}
	return "", false
}

// within compiles a layout that stands in this one.
func (c *log4jCompiler) within(text, stop string) {
	if c.depth++; c.depth > maxNested {
		c.err = fmt.Errorf("more than %d conversions within each other", maxNested)
		return
	}
	outer, at := c.text, c.i
	c.text, c.i = text, 0
	c.pieces(stop)
	c.text, c.i = outer, at
	c.depth--
}

// conversion compiles what follows a %.
func (c *log4jCompiler) conversion() {
	from := c.i
	for c.i < len(c.text) && strings.IndexByte("-.0123456789", c.text[c.i]) >= 0 {
		c.i++
	}
	pad := c.text[from:c.i]
	if c.i == len(c.text) {
		c.err = fmt.Errorf("it ends within a conversion")
		return
	}
	switch c.text[c.i] {
	case '%':
		c.literal("%")
		c.i++
		return
	case '(':
		c.group("", pad)
		return
	}
	word, n := longestWord(c.text[c.i:])
	if whole := firstWord(c.text[c.i:]); n == 0 || n < len(whole) && word != "n" && whole[n] >= 'a' && whole[n] <= 'z' {
		c.err = fmt.Errorf("the conversion %q at byte %d is not known; allowed: %s", "%"+whole, from-1, log4jWordNames())
		return
	}
	c.i += n
	if c.i < len(c.text) && c.text[c.i] == '(' && log4jWords[word].kind == wordGroup {
		c.group(word, pad)
		return
	}
	var options []string
	for c.i < len(c.text) && c.text[c.i] == '{' {
		option, ok := c.braces(c.i)
		if !ok {
			c.err = fmt.Errorf("the { at byte %d is not closed", c.i)
			return
		}
		options = append(options, option)
	}
	option := ""
	if len(options) > 0 {
		option = options[0]
	}
	c.word(word, pad, options, option)
}

// group compiles logback's %word(layout){options}.
func (c *log4jCompiler) group(word, pad string) {
	from := c.i
	depth, end := 0, -1
	for k := c.i; k < len(c.text) && end < 0; k++ {
		switch c.text[k] {
		case '\\':
			k++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				end = k
			}
		}
	}
	if end < 0 {
		c.err = fmt.Errorf("the ( at byte %d is not closed", from)
		return
	}
	inner := c.text[from+1 : end]
	c.i = end + 1
	for c.i < len(c.text) && c.text[c.i] == '{' && word != "" {
		if _, ok := c.braces(c.i); !ok {
			c.err = fmt.Errorf("the { at byte %d is not closed", c.i)
			return
		}
	}
	c.padded(pad, func() { c.word(word, "", []string{inner}, inner) })
}
