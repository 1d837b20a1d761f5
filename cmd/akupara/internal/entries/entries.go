// Package entries makes what is sent to an agent of what people write: files of
// adaptors' entries, and KEY=VALUE arguments.
package entries

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/akupara/akupara/config"
)

// Entry is one entry, ready to be sent.
type Entry struct {
	Name string // "" where it has none: the agent says so
	Body []byte // YAML or JSON, each line and column as in the file
}

// Read reads one entry or a list of them, in YAML or JSON, of at most
// config.MaxBytes. name is the file's, for messages; what is no YAML is told as
// config.Problems.
func Read(name string, r io.Reader) ([]Entry, error) {
	data, err := io.ReadAll(io.LimitReader(r, config.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read entries from %s: %w", name, err)
	}
	root, problems := config.Parse(name, data)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if !root.Given() {
		return nil, fmt.Errorf("%s holds no entry", name)
	}
	items := root.Items()
	if items == nil {
		return []Entry{{root.Get("name").Text(), data}}, nil
	}
	list := make([]Entry, 0, len(items))
	for _, item := range items {
		body, err := json.Marshal(item.Any())
		if err != nil {
			return nil, fmt.Errorf("read entries from %s: %w", name, err)
		}
		list = append(list, Entry{item.Get("name").Text(), inPlace(data, item, items, body)})
	}
	return list, nil
}

// inPlace returns one entry of a list such that every line and column is what it
// is in the file: the agent's problems name them. body is the entry in JSON.
func inPlace(data []byte, item config.Node, items []config.Node, body []byte) []byte {
	pos := item.Pos()
	padding := strings.Repeat("\n", pos.Line-1) + strings.Repeat(" ", pos.Column-1)
	end := -1 // of the entry's last line
	for i := range items {
		if items[i].Pos() == pos && i+1 < len(items) {
			end = items[i+1].Pos().Line - 1
		}
	}
	lines := strings.SplitAfter(string(data), "\n")
	if end < 0 {
		end = len(lines)
	}
	if pos.Line <= end && end <= len(lines) && pos.Column-1 <= len(lines[pos.Line-1]) {
		text := lines[pos.Line-1][pos.Column-1:] + strings.Join(lines[pos.Line:end], "")
		own, problems := config.Parse("", []byte(padding+text))
		if same, err := json.Marshal(own.Any()); len(problems) == 0 && err == nil && string(same) == string(body) &&
			own.Pos().Line == pos.Line && own.Pos().Column == pos.Column {
			return []byte(padding + text)
		}
	}
	return []byte(padding + string(body)) // written on one line, or with others
}

// setting splits KEY=VALUE. A value is text, but for what YAML takes for a
// number, true or false, and what is in brackets, braces or quotes.
func setting(arg string) (key string, value any, err error) {
	key, text, ok := strings.Cut(arg, "=")
	if !ok || key == "" {
		return "", nil, fmt.Errorf("%q: want KEY=VALUE", arg)
	}
	node, problems := config.Parse(key, []byte(text))
	value = node.Any()
	quoted := text != "" && strings.Contains(`[{"'`, text[:1])
	switch {
	case quoted && len(problems) > 0:
		return "", nil, fmt.Errorf("%s: %s", key, problems[0].Message)
	case quoted:
		return key, value, nil
	case len(problems) > 0 || value == nil || node.Text() != text:
		return key, text, nil // a: b, say, is text
	}
	return key, value, nil
}

// Set puts KEY=VALUE arguments into an entry. What groups name takes all
// that follows it for a key of a mapping: label.app=x is {label: {app: x}}.
func Set(entry map[string]any, args, groups []string) error {
	for _, arg := range args {
		key, value, err := setting(arg)
		if err != nil {
			return err
		}
		into := entry
		for _, g := range groups {
			rest, ok := strings.CutPrefix(key, g+".")
			if !ok || rest == "" {
				continue
			}
			for part := range strings.SplitSeq(g, ".") {
				inner, ok := into[part].(map[string]any)
				if !ok {
					inner = map[string]any{}
					into[part] = inner
				}
				into = inner
			}
			key = rest
			break
		}
		if _, twice := into[key]; twice {
			return fmt.Errorf("%q: %s is set twice", arg, key)
		}
		into[key] = value
	}
	return nil
}
