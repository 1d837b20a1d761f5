package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Given reports whether the value stands in the config at all.
func (n Node) Given() bool { return n.y != nil }

// Pos is where the value stands; the zero Pos where it was not given.
func (n Node) Pos() Pos {
	if n.y == nil {
		return Pos{File: n.file}
	}
	return Pos{n.file, n.y.Line, n.y.Column}
}

// Path names the value from the top, like agent.adaptors[2].paths; empty for
// the whole config.
func (n Node) Path() string { return n.path }

// Text is a scalar's text as it was written, "" for all other values.
func (n Node) Text() string {
	if n.y == nil || n.y.Kind != yaml.ScalarNode {
		return ""
	}
	return n.y.Value
}

// Source is the value as YAML, to be parsed again elsewhere; "" where it was not
// given.
func (n Node) Source() string {
	if n.y == nil {
		return ""
	}
	text, err := yaml.Marshal(n.y)
	if err != nil {
		return "" // not possible of what was parsed
	}
	return string(text)
}

// Problemf makes a problem at the value, whose path goes before the message.
// Where the value was not given, its place is that of what it is missing in,
// if Get gave the node.
func (n Node) Problemf(format string, args ...any) Problem {
	pos := n.Pos()
	if pos.Line == 0 {
		pos.Line, pos.Column = 1, 1
	}
	msg := fmt.Sprintf(format, args...)
	if n.path != "" {
		msg = n.path + ": " + msg
	}
	return Problem{Pos: pos, Message: msg}
}

// Get is the value of a mapping's key; not Given where there is none.
func (n Node) Get(key string) Node {
	for _, f := range n.Fields() {
		if f.Key == key {
			return f.Value
		}
	}
	return Node{file: n.file, path: join(n.path, key)}
}

// Field is one key of a mapping and its value.
type Field struct {
	Key    string
	KeyPos Pos
	Value  Node
}

// Fields are a mapping's keys and values in the order they were written; none
// for all other values.
func (n Node) Fields() []Field {
	if n.y == nil || n.y.Kind != yaml.MappingNode {
		return nil
	}
	fields := make([]Field, 0, len(n.y.Content)/2)
	for i := 0; i+1 < len(n.y.Content); i += 2 {
		key := n.y.Content[i]
		fields = append(fields, Field{
			Key:    key.Value,
			KeyPos: Pos{n.file, key.Line, key.Column},
			Value:  Node{n.y.Content[i+1], n.file, join(n.path, key.Value)},
		})
	}
	return fields
}

// Items are a list's values; none for all other values.
func (n Node) Items() []Node {
	if n.y == nil || n.y.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, 0, len(n.y.Content))
	for i, y := range n.y.Content {
		items = append(items, Node{y, n.file, n.path + "[" + strconv.Itoa(i) + "]"})
	}
	return items
}

// Any is the value as plain Go: nil, bool, int, float64, string, []any or
// map[string]any, ready for encoding/json.
func (n Node) Any() any {
	var v any
	if n.y == nil || n.y.Decode(&v) != nil {
		return nil
	}
	return v
}

func (n Node) isNull() bool {
	return n.y == nil || n.y.Kind == yaml.ScalarNode && n.y.ShortTag() == "!!null"
}

// shown is the value as a problem shows it: short, and on one line.
func (n Node) shown() string {
	switch {
	case n.isNull():
		return "nothing"
	case n.y.Kind == yaml.MappingNode:
		return "a mapping"
	case n.y.Kind == yaml.SequenceNode:
		return "a list"
	case len(n.y.Value) > 80:
		return strconv.Quote(n.y.Value[:80]) + "…"
	}
	return strconv.Quote(n.y.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
