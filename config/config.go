// Package config reads the project's one config format: YAML, decoded
// strictly (JSON is YAML, so it works as well). Everything that is wrong is
// reported as file:line:column with the key, the value and what is allowed,
// and all of it at once.
//
// Parse gives a tree of Nodes; Decode fills structs from a Node, each daemon
// its own. It imports none of ours.
package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a config file may be at most: it comes from outside, and over REST.
const (
	MaxBytes = 1 << 20
	maxDepth = 32
	maxNodes = 50_000
)

// Pos is a place in a config file. Line and Column count from 1. The zero Pos
// means that the value was not given.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Problemf makes a problem at p.
func (p Pos) Problemf(format string, args ...any) Problem {
	return Problem{Pos: p, Message: fmt.Sprintf(format, args...)}
}

// Problem is one thing that is wrong with a config, told to the person who
// wrote it.
type Problem struct {
	Pos
	Message string
}

// String is "file:line:column: message", on one line.
func (p Problem) String() string {
	return p.Pos.String() + ": " + strings.ReplaceAll(p.Message, "\n", " ")
}

// Problems is everything that was found. Use Err to return it as an error.
type Problems []Problem

// Error is all problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil where there are no problems.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Node is one value of a parsed config: a scalar, a list or a mapping, with
// its place and its path. The zero Node stands for a value that was not given;
// it decodes like an empty mapping.
type Node struct {
	y    *yaml.Node
	file string
	path string
}

// Parse parses one document. file is only the name in problems. Refused are:
// duplicate keys, anchors and aliases, tags, several documents, and what is
// too large or too deep.
func Parse(file string, data []byte) (Node, Problems) {
	root := Node{file: file}
	start := Pos{file, 1, 1}
	if len(data) > MaxBytes {
		return root, Problems{start.Problemf("the config has %d bytes; at most %d are allowed", len(data), MaxBytes)}
	}
	doc, next, err := parseYAML(data)
	if err != nil {
		return root, Problems{syntaxProblem(file, data, err)}
	}
	if next != nil {
		return root, Problems{Pos{file, next.Line, next.Column}.Problemf("a second YAML document; only one is allowed")}
	}
	if doc == nil || len(doc.Content) == 0 {
		return root, nil
	}
	root.y = doc.Content[0]
	c := checker{file: file}
	c.check(root.y, 0)
	return root, c.problems
}

// parseYAML returns the first document, and the second where there is one.
func parseYAML(data []byte) (first, second *yaml.Node, err error) {
	defer func() {
		// The parser is not ours, and its input is from outside.
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser failed: %v", r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, extra yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	if err := dec.Decode(&extra); errors.Is(err, io.EOF) {
		return &doc, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	return &doc, &extra, nil
}

// syntaxProblem places an error of the YAML parser, which tells only a line.
func syntaxProblem(file string, data []byte, err error) Problem {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	pos := Pos{file, 1, 1}
	var line int
	if n, _ := fmt.Sscanf(msg, "line %d:", &line); n == 1 && line > 0 {
		pos.Line = line
		_, msg, _ = strings.Cut(msg, ": ")
	}
	lines := strings.Split(string(data), "\n")
	// The parser's line is sometimes the one before.
	for i := pos.Line - 1; i < len(lines) && i < pos.Line+1; i++ {
		indent := lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			return Pos{file, i + 1, tab + 1}.Problemf("a tab in the indentation; YAML allows only spaces there")
		}
	}
	return pos.Problemf("not valid YAML: %s", msg)
}

// checker refuses what YAML allows and a config doesn't.
type checker struct {
	file     string
	nodes    int
	problems Problems
}

func (c *checker) fail(y *yaml.Node, format string, args ...any) {
	c.problems = append(c.problems, Pos{c.file, y.Line, y.Column}.Problemf(format, args...))
}

func (c *checker) check(y *yaml.Node, depth int) {
	c.nodes++
	switch {
	case c.nodes == maxNodes+1:
		c.fail(y, "more than %d values; that many are allowed at most", maxNodes)
		return
	case c.nodes > maxNodes:
		return
	case depth > maxDepth:
		c.fail(y, "nested more than %d levels deep; that many are allowed at most", maxDepth)
		return
	case y.Kind == yaml.AliasNode:
		c.fail(y, "the alias *%s: aliases are not allowed, write the value again", y.Value)
		return
	case y.Anchor != "":
		c.fail(y, "the anchor &%s: anchors are not allowed", y.Anchor)
	case y.Style&yaml.TaggedStyle != 0:
		c.fail(y, "the tag %s: tags are not allowed", y.Tag)
	}
	if y.Kind != yaml.MappingNode {
		for _, child := range y.Content {
			c.check(child, depth+1)
		}
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind != yaml.ScalarNode {
			c.fail(key, "a key that is not plain text")
			continue
		}
		if first := seen[key.Value]; first != nil {
			c.fail(key, "key %q is given twice; the first is at line %d", key.Value, first.Line)
		} else {
			seen[key.Value] = key
		}
		c.check(key, depth+1)
		c.check(y.Content[i+1], depth+1)
	}
}
