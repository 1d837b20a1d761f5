package filter

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Switch turns the collection of what it meets off, while it is off itself.
// All conditions that it names must hold.
type Switch struct {
	Name string

	off    bool
	entry  map[string]any // as it was given, for people
	chunk  []condition    // on what is the same for a whole chunk
	level  Level          // this one and below; Unknown: any
	logger []string       // globs; nil: any
	prefix string
}

// condition is met where one of the globs meets the value.
type condition struct {
	of    func(w *Who, c *chunk.Chunk) (value string, ok bool)
	globs []string
}

// Who is the adaptor that a chunk comes from.
type Who struct{ Adaptor, Kind, Persona string }

// SwitchName is what a switch's name must match.
var SwitchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

const (
	maxGlobs = 64
	maxGlob  = 256 // bytes
)

type switchKeys struct {
	Name      config.Node            `config:"name"`
	Off       *bool                  `config:"off"`
	Adaptor   config.Node            `config:"adaptor"`
	Kind      config.Node            `config:"kind"`
	Type      config.Node            `config:"type"`
	Persona   config.Node            `config:"persona"`
	Namespace config.Node            `config:"namespace"`
	Pod       config.Node            `config:"pod"`
	Container config.Node            `config:"container"`
	Label     map[string]config.Node `config:"label"`
	Level     config.Node            `config:"level"`
	Feature   featureKeys            `config:"feature"`
}

type featureKeys struct {
	Tag    map[string]config.Node `config:"tag"`
	Logger config.Node            `config:"logger"`
	Prefix string                 `config:"prefix"`
}

// DecodeSwitch reads one switch. Where name is empty, it stands in the entry.
func DecodeSwitch(name string, n config.Node) (Switch, config.Problems) {
	var keys switchKeys
	problems := config.Decode(n, &keys)
	s := Switch{Name: name, off: keys.Off == nil || *keys.Off}
	switch {
	case name == "" && !keys.Name.Given():
		problems = append(problems, n.Problemf("key \"name\" is missing; it is required"))
	case name == "":
		s.Name = keys.Name.Text()
	case keys.Name.Given() && keys.Name.Text() != name:
		problems = append(problems, keys.Name.Problemf("%q is another name than %q, which it is addressed by", keys.Name.Text(), name))
	}
	if s.Name != "" && !SwitchName.MatchString(s.Name) {
		problems = append(problems, n.Problemf("the name %q must match %s", s.Name, SwitchName))
	}
	s.entry, _ = n.Any().(map[string]any)
	delete(s.entry, "name")

	add := func(n config.Node, of func(*Who, *chunk.Chunk) (string, bool)) {
		if !n.Given() {
			return
		}
		list, p := globs(n)
		s.chunk, problems = append(s.chunk, condition{of, list}), append(problems, p...)
	}
	tag := func(key string) func(*Who, *chunk.Chunk) (string, bool) {
		return func(_ *Who, c *chunk.Chunk) (string, bool) { v, ok := c.Tags[key]; return v, ok }
	}
	add(keys.Adaptor, func(w *Who, _ *chunk.Chunk) (string, bool) { return w.Adaptor, true })
	add(keys.Kind, func(w *Who, _ *chunk.Chunk) (string, bool) { return w.Kind, true })
	add(keys.Type, func(_ *Who, c *chunk.Chunk) (string, bool) { return c.Type, true })
	add(keys.Persona, func(w *Who, _ *chunk.Chunk) (string, bool) { return w.Persona, w.Persona != "" })
	add(keys.Namespace, tag("namespace"))
	add(keys.Pod, tag("pod"))
	add(keys.Container, tag("container"))
	for _, key := range sorted(keys.Label) {
		add(keys.Label[key], tag("label."+key))
	}
	for _, key := range sorted(keys.Feature.Tag) {
		add(keys.Feature.Tag[key], tag(key))
	}
	if keys.Level.Given() {
		l, p := decodeLevel(keys.Level)
		s.level, problems = l, append(problems, p...)
	}
	if keys.Feature.Logger.Given() {
		list, p := globs(keys.Feature.Logger)
		s.logger, problems = list, append(problems, p...)
	}
	if s.prefix = keys.Feature.Prefix; len(s.prefix) > maxGlob {
		problems = append(problems, n.Get("feature").Get("prefix").Problemf("it has %d bytes; at most %d are allowed", len(s.prefix), maxGlob))
	}
	if len(problems) == 0 && len(s.chunk) == 0 && !s.perRecord() {
		problems = append(problems, n.Problemf("it names no condition, and would switch everything off; allowed: adaptor, kind, type, "+
			"persona, namespace, pod, container, label, level, feature (tag, logger, prefix); adaptor: \"*\" is everything"))
	}
	return s, problems
}

func sorted(m map[string]config.Node) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// globs reads one glob or a list of them.
func globs(n config.Node) ([]string, config.Problems) {
	items := n.Items()
	if items == nil {
		items = []config.Node{n}
	}
	if len(items) > maxGlobs {
		return nil, config.Problems{n.Problemf("%d patterns; at most %d are allowed", len(items), maxGlobs)}
	}
	var out []string
	var problems config.Problems
	for _, item := range items {
		text := item.Text()
		if text == "" || len(text) > maxGlob {
			problems = append(problems, item.Problemf("want a name, in which * stands for any text and ? for one character, or a list of such; "+
				"each has 1 to %d bytes", maxGlob))
		}
		out = append(out, text)
	}
	return out, problems
}

// perRecord reports whether the records must be looked at, not the chunk alone.
func (s *Switch) perRecord() bool { return s.level != Unknown || s.logger != nil || s.prefix != "" }

// meetsChunk reports whether what holds for the whole chunk is met.
func (s *Switch) meetsChunk(w *Who, c *chunk.Chunk) bool {
	for i := range s.chunk {
		value, ok := s.chunk[i].of(w, c)
		if !ok || !anyGlob(s.chunk[i].globs, value) {
			return false
		}
	}
	return true
}

// meets reports whether the conditions on a record are met.
func (s *Switch) meets(rec *record) bool {
	if s.level != Unknown && (rec.levelOf() == Unknown || rec.levelOf() > s.level) {
		return false
	}
	if s.logger != nil && !s.meetsLogger(rec) {
		return false
	}
	return s.prefix == "" || rec.startsWith([]byte(s.prefix))
}

// meetsLogger: a logger's name stands for the loggers below it, too.
func (s *Switch) meetsLogger(rec *record) bool {
	name := string(rec.loggerOf())
	if name == "" {
		return false
	}
	for _, g := range s.logger {
		if glob(g, name) || glob(g+".*", name) {
			return true
		}
	}
	return false
}

func anyGlob(globs []string, s string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
}

// glob reports whether s is as the pattern says: * stands for any text, ? for
// one byte.
func glob(pattern, s string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// startsWith reports whether the record, or the message in it, starts so.
func (r *record) startsWith(prefix []byte) bool {
	if bytes.HasPrefix(r.text, prefix) {
		return true
	}
	for _, m := range r.messages() {
		if bytes.HasPrefix(m, prefix) {
			return true
		}
	}
	return false
}
