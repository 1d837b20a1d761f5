package parse

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
)

var grokParser = example(define("grok", "lines by Grok's named patterns, `%{IP:client} %{NUMBER:took:double}`; own ones by `patterns`", func() grokOptions { return grokOptions{} }, newGrok),
	`{parser: grok, pattern: '%{SYSLOGLINE}'}`)

// grokOptions are the options of grok.
type grokOptions struct {
	// Pattern is a pattern, or several to try.
	Pattern config.Node `config:"pattern,required"`
	// Patterns are patterns of one's own by name, beside the known ones or in their place.
	Patterns map[string]string `config:"patterns"`
}

func newGrok(o *grokOptions) (format, error) {
	f := &expressionFormat{keyed: newKeyed(), name: "the pattern"}
	texts, err := givenPatterns(o.Pattern)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		g := grok{own: o.Patterns}
		expr, err := g.expand(text, 0)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		re, err := config.CompileExpanded(expr)
		if err != nil {
			return nil, fmt.Errorf("pattern %q, written out: %w", text, err)
		}
		e := expression{auto: automaton.New(re)}
		for _, name := range re.SubexpNames()[1:] {
			c, err := g.capture(f.keyed, name)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", text, err)
			}
			e.timed = e.timed || c.node != nil && c.node.role() == roleTime
			e.captures = append(e.captures, c)
		}
		if !slices.ContainsFunc(e.captures, func(c capture) bool { return c.node != nil }) {
			return nil, fmt.Errorf("pattern %q names no field; want some, such as %%{IP:client}", text)
		}
		f.exprs = append(f.exprs, e)
	}
	return f, nil
}

// Bounds on what a pattern becomes once it is written out.
const (
	maxGrokDepth = 20
	maxGrokBytes = 64 << 10
)

// grok writes a pattern out as a regular expression.
type grok struct {
	own    map[string]string
	fields []grokField // of the groups that are named by their numbers
	bytes  int
}

type grokField struct{ name, typ string }

// groupPrefix starts the names of groups that stand for fields, as fields may have
// names that groups can't.
const groupPrefix = "field_"

var grokReference = regexp.MustCompile(`%\{([\w.-]+)(?::([^:}]+))?(?::([^:}]*))?\}`)

// atomic are groups that other engines don't go back into: RE2 doesn't know them.
var atomic = strings.NewReplacer(`\(?>`, `\(?>`, "(?>", "(?:")

func (g *grok) expand(text string, depth int) (string, error) {
	if depth > maxGrokDepth {
		return "", fmt.Errorf("more than %d patterns within each other", maxGrokDepth)
	}
	var b strings.Builder
	at := 0
	for _, m := range grokReference.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(atomic.Replace(text[at:m[0]]))
		at = m[1]
		name := text[m[2]:m[3]]
		inner, known := g.own[name]
		if !known {
			if inner, known = grokPatterns[name]; !known {
				return "", fmt.Errorf("%s is not known%s; own ones stand in patterns", name, near(name))
			}
		}
		inner, err := g.expand(inner, depth+1)
		if err != nil {
			return "", err
		}
		if g.bytes += len(inner); g.bytes > maxGrokBytes {
			return "", fmt.Errorf("written out it has more than %d bytes", maxGrokBytes)
		}
		if m[4] < 0 {
			b.WriteString("(?:" + inner + ")")
			continue
		}
		f := grokField{name: grokName(text[m[4]:m[5]])}
		if m[6] >= 0 {
			f.typ = text[m[6]:m[7]]
		}
		// The group is numbered behind those in it, which matters to none.
		g.fields = append(g.fields, f)
		b.WriteString("(?P<" + groupPrefix + strconv.Itoa(len(g.fields)-1) + ">" + inner + ")")
	}
	b.WriteString(atomic.Replace(text[at:]))
	return b.String(), nil
}

func near(name string) string {
	var lower []string
	for _, n := range slices.Sorted(maps.Keys(grokPatterns)) {
		lower = append(lower, strings.ToLower(n))
	}
	if n := config.Nearest(name, lower); n != "" {
		return ", did you mean " + strings.ToUpper(n) + "?"
	}
	return ""
}

// grokName writes [client][ip] as client.ip.
func grokName(name string) string {
	if strings.HasPrefix(name, "[") {
		name = strings.ReplaceAll(strings.Trim(name, "[]"), "][", ".")
	}
	return name
}

// capture makes the capture of a group. Fields of several groups get the first
// value that there is.
func (g *grok) capture(k *keyed, group string) (capture, error) {
	if group == "" {
		return capture{}, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(group, groupPrefix))
	if err != nil || n < 0 || n >= len(g.fields) || !strings.HasPrefix(group, groupPrefix) {
		return k.capture(group, "")
	}
	return k.capture(g.fields[n].name, g.fields[n].typ)
}
