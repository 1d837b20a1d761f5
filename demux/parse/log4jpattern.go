package parse

import (
	"fmt"
	"strings"

	"github.com/akupara/akupara/demux/schema"
)

// log4jCompiler compiles a layout of log4j, log4j2 or logback.
type log4jCompiler struct {
	patternBuilder
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

// compileLog4j compiles a layout, and the expression by which lines are told that
// start a record.
func compileLog4j(text string) (p *pattern, head string, err error) {
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
	c.parts = append(c.parts, part{name: "\n", kind: partMore})
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
	if n == 0 {
		c.err = fmt.Errorf("the conversion %q at byte %d is not known", "%"+firstWord(c.text[c.i:]), from-1)
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

// padded adds the spaces that a width makes.
func (c *log4jCompiler) padded(pad string, add func()) {
	width := strings.TrimLeft(pad, "-")
	width, _, _ = strings.Cut(width, ".")
	left := strings.HasPrefix(pad, "-")
	if width != "" && !left {
		c.expr.WriteString(" *")
	}
	add()
	if width != "" && left {
		c.expr.WriteString(" *")
	}
}

const ansi = `(?:\x1b\[[0-9;]*m)*`

// word compiles one conversion.
func (c *log4jCompiler) word(word, pad string, options []string, option string) {
	w := log4jWords[word]
	if word == "" {
		w.kind = wordGroup
	}
	switch w.kind {
	case wordGroup:
		c.expr.WriteString(ansi)
		c.padded(pad, func() { c.within(option, "") })
		c.expr.WriteString(ansi)
	case wordOptional, wordEither:
		c.expr.WriteString("(?:")
		c.within(option, "")
		if w.kind == wordOptional {
			c.expr.WriteString(")?")
			return
		}
		if len(options) > 2 {
			c.expr.WriteString("|")
			c.literal(options[2])
		}
		c.expr.WriteString(")")
	case wordNewline:
		c.newline()
	case wordThrowable:
	case wordMessage:
		if c.messageAt >= 0 {
			c.expr.WriteString("(?s:.*?)")
			return
		}
		c.headEnds()
		if c.depth > 0 { // its place is found again only at the top
			c.head, c.headKnown = c.outermost(), true
		}
		c.messageAt = c.expr.Len()
		c.parts = append(c.parts, part{name: "message", kind: partMessage})
	case wordDate:
		c.padded(pad, func() { c.date(options) })
	case wordContext:
		c.padded(pad, func() { c.context(option) })
	default:
		c.padded(pad, func() { c.add(part{name: w.name, kind: w.part, typ: w.typ}, w.expr) })
	}
}

// outermost is the head where the message stands in another conversion, whose
// brackets are not closed yet.
func (c *log4jCompiler) outermost() string {
	expr := c.expr.String()
	for range openGroups(expr) {
		expr += ")"
	}
	return expr
}

// openGroups counts the groups of an expression that are not closed.
func openGroups(expr string) (n int) {
	class := false
	for i := 0; i < len(expr); i++ {
		switch ch := expr[i]; {
		case ch == '\\':
			i++
		case class:
			class = ch != ']'
		case ch == '[':
			class = true
		case ch == '(':
			n++
		case ch == ')':
			n--
		}
	}
	return n
}

// context compiles the diagnostic context: a key, or all.
func (c *log4jCompiler) context(option string) {
	key, _, _ := strings.Cut(option, ":-")
	if key = strings.TrimSpace(key); key == "" || strings.Contains(key, ",") {
		c.add(part{name: "mdc", kind: partContext}, `[^\n]*?`)
		return
	}
	c.add(part{name: "mdc." + key, typ: schema.String}, `[^\n]*?`)
}

// date compiles %d{format}{zone}.
func (c *log4jCompiler) date(options []string) {
	format, zoneName := "ISO8601", ""
	if len(options) > 0 && strings.TrimSpace(options[0]) != "" {
		format = strings.TrimSpace(options[0])
	}
	if len(options) > 1 {
		zoneName = options[1]
	}
	if strings.HasPrefix(format, `"`) && strings.Count(format, `"`) >= 2 { // logback: {"format", zone}
		end := strings.IndexByte(format[1:], '"') + 1
		if rest := strings.TrimLeft(format[end+1:], ", "); rest != "" {
			zoneName = rest
		}
		format = format[1:end]
	} else if i := strings.LastIndexByte(format, ','); i >= 0 { // logback: {format, zone}
		if z, err := zoneNamed(format[i+1:]); err == nil && z != nil && strings.TrimSpace(format[i+1:]) != "" {
			zoneName, format = format[i+1:], strings.TrimSpace(format[:i])
		}
	}
	p := part{name: "time", kind: partTime}
	if named, ok := log4jDates[format]; ok {
		format = named
	}
	var err error
	if p.times, err = compileTime(format); err != nil {
		c.err = fmt.Errorf("%%d: %w", err)
		return
	}
	if zoneName != "" {
		if p.zone, err = zoneNamed(zoneName); err != nil {
			c.err = fmt.Errorf("%%d{%s}: %w", strings.Join(options, "}{"), err)
			return
		}
	}
	c.add(p, p.times.expr())
}
