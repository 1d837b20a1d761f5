package layout

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// accessToken is text, or a field.
type accessToken struct {
	text  string
	field *accessField
}

// CompileAccess compiles a format as Apache's LogFormat or nginx' log_format has it,
// with that directive before it or without.
func CompileAccess(text string) (*Pattern, error) {
	format := serverFormat(text)
	scan := apacheTokens
	if nginxVariable.MatchString(format) {
		scan = nginxTokens
	}
	tokens, err := scan(format)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	tokens = joinTimes(tokens)
	c := builder{}
	taken := map[string]bool{}
	for i, t := range tokens {
		if t.field == nil {
			c.literal(t.text)
			continue
		}
		f := *t.field
		for taken[f.Name] && f.Kind != Time {
			f.Name += "_2"
		}
		taken[f.Name] = true
		if f.Kind == Time {
			if f.Times, err = times.Compile(f.strptime); err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
		}
		before, after := "", ""
		if i > 0 {
			before = tokens[i-1].text
		}
		last := i+1 == len(tokens)
		if !last {
			after = tokens[i+1].text
		}
		c.add(f.Part, f.expr(strings.HasSuffix(before, `"`) && strings.HasPrefix(after, `"`), last))
	}
	if len(c.parts) == 0 {
		return nil, fmt.Errorf("%q has no directive of Apache's (%%h) and no variable of nginx' ($remote_addr)", text)
	}
	c.expr.WriteString(`\s*`)
	p, err := c.build(text)
	if err != nil {
		return nil, err
	}
	p.JSON = strings.HasPrefix(format, "{")
	return p, nil
}

// expr returns what a field matches, within quotes or not, and at the end.
func (f *accessField) expr(quoted, last bool) string {
	switch f.shape {
	case shapeTime:
		return f.Times.Expr()
	case shapeNumber:
		return `-|[\d.]*`
	case shapeNumbers:
		return `[-\d.]*(?:(?:, ?| : )[-\d.]+)*`
	case shapeQuery:
		return `(?:\?.*?)?`
	case shapeAddresses:
		if !quoted {
			return `[^\s,"]*(?:, ?[^\s,"]+| : [^\s,"]+)*`
		}
	}
	switch {
	case quoted:
		return `[^"\\]*(?:\\.[^"\\]*)*|.*?`
	case last:
		return `.*`
	}
	return `.*?`
}

// joinTimes makes one field of several that are parts of one time.
func joinTimes(tokens []accessToken) (out []accessToken) {
	for _, t := range tokens {
		n := len(out)
		if t.field != nil && t.field.Kind == Time {
			switch {
			case n > 0 && out[n-1].field != nil && out[n-1].field.Kind == Time:
				joined := timeField(out[n-1].field.strptime + t.field.strptime)
				out[n-1].field = &joined
				continue
			case n > 1 && out[n-1].field == nil && out[n-2].field != nil && out[n-2].field.Kind == Time && len(out[n-1].text) < 4 && strings.ContainsRune(t.field.strptime, '%'):
				joined := timeField(out[n-2].field.strptime + strings.ReplaceAll(out[n-1].text, "%", "%%") + t.field.strptime)
				out = out[:n-1]
				out[n-2].field = &joined
				continue
			}
		}
		out = append(out, t)
	}
	return out
}

func addText(tokens []accessToken, text string) []accessToken {
	if n := len(tokens); n > 0 && tokens[n-1].field == nil {
		tokens[n-1].text += text
		return tokens
	}
	return append(tokens, accessToken{text: text})
}

// apacheTokens takes a LogFormat apart.
func apacheTokens(format string) (tokens []accessToken, err error) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			tokens = addText(tokens, format[i:i+1])
			continue
		}
		from := i
		arg := ""
		i++
		for i < len(format) && strings.IndexByte("!,<>0123456789", format[i]) >= 0 {
			i++
		}
		if i < len(format) && format[i] == '{' {
			end := strings.IndexByte(format[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("the { at byte %d is not closed", i)
			}
			arg = format[i+1 : i+end]
			i += end + 1
			for i < len(format) && strings.IndexByte("!,<>0123456789", format[i]) >= 0 {
				i++
			}
		}
		switch {
		case i == len(format):
			return nil, fmt.Errorf("it ends within a directive")
		case format[i] == '%' && i == from+1:
			tokens = addText(tokens, "%")
			continue
		case strings.HasPrefix(format[i:], "^ti"), strings.HasPrefix(format[i:], "^to"):
			i += 2
			f := textField("trailer_" + columnOf(arg))
			tokens = append(tokens, accessToken{field: &f})
			continue
		}
		f, ok := apacheField(format[i], arg)
		if !ok {
			return nil, fmt.Errorf("the directive %q at byte %d is not known", format[from:i+1], from)
		}
		if f.strptime == "["+apacheTime+"]" {
			f.strptime = apacheTime
			tokens = append(addText(tokens, "["), accessToken{field: &f}, accessToken{text: "]"})
			continue
		}
		tokens = append(tokens, accessToken{field: &f})
	}
	return tokens, nil
}

var nginxVariable = regexp.MustCompile(`\$(?:([a-z][a-z0-9_]*)|\{([a-z][a-z0-9_]*)\})`)

// nginxTokens takes a log_format apart.
func nginxTokens(format string) (tokens []accessToken, err error) {
	at := 0
	for _, m := range nginxVariable.FindAllStringSubmatchIndex(format, -1) {
		if m[0] > at {
			tokens = addText(tokens, format[at:m[0]])
		}
		name := format[m[0]:m[1]]
		f := nginxField(strings.Trim(name, "${}"))
		tokens = append(tokens, accessToken{field: &f})
		at = m[1]
	}
	if at < len(format) {
		tokens = addText(tokens, format[at:])
	}
	return tokens, nil
}

// serverFormat returns the format of a directive as it stands in a server's config:
// lines that go on are joined, quotes are taken off, and what stands in several ones
// is put together.
func serverFormat(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\\\r\n", ""), "\\\n", "")
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";"))
	word, rest, _ := strings.Cut(text, " ")
	directive := true
	switch strings.ToLower(word) {
	case "logformat":
		text = strings.TrimSpace(rest)
	case "log_format":
		_, text, _ = strings.Cut(strings.TrimSpace(rest), " ")
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "escape=") {
			_, text, _ = strings.Cut(text, " ")
			text = strings.TrimSpace(text)
		}
	case "customlog":
		_, text, _ = strings.Cut(strings.TrimSpace(rest), " ")
		text = strings.TrimSpace(text)
	default:
		directive = false
	}
	if joined, ok := unquoteFormat(text, directive); ok {
		return joined
	}
	return strings.ReplaceAll(text, `\"`, `"`)
}

// formatName is what may follow the quotes of a LogFormat.
var formatName = regexp.MustCompile(`^[\w.-]*(?:\s+env=\S+|\s+expr=.*)?$`)

// unquoteFormat takes the quotes off a format, and puts several ones together. It
// reports false for one that merely starts with quotes.
func unquoteFormat(text string, directive bool) (string, bool) {
	var b strings.Builder
	for n := 0; ; n++ {
		if text == "" || text[0] != '"' && text[0] != '\'' {
			return b.String(), n > 0 && formatName.MatchString(text)
		}
		quote := text[0]
		i := 1
		for ; i < len(text) && text[i] != quote; i++ {
			if text[i] != '\\' || i+1 == len(text) {
				b.WriteByte(text[i])
				continue
			}
			i++
			switch c := text[i]; c {
			case '"', '\'', '\\':
				b.WriteByte(c)
			case 't':
				b.WriteByte('\t')
			case 'n':
				b.WriteByte('\n')
			default:
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		}
		if i >= len(text) {
			return "", false
		}
		rest := strings.TrimLeft(text[i+1:], " \t\r\n")
		gap := text[i+1 : len(text)-len(rest)]
		if quote == '"' && strings.HasPrefix(rest, `"`) && !directive && !strings.Contains(gap, "\n") {
			return "", false // "$request" "$http_referer": fields in quotes
		}
		text = rest
	}
}
