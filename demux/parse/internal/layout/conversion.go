package layout

import (
	"fmt"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/schema"
)

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
		c.parts = append(c.parts, Part{Name: "message", Kind: Message})
	case wordDate:
		c.padded(pad, func() { c.date(options) })
	case wordContext:
		c.padded(pad, func() { c.context(option) })
	case wordProperty:
		key, _, _ := strings.Cut(option, ":-")
		if key = strings.TrimSpace(key); key == "" {
			c.err = fmt.Errorf("%%property: want the key in braces, %%property{KEY}")
			return
		}
		c.padded(pad, func() { c.add(Part{Name: "property." + key, Type: schema.String}, `[^\n]*?`) })
	default:
		c.padded(pad, func() { c.add(Part{Name: w.name, Kind: w.part, Type: w.typ}, w.expr) })
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
		c.add(Part{Name: "mdc", Kind: Context}, `[^\n]*?`)
		return
	}
	c.add(Part{Name: "mdc." + key, Type: schema.String}, `[^\n]*?`)
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
	p := Part{Name: "time", Kind: Time}
	if named, ok := log4jDates[format]; ok {
		format = named
	}
	var err error
	if p.Times, err = times.Compile(format); err != nil {
		c.err = fmt.Errorf("%%d: %w", err)
		return
	}
	if zoneName != "" {
		if p.Zone, err = zoneNamed(zoneName); err != nil {
			c.err = fmt.Errorf("%%d{%s}: %w", strings.Join(options, "}{"), err)
			return
		}
	}
	c.add(p, p.Times.Expr())
}
